// SPDX-License-Identifier: GPL-2.0-only
#include "observe/task_history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>

#include "sched/task.h"

namespace uscx::observe {
namespace {

constexpr u64 kHourNs = 3'600'000'000'000;

struct TaskHistoryTest : testing::Test {
  TaskHistoryTest() { task->pid = 7; }
  std::vector<std::string> lines() const { return history.lines(7); }

  sched::Tracepoints trace;
  TaskHistory history{trace};
  std::unique_ptr<sched::Task> task = std::make_unique<sched::Task>("worker");
};

TEST_F(TaskHistoryTest, KeepsTheLastTen) {
  for (s32 i = 0; i < 25; ++i) trace.sched_wakeup(Nanos{static_cast<u64>(i)}, i, *task, i + 1);
  const auto all = lines();
  ASSERT_EQ(all.size(), 10u);
  EXPECT_EQ(all.front(), "0.000000015 CPU 15   wakeup to CPU 16");
  EXPECT_EQ(all.back(), "0.000000024 CPU 24   wakeup to CPU 25");
}

TEST_F(TaskHistoryTest, ShowsEveryIdentifierOfADsqWhole) {
  const u64 ids[] = {0x8000000000000002ULL, 0xc000000000000fffULL, 5,
                     0x123456789abcULL,     (1ULL << 29) - 1,      1ULL << 29,
                     0x923456789abcdef0ULL};
  for (const u64 id : ids) trace.scx_dsq(Nanos{1}, *task, id, true, 1);
  const auto all = lines();
  ASSERT_EQ(all.size(), std::size(ids));
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_TRUE(all[i].ends_with(fmt::format("queued on DSQ {:#x}", ids[i]))) << all[i];
  }
}

TEST_F(TaskHistoryTest, CallbacksByNameWithoutTicks) {
  for (const char* op : {"enqueue", "tick", "running", "tick"}) {
    trace.scx_callback(Nanos{3}, 2, sched::ext::op_by_name(op), task.get(), 0);
  }
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all[0].ends_with("enqueue")) << all[0];
  EXPECT_TRUE(all[1].ends_with("running")) << all[1];
}

TEST_F(TaskHistoryTest, TimesOfDaysAreWhole) {
  const u64 days_ns = 100 * kHourNs;  // more than 48 bits have
  trace.sched_wakeup(Nanos{days_ns - 30 * kHourNs}, 0, *task, 0);
  trace.sched_wakeup(Nanos{days_ns}, 0, *task, 0);
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all[0].starts_with("252000.000000000 ")) << all[0];
  EXPECT_TRUE(all[1].starts_with("360000.000000000 ")) << all[1];
}

TEST_F(TaskHistoryTest, ForgetsWhatIsFreed) {
  trace.sched_wakeup(Nanos{1}, 0, *task, 0);
  trace.sched_process_free(*task);
  EXPECT_TRUE(lines().empty());
}

}  // namespace
}  // namespace uscx::observe
