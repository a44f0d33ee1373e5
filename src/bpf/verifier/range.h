// SPDX-License-Identifier: GPL-2.0-only
// Circular ranges: one arc that is read as a signed and as an unsigned range.
#pragma once

#include <limits>
#include <type_traits>

#include "base/types.h"

namespace uscx::bpf::verifier {

/// The values base, base+1, ... base+size, counted around the circle of U's values. {0, max} is
/// everything; {max, max} stands for nothing. Linux 7.3: struct cnum32, struct cnum64.
template <class U>
struct Range {
  using S = std::make_signed_t<U>;
  static constexpr U kMax = std::numeric_limits<U>::max();
  static constexpr S kSMax = std::numeric_limits<S>::max();
  static constexpr S kSMin = std::numeric_limits<S>::min();

  U base = 0;
  U size = kMax;

  static constexpr Range all() { return {0, kMax}; }
  static constexpr Range none() { return {kMax, kMax}; }
  static constexpr Range known(U v) { return {v, 0}; }
  /// [min, max] read upwards from min; where max < min it goes around.
  static constexpr Range of_unsigned(U min, U max) { return {min, static_cast<U>(max - min)}; }
  static constexpr Range of_signed(S min, S max) {
    const U n = static_cast<U>(static_cast<U>(max) - static_cast<U>(min));
    return {n == kMax ? U{0} : static_cast<U>(min), n};
  }
  /// All but `v`.
  static constexpr Range all_but(U v) { return {static_cast<U>(v + 1), static_cast<U>(kMax - 1)}; }

  constexpr bool is_none() const { return base == kMax && size == kMax; }
  constexpr bool is_const() const { return size == 0; }
  constexpr bool contains(U v) const { return !is_none() && static_cast<U>(v - base) <= size; }
  /// Does the arc cross from kMax to 0 (from kSMax to kSMin)? Then the bounds below are the type's.
  constexpr bool wraps_unsigned() const { return size > static_cast<U>(kMax - base); }
  constexpr bool wraps_signed() const {
    return contains(static_cast<U>(kSMax)) && contains(static_cast<U>(kSMin));
  }
  constexpr U umin() const { return wraps_unsigned() ? U{0} : base; }
  constexpr U umax() const { return wraps_unsigned() ? kMax : last(); }
  constexpr S smin() const { return wraps_signed() ? kSMin : lesser(base, last()); }
  constexpr S smax() const { return wraps_signed() ? kSMax : greater(base, last()); }
  /// The arc's end.
  constexpr U last() const { return static_cast<U>(base + size); }

  /// Is each value of `other` one of ours?
  constexpr bool includes(Range other) const {
    if (other.is_none()) return true;
    if (is_none()) return false;
    const Range moved{static_cast<U>(other.base - base), other.size};
    if (moved.wraps_unsigned() && size < kMax) return false;
    return moved.last() <= size;
  }

  constexpr bool operator==(const Range&) const = default;

 private:
  static constexpr S lesser(U a, U b) {
    return static_cast<S>(a) < static_cast<S>(b) ? static_cast<S>(a) : static_cast<S>(b);
  }
  static constexpr S greater(U a, U b) {
    return static_cast<S>(a) < static_cast<S>(b) ? static_cast<S>(b) : static_cast<S>(a);
  }
};

using Range32 = Range<u32>;
using Range64 = Range<u64>;

/// Values of both; where those are two arcs, the smaller of `a` and `b`, which holds both.
template <class U>
Range<U> intersect(Range<U> a, Range<U> b);
/// a + b and -a over all values, modulo 2^width.
template <class U>
Range<U> add(Range<U> a, Range<U> b);
template <class U>
Range<U> negate(Range<U> a);

/// The low halves of the values of `a`.
Range32 low_half(Range64 a);
/// The values of `a` whose low half is in `b`, and perhaps more of `a`.
Range64 intersect_low_half(Range64 a, Range32 b);

}  // namespace uscx::bpf::verifier
