// SPDX-License-Identifier: GPL-2.0-only
// Our BTF against a real kernel's of the same version.
#pragma once

#include <string>
#include <vector>

#include "btf/btf.h"

namespace uscx::btf {

/// Everything in `ours` that a program could tell from `kernel`, one line each; empty: none.
/// Functions, enumerators, tracepoints and per-CPU variables must be the kernel's; structs must
/// have its layout too, but for those the core lays out itself, whose members must exist there with
/// the same type. What the kernel has beyond that counts only for sched_ext's own declarations.
std::vector<std::string> compare_with_kernel(const Btf& ours, const Btf& kernel);

}  // namespace uscx::btf
