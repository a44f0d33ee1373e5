// SPDX-License-Identifier: GPL-2.0-only
// The fair class: tasks that sleep often and shortly do not keep others from running.
#include "core_harness.h"

namespace uscx::sched::testing {
namespace {

using FairShareTest = CoreTest;

TEST_F(FairShareTest, ShortSleepersLeaveASpinnerItsShare) {
  boot("1n1l1c1t");
  Task& spin = spawn("spin", spinner());
  for (int i = 0; i < 8; ++i) {
    spawn("sleeper", scripted([computed = false](Kernel& kernel, Task&) mutable {
            computed = !computed;
            if (computed) return Step::compute(Nanos::from_us(80));
            return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(100)); });
          }));
  }
  run_for(Nanos::from_s(1));
  // Nine of one weight: a ninth each, less what switching costs.
  EXPECT_GT(ran_ns(spin), 70'000'000U);
  EXPECT_LT(ran_ns(spin), 250'000'000U);
}

}  // namespace
}  // namespace uscx::sched::testing
