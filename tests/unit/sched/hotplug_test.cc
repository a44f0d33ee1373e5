// SPDX-License-Identifier: GPL-2.0-only
// CPUs that go off and on, signals, zombies, and the deadline servers.
#include <csignal>

#include "unit/sched/core_harness.h"

namespace uscx::sched::testing {
namespace {

class HotplugTest : public CoreTest {
 protected:
  /// Runs `call` as a system call of a task pinned to CPU 0.
  void system_call(std::function<void(Task&)> call) {
    const abi::cpumask first = mask({0});
    TaskSpec spec;
    spec.comm = "caller";
    spec.behaviour = steps({Step::system_call(std::move(call))});
    spec.affinity = &first;
    spawn(std::move(spec));
  }
  Task& pinned(std::string comm, std::initializer_list<u32> cpus,
               std::unique_ptr<Behaviour> behaviour) {
    const abi::cpumask m = mask(cpus);
    TaskSpec spec;
    spec.comm = std::move(comm);
    spec.behaviour = std::move(behaviour);
    spec.affinity = &m;
    return spawn(std::move(spec));
  }
};

TEST_F(HotplugTest, WhoRunsOnACpuThatGoesDownIsMovedWithinItsAffinity) {
  boot("1n1l4c1t");
  Task& p = pinned("wanderer", {2, 3}, spinner(Nanos::from_ms(1)));
  Task& blocker = pinned("blocker", {2}, spinner(Nanos::from_ms(1)));
  run_for(Nanos::from_ms(50));
  ASSERT_EQ(p.cpu, 3);  // the other one is taken
  bool down = false;
  system_call([&](Task&) {
    EXPECT_TRUE(k().cpu_down(3).has_value());
    down = true;
  });
  run_for(Nanos::from_ms(100));
  EXPECT_TRUE(down);
  EXPECT_EQ(p.cpu, 2);
  EXPECT_TRUE(bitmap::test(p.cpus_mask.bits, 3));
  EXPECT_FALSE(bitmap::test(k().online_mask().bits, 3));
  EXPECT_FALSE(bitmap::test(k().active_mask().bits, 3));
  EXPECT_EQ(k().rq(3).nr_running, 0U);
  EXPECT_TRUE(k().rq(3).current()->is_idle());
  // Both share what is left.
  const u64 before = ran_ns(p), others = ran_ns(blocker);
  run_for(Nanos::from_ms(400));
  EXPECT_NEAR(static_cast<double>(ran_ns(p) - before), 2e8, 2e7);
  EXPECT_NEAR(static_cast<double>(ran_ns(blocker) - others), 2e8, 2e7);
}

TEST_F(HotplugTest, AnAffinityWithoutACpuLeftIsBroken) {
  boot("1n1l2c1t");
  Task& p = pinned("stuck", {1}, spinner());
  run_for(Nanos::from_ms(10));
  system_call([&](Task&) { EXPECT_TRUE(k().cpu_down(1).has_value()); });
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(p.cpu, 0);
  EXPECT_EQ(p.nr_cpus_allowed, 2);
  const u64 before = ran_ns(p);
  run_for(Nanos::from_ms(50));
  EXPECT_GT(ran_ns(p), before);
}

TEST_F(HotplugTest, ACpuThatComesBackRunsTasks) {
  boot("1n1l2c1t");
  system_call([&](Task&) {
    EXPECT_TRUE(k().cpu_down(1).has_value());
    EXPECT_TRUE(k().cpu_down(1).has_value());  // it is
    const auto last = k().cpu_down(0);
    ASSERT_FALSE(last.has_value());
    EXPECT_EQ(last.error().value, EBUSY);
    EXPECT_TRUE(k().cpu_up(1).has_value());
  });
  run_for(Nanos::from_ms(200));
  EXPECT_TRUE(bitmap::test(k().active_mask().bits, 1));
  Task& p = pinned("late", {1}, spinner());
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(p.cpu, 1);
  EXPECT_GT(ran_ns(p), 40'000'000U);
}

TEST_F(HotplugTest, WhoSleepsOnACpuThatGoesDownIsWokenElsewhere) {
  boot("1n1l2c1t");
  bool woken = false;
  Task& p = pinned("sleeper", {1}, steps({Step::system_call([&](Task&) {
                     k().sleep_ns(Nanos::from_ms(100));
                     woken = true;
                   })}));
  run_for(Nanos::from_ms(1));
  ASSERT_EQ(p.cpu, 1);
  system_call([&](Task&) { EXPECT_TRUE(k().cpu_down(1).has_value()); });
  run_for(Nanos::from_ms(300));
  EXPECT_TRUE(woken);
}

TEST_F(HotplugTest, AKilledTaskExits) {
  boot("1n1l2c1t");
  Task& running = pinned("running", {1}, spinner(Nanos::from_s(100)));
  Task& queued = pinned("queued", {1}, spinner(Nanos::from_s(100)));
  Task& sleeping = pinned("sleeping", {1}, steps({Step::block()}));
  run_for(Nanos::from_ms(20));
  u32 exited = 0;
  k().trace().sched_process_exit.subscribe(
      [&](Nanos, const Task& p) { exited += std::string_view(p.comm) != "caller"; });
  system_call([&](Task&) {
    for (Task* p : {&running, &queued, &sleeping}) k().kill(*p, SIGKILL);
  });
  run_for(Nanos::from_ms(30));
  EXPECT_EQ(exited, 3U);
}

TEST_F(HotplugTest, AStoppedTaskGoesOnWhereItWas) {
  boot("1n1l2c1t");
  bool done = false;
  Task& p = pinned("worker", {1}, scripted([&, n = 0](Kernel&, Task&) mutable {
                     if (n++ == 0) return Step::compute(Nanos::from_ms(30));
                     done = true;
                     return Step::exit();
                   }));
  run_for(Nanos::from_ms(10));
  system_call([&](Task&) { k().kill(p, SIGSTOP); });
  run_for(Nanos::from_ms(50));
  EXPECT_EQ(p.__state, TASK_STOPPED);
  const u64 so_far = ran_ns(p);
  EXPECT_NEAR(static_cast<double>(so_far), 1e7, 1e6);
  system_call([&](Task&) { k().kill(p, SIGCONT); });
  run_for(Nanos::from_ms(15));
  EXPECT_FALSE(done);
  run_for(Nanos::from_ms(10));
  EXPECT_TRUE(done);
}

TEST_F(HotplugTest, AChildThatIsWaitedForIsAZombieUntilThen) {
  boot("1n1l2c1t");
  Pid pid = 0;
  bool reaped = false;
  system_call([&](Task& self) {
    TaskSpec child;
    child.comm = "child";
    child.behaviour = steps({Step::compute(Nanos::from_ms(1))});
    child.waited_for = true;
    pid = (*k().fork(self, std::move(child)))->pid;
    k().sleep_ns(Nanos::from_ms(20));
    const Task* zombie = k().find_task(pid);
    ASSERT_NE(zombie, nullptr);
    EXPECT_EQ(zombie->exit_state, static_cast<int>(EXIT_ZOMBIE));
    k().wait_for_exit(pid);
    reaped = true;
  });
  run_for(Nanos::from_ms(50));
  EXPECT_TRUE(reaped);
  EXPECT_EQ(k().find_task(pid), nullptr);
}

TEST_F(HotplugTest, ARealtimeTaskLeavesTheFairClassOneTwentieth) {
  boot();
  TaskSpec fifo;
  fifo.comm = "fifo";
  fifo.behaviour = spinner();
  fifo.policy = SCHED_FIFO;
  fifo.rt_priority = 50;
  Task& fair = spawn("fair", spinner());
  spawn(std::move(fifo));
  run_for(Nanos::from_s(10));
  EXPECT_NEAR(static_cast<double>(ran_ns(fair)), 5e8, 6e7);
}

TEST_F(HotplugTest, ARealtimeTaskThatWaitsIsPushedWhenACpuIsFree) {
  boot("1n1l2c1t");
  const auto realtime = [](std::string comm, int prio, std::unique_ptr<Behaviour> behaviour) {
    TaskSpec spec;
    spec.comm = std::move(comm);
    spec.behaviour = std::move(behaviour);
    spec.policy = SCHED_FIFO;
    spec.rt_priority = prio;
    return spec;
  };
  spawn(realtime("high", 50, spinner()));
  spawn(realtime("short", 40, steps({Step::compute(Nanos::from_ms(50))})));
  run_for(Nanos::from_ms(1));
  Task& low = spawn(realtime("low", 30, spinner()));
  run_for(Nanos::from_ms(30));
  EXPECT_EQ(ran_ns(low), 0U);
  run_for(Nanos::from_ms(100));
  EXPECT_GT(ran_ns(low), 70'000'000U);
}

}  // namespace
}  // namespace uscx::sched::testing
