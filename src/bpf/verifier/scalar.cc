// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace uscx::bpf::verifier {

namespace {

/// The range between the least and the greatest member, signed where the sign is set or unknown.
template <class U>
Range<U> range_of(Tnum t) {
  using S = typename Range<U>::S;
  constexpr U kSign = static_cast<U>(Range<U>::kSMin);
  const U value = static_cast<U>(t.value), mask = static_cast<U>(t.mask);
  if ((value | mask) & kSign) {
    return Range<U>::of_signed(static_cast<S>(value | (mask & kSign)),
                               static_cast<S>(value | (mask & static_cast<U>(~kSign))));
  }
  return Range<U>::of_unsigned(value, value | mask);
}

/// Where bits and range have a single value in common, it is the value.
void find_single_value(Scalar& s) {
  const Tnum t = s.var_off;
  const u64 next = t.next_member(s.umin());
  if (t.contains(s.umin())) {
    if (next > s.umax()) s = Scalar::known(s.umin());
  } else if (next == t.max()) {
    s = Scalar::known(next);
  } else if (next <= s.umax() && t.next_member(next) > s.umax()) {
    s = Scalar::known(next);
  }
}

void ranges_from_bits(Scalar& s) {
  s.r32 = intersect(s.r32, range_of<u32>(s.var_off));
  s.r64 = intersect(s.r64, range_of<u64>(s.var_off));
  find_single_value(s);
}

void ranges_from_each_other(Scalar& s) {
  s.r32 = intersect(s.r32, low_half(s.r64));
  s.r64 = intersect_low_half(s.r64, s.r32);
}

void bits_from_ranges(Scalar& s) {
  const Tnum whole = tnum_intersect(s.var_off, Tnum::range(s.umin(), s.umax()));
  const Tnum low = tnum_intersect(whole.subreg(), Tnum::range(s.u32_min(), s.u32_max()));
  s.var_off = tnum_or(whole.without_subreg(), low);
}

constexpr s64 sign_extended(u64 v, u32 bytes) {
  const u32 shift = 64 - bytes * 8;
  return static_cast<s64>(v << shift) >> shift;
}

}  // namespace

void Scalar::narrow_by_bits() {
  ranges_from_bits(*this);
}

void Scalar::narrow32_by_bits() {
  r32 = intersect(r32, range_of<u32>(var_off));
}

void Scalar::sync() {
  if (is_dead()) return;
  ranges_from_bits(*this);
  ranges_from_each_other(*this);
  ranges_from_each_other(*this);
  bits_from_ranges(*this);
  ranges_from_bits(*this);
}

Scalar Scalar::of_signed(s64 min, s64 max) {
  Scalar s;
  s.r64 = Range64::of_signed(min, max);
  s.sync();
  return s;
}

Scalar Scalar::of_unsigned(u64 min, u64 max) {
  Scalar s;
  s.r64 = Range64::of_unsigned(min, max);
  s.sync();
  return s;
}

const char* Scalar::invariant_violation() const {
  if (is_dead()) return "range bounds violation";
  if (is_const() && r64 != Range64::known(var_off.value)) {
    return "const tnum out of sync with range bounds";
  }
  if (is_const32() && r32 != Range32::known(static_cast<u32>(var_off.value))) {
    return "const subreg tnum out of sync with range bounds";
  }
  return nullptr;
}

std::string Scalar::violation_text() const {
  return fmt::format(
      "r64={{.base={:#x}, .size={:#x}}} r32={{.base={:#x}, .size={:#x}}} var_off=({:#x}, {:#x})",
      r64.base, r64.size, r32.base, r32.size, var_off.value, var_off.mask);
}

void Scalar::truncate(u32 bytes) {
  USCX_ASSERT(bytes < 8);
  var_off = var_off.cast(bytes);
  const u64 kept = (1ULL << (bytes * 8)) - 1;
  if ((umin() & ~kept) == (umax() & ~kept)) {
    r64 = Range64::of_unsigned(umin() & kept, umax() & kept);
  } else {
    r64 = Range64::of_unsigned(0, kept);
  }
  if (bytes < 4) r32 = Range32::all();
  sync();
}

void Scalar::sign_extend(u32 bytes) {
  USCX_ASSERT(bytes < 8);
  if (is_const()) {
    *this = known(static_cast<u64>(sign_extended(var_off.value, bytes)));
    return;
  }
  const u64 low = static_cast<u64>(smin()), high = static_cast<u64>(smax());
  const bool one_lap = low >> (bytes * 8) == high >> (bytes * 8);
  const auto [min, max] = std::minmax({sign_extended(low, bytes), sign_extended(high, bytes)});
  if (one_lap && (min >= 0) == (max >= 0)) {
    r64 = Range64::of_signed(min, max);
    r32 = Range32::of_signed(static_cast<s32>(min), static_cast<s32>(max));
    var_off = Tnum::range(static_cast<u64>(min), static_cast<u64>(max));
    return;
  }
  const s64 limit = static_cast<s64>(1ULL << (bytes * 8 - 1));
  r64 = Range64::of_signed(-limit, limit - 1);
  r32 = Range32::of_signed(static_cast<s32>(-limit), static_cast<s32>(limit - 1));
  var_off = Tnum::unknown();
}

void Scalar::sign_extend32(u32 bytes) {
  USCX_ASSERT(bytes < 4);
  const u32 low = static_cast<u32>(s32_min()), high = static_cast<u32>(s32_max());
  const bool one_lap = low >> (bytes * 8) == high >> (bytes * 8);
  const auto [min, max] = std::minmax({sign_extended(low, bytes), sign_extended(high, bytes)});
  if (is_const()) {
    const s64 v = sign_extended(var_off.value, bytes);
    var_off = Tnum::known(static_cast<u64>(v));
    r32 = Range32::known(static_cast<u32>(v));
  } else if (one_lap && (min >= 0) == (max >= 0)) {
    r32 = Range32::of_signed(static_cast<s32>(min), static_cast<s32>(max));
    var_off = Tnum::range(static_cast<u64>(min), static_cast<u64>(max)).subreg();
  } else {
    const s32 limit = 1 << (bytes * 8 - 1);
    r32 = Range32::of_signed(-limit, limit - 1);
    var_off = Tnum::unknown().subreg();
  }
  zero_extend32();
}

void Scalar::zero_extend32() {
  var_off = var_off.subreg();
  r64 = Range64::of_unsigned(u32_min(), u32_max());
  sync();
}

u32 Scalar::width() const {
  return static_cast<u32>(std::bit_width(umax()));
}

void Scalar::limit_s32(s32 min, s32 max) {
  r32 = Range32::of_signed(std::max(s32_min(), min), std::min(s32_max(), max));
  r64 = Range64::of_signed(std::max<s64>(smin(), min), std::min<s64>(smax(), max));
  sync();
}

}  // namespace uscx::bpf::verifier
