// SPDX-License-Identifier: GPL-2.0-only
// The life of tasks: run, sleep, wake, fork, exit, and who runs when.
#include "unit/sched/core_harness.h"

namespace uscx::sched::testing {
namespace {

/// Sleeps through a machine timer, as a workload would.
struct WakeTimer final : Timer {
  explicit WakeTimer(Task& t) : task(t) {}
  void fired(Kernel& kernel) override { kernel.wake_up(task); }
  Task& task;
};

TEST_F(CoreTest, ATaskRunsAndExits) {
  boot();
  std::vector<std::string> order;
  k().trace().sched_switch.subscribe(
      [&](Nanos, CpuId, const Task& prev, u32 state, const Task& next) {
        order.push_back(std::string(prev.comm) + ">" + next.comm + (state ? " blocked" : ""));
      });
  u32 exited = 0, freed = 0;
  k().trace().sched_process_exit.subscribe([&](Nanos, const Task&) { ++exited; });
  k().trace().sched_process_free.subscribe([&](const Task& p) {
    EXPECT_STREQ(p.comm, "worker");
    ++freed;
  });
  Task& p = spawn("worker", steps({Step::compute(Nanos::from_ms(7))}));
  EXPECT_EQ(p.pid, 1);
  EXPECT_EQ(k().find_task(1), &p);
  EXPECT_TRUE(k().is_task(p.address()));
  const u64 address = p.address();
  run_for(Nanos::from_ms(7));
  EXPECT_EQ(exited, 0U);  // the switch and the wakeup took time too
  EXPECT_GT(ran_ns(p), 3'900'000U);
  run_for(Nanos::from_ms(1));
  EXPECT_EQ(exited, 1U);
  EXPECT_TRUE(k().tasks().empty());
  EXPECT_EQ(k().find_task(1), nullptr);
  run_for(Nanos::from_ms(20));  // a grace period
  EXPECT_EQ(freed, 1U);
  EXPECT_FALSE(k().is_task(address));
  EXPECT_EQ(order, (std::vector<std::string>{"swapper/0>worker", "worker>swapper/0 blocked"}));
}

TEST_F(CoreTest, SleepsAndWakes) {
  boot();
  std::unique_ptr<WakeTimer> timer;
  u32 rounds = 0;
  u64 switched_in = 0;
  k().trace().sched_switch.subscribe([&](Nanos, CpuId, const Task&, u32, const Task& next) {
    switched_in += std::string_view(next.comm) == "sleeper";
  });
  Task& p =
      spawn("sleeper", scripted([&](Kernel& kernel, Task& task) {
              if (!timer) timer = std::make_unique<WakeTimer>(task);
              ++rounds;
              if (rounds % 2 == 1) return Step::compute(Nanos::from_us(100));
              kernel.machine().timer_start(*timer, kernel.now() + Nanos::from_ms(1), kernel.cpu());
              return Step::block();
            }));
  run_for(Nanos::from_ms(100));
  // 1.1 ms a round and what it costs: between 80 and 91 rounds of two steps.
  EXPECT_GT(rounds, 160U);
  EXPECT_LT(rounds, 184U);
  EXPECT_EQ(p.nvcsw, switched_in - (p.on_cpu ? 1 : 0));
  EXPECT_EQ(p.nivcsw, 0U);
  EXPECT_LT(ran_ns(p), 12'000'000U);
  k().machine().timer_cancel(*timer);
}

TEST_F(CoreTest, AWakeupBeforeTheBlockIsNotLost) {
  boot();
  // The timer fires while the task still pays for the system call that will block it.
  std::unique_ptr<WakeTimer> timer;
  u32 rounds = 0;
  spawn("racer", scripted([&](Kernel& kernel, Task& task) {
          if (!timer) timer = std::make_unique<WakeTimer>(task);
          ++rounds;
          kernel.machine().timer_start(*timer, kernel.now() + Nanos{100}, kernel.cpu());
          return Step::block();
        }));
  run_for(Nanos::from_ms(1));
  EXPECT_GT(rounds, 1000U);
  k().machine().timer_cancel(*timer);
}

TEST_F(CoreTest, FairSharesFollowWeights) {
  boot();
  // Weights 335, 655 and 1277: about 1 : 2 : 4 (1 : 1.955 : 3.812).
  Task& low = spawn("low", spinner(), 5);
  Task& mid = spawn("mid", spinner(), 2);
  Task& high = spawn("high", spinner(), -1);
  EXPECT_EQ(low.se.load.weight >> 10, 335U);
  run_for(Nanos::from_s(30));
  const double total = static_cast<double>(ran_ns(low) + ran_ns(mid) + ran_ns(high));
  EXPECT_NEAR(static_cast<double>(ran_ns(low)) / total, 335.0 / 2267, 0.02 * 335 / 2267);
  EXPECT_NEAR(static_cast<double>(ran_ns(mid)) / total, 655.0 / 2267, 0.02 * 655 / 2267);
  EXPECT_NEAR(static_cast<double>(ran_ns(high)) / total, 1277.0 / 2267, 0.02 * 1277 / 2267);
  EXPECT_GT(total, 29.5e9);
}

TEST_F(CoreTest, RenicingChangesShares) {
  boot();
  Task& a = spawn("a", spinner());
  Task& b = spawn("b", spinner());
  run_for(Nanos::from_s(2));
  EXPECT_NEAR(static_cast<double>(ran_ns(a)) / static_cast<double>(ran_ns(b)), 1.0, 0.02);
  k().set_nice(a, 5);
  EXPECT_EQ(a.static_prio, 125);
  EXPECT_EQ(a.prio, 125);
  const u64 a0 = ran_ns(a), b0 = ran_ns(b);
  run_for(Nanos::from_s(20));
  EXPECT_NEAR(static_cast<double>(ran_ns(b) - b0) / static_cast<double>(ran_ns(a) - a0),
              1024.0 / 335, 0.1);
}

TEST_F(CoreTest, RtPreemptsFair) {
  boot();
  Task& fair = spawn("fair", spinner());
  run_for(Nanos::from_ms(50));
  TaskSpec spec;
  spec.comm = "rt";
  spec.policy = SCHED_FIFO;
  spec.rt_priority = 10;
  spec.behaviour = steps({Step::compute(Nanos::from_ms(30))});
  Task& rt = spawn(std::move(spec));
  EXPECT_EQ(rt.prio, 89);
  run_for(Nanos::from_us(100));
  EXPECT_EQ(&k().current(), &rt);
  EXPECT_TRUE(fair.on_rq_queued());
  EXPECT_EQ(fair.nivcsw, 1U);
  run_for(Nanos::from_ms(29));
  EXPECT_EQ(k().rq(0).current(), &rt);
  run_for(Nanos::from_ms(2));
  EXPECT_EQ(k().rq(0).current(), &fair);
}

TEST_F(CoreTest, RoundRobinTakesTurnsFifoDoesNot) {
  boot();
  std::vector<Task*> tasks;
  for (int policy : {SCHED_RR, SCHED_RR, SCHED_FIFO}) {
    TaskSpec spec;
    spec.comm = "rt";
    spec.policy = policy;
    spec.rt_priority = 5;
    spec.behaviour = spinner();
    tasks.push_back(&spawn(std::move(spec)));
  }
  run_for(Nanos::from_ms(250));
  // 100 ms each, then the FIFO task keeps the CPU.
  EXPECT_NEAR(static_cast<double>(ran_ns(*tasks[0])), 100e6, 5e6);
  EXPECT_NEAR(static_cast<double>(ran_ns(*tasks[1])), 100e6, 5e6);
  const u64 before = ran_ns(*tasks[0]);
  run_for(Nanos::from_s(1));
  EXPECT_EQ(ran_ns(*tasks[0]), before);
  EXPECT_EQ(k().rq(0).current(), tasks[2]);
}

TEST_F(CoreTest, SetSchedulerMovesBetweenClasses) {
  boot();
  Task& a = spawn("a", spinner());
  Task& b = spawn("b", spinner());
  run_for(Nanos::from_ms(20));
  Task& waiting = k().rq(0).current() == &a ? b : a;
  ASSERT_TRUE(k().set_scheduler(waiting, SCHED_FIFO, 1).has_value());
  EXPECT_EQ(waiting.klass, &k().rt_class());
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(k().rq(0).current(), &waiting);
  ASSERT_TRUE(k().set_scheduler(waiting, SCHED_NORMAL, 0).has_value());
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(k().rq(0).rt.use_count(), 1);
  EXPECT_GT(ran_ns(&waiting == &a ? b : a), 40'000'000U);
  EXPECT_EQ(k().set_scheduler(a, SCHED_FIFO, 0).error().value, EINVAL);
  EXPECT_EQ(k().set_scheduler(a, SCHED_NORMAL, 3).error().value, EINVAL);
  EXPECT_EQ(k().set_scheduler(a, 4, 0).error().value, EINVAL);
}

TEST_F(CoreTest, YieldLetsTheOtherRun) {
  boot();
  u32 yields = 0;
  spawn("yielder", scripted([&](Kernel&, Task&) {
          ++yields;
          return Step::yield();
        }));
  Task& other = spawn("other", spinner());
  run_for(Nanos::from_s(1));
  EXPECT_GT(yields, 10U);
  EXPECT_GT(ran_ns(other), 450'000'000U);
  // Alone it burns system calls, not infinitely many in no time.
  boot();
  yields = 0;
  spawn("yielder", scripted([&](Kernel&, Task&) {
          ++yields;
          return Step::yield();
        }));
  run_for(Nanos::from_ms(3));
  EXPECT_GT(yields, 9'000U);
  EXPECT_LE(yields, 10'001U);
}

TEST_F(CoreTest, ForkFromASystemCall) {
  boot("1n1l2c1t");
  u32 forks = 0;
  std::vector<Pid> pids;
  k().trace().sched_process_fork.subscribe([&](Nanos, const Task& parent, const Task& child) {
    EXPECT_STREQ(parent.comm, child.pid == 1 ? "swapper/0" : "parent");
    EXPECT_EQ(child.real_parent, &parent);
    pids.push_back(child.pid);
  });
  spawn("parent", scripted([&](Kernel& kernel, Task&) {
          if (++forks > 50) return Step::exit();
          return Step::system_call([&kernel](Task& self) {
            TaskSpec spec;
            spec.comm = "child";
            spec.behaviour = steps({Step::compute(Nanos::from_us(200))});
            auto child = kernel.fork(self, std::move(spec));
            ASSERT_TRUE(child.has_value());
            EXPECT_EQ((*child)->nr_cpus_allowed, 2);
          });
        }));
  run_for(Nanos::from_ms(100));
  EXPECT_TRUE(k().tasks().empty());
  ASSERT_EQ(pids.size(), 51U);  // the first is the parent itself, by the boot CPU's idle task
  for (std::size_t i = 0; i < pids.size(); ++i) EXPECT_EQ(pids[i], static_cast<Pid>(i + 1));
  EXPECT_EQ(k().nr_exits, 51U);
  for (CpuId cpu : {0, 1}) EXPECT_EQ(k().rq(cpu).nr_running, 0U);
}

TEST_F(CoreTest, ForkRefusesWhatIsNoPolicy) {
  boot();
  TaskSpec spec;
  spec.comm = "x";
  spec.policy = SCHED_DEADLINE;
  spec.behaviour = spinner();
  EXPECT_EQ(k().create_task(std::move(spec)).error().value, EINVAL);
  TaskSpec fifo;
  fifo.comm = "y";
  fifo.policy = SCHED_FIFO;
  fifo.behaviour = spinner();
  EXPECT_EQ(k().create_task(std::move(fifo)).error().value, EINVAL);
  EXPECT_TRUE(k().tasks().empty());
}

TEST_F(CoreTest, IdleCpusHaveNoTick) {
  boot("1n1l2c1t");
  run_for(Nanos::from_ms(10));
  const u64 before = machine_->events();
  run_for(Nanos::from_s(10));
  EXPECT_EQ(machine_->events(), before);
}

TEST_F(CoreTest, SpinnersSpreadOverTheMachine) {
  boot("1n2l4c2t");
  std::vector<Task*> tasks;
  for (int i = 0; i < 16; ++i) tasks.push_back(&spawn("spin", spinner()));
  run_for(Nanos::from_s(1));
  for (Task* p : tasks) EXPECT_GT(ran_ns(*p), 900'000'000U);
  for (CpuId cpu = 0; cpu < 16; ++cpu) EXPECT_EQ(k().rq(cpu).nr_running, 1U);
}

TEST_F(CoreTest, BusyCpusEvenOut) {
  boot("1n1l4c1t");
  // All on CPU 0 first, then free to go.
  std::vector<Task*> tasks;
  const abi::cpumask cpu0 = mask({0});
  for (int i = 0; i < 8; ++i) {
    TaskSpec spec;
    spec.comm = "spin";
    spec.behaviour = spinner();
    spec.affinity = &cpu0;
    tasks.push_back(&spawn(std::move(spec)));
  }
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(k().rq(0).nr_running, 8U);
  for (Task* p : tasks) ASSERT_TRUE(k().set_affinity(*p, mask({0, 1, 2, 3})).has_value());
  run_for(Nanos::from_ms(500));
  for (CpuId cpu = 0; cpu < 4; ++cpu) EXPECT_EQ(k().rq(cpu).nr_running, 2U);
}

}  // namespace
}  // namespace uscx::sched::testing
