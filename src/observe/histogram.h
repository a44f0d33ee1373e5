// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>

#include "base/types.h"

namespace uscx::observe {

/// Durations in buckets of about 1.6 % width (64 to a power of two), in fixed memory. Counts are
/// exact; a percentile is the upper edge of its bucket. Like HdrHistogram with two digits.
class Histogram {
 public:
  void add(u64 value_ns);
  u64 count() const { return count_; }
  u64 min() const { return count_ ? min_ : 0; }
  u64 max() const { return max_; }
  /// The value that `per_10000` / 10000 of the samples do not exceed, e.g. 9990 for 99.9 %. 0 where
  /// there are no samples: ask count() first.
  u64 percentile(u32 per_10000) const;
  /// Samples at or below that value.
  u64 count_to(u32 per_10000) const;

 private:
  static constexpr u32 kSubBits = 6;
  static constexpr u32 kBuckets = (64 - kSubBits + 1) << kSubBits;
  static u32 bucket_of(u64 value);
  static u64 upper_edge(u32 bucket);
  u32 bucket_at(u32 per_10000, u64* seen) const;

  std::array<u64, kBuckets> buckets_{};
  u64 count_ = 0;
  u64 min_ = ~0ULL;
  u64 max_ = 0;
};

}  // namespace uscx::observe
