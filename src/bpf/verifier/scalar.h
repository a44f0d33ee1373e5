// SPDX-License-Identifier: GPL-2.0-only
// What the verifier knows of a number: bits, and 64- and 32-bit ranges; what instructions make of
// it. Nothing here knows registers, ids or precision. All operations are sound: where a concrete
// value is in the operand, what the machine computes from it is in the result.
#pragma once

#include <optional>
#include <string>

#include "base/types.h"
#include "bpf/program.h"
#include "bpf/verifier/range.h"
#include "bpf/verifier/tnum.h"

namespace uscx::bpf::verifier {

/// A number as far as it is known. A value is in it if it is in var_off and r64, and its low half
/// in r32. Also the variable part of a pointer's offset. Linux: var_off, r64, r32 of bpf_reg_state.
struct Scalar {
  Tnum var_off = Tnum::unknown();
  Range64 r64 = Range64::all();
  Range32 r32 = Range32::all();

  static constexpr Scalar unknown() { return {}; }
  static constexpr Scalar known(u64 v) {
    return {Tnum::known(v), Range64::known(v), Range32::known(static_cast<u32>(v))};
  }
  /// A value in [min, max], with everything that follows from it.
  static Scalar of_signed(s64 min, s64 max);
  static Scalar of_unsigned(u64 min, u64 max);

  constexpr bool is_const() const { return var_off.is_const(); }
  /// As far as a 32-bit instruction sees it.
  constexpr bool is_const32() const { return var_off.subreg_is_const(); }
  constexpr bool is_const(bool is32) const { return is32 ? is_const32() : is_const(); }
  /// The constant, where is_const(is32). Linux: reg_const_value.
  constexpr u64 value(bool is32 = false) const {
    return is32 ? var_off.subreg().value : var_off.value;
  }

  constexpr u64 umin() const { return r64.umin(); }
  constexpr u64 umax() const { return r64.umax(); }
  constexpr s64 smin() const { return r64.smin(); }
  constexpr s64 smax() const { return r64.smax(); }
  constexpr u32 u32_min() const { return r32.umin(); }
  constexpr u32 u32_max() const { return r32.umax(); }
  constexpr s32 s32_min() const { return r32.smin(); }
  constexpr s32 s32_max() const { return r32.smax(); }

  constexpr bool contains(u64 v) const {
    return var_off.contains(v) && r64.contains(v) && r32.contains(static_cast<u32>(v));
  }
  /// Has a range become empty: no value is left, the path is dead. Linux: range_bounds_violation.
  constexpr bool is_dead() const { return r32.is_none() || r64.is_none(); }
  /// Does everything the verifier knew when it explored with this hold for `other` as well? What
  /// pruning asks. Linux: range_within && tnum_in.
  constexpr bool includes(const Scalar& other) const {
    return r64.includes(other.r64) && r32.includes(other.r32) && var_off.includes(other.var_off);
  }

  /// Lets bits and ranges learn from one another. Linux: reg_bounds_sync.
  void sync();
  /// The first part of sync(): ranges learn from bits. Linux: __update_reg_bounds.
  void narrow_by_bits();
  void narrow32_by_bits();
  void forget_ranges() { r64 = Range64::all(), r32 = Range32::all(); }
  /// What does not fit together ("range bounds violation", ...), or null. Linux:
  /// reg_bounds_sanity_check, whose caller forgets the ranges or fails (BPF_F_TEST_REG_INVARIANTS).
  const char* invariant_violation() const;
  /// The rest of Linux's message: "r64={.base=...} r32={...} var_off=(...)".
  std::string violation_text() const;

  /// Keeps the low `bytes` (1, 2, 4) bytes. Linux: coerce_reg_to_size.
  void truncate(u32 bytes);
  /// The low `bytes` (1, 2, 4) bytes, sign-extended to 64 bits: movsx, ldsx. Linux:
  /// coerce_reg_to_size_sx.
  void sign_extend(u32 bytes);
  /// w = (s8/s16)w, upper half zero.
  void sign_extend32(u32 bytes);
  /// w = w: upper half zero, with sync().
  void zero_extend32();
  /// Would sign extension from `bytes` leave every value as it is? (Then ids survive it.)
  constexpr bool fits_unsigned_before_sign(u32 bytes) const {
    return umax() < (1ULL << (bytes * 8 - 1));
  }
  /// Width in bits of the largest value: 0 ... 64. Linux: get_reg_width.
  u32 width() const;

  /// Intersects with [min, max] of s32, both widths. Linux: __mark_reg_s32_range.
  void limit_s32(s32 min, s32 max);

  constexpr bool operator==(const Scalar&) const = default;
};

/// dst = dst op src, for every ALU instruction except MOV: NEG and END look at dst alone. For the K
/// form `src` is Scalar::known(u64(s64(insn.imm))). False where nothing can be said (dst is unknown
/// then; Linux also clears id and precision, __mark_reg_unknown). Linux:
/// adjust_scalar_min_max_vals.
bool apply_alu(const Insn& insn, Scalar& dst, Scalar src);

/// AND and OR of [-1, 0] with a constant are explored twice: once with dst 0 (pushed), once with -1
/// (continued). Which half of dst is to be replaced, before apply_alu. Linux: maybe_fork_scalars.
enum class Fork : u8 { kNone, k64, k32 };
Fork alu_fork(const Insn& insn, const Scalar& dst, const Scalar& src);
/// dst becomes `value` in the half that `fork` names.
void set_forked(Scalar& dst, Fork fork, u64 value);
/// Does this END instruction change its register (so that its id is cleared)?
bool end_changes_value(const Insn& insn);

/// a + delta as linked registers use it. `is32`: the addition was a 32-bit one. Linux:
/// sync_linked_regs.
Scalar add_delta(Scalar a, s64 delta, bool is32);

/// How `a op b` may go: `op` is isa::kJeq ... isa::kJsle.
struct Condition {
  /// The only way it can go; nothing where both can. Linux: is_scalar_branch_taken.
  std::optional<bool> taken;
  /// What is known after it, [1] where the jump is taken. Only where both ways are possible.
  Scalar a[2];
  Scalar b[2];
};
/// `same`: both operands are one register.
Condition evaluate(u8 op, const Scalar& a, const Scalar& b, bool is32, bool same = false);
/// Only the verdict. Linux: is_scalar_branch_taken.
std::optional<bool> branch_taken(u8 op, const Scalar& a, const Scalar& b, bool is32,
                                 bool same = false);
/// What `a op b` being so (or, with !taken, not being so) says about them, with sync(). A result
/// that is_dead() cannot happen. Linux: regs_refine_cond_op, reg_bounds_sync.
void refine(u8 op, Scalar& a, Scalar& b, bool taken, bool is32);
/// The operation for swapped operands. Linux: flip_opcode.
u8 flip_jump(u8 op);

/// A number in the log: decimal where it is small, else hex. Linux: verbose_snum, verbose_unum.
std::string signed_text(s64 v);
std::string unsigned_text(u64 v);
/// "smin=0,smax=umax=7,...,var_off=(0x0; 0x7)": what stands in the parentheses for a value that is
/// no constant; empty where nothing is known. Linux: the end of print_reg_state.
std::string bounds_text(const Scalar& s);

}  // namespace uscx::bpf::verifier
