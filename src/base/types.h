// SPDX-License-Identifier: GPL-2.0-only
// The units of the machine. BPF-visible structs keep Linux's plain integers; our own interfaces use
// these, so that a CPU is never taken for a duration.
#pragma once

#include <compare>
#include <cstdint>

namespace uscx {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;

/// A duration or a point of virtual time, in nanoseconds since the machine's boot. Never negative.
struct Nanos {
  u64 ns = 0;

  static constexpr Nanos from_us(u64 us) { return {us * 1'000}; }
  static constexpr Nanos from_ms(u64 ms) { return {ms * 1'000'000}; }
  static constexpr Nanos from_s(u64 s) { return {s * 1'000'000'000}; }
  static constexpr Nanos max() { return {~0ULL}; }

  constexpr auto operator<=>(const Nanos&) const = default;
  constexpr Nanos operator+(Nanos o) const { return {ns + o.ns}; }
  constexpr Nanos operator-(Nanos o) const { return {ns - o.ns}; }
  constexpr Nanos& operator+=(Nanos o) {
    ns += o.ns;
    return *this;
  }
  constexpr Nanos& operator-=(Nanos o) {
    ns -= o.ns;
    return *this;
  }
};

/// A logical CPU number as Linux counts them, 0 .. nr_cpu_ids-1; -1 is "none".
using CpuId = s32;
/// NUMA node number; -1 is NUMA_NO_NODE.
using NodeId = s32;
/// A dispatch queue id as BPF programs write it (SCX_DSQ_* bits in the top).
using DsqId = u64;
using Pid = s32;

inline constexpr CpuId kNoCpu = -1;
inline constexpr u32 kMaxCpus = 4096;

}  // namespace uscx
