// SPDX-License-Identifier: GPL-2.0-only
// Instructions as the kernel's verifier log writes them.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "bpf/program.h"

namespace uscx::bpf {

/// Names what a call instruction calls ("bpf_map_lookup_elem"); empty for "unknown".
using CallNamer = std::function<std::string(const Insn&)>;

/// Instruction `index` of `insns`, e.g. "(79) r1 = *(u64 *)(r6 +8)"; no line number. The second
/// half of a 16-byte instruction must be in `insns`.
std::string disassemble(std::span<const Insn> insns, u32 index, const CallNamer& namer = {});

}  // namespace uscx::bpf
