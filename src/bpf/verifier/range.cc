// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/range.h"

#include <algorithm>
#include <utility>

namespace uscx::bpf::verifier {

namespace {

/// The full circle begins at 0, except where it stands for a signed range that crosses.
template <class U>
Range<U> normal(Range<U> r) {
  if (r.size == Range<U>::kMax && r.base != static_cast<U>(Range<U>::kSMax)) r.base = 0;
  return r;
}

}  // namespace

template <class U>
Range<U> intersect(Range<U> a, Range<U> b) {
  if (a.is_none() || b.is_none()) return Range<U>::none();
  if (a.base > b.base) std::swap(a, b);
  // Counted from a's base, a is [0, a.size] and b begins at `start`.
  const U start = static_cast<U>(b.base - a.base);
  const bool b_wraps = b.size > static_cast<U>(Range<U>::kMax - start);
  if (!b_wraps) {
    if (start > a.size) return Range<U>::none();
    return {b.base, std::min(static_cast<U>(a.size - start), b.size)};
  }
  // b's head may lie in a, and its tail does.
  if (start <= a.size) return a.size <= b.size ? a : b;
  return {a.base, std::min(a.size, static_cast<U>(start + b.size))};
}

template <class U>
Range<U> add(Range<U> a, Range<U> b) {
  if (a.is_none() || b.is_none()) return Range<U>::none();
  if (a.size > static_cast<U>(Range<U>::kMax - b.size)) return Range<U>::all();
  return normal<U>({static_cast<U>(a.base + b.base), static_cast<U>(a.size + b.size)});
}

template <class U>
Range<U> negate(Range<U> a) {
  if (a.is_none()) return a;
  return normal<U>({static_cast<U>(U{0} - a.last()), a.size});
}

// Of a width at which tests can try every value.
template Range<u8> intersect(Range<u8>, Range<u8>);
template Range<u8> add(Range<u8>, Range<u8>);
template Range<u8> negate(Range<u8>);
template Range32 intersect(Range32, Range32);
template Range64 intersect(Range64, Range64);
template Range32 add(Range32, Range32);
template Range64 add(Range64, Range64);
template Range32 negate(Range32);
template Range64 negate(Range64);

Range32 low_half(Range64 a) {
  if (a.is_none()) return Range32::none();
  if (a.size >= Range32::kMax) return Range32::all();
  return {static_cast<u32>(a.base), static_cast<u32>(a.size)};
}

Range64 intersect_low_half(Range64 a, Range32 b) {
  if (a.is_none() || b.is_none()) return Range64::none();
  // Counted from a's base, so that a begins where a lap of the low half does.
  const u32 first = b.base - static_cast<u32>(a.base);
  const u32 last = first + b.size;
  const u32 end = static_cast<u32>(a.size);  // where in its lap a ends
  if (b.size > Range32::kMax - first) {
    // Each lap begins and ends in b. Only an end in the gap between moves back.
    if (end > last && end < first) a.size -= end - last;
    return a;
  }
  if (a.size < first) return Range64::none();
  const u64 lap = 1ULL << 32;
  u64 cut = 0;  // from a's end back to the last value whose low half is in b
  if (end < first) {
    cut = end + (lap - last);
  } else if (end >= last) {
    cut = end - last;
  }
  a.base += first;
  a.size -= first;
  if (a.size < cut) return Range64::none();
  a.size -= cut;
  return a;
}

}  // namespace uscx::bpf::verifier
