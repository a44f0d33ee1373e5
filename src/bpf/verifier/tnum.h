// SPDX-License-Identifier: GPL-2.0-only
// Tristate numbers: what is known of each bit of a value.
#pragma once

#include <string>

#include "base/types.h"

namespace uscx::bpf::verifier {

/// A set of 64-bit values: bit i is unknown where mask has it, else as in value.
/// Invariant of every well-formed one: value & mask == 0. Linux: struct tnum.
struct Tnum {
  u64 value = 0;
  u64 mask = ~0ULL;

  static constexpr Tnum known(u64 value) { return {value, 0}; }
  static constexpr Tnum unknown() { return {0, ~0ULL}; }
  /// The smallest one that holds all of [min, max]; it may hold more.
  static Tnum range(u64 min, u64 max);

  constexpr bool is_const() const { return mask == 0; }
  constexpr bool is_unknown() const { return mask == ~0ULL; }
  constexpr bool equals(u64 v) const { return is_const() && value == v; }
  constexpr u64 max() const { return value | mask; }
  /// Is every value a multiple of `size`, a power of two or 0 (which asks nothing)?
  constexpr bool is_aligned(u64 size) const { return size == 0 || (max() & (size - 1)) == 0; }
  constexpr bool contains(u64 v) const { return (v & ~mask) == value; }
  /// Is each value of `other` one of ours? Linux: tnum_in(this, other).
  constexpr bool includes(Tnum other) const {
    return !(other.mask & ~mask) && (other.value & ~mask) == value;
  }

  /// The low 32 bits, the rest zero; the rest, the low 32 bits zero.
  constexpr Tnum subreg() const { return cast(4); }
  constexpr Tnum without_subreg() const { return {value & ~0xffffffffULL, mask & ~0xffffffffULL}; }
  constexpr Tnum with_subreg(Tnum low) const {
    const Tnum hi = without_subreg(), lo = low.subreg();
    return {hi.value | lo.value, hi.mask | lo.mask};
  }
  constexpr bool subreg_is_const() const { return subreg().mask == 0; }
  /// All but the low `bytes` bytes zero.
  constexpr Tnum cast(u32 bytes) const {
    const u64 keep = bytes >= 8 ? ~0ULL : (1ULL << (bytes * 8)) - 1;
    return {value & keep, mask & keep};
  }
  /// The smallest member above `v`; the largest member where there is none. Linux: tnum_step.
  u64 next_member(u64 v) const;

  /// As the verifier's log prints it: a number, or "(value; mask)" in hex. Linux: tnum_strn.
  std::string text() const;

  constexpr bool operator==(const Tnum&) const = default;
};

// What an operation makes of all pairs of members; each result holds them all.
Tnum tnum_add(Tnum a, Tnum b);
Tnum tnum_sub(Tnum a, Tnum b);
Tnum tnum_neg(Tnum a);
Tnum tnum_mul(Tnum a, Tnum b);
Tnum tnum_and(Tnum a, Tnum b);
Tnum tnum_or(Tnum a, Tnum b);
Tnum tnum_xor(Tnum a, Tnum b);
// Shifts by a known count, below the width.
Tnum tnum_lshift(Tnum a, u32 shift);
Tnum tnum_rshift(Tnum a, u32 shift);
Tnum tnum_arshift(Tnum a, u32 shift, u32 width);
/// The low `bits` (16, 32, 64) bits with their bytes reversed; the rest zero.
Tnum tnum_bswap(Tnum a, u32 bits);

/// Do the bits that both know agree?
bool tnum_overlap(Tnum a, Tnum b);
/// Members of both. Where they have none in common the result means nothing.
Tnum tnum_intersect(Tnum a, Tnum b);
/// Members of either, and perhaps more.
Tnum tnum_union(Tnum a, Tnum b);

}  // namespace uscx::bpf::verifier
