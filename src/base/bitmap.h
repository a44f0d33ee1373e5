// SPDX-License-Identifier: GPL-2.0-only
// Operations on Linux-layout bitmaps (arrays of unsigned long), as cpumasks are.
#pragma once

#include <bit>
#include <span>
#include <string>

#include "base/types.h"

namespace uscx::bitmap {

inline bool test(const unsigned long* bits, u32 n) {
  return (bits[n / 64] >> (n % 64)) & 1;
}
inline void set(unsigned long* bits, u32 n) {
  bits[n / 64] |= 1UL << (n % 64);
}
inline void clear(unsigned long* bits, u32 n) {
  bits[n / 64] &= ~(1UL << (n % 64));
}

/// The first set bit at or after `from`, or `nbits` where there is none.
inline u32 next(const unsigned long* bits, u32 nbits, u32 from) {
  for (u32 w = from / 64; w * 64 < nbits; ++w) {
    unsigned long word = bits[w];
    if (w == from / 64) word &= ~0UL << (from % 64);
    if (word != 0) {
      const u32 n = w * 64 + static_cast<u32>(std::countr_zero(word));
      return n < nbits ? n : nbits;
    }
  }
  return nbits;
}
inline u32 first(const unsigned long* bits, u32 nbits) {
  return next(bits, nbits, 0);
}

inline u32 weight(const unsigned long* bits, u32 nbits) {
  u32 count = 0;
  for (u32 w = 0; w * 64 < nbits; ++w) {
    unsigned long word = bits[w];
    if (nbits - w * 64 < 64) word &= ~0UL >> (64 - (nbits - w * 64));
    count += static_cast<u32>(std::popcount(word));
  }
  return count;
}

/// "0-2,5". Linux: %*pbl.
inline std::string list(const unsigned long* bits, u32 nbits) {
  std::string out;
  for (u32 begin = first(bits, nbits); begin < nbits;) {
    u32 last = begin;
    while (last + 1 < nbits && test(bits, last + 1)) ++last;
    if (!out.empty()) out += ',';
    out += std::to_string(begin);
    if (last != begin) out += '-' + std::to_string(last);
    begin = next(bits, nbits, last + 1);
  }
  return out;
}

}  // namespace uscx::bitmap
