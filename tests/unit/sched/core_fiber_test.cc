// SPDX-License-Identifier: GPL-2.0-only
// Kernel threads, sleeping in virtual time, sleeping locks, affinity, grace periods, lock rules.
#include <optional>

#include "sched/wait.h"
#include "unit/sched/core_harness.h"

namespace uscx::sched::testing {
namespace {

using CoreFiberTest = CoreTest;
using CoreFiberDeathTest = CoreTest;

TEST_F(CoreFiberTest, AKthreadSleepsInVirtualTime) {
  boot();
  std::vector<u64> at;
  Task& other = spawn("spin", spinner());
  Task& p = k().create_kthread("kworker", [&](Task& self) {
    EXPECT_TRUE(k().may_sleep());
    EXPECT_EQ(&k().current(), &self);
    for (int i = 0; i < 5; ++i) {
      k().sleep_ns(Nanos::from_ms(10));
      at.push_back(now().ns);
    }
  });
  EXPECT_TRUE(p.is_kthread());
  run_for(Nanos::from_ms(100));
  ASSERT_EQ(at.size(), 5U);
  for (std::size_t i = 0; i < at.size(); ++i) {
    EXPECT_GE(at[i], (i + 1) * 10'000'000);
    EXPECT_LT(at[i], (i + 1) * 10'000'000 + 9'000'000);
  }
  EXPECT_GT(ran_ns(other), 99'000'000U);
  EXPECT_EQ(k().tasks().size(), 1U);
}

TEST_F(CoreFiberTest, ConsumingIsPreemptedAndGoesOnElsewhere) {
  boot("1n1l2c1t");
  std::optional<CpuId> first, last;
  u64 ended = 0;
  const abi::cpumask cpu1 = mask({1});
  Task& p = k().create_kthread("consumer", [&](Task& self) {
    first = k().cpu();
    k().consume(Nanos::from_ms(20));
    last = k().cpu();
    ended = now().ns;
    EXPECT_EQ(self.cpu, *last);
  });
  run_for(Nanos::from_ms(5));
  ASSERT_EQ(first, 0);
  ASSERT_TRUE(k().set_affinity(p, cpu1).has_value());
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(last, 1);
  EXPECT_GE(ended, 20'000'000U);
  EXPECT_LT(ended, 20'100'000U);
}

TEST_F(CoreFiberTest, WaitQueuesAreFirstComeFirstServed) {
  boot("1n1l4c1t");
  WaitQueue queue;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    k().create_kthread("waiter", [&, i](Task&) {
      k().sleep_ns(Nanos::from_ms(static_cast<u64>(i) + 1));
      queue.sleep(k());
      order.push_back(i);
    });
  }
  run_for(Nanos::from_ms(10));
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(queue.wake(k(), 1), 1U);
  run_for(Nanos::from_ms(1));
  EXPECT_EQ(order, std::vector<int>{0});
  EXPECT_EQ(queue.wake_all(k()), 2U);
  run_for(Nanos::from_ms(1));
  EXPECT_EQ(order.size(), 3U);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.wake(k(), 1), 0U);
}

TEST_F(CoreFiberTest, AWaitingWriterHoldsOffNewReaders) {
  boot("1n1l4c1t");
  SleepingLock lock(LockRank::kScxFork, "test rwsem");
  std::vector<std::string> log;
  const auto reader = [&](const char* name, u64 start_ms) {
    k().create_kthread(name, [&, name, start_ms](Task&) {
      k().sleep_ns(Nanos::from_ms(start_ms));
      lock.lock_shared(k());
      log.push_back(std::string("+") + name);
      k().sleep_ns(Nanos::from_ms(10));
      log.push_back(std::string("-") + name);
      lock.unlock_shared(k());
    });
  };
  reader("r1", 1);
  reader("r2", 2);
  k().create_kthread("w", [&](Task&) {
    k().sleep_ns(Nanos::from_ms(3));
    lock.lock(k());
    EXPECT_TRUE(lock.write_held());
    log.push_back("+w");
    k().consume(Nanos::from_ms(5));
    log.push_back("-w");
    lock.unlock(k());
  });
  reader("r3", 4);
  run_for(Nanos::from_ms(5));
  EXPECT_EQ(lock.readers(), 2U);
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(log, (std::vector<std::string>{"+r1", "+r2", "-r1", "-r2", "+w", "-w", "+r3", "-r3"}));
}

TEST_F(CoreFiberTest, SetAffinityOfARunningTaskWaitsForTheMove) {
  boot("1n1l2c1t");
  Task& p = spawn("spin", spinner());
  run_for(Nanos::from_ms(10));
  ASSERT_EQ(p.cpu, 0);
  bool moved = false;
  k().create_kthread("mover", [&](Task&) {
    EXPECT_EQ(k().set_affinity(p, abi::cpumask{}).error().value, EINVAL);
    ASSERT_TRUE(k().set_affinity(p, mask({1})).has_value());
    EXPECT_EQ(p.cpu, 1);
    moved = true;
  });
  run_for(Nanos::from_ms(10));
  EXPECT_TRUE(moved);
  EXPECT_EQ(k().rq(1).current(), &p);
  EXPECT_EQ(p.nr_cpus_allowed, 1);
  EXPECT_EQ(p.se.nr_migrations, 1U);
  EXPECT_EQ(k().rq(0).nr_running, 0U);
}

TEST_F(CoreFiberTest, ATaskMovesItself) {
  boot("1n1l4c1t");
  std::vector<CpuId> cpus;
  spawn("hopper", scripted([&, n = 0U](Kernel& kernel, Task&) mutable {
          if (n == 8) return Step::exit();
          return Step::system_call([&, target = n++ % 4](Task& self) {
            ASSERT_TRUE(kernel.set_affinity(self, mask({target})).has_value());
            cpus.push_back(kernel.cpu());
          });
        }));
  run_for(Nanos::from_ms(20));
  EXPECT_EQ(cpus, (std::vector<CpuId>{0, 1, 2, 3, 0, 1, 2, 3}));
  EXPECT_TRUE(k().tasks().empty());
}

TEST_F(CoreFiberTest, SleepingAndWaitingTasksMoveAtOnce) {
  boot("1n1l2c1t");
  Task& sleeper = spawn("sleeper", steps({Step::block(), Step::compute(Nanos::from_s(1))}));
  run_for(Nanos::from_ms(1));
  EXPECT_EQ(sleeper.on_rq_state, 0);
  ASSERT_TRUE(k().set_affinity(sleeper, mask({1})).has_value());
  EXPECT_EQ(sleeper.cpu, 0);  // it is placed when it wakes
  EXPECT_TRUE(k().wake_up(sleeper));
  EXPECT_FALSE(k().wake_up(sleeper));
  run_for(Nanos::from_ms(1));
  EXPECT_EQ(sleeper.cpu, 1);
  EXPECT_EQ(k().rq(1).current(), &sleeper);

  TaskSpec spec;
  const abi::cpumask cpu1 = mask({1});
  spec.comm = "queued";
  spec.behaviour = spinner();
  spec.affinity = &cpu1;
  spec.nice = 10;
  Task& queued = spawn(std::move(spec));
  EXPECT_NE(k().rq(1).current(), &queued);
  ASSERT_TRUE(k().set_affinity(queued, mask({0})).has_value());
  EXPECT_EQ(queued.cpu, 0);
  run_for(Nanos::from_ms(1));
  EXPECT_EQ(k().rq(0).current(), &queued);
}

TEST_F(CoreFiberTest, AGracePeriodTakesItsTime) {
  boot("1n1l4c1t");
  spawn("spin", spinner(Nanos::from_s(1)));
  u64 took = 0;
  bool called_back = false;
  k().create_kthread("rcu_user", [&](Task&) {
    const u64 start = now().ns;
    k().call_rcu([&] { called_back = true; });
    k().synchronize_rcu();
    took = now().ns - start;
  });
  run_for(Nanos::from_ms(100));
  EXPECT_TRUE(called_back);
  // The machine's minimum, and the spinner's next tick, twice: the second call began a new period.
  EXPECT_GE(took, machine_->costs().rcu_grace_period_ns);
  EXPECT_LE(took, 2 * (machine_->costs().rcu_grace_period_ns + 4'000'000));
}

TEST_F(CoreFiberTest, AReferenceKeepsAnExitedTask) {
  boot();
  Task& p = spawn("short", steps({}));
  k().get_task(p);
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(k().find_task(1), nullptr);
  EXPECT_STREQ(p.comm, "short");
  EXPECT_EQ(p.exit_state, static_cast<int>(EXIT_DEAD));
  const u64 address = p.address();
  k().put_task(p);
  run_for(Nanos::from_ms(50));
  EXPECT_FALSE(k().is_task(address));
}

TEST_F(CoreFiberTest, TheEndOfAKernelUnwindsItsFibers) {
  boot();
  auto alive = std::make_shared<int>(1);
  k().create_kthread("for ever", [this, alive](Task&) {
    auto mine = alive;
    for (;;) k().sleep_ns(Nanos::from_s(1));
  });
  run_for(Nanos::from_ms(10));
  EXPECT_GT(alive.use_count(), 1);
  kernel_.reset();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(CoreFiberTest, TwoKernelsDoNotMeet) {
  const auto trace = [](Kernel& kernel, StreamHash& hash) {
    kernel.trace().sched_switch.subscribe(
        [&hash](Nanos now, CpuId cpu, const Task& prev, u32 state, const Task& next) {
          for (u64 word : {now.ns, static_cast<u64>(cpu), prev.address(), static_cast<u64>(state),
                           next.address()}) {
            hash.add(word);
          }
        });
  };
  const auto fill = [](Kernel& kernel, u64 chunk_us) {
    for (u64 i = 0; i < 5; ++i) {
      TaskSpec spec;
      spec.comm = "t";
      spec.behaviour = scripted([=, computes = false](Kernel&, Task&) mutable {
        computes = !computes;
        return computes ? Step::compute(Nanos::from_us(chunk_us + i)) : Step::yield();
      });
      ASSERT_TRUE(kernel.create_task(std::move(spec)).has_value());
    }
  };
  const auto one = [&](u64 chunk_us) {
    auto spec = machine::load_machine("1n1l2c1t");
    machine::SimulatedMachine machine(*spec);
    Kernel kernel({}, machine);
    machine.attach(kernel);
    StreamHash hash;
    trace(kernel, hash);
    fill(kernel, chunk_us);
    for (u64 ms = 1; ms <= 100; ++ms)
      EXPECT_TRUE(machine.run_until(Nanos::from_ms(ms)).has_value());
    return hash.value();
  };
  const u64 alone_a = one(300), alone_b = one(700);
  EXPECT_NE(alone_a, alone_b);

  auto spec = machine::load_machine("1n1l2c1t");
  machine::SimulatedMachine machine_a(*spec), machine_b(*spec);
  Kernel a({}, machine_a), b({}, machine_b);
  machine_a.attach(a);
  machine_b.attach(b);
  StreamHash hash_a, hash_b;
  trace(a, hash_a);
  trace(b, hash_b);
  fill(a, 300);
  fill(b, 700);
  for (u64 ms = 1; ms <= 100; ++ms) {
    ASSERT_TRUE(machine_a.run_until(Nanos::from_ms(ms)).has_value());
    ASSERT_TRUE(machine_b.run_until(Nanos::from_ms(ms)).has_value());
  }
  EXPECT_EQ(hash_a.value(), alone_a);
  EXPECT_EQ(hash_b.value(), alone_b);
}

TEST_F(CoreFiberTest, HostTimersFireAndCancel) {
  boot("1n1l2c1t");
  bpf::HostTimer timer;
  std::vector<std::pair<u64, u32>> fired;
  timer.fire = [&] {
    fired.emplace_back(now().ns, k().this_cpu());
    if (fired.size() < 3) k().timer_start(timer, 1'000'000, false, kNoCpu);
  };
  k().timer_start(timer, 5'000'000, false, 1);
  EXPECT_TRUE(timer.armed);
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(fired,
            (std::vector<std::pair<u64, u32>>{{5'000'000, 1}, {6'000'000, 1}, {7'000'000, 1}}));
  EXPECT_FALSE(timer.armed);
  k().timer_start(timer, 200'000'000, true, kNoCpu);
  EXPECT_TRUE(k().timer_cancel(timer));
  EXPECT_FALSE(k().timer_cancel(timer));
  run_for(Nanos::from_ms(200));
  EXPECT_EQ(fired.size(), 3U);
}

// --- rules ------------------------------------------------------------------------------------

TEST_F(CoreFiberDeathTest, LocksInTheWrongOrderNameBothPlaces) {
  boot();
  Task& p = spawn("p", spinner());
  EXPECT_DEATH(
      {
        k().rq_lock(k().rq(0));
        p.pi_lock.lock(k().held());
      },
      "taken out of order(.|\n)*at fault: task_struct::pi_lock(.|\n)*core_fiber_test.cc"
      "(.|\n)*held: rq::__lock(.|\n)*core_fiber_test.cc");
}

TEST_F(CoreFiberDeathTest, RunqueuesGoByCpu) {
  boot("1n1l2c1t");
  k().double_rq_lock(k().rq(1), k().rq(0));
  k().double_rq_unlock(k().rq(1), k().rq(0));
  EXPECT_DEATH(
      {
        k().rq_lock(k().rq(1));
        k().rq_lock(k().rq(0));
      },
      "taken out of order");
}

TEST_F(CoreFiberDeathTest, NobodySleepsUnderASpinlock) {
  EXPECT_DEATH(
      {
        boot();
        Task& p = spawn("p", spinner());
        k().create_kthread("bad", [&](Task&) {
          p.pi_lock.lock(k().held());
          k().sleep_ns(Nanos::from_ms(1));
        });
        run_for(Nanos::from_ms(10));
      },
      "atomic");
  EXPECT_DEATH(
      {
        boot();
        SleepingLock mutex(LockRank::kScxEnable, "scx_enable_mutex");
        k().rq_lock(k().rq(0));
        mutex.lock(k());
      },
      "a sleeping lock under a spinlock");
}

TEST_F(CoreFiberDeathTest, AReaderDoesNotReadTwice) {
  boot();
  SleepingLock sem(LockRank::kScxFork, "scx_fork_rwsem");
  sem.lock_shared(k());
  EXPECT_DEATH(sem.lock_shared(k()), "taken twice");
  EXPECT_DEATH(sem.lock(k()), "taken twice");
  sem.unlock_shared(k());
}

TEST_F(CoreFiberDeathTest, TheClockNeedsTheLock) {
  boot();
  EXPECT_DEATH(k().update_rq_clock(k().rq(0)), "assertion failed");
  EXPECT_DEATH(k().resched_curr(k().rq(0)), "assertion failed");
}

TEST_F(CoreFiberDeathTest, AModelThatUsesNoTimeIsFound) {
  EXPECT_DEATH(
      {
        boot();
        spawn("stuck", scripted([](Kernel&, Task&) { return Step::compute(Nanos{0}); }));
        run_for(Nanos::from_ms(1));
      },
      "free_steps");
}

}  // namespace
}  // namespace uscx::sched::testing
