// SPDX-License-Identifier: GPL-2.0-only
// Which registers and stack slots must be precise while a path is walked backwards.
#pragma once

#include <array>

#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

/// Linux: struct backtrack_state.
struct BacktrackState {
  u32 frame = 0;
  std::array<u32, kMaxFrames> reg_masks = {};
  std::array<u64, kMaxFrames> stack_masks = {};
  std::array<u8, kMaxFrames> stack_arg_masks = {};

  void reset() { *this = {}; }
  bool empty() const {
    u64 mask = 0;
    for (u32 i = 0; i <= frame; ++i) mask |= reg_masks[i] | stack_masks[i] | stack_arg_masks[i];
    return mask == 0;
  }
  void set_reg(u32 f, u32 reg) { reg_masks[f] |= 1u << reg; }
  void clear_reg(u32 f, u32 reg) { reg_masks[f] &= ~(1u << reg); }
  bool has_reg(u32 f, u32 reg) const { return reg_masks[f] >> reg & 1; }
  void set_slot(u32 f, u32 spi) { stack_masks[f] |= 1ull << spi; }
  void clear_slot(u32 f, u32 spi) { stack_masks[f] &= ~(1ull << spi); }
  bool has_slot(u32 f, u32 spi) const { return stack_masks[f] >> spi & 1; }
  void set_arg(u32 f, u32 arg) { stack_arg_masks[f] |= static_cast<u8>(1u << arg); }
  void clear_arg(u32 f, u32 arg) { stack_arg_masks[f] &= static_cast<u8>(~(1u << arg)); }
  bool has_arg(u32 f, u32 arg) const { return stack_arg_masks[f] >> arg & 1; }

  // The same for the current frame.
  void set(u32 reg) { set_reg(frame, reg); }
  void clear(u32 reg) { clear_reg(frame, reg); }
  bool has(u32 reg) const { return has_reg(frame, reg); }
};

/// Scalars that share an id at a jump, packed into a history entry: at most five.
/// Linux: struct linked_regs.
struct LinkedReg {
  u8 frameno = 0;
  u8 index = 0;  // register or slot
  bool is_reg = false;
};
struct LinkedRegs {
  static constexpr u32 kMax = 5;
  u32 cnt = 0;
  std::array<LinkedReg, kMax> entries = {};

  bool push(LinkedReg reg) {
    if (cnt == kMax) return false;
    entries[cnt++] = reg;
    return true;
  }
  u64 pack() const;
  static LinkedRegs unpack(u64 packed);
};

}  // namespace uscx::bpf::verifier
