// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <cstddef>
#include <span>

#include "base/types.h"

namespace uscx {

/// A 64-bit hash of a stream of words, the same on every compiler and machine. Order matters.
/// Not cryptographic: it tells runs apart, it does not defend against an adversary.
class StreamHash {
 public:
  constexpr void add(u64 word) {
    state_ ^= mix(word + kGolden);
    state_ = rotate(state_, 27) * 0x9fb21c651e98df25ULL + kGolden;
  }
  void add_bytes(const void* data, std::size_t size);
  constexpr u64 value() const { return mix(state_); }

 private:
  static constexpr u64 kGolden = 0x9e3779b97f4a7c15ULL;
  friend class EventHash;
  static constexpr u64 rotate(u64 x, int n) { return (x << n) | (x >> (64 - n)); }
  static constexpr u64 mix(u64 x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }
  u64 state_ = 0x243f6a8885a308d3ULL;
};

/// The same for streams of many millions of words: three instructions each. A word changes the
/// state one to one, so that streams that differ in one word stay apart; the mixing is left to
/// value().
class EventHash {
 public:
  constexpr void add(u64 word) {
    state_ = (StreamHash::rotate(state_, 27) ^ word) * 0x9fb21c651e98df25ULL;
  }
  void add_bytes(const void* data, std::size_t size);
  constexpr u64 value() const { return StreamHash::mix(state_); }

 private:
  u64 state_ = 0x243f6a8885a308d3ULL;
};

/// A seeded generator (splitmix64). All randomness of a run comes from one seed through these.
class Random {
 public:
  explicit constexpr Random(u64 seed) : state_(seed) {}
  constexpr u64 next() {
    u64 z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound); `bound` > 0. (Multiply-shift; the bias is below 2^-32 for small
  /// bounds.)
  constexpr u64 below(u64 bound) {
    return static_cast<u64>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  u64 state_;
};

}  // namespace uscx
