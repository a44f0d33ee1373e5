// SPDX-License-Identifier: GPL-2.0-only
// Two kernels in one process, each with a scheduler that real libbpf loaded, take turns; neither
// notices the other. The object comes from the build: USCX_TEST_SCHEDULER.
#include <gtest/gtest.h>

#include "cli/session.h"

namespace uscx::cli {
namespace {

RunPlan plan_for(u64 seed, const char* machine) {
  RunOptions options;
  options.scheduler = USCX_TEST_SCHEDULER;
  options.machine = machine;
  options.duration = "300ms";
  options.seed = seed;
  options.quiet = true;
  auto plan = plan_run(options);
  EXPECT_TRUE(plan);
  return *plan;
}

std::unique_ptr<Session> session_for(const RunPlan& plan) {
  auto machine = machine::load_machine(plan.options.machine);
  auto workload = workload::Workload::load(plan.options.workload);
  EXPECT_TRUE(machine && workload);
  return std::make_unique<Session>(plan, std::move(*machine), std::move(*workload));
}

u64 fingerprint_alone(const RunPlan& plan) {
  const auto session = session_for(plan);
  const auto report = session->run();
  EXPECT_TRUE(report);
  EXPECT_EQ(report->outcome, observe::Outcome::kCompleted);
  EXPECT_GT(report->metrics ? report->metrics->callbacks() : 0, 100u);
  return report->fingerprint;
}

TEST(TwoKernels, TakeTurnsWithoutInfluence) {
  const RunPlan a = plan_for(1, "1n1l4c1t"), b = plan_for(2, "1n2l4c2t");
  const u64 a_alone = fingerprint_alone(a), b_alone = fingerprint_alone(b);
  EXPECT_NE(a_alone, b_alone);

  const auto first = session_for(a), second = session_for(b);
  ASSERT_TRUE(first->start());
  ASSERT_TRUE(second->start());
  bool first_done = false, second_done = false;
  // Uneven turns, so that one is in the middle of whatever when the other goes on.
  for (u64 turn = 1; !first_done || !second_done; ++turn) {
    ASSERT_LT(turn, 10'000u);
    if (!first_done) first_done = *first->advance(Nanos::from_us(turn * 1'700));
    if (!second_done) second_done = *second->advance(Nanos::from_us(turn * 3'100));
  }
  EXPECT_EQ(first->finish()->fingerprint, a_alone);
  EXPECT_EQ(second->finish()->fingerprint, b_alone);
}

}  // namespace
}  // namespace uscx::cli
