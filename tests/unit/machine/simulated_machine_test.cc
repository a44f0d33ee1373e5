// SPDX-License-Identifier: GPL-2.0-only
#include "machine/simulated/simulated_machine.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/bitmap.h"
#include "sched/kernel.h"

namespace uscx::machine {
namespace {

using sched::Kernel;
using sched::Step;
using sched::Task;

class Script final : public sched::Behaviour {
 public:
  explicit Script(std::function<Step(Kernel&, Task&)> fn) : fn_(std::move(fn)) {}
  Step next(Kernel& kernel, Task& task) override { return fn_(kernel, task); }

 private:
  std::function<Step(Kernel&, Task&)> fn_;
};

struct FnTimer final : sched::Timer {
  std::function<void(Kernel&)> fn;
  void fired(Kernel& kernel) override { fn(kernel); }
};

struct FnWork final : sched::IrqWork {
  std::function<void(Kernel&)> fn;
  void run(Kernel& kernel) override { fn(kernel); }
};

sched::Costs no_costs() {
  sched::Costs costs;
  for (const char* name :
       {"context_switch_ns", "idle_exit_ns", "ipi_ns", "tick_ns", "syscall_ns", "wakeup_ns",
        "fork_ns", "exit_ns", "migrate_llc_ns", "migrate_node_ns", "task_iter_ns"}) {
    *find_cost(costs, name) = 0;
  }
  return costs;
}

/// A machine with a kernel on it. Tasks end with a script.
class Rig {
 public:
  explicit Rig(const MachineSpec& spec) : machine(spec), kernel({}, machine) {
    machine.attach(kernel);
  }
  explicit Rig(const std::string& name) : Rig(*load_machine(name)) {}

  Task& spawn(std::vector<Step> steps, std::vector<u32> cpus, std::vector<Nanos>* times = nullptr) {
    sched::TaskSpec spec;
    spec.comm = "t";
    spec.behaviour = std::make_unique<Script>(
        [steps = std::move(steps), i = std::size_t{0}, times](Kernel& k, Task&) mutable {
          if (times != nullptr) times->push_back(k.now());
          return i < steps.size() ? steps[i++] : Step::exit();
        });
    abi::cpumask mask{};
    for (const u32 cpu : cpus) bitmap::set(mask.bits, cpu);
    spec.affinity = &mask;
    auto task = kernel.create_task(std::move(spec));
    EXPECT_TRUE(task);
    return **task;
  }
  SimulatedMachine::Ended run(Nanos until) {
    const auto ended = machine.run_until(until);
    EXPECT_TRUE(ended) << ended.error().message;
    return *ended;
  }

  SimulatedMachine machine;
  Kernel kernel;
};

MachineSpec free_machine(std::vector<u32> capacities) {
  MachineSpec spec;
  spec.topology = make_topology(
      {.nodes = 1, .llcs = 1, .cores = static_cast<u32>(capacities.size()), .threads = 1});
  for (std::size_t i = 0; i < capacities.size(); ++i)
    spec.topology.cpus[i].capacity = capacities[i];
  spec.costs = no_costs();
  return spec;
}

TEST(SimulatedMachine, AnIdleMachineHasNoEvents) {
  Rig rig("1n2l4c2t");
  EXPECT_EQ(rig.run(Nanos::from_s(100)), SimulatedMachine::Ended::kTime);
  EXPECT_EQ(rig.machine.now(), Nanos::from_s(100));
  EXPECT_LT(rig.machine.events(), 50U);
}

TEST(SimulatedMachine, TimersFireInOrderAndCanBeMovedAndCancelled) {
  Rig rig("1n1l2c1t");
  std::vector<int> fired;
  FnTimer a, b, c, late;
  a.fn = [&](Kernel& k) {
    EXPECT_EQ(k.now(), Nanos{100});
    EXPECT_EQ(k.cpu(), 1);
    EXPECT_FALSE(a.armed());
    fired.push_back(1);
    EXPECT_TRUE(rig.machine.timer_cancel(c));
    rig.machine.timer_start(late, Nanos{5}, 0);  // passed: at once
  };
  b.fn = [&](Kernel&) { fired.push_back(2); };
  c.fn = [&](Kernel&) { fired.push_back(3); };
  late.fn = [&](Kernel& k) {
    EXPECT_EQ(k.now(), Nanos{100});
    fired.push_back(4);
  };
  rig.machine.timer_start(a, Nanos{50}, 0);
  rig.machine.timer_start(b, Nanos{100}, 1);
  rig.machine.timer_start(c, Nanos{200}, 1);
  rig.machine.timer_start(a, Nanos{100}, 1);  // behind b now
  EXPECT_FALSE(rig.machine.timer_cancel(late));
  rig.run(Nanos{1000});
  EXPECT_EQ(fired, (std::vector<int>{2, 1, 4}));
}

TEST(SimulatedMachine, IrqWorkRunsAfterTheHandlerHereAndByIpiElsewhere) {
  Rig rig("1n1l2c1t");
  std::vector<std::string> log;
  FnWork here, there;
  here.fn = [&](Kernel& k) { log.push_back("here " + std::to_string(k.now().ns)); };
  there.fn = [&](Kernel& k) {
    EXPECT_EQ(k.cpu(), 1);
    log.push_back("there " + std::to_string(k.now().ns));
  };
  FnTimer timer;
  timer.fn = [&](Kernel&) {
    EXPECT_TRUE(rig.machine.queue_irq_work(here, 0));
    EXPECT_FALSE(rig.machine.queue_irq_work(here, 0));
    EXPECT_TRUE(rig.machine.queue_irq_work(there, 1));
    log.push_back("timer");
  };
  rig.machine.timer_start(timer, Nanos{100}, 0);
  rig.run(Nanos{10'000});
  EXPECT_EQ(log, (std::vector<std::string>{"timer", "here 100", "there 800"}));
}

TEST(SimulatedMachine, WorkScalesWithCapacityAndTimeDoesNot) {
  Rig rig(free_machine({1024, 512, 1}));
  std::vector<Nanos> full, half, wall, least;
  rig.spawn({Step::compute(Nanos::from_ms(10))}, {0}, &full);
  rig.spawn({Step::compute(Nanos::from_ms(10)), Step::compute(Nanos{7}, false)}, {1}, &half);
  rig.spawn({Step::compute(Nanos::from_us(10))}, {2}, &least);
  rig.run(Nanos::from_s(1));
  ASSERT_EQ(full.size(), 2U);
  EXPECT_EQ(full[1] - full[0], Nanos::from_ms(10));
  ASSERT_EQ(half.size(), 3U);
  EXPECT_EQ(half[1] - half[0], Nanos::from_ms(20));
  EXPECT_EQ(half[2] - half[1], Nanos{7});
  ASSERT_EQ(least.size(), 2U);  // interrupted by ticks, none of which costs it a fraction
  EXPECT_EQ(least[1] - least[0], Nanos{10'000 * 1024});
}

/// On a CPU whose capacity divides nothing, tasks that preempt each other lose no fraction.
TEST(SimulatedMachine, PreemptionLosesNoWork) {
  Rig rig(free_machine({341}));
  std::vector<std::vector<Nanos>> times(3);
  u64 work = 0;
  for (auto& t : times) {
    const u64 one = 30'000'001 + work % 7;
    work += one;
    rig.spawn({Step::compute(Nanos{one})}, {0}, &t);
  }
  rig.run(Nanos::from_s(2));
  u64 end = 0;
  for (const auto& t : times) {
    ASSERT_EQ(t.size(), 2U);
    end = std::max(end, t[1].ns);
  }
  const u64 exact = (work * 1024 + 340) / 341;
  EXPECT_GE(end, exact);
  EXPECT_LE(end - exact, 3U);  // each rounds its own end up
  EXPECT_GT(rig.kernel.nr_switches, 10U);
}

TEST(SimulatedMachine, CostsDelayWhatRunsThere) {
  MachineSpec spec = free_machine({1024});
  spec.costs.idle_exit_ns = 1500;
  Rig rig(spec);
  std::vector<Nanos> times;
  rig.spawn({Step::compute(Nanos::from_us(100)), Step::compute(Nanos::from_us(1))}, {0}, &times);
  FnTimer timer;
  timer.fn = [&](Kernel&) { rig.machine.charge(0, Nanos{333}); };
  rig.machine.timer_start(timer, Nanos::from_us(50), 0);
  rig.run(Nanos::from_ms(1));
  ASSERT_EQ(times.size(), 3U);
  EXPECT_EQ(times[0], Nanos{1500});
  EXPECT_EQ(times[1] - times[0], Nanos{100'333});
  EXPECT_EQ(times[2] - times[1], Nanos{1000});
}

TEST(SimulatedMachine, MovingBetweenCachesCosts) {
  const auto delay_of = [](u32 to) {
    MachineSpec spec;
    spec.topology = make_topology({.nodes = 2, .llcs = 2, .cores = 2, .threads = 1});
    spec.costs = no_costs();
    spec.costs.migrate_llc_ns = 5'000;
    spec.costs.migrate_node_ns = 15'000;
    Rig rig(spec);
    std::vector<Nanos> times;
    const auto move = [&rig, to](Task& self) {
      abi::cpumask mask{};
      bitmap::set(mask.bits, to);
      EXPECT_TRUE(rig.kernel.set_affinity(self, mask));
    };
    rig.spawn({Step::compute(Nanos{10}), Step::system_call(move), Step::compute(Nanos{10})}, {0},
              &times);
    rig.run(Nanos::from_ms(100));
    EXPECT_EQ(times.size(), 4U);
    return times.size() == 4 ? times[2].ns - times[1].ns : 0;
  };
  const u64 same_llc = delay_of(1);
  EXPECT_EQ(delay_of(2), same_llc + 5'000);
  EXPECT_EQ(delay_of(4), same_llc + 15'000);
}

TEST(SimulatedMachine, StuckTimeIsAnErrorThatSaysWhere) {
  Rig rig("1n1l4c1t");
  FnTimer timer;
  timer.fn = [&](Kernel& k) { rig.machine.timer_start(timer, k.now(), 3); };
  rig.machine.timer_start(timer, Nanos{1'500}, 3);
  const auto ended = rig.machine.run_until(Nanos::from_s(1));
  ASSERT_FALSE(ended);
  EXPECT_EQ(
      ended.error().message,
      "virtual time stands still at 0.000001500 s: more than 1000000 events without progress, "
      "the last is a timer on CPU 3");
}

TEST(SimulatedMachine, WaysToEnd) {
  Rig rig("1n1l1c1t");
  u64 fired = 0;
  FnTimer timer;
  timer.fn = [&](Kernel& k) {
    if (++fired == 5) rig.machine.stop();
    rig.machine.timer_start(timer, k.now() + Nanos{10}, 0);
  };
  rig.machine.timer_start(timer, Nanos{10}, 0);
  u64 progress = 0;
  rig.machine.set_progress(2, [&] { ++progress; });
  EXPECT_EQ(rig.run(Nanos{1000}), SimulatedMachine::Ended::kStopped);
  EXPECT_EQ(rig.machine.now(), Nanos{50});
  EXPECT_EQ(*rig.machine.run_until([&] { return fired == 8; }),
            SimulatedMachine::Ended::kCondition);
  EXPECT_EQ(rig.machine.now(), Nanos{80});
  EXPECT_EQ(*rig.machine.run_until([&] { return false; }, Nanos{99}),
            SimulatedMachine::Ended::kTime);
  EXPECT_EQ(rig.machine.now(), Nanos{99});
  EXPECT_EQ(progress, rig.machine.events() / 2);
  rig.machine.timer_cancel(timer);
}

TEST(SimulatedMachine, TicksComeToBusyCpusOnly) {
  Rig rig(free_machine({1024, 1024}));
  rig.spawn({Step::compute(Nanos::from_s(1))}, {0});
  rig.run(Nanos::from_s(2));
  EXPECT_GE(rig.machine.events(), 250U);
  EXPECT_LE(rig.machine.events(), 300U);
}

TEST(SimulatedMachine, ATickThatIsOffIsNoEvent) {
  Rig rig("1n1l1c1t");  // ticks at multiples of 4 ms
  rig.machine.tick_start(0);
  rig.run(Nanos::from_ms(1));
  rig.machine.tick_stop(0);
  rig.run(Nanos::from_ms(5));
  EXPECT_EQ(rig.machine.events(), 0U);
  EXPECT_EQ(rig.machine.now(), Nanos::from_ms(5));
  // Off and on again before it is due: it comes once, when it would have.
  rig.machine.tick_start(0);
  rig.run(Nanos::from_ms(6));
  rig.machine.tick_stop(0);
  rig.machine.tick_start(0);
  rig.run(Nanos::from_ms(8));
  EXPECT_EQ(rig.machine.events(), 1U);
  // On again at the moment at which the old one was due: the next one is the first.
  rig.machine.tick_stop(0);
  rig.run(Nanos::from_ms(12));
  rig.machine.tick_start(0);
  rig.run(Nanos{15'999'999});
  EXPECT_EQ(rig.machine.events(), 1U);
  rig.run(Nanos::from_ms(16));
  EXPECT_EQ(rig.machine.events(), 2U);
  rig.machine.tick_stop(0);
  EXPECT_EQ(rig.run(Nanos::max()), SimulatedMachine::Ended::kNoEvents);
}

}  // namespace
}  // namespace uscx::machine
