// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/tnum.h"

#include <bit>

#include <fmt/format.h>

#include "base/assert.h"
#include "bpf/verifier/scalar.h"

namespace uscx::bpf::verifier {

namespace {

/// Ones at and below the highest one of `v`.
constexpr u64 filled(u64 v) {
  return v ? ~0ULL >> std::countl_zero(v) : 0;
}

/// The bits of `value` that are known, given which are not.
constexpr Tnum make(u64 value, u64 mask) {
  return {value & ~mask, mask};
}

}  // namespace

Tnum Tnum::range(u64 min, u64 max) {
  return make(min, filled(min ^ max));
}

u64 Tnum::next_member(u64 v) const {
  if (v >= max()) return max();
  if (v < value) return value;
  // A member is value plus a subset of mask. Above v - value, the next subset comes by counting in
  // the unknown bits: all others are set, so that a carry runs through them.
  const u64 above = v - value;
  const u64 stuck = filled(above & ~mask);  // known bits of `above` are no subset: round up
  return value | (((above | stuck | ~mask) + 1) & mask);
}

Tnum tnum_add(Tnum a, Tnum b) {
  // Where the sums of the least and of the greatest members differ, a carry is uncertain.
  const u64 least = a.value + b.value;
  const u64 greatest = least + a.mask + b.mask;
  return make(least, (least ^ greatest) | a.mask | b.mask);
}

Tnum tnum_sub(Tnum a, Tnum b) {
  const u64 difference = a.value - b.value;
  const u64 greatest = difference + a.mask, least = difference - b.mask;
  return make(difference, (greatest ^ least) | a.mask | b.mask);
}

Tnum tnum_neg(Tnum a) {
  return tnum_sub(Tnum::known(0), a);
}

Tnum tnum_mul(Tnum a, Tnum b) {
  Tnum sum = Tnum::known(0);
  for (; a.value | a.mask; a = tnum_rshift(a, 1), b = tnum_lshift(b, 1)) {
    if (a.value & 1) {
      sum = tnum_add(sum, b);
    } else if (a.mask & 1) {
      sum = tnum_union(sum, tnum_add(sum, b));
    }
  }
  return sum;
}

Tnum tnum_and(Tnum a, Tnum b) {
  const u64 ones = a.value & b.value;
  return {ones, a.max() & b.max() & ~ones};
}

Tnum tnum_or(Tnum a, Tnum b) {
  const u64 ones = a.value | b.value;
  return {ones, (a.mask | b.mask) & ~ones};
}

Tnum tnum_xor(Tnum a, Tnum b) {
  return make(a.value ^ b.value, a.mask | b.mask);
}

Tnum tnum_lshift(Tnum a, u32 shift) {
  USCX_ASSERT(shift < 64);
  return {a.value << shift, a.mask << shift};
}

Tnum tnum_rshift(Tnum a, u32 shift) {
  USCX_ASSERT(shift < 64);
  return {a.value >> shift, a.mask >> shift};
}

Tnum tnum_arshift(Tnum a, u32 shift, u32 width) {
  USCX_ASSERT(shift < width);
  if (width == 32) {
    auto shifted = [&](u64 v) -> u64 {
      return static_cast<u32>(static_cast<s32>(static_cast<u32>(v)) >> shift);
    };
    return {shifted(a.value), shifted(a.mask)};
  }
  auto shifted = [&](u64 v) { return static_cast<u64>(static_cast<s64>(v) >> shift); };
  return {shifted(a.value), shifted(a.mask)};
}

Tnum tnum_bswap(Tnum a, u32 bits) {
  auto swapped = [&](u64 v) -> u64 {
    switch (bits) {
      case 16:
        return __builtin_bswap16(static_cast<u16>(v));
      case 32:
        return __builtin_bswap32(static_cast<u32>(v));
      default:
        USCX_ASSERT(bits == 64);
        return __builtin_bswap64(v);
    }
  };
  return {swapped(a.value), swapped(a.mask)};
}

bool tnum_overlap(Tnum a, Tnum b) {
  return ((a.value ^ b.value) & ~a.mask & ~b.mask) == 0;
}

Tnum tnum_intersect(Tnum a, Tnum b) {
  return make(a.value | b.value, a.mask & b.mask);
}

Tnum tnum_union(Tnum a, Tnum b) {
  return make(a.value & b.value, (a.value ^ b.value) | a.mask | b.mask);
}

std::string Tnum::text() const {
  if (!is_const()) return fmt::format("({:#x}; {:#x})", value, mask);
  const std::string as_unsigned = unsigned_text(value);
  return as_unsigned.starts_with("0x") ? signed_text(static_cast<s64>(value)) : as_unsigned;
}

}  // namespace uscx::bpf::verifier
