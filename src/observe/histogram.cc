// SPDX-License-Identifier: GPL-2.0-only
#include "observe/histogram.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace uscx::observe {

u32 Histogram::bucket_of(u64 value) {
  if (value < (1U << kSubBits)) return static_cast<u32>(value);
  const u32 shift = static_cast<u32>(std::bit_width(value)) - 1 - kSubBits;
  const u32 sub = static_cast<u32>(value >> shift) - (1U << kSubBits);
  return ((shift + 1) << kSubBits) + sub;
}

u64 Histogram::upper_edge(u32 bucket) {
  if (bucket < (1U << kSubBits)) return bucket;
  const u32 shift = (bucket >> kSubBits) - 1;
  const u64 base = (1U << kSubBits) + (bucket & ((1U << kSubBits) - 1));
  return ((base + 1) << shift) - 1;
}

void Histogram::add(u64 value_ns) {
  ++buckets_[bucket_of(value_ns)];
  ++count_;
  min_ = std::min(min_, value_ns);
  max_ = std::max(max_, value_ns);
}

u32 Histogram::bucket_at(u32 per_10000, u64* seen) const {
  USCX_ASSERT(per_10000 <= 10000);
  // The rank of the wanted sample, rounded up so that 100 % is the last one.
  const auto rank =
      static_cast<u64>((static_cast<unsigned __int128>(count_) * per_10000 + 9999) / 10000);
  *seen = 0;
  for (u32 b = 0; b < kBuckets; ++b) {
    *seen += buckets_[b];
    if (*seen >= rank && *seen > 0) return b;
  }
  return kBuckets - 1;
}

u64 Histogram::percentile(u32 per_10000) const {
  if (count_ == 0) return 0;
  u64 seen;
  return std::clamp(upper_edge(bucket_at(per_10000, &seen)), min_, max_);
}

u64 Histogram::count_to(u32 per_10000) const {
  if (count_ == 0) return 0;
  u64 seen;
  bucket_at(per_10000, &seen);
  return seen;
}

}  // namespace uscx::observe
