// SPDX-License-Identifier: GPL-2.0-only
// The kernel's nf_conntrack module, as far as programs see it: its types and kfuncs.
#pragma once

#include <cstddef>
#include <span>

#include "base/error.h"
#include "bpf/bpf.h"

namespace uscx::conformance {

/// Makes the module known; `btf` is its own, split from vmlinux's. Its kfuncs are only verified.
OrError<void> register_conntrack(bpf::Bpf& bpf, std::span<const std::byte> btf);

}  // namespace uscx::conformance
