// SPDX-License-Identifier: GPL-2.0-only
// SCHED_DEADLINE. What is refused with which errno, and how many tasks of a tenth of a CPU fit on
// four CPUs, was asked of the real 7.3.
#include "sched/deadline.h"

#include "core_harness.h"
#include "sched/flags.h"
#include "sched/invariants.h"

namespace uscx::sched::testing {
namespace {

constexpr u64 kMs = 1'000'000;

DlParameters every(u64 period_ms, u64 runtime_ms, u64 deadline_ms = 0) {
  return {.runtime_ns = runtime_ms * kMs,
          .deadline_ns = (deadline_ms != 0 ? deadline_ms : period_ms) * kMs,
          .period_ns = period_ms * kMs};
}

class DeadlineTest : public CoreTest {
 protected:
  Task& deadline(const std::string& comm, const DlParameters& parameters,
                 std::unique_ptr<Behaviour> behaviour) {
    Task& p = spawn(comm, std::move(behaviour));
    EXPECT_TRUE(k().set_deadline(p, parameters).has_value()) << comm;
    return p;
  }
  void boot(const std::string& machine) {
    CoreTest::boot(machine);
    invariants_ = std::make_unique<Invariants>(k());
  }
  void check() { invariants_->check_all(); }
  /// Runs in ms, looking at everything after each.
  void run_ms(u64 ms) {
    for (u64 i = 0; i < ms; ++i) {
      run_for(Nanos::from_ms(1));
      check();
    }
  }

 private:
  std::unique_ptr<Invariants> invariants_;  // listens to the kernel while that lives
};

TEST_F(DeadlineTest, WhatIsRefused) {
  boot("1n1l4c1t");
  Task& p = spawn("p", spinner());
  EXPECT_EQ(k().set_deadline(p, every(1, 0)).error().value, EINVAL);
  EXPECT_EQ(k().set_deadline(p, every(1, 2)).error().value, EINVAL);
  EXPECT_EQ(k().set_deadline(p, {.runtime_ns = 10'000, .deadline_ns = 50'000}).error().value,
            EINVAL);
  EXPECT_EQ(k().set_scheduler(p, SCHED_DEADLINE, 0).error().value, EINVAL);
  ASSERT_TRUE(k().set_affinity(p, mask({0})));
  EXPECT_EQ(k().set_deadline(p, every(100, 10)).error().value, EPERM);
  ASSERT_TRUE(k().set_affinity(p, mask({0, 1, 2, 3})));
  EXPECT_TRUE(k().set_deadline(p, every(100, 10)));
  EXPECT_EQ(k().set_affinity(p, mask({0})).error().value, EBUSY);
  EXPECT_EQ(p.prio, -1);
  EXPECT_EQ(p.klass, &k().dl_class());

  int error = 0;
  Task& parent = spawn("parent", scripted([&](Kernel& kernel, Task&) {
                         return Step::system_call([&](Task& self) {
                           TaskSpec spec;
                           spec.comm = "child";
                           spec.behaviour = spinner();
                           error = kernel.fork(self, std::move(spec)).error().value;
                         });
                       }));
  ASSERT_TRUE(k().set_deadline(parent, every(100, 10)));
  run_for(Nanos::from_ms(5));
  EXPECT_EQ(error, EAGAIN);
}

TEST_F(DeadlineTest, AdmissionLeavesTheServersTheirs) {
  boot("1n1l4c1t");
  int admitted = 0;
  while (admitted < 60) {
    Task& p = spawn("p", steps({Step::block()}));
    if (!k().set_deadline(p, every(100, 10))) break;
    ++admitted;
  }
  EXPECT_EQ(admitted, 38);  // real 7.3: 4 CPUs, 0.05 of each for the fair class
}

TEST_F(DeadlineTest, HasItsRuntimeInEveryPeriodAndNoMore) {
  boot("1n1l1c1t");
  Task& p = deadline("p", every(100, 10), spinner());
  Task& other = spawn("other", spinner());
  run_ms(2'000);
  EXPECT_NEAR(static_cast<double>(ran_ns(p)), 200e6, 1e6);  // real 7.3: 0.199 s
  EXPECT_GT(ran_ns(other), 1'750 * kMs);
}

TEST_F(DeadlineTest, GoesBeforeFifoAndByDeadline) {
  boot("1n1l1c1t");
  TaskSpec spec;
  spec.comm = "fifo";
  spec.policy = SCHED_FIFO;
  spec.rt_priority = 99;
  spec.behaviour = spinner();
  Task& fifo = spawn(std::move(spec));
  Task& late = deadline("late", every(200, 40), spinner());
  Task& soon = deadline("soon", every(50, 10), spinner());
  run_for(Nanos::from_ms(5));
  EXPECT_EQ(k().rq(0).current(), &soon);
  run_for(Nanos::from_ms(10));
  EXPECT_EQ(k().rq(0).current(), &late);
  run_ms(1'985);
  EXPECT_NEAR(static_cast<double>(ran_ns(soon)), 400e6, 2e6);
  EXPECT_NEAR(static_cast<double>(ran_ns(late)), 400e6, 2e6);
  EXPECT_GT(ran_ns(fifo), 1'150 * kMs);
}

TEST_F(DeadlineTest, YieldingGivesUpThePeriod) {
  boot("1n1l1c1t");
  Task& p = deadline("p", every(100, 50), scripted([n = 0](Kernel& kernel, Task&) mutable {
                       if (n++ % 2 == 0) return Step::compute(Nanos::from_ms(2));
                       return Step::system_call([&kernel](Task&) { kernel.yield(); });
                     }));
  run_ms(1'000);
  EXPECT_NEAR(static_cast<double>(ran_ns(p)), 21e6, 1.5e6);
}

TEST_F(DeadlineTest, ADeadlineBeforeThePeriodsEndLimitsTheDensity) {
  boot("1n1l1c1t");
  // It sleeps between: who wakes after its deadline waits for the next period.
  Task& p = deadline(
      "p", every(100, 10, 20), scripted([n = 0](Kernel& kernel, Task&) mutable {
        if (n++ % 2 == 0) return Step::compute(Nanos::from_ms(8));
        return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_ms(30)); });
      }));
  run_ms(1'000);
  EXPECT_NEAR(static_cast<double>(ran_ns(p)), 80e6, 10e6);
}

TEST_F(DeadlineTest, WaitingTasksGoWhereNoneIs) {
  boot("1n1l4c1t");
  std::vector<Task*> tasks;
  for (int i = 0; i < 4; ++i) tasks.push_back(&deadline("p", every(100, 90), spinner()));
  run_ms(200);
  std::vector<bool> used(4);
  for (const Task* p : tasks) used[static_cast<std::size_t>(p->cpu)] = true;
  EXPECT_EQ(used, std::vector<bool>(4, true));
  for (const Task* p : tasks) EXPECT_GT(ran_ns(*p), 170 * kMs);
  // What they have reserved keeps a CPU from going, by its EBUSY.
  int error = 0;
  k().create_kthread("admin", [&](Task&) { error = k().cpu_down(3).error().value; });
  run_ms(400);
  EXPECT_EQ(error, EBUSY);
}

TEST_F(DeadlineTest, ALeavingTasksBandwidthIsFreeAtItsZeroLag) {
  boot("1n1l1c1t");
  Task& p = deadline("p", every(100, 80), spinner());
  Task& q = spawn("q", spinner());
  run_for(Nanos::from_ms(41));
  ASSERT_TRUE(k().set_scheduler(p, SCHED_NORMAL, 0));
  // It has used half of its runtime: that is due after half of the period.
  EXPECT_EQ(k().set_deadline(q, every(100, 80)).error().value, EBUSY);
  run_for(Nanos::from_ms(5));
  EXPECT_EQ(k().set_deadline(q, every(100, 80)).error().value, EBUSY);
  run_for(Nanos::from_ms(10));
  EXPECT_TRUE(k().set_deadline(q, every(100, 80)));
  check();
}

TEST_F(DeadlineTest, AnExitingTasksToo) {
  boot("1n1l1c1t");
  for (int i = 0; i < 20; ++i) {
    deadline("p", every(10, 9), steps({Step::compute(Nanos::from_ms(3))}));
    run_ms(25);
    ASSERT_TRUE(k().tasks().empty());
  }
}

TEST_F(DeadlineTest, PolicyChangesWhileThrottled) {
  boot("1n1l1c1t");
  Task& p = deadline("p", every(100, 5), spinner());
  run_ms(20);
  ASSERT_TRUE(p.dl->throttled);
  ASSERT_TRUE(k().set_scheduler(p, SCHED_NORMAL, 0));
  run_ms(20);
  EXPECT_GT(ran_ns(p), 20 * kMs);
  ASSERT_TRUE(k().set_deadline(p, every(50, 5)));
  const u64 before = ran_ns(p);
  run_ms(200);
  EXPECT_NEAR(static_cast<double>(ran_ns(p) - before), 20e6, 6e6);
}

}  // namespace
}  // namespace uscx::sched::testing
