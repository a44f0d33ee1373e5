// SPDX-License-Identifier: GPL-2.0-only
// What an INSN_ARRAY map holds: the engines' names of instructions to jump to.
#pragma once

#include "base/types.h"

namespace uscx::bpf {

/// No address, and no callback's (exec.h).
inline constexpr u64 kJumpTag = 0xffff'bfc1'0000'0000;
constexpr u64 encode_jump_target(u32 insn) {
  return kJumpTag | insn;
}
constexpr bool is_jump_target(u64 value) {
  return (value & 0xffff'ffff'0000'0000) == kJumpTag;
}
constexpr u32 jump_target_insn(u64 value) {
  return static_cast<u32>(value);
}

}  // namespace uscx::bpf
