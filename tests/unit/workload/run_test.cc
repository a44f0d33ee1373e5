// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/hash.h"
#include "machine/simulated/simulated_machine.h"
#include "sched/kernel.h"
#include "workload/workload.h"

namespace uscx::workload {
namespace {

using sched::Task;

/// A workload on a machine, and what is seen of it.
class Rig {
 public:
  Rig(const std::string& machine_name, Workload w, u64 seed = 1, bool free = false)
      : machine(spec_of(machine_name, free)),
        workload(std::move(w)),
        kernel({.seed = seed}, machine) {
    machine.attach(kernel);
    busy.resize(kernel.nr_cpus());
    since.resize(kernel.nr_cpus());
    kernel.trace().sched_switch.subscribe(
        [this](Nanos now, CpuId cpu, const Task& prev, u32 state, const Task& next) {
          hash.add(now.ns);
          hash.add(static_cast<u64>(cpu));
          hash.add(static_cast<u64>(prev.pid));
          hash.add(state);
          const auto c = static_cast<std::size_t>(cpu);
          if (!prev.is_idle()) {
            busy[c] += now.ns - since[c];
            ran[prev.group_label] += now.ns - since[c];
            cpus[prev.group_label].insert(cpu);
          }
          if (!next.is_idle()) {
            ++switches[next.group_label];
            used.insert(cpu);
          }
          since[c] = now.ns;
        });
    const auto started = workload.start(kernel);
    EXPECT_TRUE(started) << started.error().message;
  }

  static machine::MachineSpec spec_of(const std::string& name, bool free) {
    auto spec = *machine::load_machine(name);
    if (free) {
      for (const char* cost :
           {"context_switch_ns", "idle_exit_ns", "ipi_ns", "tick_ns", "syscall_ns", "wakeup_ns",
            "fork_ns", "exit_ns", "migrate_llc_ns", "migrate_node_ns"}) {
        *machine::find_cost(spec.costs, cost) = 0;
      }
    }
    return spec;
  }

  void run(Nanos until) {
    const auto ended = machine.run_until(until);
    ASSERT_TRUE(ended) << ended.error().message;
  }
  /// To the end of the workload; false where that takes longer than a virtual minute.
  bool run_to_end() {
    const auto ended = machine.run_until([this] { return workload.finished(); }, Nanos::from_s(60));
    EXPECT_TRUE(ended) << ended.error().message;
    return ended && *ended == machine::SimulatedMachine::Ended::kCondition;
  }

  machine::SimulatedMachine machine;
  Workload workload;
  sched::Kernel kernel;
  StreamHash hash;
  std::vector<u64> busy, since;
  std::map<std::string, u64> ran, switches;
  std::map<std::string, std::set<CpuId>> cpus;
  std::set<CpuId> used;  // have run a task
};

Workload parse(const std::string& tasks) {
  auto w = Workload::parse("w.json", "{\"tasks\": {" + tasks + "}}");
  EXPECT_TRUE(w) << w.error().message;
  return std::move(*w);
}

Workload named(std::string_view name) {
  return std::move(*Workload::load(std::string(name)));
}

TEST(Run, LoopsPhasesAndInstances) {
  Rig rig("1n1l2c1t", parse(R"("a": {"instance": "2*cpus", "loop": 3, "phases": {
      "p": {"loop": 2, "run": 1000}, "q": {"sleep": 500, "run": 10}}})"),
          1, true);
  ASSERT_TRUE(rig.run_to_end());
  EXPECT_EQ(rig.workload.tasks_started(), 4U);
  EXPECT_EQ(rig.workload.tasks_running(), 0U);
  EXPECT_EQ(rig.ran["a"], 4U * 3 * (2 * 1'000'000 + 10'000));
}

TEST(Run, TimersKeepTheirPeriodAndSleepsDoNot) {
  Rig timer("1n1l1c1t", parse(R"("a": {"loop": 10, "run": 5000,
      "timer": {"ref": "unique", "period": 19000}})"),
            1, true);
  ASSERT_TRUE(timer.run_to_end());
  EXPECT_EQ(timer.machine.now(), Nanos::from_ms(190));
  Rig sleep("1n1l1c1t", parse(R"("a": {"loop": 10, "run": 5000, "sleep": 19000})"), 1, true);
  ASSERT_TRUE(sleep.run_to_end());
  EXPECT_EQ(sleep.machine.now(), Nanos::from_ms(240));
}

/// rt-app's tutorial: a relative timer that was missed starts anew, an absolute one catches up.
TEST(Run, MissedTimers) {
  const std::string phases = R"("a": {"loop": 1, "phases": {
      "late": {"run": 25000, "timer": {"ref": "unique", "period": 10000, "mode": "MODE"}},
      "rest": {"loop": 3, "run": 1000,
               "timer": {"ref": "unique", "period": 10000, "mode": "MODE"}}}})";
  const auto end_with = [&](const std::string& mode) {
    std::string text = phases;
    for (std::size_t at; (at = text.find("MODE")) != std::string::npos;) text.replace(at, 4, mode);
    Rig rig("1n1l1c1t", parse(text), 1, true);
    EXPECT_TRUE(rig.run_to_end());
    return rig.machine.now();
  };
  EXPECT_EQ(end_with("relative"), Nanos::from_ms(55));
  EXPECT_EQ(end_with("absolute"), Nanos::from_ms(40));
}

TEST(Run, PipesCarryEveryByteAndBlockBothSides) {
  // 1000 messages of 100 bytes do not fit into a pipe: the writer blocks until the reader begins.
  Rig rig("1n1l2c1t", parse(R"(
      "writer": {"loop": 1000, "pipe_write": {"ref": "p", "bytes": 100}},
      "reader": {"delay": 50000, "loop": 500, "pipe_read": {"ref": "p", "bytes": 200}, "run": 1})"));
  rig.run(Nanos::from_ms(40));
  EXPECT_EQ(rig.workload.tasks_running(), 2U);
  const u64 before = rig.switches["writer"];
  EXPECT_GE(before, 1U);
  ASSERT_TRUE(rig.run_to_end());
  EXPECT_GT(rig.switches["writer"], before);
  EXPECT_LT(rig.machine.now(), Nanos::from_ms(80));
}

TEST(Run, AReaderWithoutWriterWaitsForEver) {
  Rig rig("1n1l1c1t", parse(R"("reader": {"loop": 1, "pipe_read": "p"})"));
  rig.run(Nanos::from_s(5));
  EXPECT_EQ(rig.workload.tasks_running(), 1U);
  EXPECT_FALSE(rig.workload.finished());
  rig.workload.stop();
  EXPECT_TRUE(rig.run_to_end());
}

TEST(Run, FutexesCount) {
  Rig rig("1n1l4c1t", parse(R"(
      "poster": {"loop": 4, "run": 100, "futex_wake": {"ref": "f", "count": 3}},
      "waiter": {"instance": 3, "loop": 4, "futex_wait": "f", "run": 1000})"));
  ASSERT_TRUE(rig.run_to_end());
  Rig short_of_one("1n1l4c1t", parse(R"(
      "poster": {"loop": 1, "futex_wake": {"ref": "f", "count": 11}},
      "waiter": {"instance": 3, "loop": 4, "futex_wait": "f", "run": 1000})"));
  short_of_one.run(Nanos::from_s(2));
  EXPECT_EQ(short_of_one.workload.tasks_running(), 1U);
}

TEST(Run, LocksExclude) {
  // Four tasks that hold a lock for 1 ms each, 5 times: no less than 20 ms on four CPUs.
  Rig rig("1n1l4c1t", parse(R"("a": {"instance": 4, "loop": 5, "lock": "m", "run": 1000,
      "unlock": "m"})"),
          1, true);
  ASSERT_TRUE(rig.run_to_end());
  EXPECT_GE(rig.machine.now(), Nanos::from_ms(20));
  Rig without("1n1l4c1t", parse(R"("a": {"instance": 4, "loop": 5, "run": 1000})"), 1, true);
  ASSERT_TRUE(without.run_to_end());
  EXPECT_LT(without.machine.now(), Nanos::from_ms(10));
}

TEST(Run, ConditionsBarriersSuspendAndFork) {
  Rig rig("1n1l4c1t", parse(R"(
      "waiter": {"loop": 3, "lock": "m", "wait": {"ref": "c", "mutex": "m"}, "unlock": "m",
                 "run": 10},
      "signaller": {"loop": 3, "sleep": 2000, "lock": "m", "signal": "c", "unlock": "m"},
      "meet": {"instance": 3, "loop": 2, "run": {"min": 100, "max": 5000}, "barrier": "b"},
      "sleeper": {"loop": 1, "suspend": "", "run": 10},
      "rouser": {"loop": 1, "sleep": 3000, "resume": "sleeper", "fork": "child"},
      "child": {"instance": 0, "loop": 1, "run": 100})"));
  ASSERT_TRUE(rig.run_to_end());
  EXPECT_EQ(rig.workload.tasks_started(), 8U);
  EXPECT_GT(rig.ran["child"], 100'000U);
}

TEST(Run, ABarrierHoldsUntilTheLastComes) {
  Rig rig("1n1l4c1t", parse(R"(
      "quick": {"loop": 1, "phases": {"p": {"barrier": "b"}, "q": {"run": 10}}},
      "slow": {"loop": 1, "sleep": 10000, "barrier": "b"})"));
  rig.run(Nanos::from_ms(9));
  EXPECT_EQ(rig.workload.tasks_running(), 2U);
  EXPECT_LT(rig.ran["quick"], 10'000U);
  ASSERT_TRUE(rig.run_to_end());
  rig.run(rig.machine.now() + Nanos::from_ms(1));  // it is accounted when it has left
  EXPECT_GT(rig.ran["quick"], 10'000U);
}

TEST(Run, AffinityOfThreadsAndPhases) {
  Rig rig("1n1l4c1t", parse(R"(
      "fixed": {"instance": 3, "loop": 20, "cpus": [2], "run": 100, "sleep": 100},
      "moving": {"loop": 1, "cpus": [3], "phases": {
          "one": {"cpus": [0], "run": 1000}, "two": {"cpus": [1], "run": 1000},
          "own": {"run": 1000}}})"));
  ASSERT_TRUE(rig.run_to_end());
  EXPECT_EQ(rig.cpus["fixed"], (std::set<CpuId>{2}));
  EXPECT_EQ(rig.cpus["moving"], (std::set<CpuId>{0, 1, 3}));
  EXPECT_EQ(rig.workload.troubles().calls_failed, 0U);
}

TEST(Run, WhatTheMachineHasNotIsAnError) {
  machine::SimulatedMachine machine(*machine::load_machine("1n1l4c1t"));
  sched::Kernel kernel({}, machine);
  machine.attach(kernel);
  auto w = parse("\"a\": {\"run\": 1, \"cpus\": [4]}");
  EXPECT_EQ(w.start(kernel).error().message,
            "w.json:1:12: task 'a' wants a CPU that a machine of 4 CPUs has not");
  auto many = parse("\"a\": {\"run\": 1, \"instance\": \"cpus*1000000\"}");
  EXPECT_EQ(many.start(kernel).error().message, "w.json:1:40: more than 100000 tasks");
  auto none = parse("\"a\": {\"run\": 1, \"instance\": \"cpus/5\"}");
  EXPECT_EQ(none.start(kernel).error().message, "w.json: starts no task");
}

TEST(Run, ATaskThatOnlySignalsUsesTime) {
  Rig rig("1n1l1c1t", parse("\"a\": {\"loop\": -1, \"signal\": \"nobody\"}"));
  rig.run(Nanos::from_ms(10));
  EXPECT_EQ(rig.machine.now(), Nanos::from_ms(10));
  rig.workload.stop();
  EXPECT_TRUE(rig.run_to_end());
}

TEST(Named, EveryCpuRunsTasksAndTheRunIsShort) {
  for (const Builtin& b : builtins()) {
    for (const char* name : {"1n1l4c1t", "1n2l4c2t", "2n4l8c2t"}) {
      Rig rig(name, named(b.name));
      rig.run(Nanos::from_s(1));
      EXPECT_EQ(rig.used.size(), rig.kernel.nr_cpus()) << b.name << " on " << name;
      // 10 virtual seconds of the largest machine are to stay below 5 million events.
      EXPECT_LT(rig.machine.events(), 500'000U) << b.name << " on " << name;
      RecordProperty(std::string(b.name) + "_" + name, std::to_string(rig.machine.events()));
      rig.workload.stop();
      EXPECT_TRUE(rig.run_to_end()) << b.name << " on " << name;
      EXPECT_EQ(rig.workload.troubles().forks_failed, 0U);
    }
  }
}

TEST(Named, TheSeedDecidesAndNothingElse) {
  const auto fingerprint = [](std::string_view name, u64 seed) {
    Rig rig("1n2l4c2t", named(name), seed);
    rig.run(Nanos::from_ms(300));
    return rig.hash.value();
  };
  for (const Builtin& b : builtins()) {
    EXPECT_EQ(fingerprint(b.name, 1), fingerprint(b.name, 1)) << b.name;
    EXPECT_NE(fingerprint(b.name, 1), fingerprint(b.name, 2)) << b.name;
  }
}

/// Two kernels in one process, advanced in turns, do what each does alone.
TEST(Named, TwoAtOnceDoNotInfluenceEachOther) {
  Rig alone("1n2l4c2t", named("schbench"), 3);
  alone.run(Nanos::from_ms(200));
  Rig one("1n2l4c2t", named("schbench"), 3);
  Rig other("1n1l4c1t", named("hackbench"), 4);
  for (u64 ms = 10; ms <= 200; ms += 10) {
    one.run(Nanos::from_ms(ms));
    other.run(Nanos::from_ms(ms));
  }
  EXPECT_EQ(one.hash.value(), alone.hash.value());
}

}  // namespace
}  // namespace uscx::workload
