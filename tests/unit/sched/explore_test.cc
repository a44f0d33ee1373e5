// SPDX-License-Identifier: GPL-2.0-only
#include "explore_harness.h"

namespace uscx::sched::testing {
namespace {

TEST_F(ExploreTest, SharedQueue) {
  const auto run = search(&ExploreTest::shared_queue, PlantedBug::kNone, 20);
  EXPECT_TRUE(run.failures.empty()) << run.failures[0].seed << ": " << run.failures[0].what;
}

TEST_F(ExploreTest, SchedulerQueue) {
  const auto run = search(&ExploreTest::scheduler_queue, PlantedBug::kNone, 20);
  EXPECT_TRUE(run.failures.empty()) << run.failures[0].seed << ": " << run.failures[0].what;
}

}  // namespace
}  // namespace uscx::sched::testing
