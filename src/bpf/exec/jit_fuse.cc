// SPDX-License-Identifier: GPL-2.0-only
// A few operations that x86-64 does in one instruction: a move and an addition, a shift by up to 3
// and an addition, the lowest bit of a mask. BPF has two operands an operation, so that compiled
// code is full of them.
#if defined(__x86_64__)
#include "bpf/exec/jit_translator.h"

namespace uscx::bpf::jit {

namespace {

/// Is it the 64-bit operation of this name, or the 32-bit one?
bool is_wide(const Op& op, OpCode k64) {
  return op.code == k64;
}
bool is_narrow(const Op& op, OpCode k64) {
  return static_cast<u32>(op.code) == static_cast<u32>(k64) + 2;
}
bool is_either(const Op* op, OpCode k64) {
  return op && (is_wide(*op, k64) || is_narrow(*op, k64));
}
/// A shift to the left that an address can have.
bool is_scale(const Op* op) {
  return is_either(op, OpCode::k_lsh64k) && op->imm >= 1 && op->imm <= 3;
}
bool is_move(const Op* op) {
  return op && op->code == OpCode::k_mov64x && op->dst != op->src;
}

}  // namespace

/// The operation at `index`, unless a block begins there.
const Op* Translator::in_block(u32 index) const {
  if (index >= decoded_.ops.size() || leader_[index] || second_half_[index]) return nullptr;
  return &decoded_.ops[index];
}

u32 Translator::fuse(u32 index) {
  const Op* op = &decoded_.ops[index];
  u32 done = 0;
  if (is_move(op)) {
    done = fuse_lowest_bit(index);
    if (!done) done = fuse_move(index);
  } else if (is_scale(op)) {
    done = fuse_shift(index, index, op->dst);
  }
  for (u32 i = index; i < index + done; i++) follow(decoded_.ops[i]);
  executed_ += done;
  return done;
}

/// "t = s; t = -t; d = s; d &= t": the lowest bit that is set. Programs look through masks that
/// way.
u32 Translator::fuse_lowest_bit(u32 index) {
  const Op& move = decoded_.ops[index];
  const Op* negate = in_block(index + 1);
  const Op* again = in_block(index + 2);
  const Op* mask = in_block(index + 3);
  const u8 t = move.dst;
  if (!has_bmi1_ || !negate || negate->code != OpCode::k_neg64 || negate->dst != t) return 0;
  if (!is_move(again) || again->src != move.src || again->dst == t) return 0;
  if (!mask || mask->code != OpCode::k_and64x || mask->dst != again->dst || mask->src != t)
    return 0;
  if (!dead_after(index + 4, t)) return 0;
  a_.blsi(reg(again->dst), reg(move.src));
  return 4;
}

/// "d = s; d += ...", "d = s; d <<= ...".
u32 Translator::fuse_move(u32 index) {
  const Op& move = decoded_.ops[index];
  const Op* second = in_block(index + 1);
  if (!second || second->dst != move.dst) return 0;
  if (is_either(second, OpCode::k_add64x) && second->src != move.dst) {
    const bool wide = is_wide(*second, OpCode::k_add64x);
    a_.lea(reg(move.dst, wide), x86::ptr(reg(move.src), reg(second->src)));
    return 2;
  }
  if (is_either(second, OpCode::k_add64k)) {
    const bool wide = is_wide(*second, OpCode::k_add64k);
    a_.lea(reg(move.dst, wide), x86::ptr(reg(move.src), static_cast<s32>(second->imm)));
    return 2;
  }
  if (!is_scale(second)) return 0;
  if (const u32 done = fuse_shift(index, index + 1, move.src)) return done;
  const bool wide = is_wide(*second, OpCode::k_lsh64k);
  a_.lea(reg(move.dst, wide), x86::ptr(u64{0}, reg(move.src), static_cast<u32>(second->imm)));
  return 2;
}

/// "i <<= scale; e = base; e += i", of which nobody needs i: with `from` for what i was before.
u32 Translator::fuse_shift(u32 index, u32 shift_at, u8 from) {
  const Op& shift = decoded_.ops[shift_at];
  const Op* move = in_block(shift_at + 1);
  const Op* add = in_block(shift_at + 2);
  const u8 i = shift.dst;
  if (!is_move(move) || move->dst == i || move->src == i) return 0;
  if (!is_either(add, OpCode::k_add64x) || add->dst != move->dst || add->src != i) return 0;
  // A narrow shift cuts off what a wide addition would see.
  const bool wide = is_wide(*add, OpCode::k_add64x);
  if (wide && !is_wide(shift, OpCode::k_lsh64k)) return 0;
  if (!dead_after(shift_at + 3, i)) return 0;
  a_.lea(reg(move->dst, wide), x86::ptr(reg(move->src), reg(from), static_cast<u32>(shift.imm)));
  return shift_at + 3 - index;
}

}  // namespace uscx::bpf::jit
#endif
