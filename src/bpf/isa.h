// SPDX-License-Identifier: GPL-2.0-only
// The numbers of the BPF instruction set (RFC 9669 and Linux's additions).
#pragma once

#include "base/types.h"
#include "bpf/program.h"

namespace uscx::bpf::isa {

// Instruction classes.
inline constexpr u8 kLd = 0, kLdx = 1, kSt = 2, kStx = 3, kAlu = 4, kJmp = 5, kJmp32 = 6,
                    kAlu64 = 7;
// Sizes and modes of loads and stores.
inline constexpr u8 kW = 0x00, kH = 0x08, kB = 0x10, kDw = 0x18;
inline constexpr u8 kImm = 0x00, kAbs = 0x20, kInd = 0x40, kMem = 0x60, kMemsx = 0x80,
                    kAtomic = 0xc0;
// The second operand: imm or a register.
inline constexpr u8 kK = 0x00, kX = 0x08;
// Operations of the ALU classes.
inline constexpr u8 kAdd = 0x00, kSub = 0x10, kMul = 0x20, kDiv = 0x30, kOr = 0x40, kAnd = 0x50,
                    kLsh = 0x60, kRsh = 0x70, kNeg = 0x80, kMod = 0x90, kXor = 0xa0, kMov = 0xb0,
                    kArsh = 0xc0, kEnd = 0xd0;
// Operations of the JMP classes.
inline constexpr u8 kJa = 0x00, kJeq = 0x10, kJgt = 0x20, kJge = 0x30, kJset = 0x40, kJne = 0x50,
                    kJsgt = 0x60, kJsge = 0x70, kCall = 0x80, kExit = 0x90, kJlt = 0xa0,
                    kJle = 0xb0, kJslt = 0xc0, kJsle = 0xd0, kJcond = 0xe0;

// Atomic operations, in imm: an ALU operation, with kFetch or not, or one of the rest.
inline constexpr s32 kFetch = 0x01;
inline constexpr s32 kXchg = 0xe0 | kFetch;
inline constexpr s32 kCmpxchg = 0xf0 | kFetch;
inline constexpr s32 kLoadAcquire = 0x100;
inline constexpr s32 kStoreRelease = 0x110;

// src of ld_imm64.
inline constexpr u8 kPseudoMapFd = 1;
inline constexpr u8 kPseudoMapValue = 2;
inline constexpr u8 kPseudoBtfId = 3;
inline constexpr u8 kPseudoFunc = 4;
inline constexpr u8 kPseudoMapIdx = 5;
inline constexpr u8 kPseudoMapIdxValue = 6;
// src of call.
inline constexpr u8 kPseudoCall = 1;
inline constexpr u8 kPseudoKfuncCall = 2;

inline constexpr u8 kLdImm64 = kLd | kImm | kDw;
inline constexpr u8 kCallOpcode = kJmp | kCall;
inline constexpr u8 kExitOpcode = kJmp | kExit;
inline constexpr u8 kGoto = kJmp | kJa;
inline constexpr u8 kGotol = kJmp32 | kJa;
inline constexpr u8 kGotox = kJmp | kJa | kX;
inline constexpr u8 kMayGoto = kJmp | kJcond;
inline constexpr s16 kAddrSpaceCast = 1;  // off of a 64-bit register move

inline constexpr u32 kNrRegisters = 11;
inline constexpr u8 kFramePointer = 10;

constexpr u8 class_of(const Insn& insn) {
  return insn.code & 0x07;
}
constexpr u8 size_of(const Insn& insn) {
  return insn.code & 0x18;
}
constexpr u8 mode_of(const Insn& insn) {
  return insn.code & 0xe0;
}
constexpr u8 op_of(const Insn& insn) {
  return insn.code & 0xf0;
}
constexpr bool is_x(const Insn& insn) {
  return insn.code & kX;
}
constexpr u32 bytes_of(const Insn& insn) {
  switch (size_of(insn)) {
    case kW:
      return 4;
    case kH:
      return 2;
    case kB:
      return 1;
    default:
      return 8;
  }
}
constexpr bool is_alu(const Insn& insn) {
  return class_of(insn) == kAlu || class_of(insn) == kAlu64;
}
constexpr bool is_jump_class(const Insn& insn) {
  return class_of(insn) == kJmp || class_of(insn) == kJmp32;
}
constexpr bool is_atomic(const Insn& insn) {
  return class_of(insn) == kStx && mode_of(insn) == kAtomic;
}
constexpr bool is_call(const Insn& insn) {
  return insn.code == kCallOpcode;
}
constexpr bool is_exit(const Insn& insn) {
  return insn.code == kExitOpcode;
}
constexpr bool is_goto(const Insn& insn) {
  return insn.code == kGoto || insn.code == kGotol;
}
/// A jump that may fall through: a comparison or may_goto.
constexpr bool is_conditional(const Insn& insn) {
  return is_jump_class(insn) && !is_call(insn) && !is_exit(insn) && !is_goto(insn) &&
         insn.code != kGotox;
}
/// Distance of a jump, in instructions after the next one.
constexpr s32 jump_distance(const Insn& insn) {
  return insn.code == kGotol ? insn.imm : insn.off;
}

/// What stands in the place of dead instructions: goto itself. Never runs.
inline constexpr Insn kTrap{kGoto, 0, 0, -1, 0};

}  // namespace uscx::bpf::isa
