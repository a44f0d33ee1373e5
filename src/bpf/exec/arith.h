// SPDX-License-Identifier: GPL-2.0-only
// Arithmetic and comparisons of the instruction set, on u32 or u64: they wrap and never trap.
#pragma once

#include <limits>
#include <type_traits>

#include "base/types.h"

namespace uscx::bpf {

template <class T>
using Signed = std::make_signed_t<T>;
template <class T>
constexpr T kShiftMask = sizeof(T) * 8 - 1;

template <class T>
constexpr bool overflows(T a, T b) {
  return static_cast<Signed<T>>(a) == std::numeric_limits<Signed<T>>::min() &&
         static_cast<Signed<T>>(b) == -1;
}

// clang-format off
template <class T> constexpr T do_add(T a, T b) { return a + b; }
template <class T> constexpr T do_sub(T a, T b) { return a - b; }
template <class T> constexpr T do_mul(T a, T b) { return a * b; }
template <class T> constexpr T do_div(T a, T b) { return b ? a / b : 0; }
template <class T> constexpr T do_mod(T a, T b) { return b ? a % b : a; }
template <class T> constexpr T do_sdiv(T a, T b) {
  if (b == 0) return 0;
  return overflows(a, b) ? a : static_cast<T>(static_cast<Signed<T>>(a) / static_cast<Signed<T>>(b));
}
template <class T> constexpr T do_smod(T a, T b) {
  if (b == 0) return a;
  return overflows(a, b) ? 0 : static_cast<T>(static_cast<Signed<T>>(a) % static_cast<Signed<T>>(b));
}
template <class T> constexpr T do_or(T a, T b) { return a | b; }
template <class T> constexpr T do_and(T a, T b) { return a & b; }
template <class T> constexpr T do_xor(T a, T b) { return a ^ b; }
template <class T> constexpr T do_lsh(T a, T b) { return a << (b & kShiftMask<T>); }
template <class T> constexpr T do_rsh(T a, T b) { return a >> (b & kShiftMask<T>); }
template <class T> constexpr T do_arsh(T a, T b) {
  return static_cast<T>(static_cast<Signed<T>>(a) >> (b & kShiftMask<T>));
}
template <class T> constexpr T do_mov(T, T b) { return b; }

template <class T> constexpr bool do_jeq(T a, T b) { return a == b; }
template <class T> constexpr bool do_jne(T a, T b) { return a != b; }
template <class T> constexpr bool do_jgt(T a, T b) { return a > b; }
template <class T> constexpr bool do_jge(T a, T b) { return a >= b; }
template <class T> constexpr bool do_jlt(T a, T b) { return a < b; }
template <class T> constexpr bool do_jle(T a, T b) { return a <= b; }
template <class T> constexpr bool do_jset(T a, T b) { return a & b; }
template <class T> constexpr bool do_jsgt(T a, T b) { return static_cast<Signed<T>>(a) > static_cast<Signed<T>>(b); }
template <class T> constexpr bool do_jsge(T a, T b) { return static_cast<Signed<T>>(a) >= static_cast<Signed<T>>(b); }
template <class T> constexpr bool do_jslt(T a, T b) { return static_cast<Signed<T>>(a) < static_cast<Signed<T>>(b); }
template <class T> constexpr bool do_jsle(T a, T b) { return static_cast<Signed<T>>(a) <= static_cast<Signed<T>>(b); }
// clang-format on

/// `value` cut to T and extended to 64 bits with T's sign.
template <class T>
constexpr u64 sign_extend(u64 value) {
  return static_cast<u64>(static_cast<s64>(static_cast<T>(value)));
}

}  // namespace uscx::bpf
