// SPDX-License-Identifier: GPL-2.0-only
#include "observe/histogram.h"

#include <gtest/gtest.h>

namespace uscx::observe {
namespace {

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (u64 v = 1; v <= 50; ++v) h.add(v);
  EXPECT_EQ(h.percentile(5000), 25u);
  EXPECT_EQ(h.percentile(10000), 50u);
  EXPECT_EQ(h.min(), 1u);
  EXPECT_EQ(h.max(), 50u);
  EXPECT_EQ(h.count_to(5000), 25u);
}

TEST(Histogram, LargeValuesWithinTheirBucket) {
  Histogram h;
  for (u64 v = 1; v <= 100'000; ++v) h.add(v * 1000);
  for (const u32 p : {5000u, 9000u, 9900u, 9990u}) {
    const double exact = 1000.0 * 10.0 * p;
    EXPECT_NEAR(static_cast<double>(h.percentile(p)), exact, exact * 0.017) << p;
  }
  EXPECT_EQ(h.percentile(10000), 100'000'000u);
}

TEST(Histogram, ExtremesHaveABucket) {
  Histogram h;
  h.add(0);
  h.add(~0ULL);
  EXPECT_EQ(h.percentile(5000), 0u);
  EXPECT_EQ(h.percentile(10000), ~0ULL);
  EXPECT_EQ(h.count(), 2u);
}

TEST(Histogram, EmptyHasNoSamples) {
  Histogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.percentile(9900), 0u);
}

}  // namespace
}  // namespace uscx::observe
