// SPDX-License-Identifier: GPL-2.0-only
// Enabling and disabling while tasks run, sleep, fork and exit, and when it fails half-way.
#include <set>

#include "ext_harness.h"
#include "sched/deadline.h"

namespace uscx::sched::testing {
namespace {

using ext::EnableStep;

class ExtEnableTest : public ExtTest {
 protected:
  void SetUp() override {
    boot("1n1l4c1t");
    k().trace().kernel_log.subscribe(
        [this](Nanos, CpuId, const Task*, std::string_view line) { log_.emplace_back(line); });
    k().trace().scx_callback.subscribe(
        [this](Nanos, CpuId, ext::Op which, const Task* p, u64 result) {
          if (p == nullptr) return;
          const std::string_view op = ext::op_name(which);
          Count& c = counts_[p->pid];
          if (op == "init_task" && static_cast<s32>(result) == 0) ++c.init;
          if (op == "exit_task") ++c.exit;
          if (op == "enable") ++c.enable;
          if (op == "disable") ++c.disable;
        });
  }

  /// Spinners, sleepers, and parents whose short-lived children fork in turn.
  void populate() {
    for (int i = 0; i < 6; ++i) spawn("spin", spinner(Nanos::from_us(700)));
    for (int i = 0; i < 6; ++i) spawn("sleep", sleeper());
    for (int i = 0; i < 4; ++i) spawn("parent", forker());
  }
  std::unique_ptr<Behaviour> sleeper() {
    return scripted([computed = false](Kernel& kernel, Task&) mutable {
      computed = !computed;
      if (computed) return Step::compute(Nanos::from_us(80));
      return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(900)); });
    });
  }
  std::unique_ptr<Behaviour> forker() {
    return scripted([this, n = 0](Kernel& kernel, Task& self) mutable -> Step {
      if (n++ % 2 == 0) return Step::compute(Nanos::from_us(30));
      return Step::system_call([this, &kernel, &self](Task&) {
        TaskSpec spec;
        spec.comm = "child";
        spec.behaviour = steps({Step::compute(Nanos::from_us(150))});
        ++forks_tried_;
        if (!kernel.fork(self, std::move(spec))) ++forks_failed_;
        kernel.sleep_ns(Nanos::from_us(1500));
      });
    });
  }

  std::shared_ptr<bpf::StructOpsTable> counting_table(s32 loops) {
    auto table = make_table("counting");
    set_op(*table, "init_task", returning(0, loops), true);
    set_op(*table, "exit_task", returning(0));
    set_op(*table, "enable", returning(0));
    set_op(*table, "disable", returning(0));
    return table;
  }

  /// No task waits for ever, whatever class it is in.
  void expect_everybody_runs() {
    std::map<Pid, u64> before;
    for (Task* p = k().tasks().front(); p; p = k().tasks().next(*p)) before[p->pid] = ran_ns(*p);
    run_for(Nanos::from_ms(400));
    for (Task* p = k().tasks().front(); p; p = k().tasks().next(*p)) {
      if (p->is_kthread() || p->__state != TASK_RUNNING || !before.contains(p->pid)) continue;
      EXPECT_GT(ran_ns(*p), before[p->pid]) << p->comm << " " << p->pid;
    }
  }
  void expect_nobody_in(const SchedClass& klass) {
    for (Task* p = k().tasks().front(); p; p = k().tasks().next(*p)) {
      EXPECT_NE(p->klass, &klass) << p->comm << " " << p->pid;
    }
  }
  void expect_balanced() {
    for (const auto& [pid, c] : counts_) {
      EXPECT_EQ(c.init, c.exit) << pid;
      EXPECT_EQ(c.enable, c.disable) << pid;
    }
  }
  bool logged(const std::string& text) const {
    for (const std::string& line : log_) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  struct Count {
    int init = 0, exit = 0, enable = 0, disable = 0;
  };
  std::map<Pid, Count> counts_;
  std::vector<std::string> log_;
  u64 forks_tried_ = 0, forks_failed_ = 0;
};

TEST_F(ExtEnableTest, TasksChangeClassAndBack) {
  populate();
  run_for(Nanos::from_ms(20));
  auto table = make_table("plain");
  ASSERT_EQ(reg(table), 0);
  EXPECT_STREQ(k().ext().state(), "enabled");
  EXPECT_EQ(k().ext().root_ops_name(), "plain");
  EXPECT_TRUE(logged("sched_ext: BPF scheduler \"plain\" enabled"));
  for (Task* p = k().tasks().front(); p; p = k().tasks().next(*p)) {
    if (p->klass == &k().rt_class()) continue;
    EXPECT_EQ(p->klass, &k().ext_class()) << p->comm;
    EXPECT_EQ(ext::get_task_state(*p), u32{abi::SCX_TASK_ENABLED});
  }
  expect_everybody_runs();
  unreg(table);
  EXPECT_STREQ(k().ext().state(), "disabled");
  EXPECT_TRUE(logged("sched_ext: BPF scheduler \"plain\" disabled (unregistered from user space)"));
  expect_nobody_in(k().ext_class());
  expect_everybody_runs();
  EXPECT_EQ(forks_failed_, 0U);
}

TEST_F(ExtEnableTest, TasksForkAndExitWhileTasksAreInitialised) {
  populate();
  run_for(Nanos::from_ms(20));
  auto table = counting_table(300'000);  // 180 us a task at 300 ps an instruction
  const u64 forks_before = k().nr_forks;
  const u64 exits_before = k().nr_exits;
  ASSERT_EQ(reg(table), 0);
  EXPECT_GT(k().nr_forks, forks_before + 5);
  EXPECT_GT(k().nr_exits, exits_before + 5);
  expect_everybody_runs();
  unreg(table);
  expect_balanced();
  expect_nobody_in(k().ext_class());
  expect_everybody_runs();
  EXPECT_EQ(forks_failed_, 0U);
}

TEST_F(ExtEnableTest, EnableAndDisableManyTimes) {
  populate();
  for (int i = 0; i < 8; ++i) {
    auto table = counting_table(1000);
    ASSERT_EQ(reg(table), 0);
    run_for(Nanos::from_ms(30));
    unreg(table);
    run_for(Nanos::from_ms(10));
  }
  EXPECT_EQ(k().ext().enable_seq(), 8U);
  expect_balanced();
  expect_everybody_runs();
}

TEST_F(ExtEnableTest, OneAtATime) {
  auto first = make_table("first");
  auto second = make_table("second");
  ASSERT_EQ(reg(first), 0);
  EXPECT_EQ(reg(second), EBUSY);
  EXPECT_EQ(k().ext().root_ops_name(), "first");
  unreg(first);
  ASSERT_EQ(reg(second), 0);
  unreg(second);
}

TEST_F(ExtEnableTest, PartialSwitchTakesOnlySchedExtTasks) {
  populate();
  auto table = make_table("partial");
  set(*table, "flags", u64{abi::SCX_OPS_SWITCH_PARTIAL});
  ASSERT_EQ(reg(table), 0);
  EXPECT_TRUE(logged("sched_ext: BPF scheduler \"partial\" enabled (partial)"));
  expect_nobody_in(k().ext_class());
  EXPECT_FALSE(k().ext().switched_all());
  TaskSpec spec;
  spec.comm = "ext";
  spec.policy = SCHED_EXT;
  spec.behaviour = spinner();
  Task& p = spawn(std::move(spec));
  EXPECT_EQ(p.klass, &k().ext_class());
  unreg(table);
  EXPECT_EQ(p.klass, &k().fair_class());
  expect_everybody_runs();
}

struct Failure {
  EnableStep step;
  u32 n;
  int reg_result;
  const char* message;  // of the exit; null: none
};

class ExtEnableFailureTest : public ExtEnableTest, public ::testing::WithParamInterface<Failure> {};

TEST_P(ExtEnableFailureTest, LosesNoTask) {
  populate();
  run_for(Nanos::from_ms(20));
  auto table = counting_table(50'000);
  fail_at(k().ext(), GetParam().step, GetParam().n);
  ASSERT_EQ(reg(table), GetParam().reg_result);
  EXPECT_STREQ(k().ext().state(), "disabled");
  if (GetParam().message != nullptr) {
    const ext::ExitRecord& exit = k().ext().last_exit();
    EXPECT_NE(exit.msg.find(GetParam().message), std::string::npos) << exit.msg;
    EXPECT_EQ(exit.sched_name, "counting");
  }
  expect_nobody_in(k().ext_class());
  expect_balanced();
  expect_everybody_runs();
  if (GetParam().reg_result == 0) unreg(table);
  EXPECT_EQ(forks_failed_, 0U);

  auto again = counting_table(10);
  ASSERT_EQ(reg(again), 0);
  expect_everybody_runs();
  unreg(again);
  expect_balanced();
}

// What the kernel's selftest total_bw looks at in debugfs.
TEST_F(ExtEnableTest, ServersOfOneClassHaveBandwidthAtATime) {
  constexpr u64 kOne = (50ULL << 20) / 1000;
  const auto expect_bw = [&](u64 fair, u64 ext, const char* when) {
    for (u32 cpu = 0; cpu < k().nr_cpus(); ++cpu) {
      const DlRq& dl = *k().rq(static_cast<CpuId>(cpu)).dl;
      EXPECT_EQ(dl.fair.bandwidth(), fair) << when << ", CPU " << cpu;
      EXPECT_EQ(dl.ext.bandwidth(), ext) << when << ", CPU " << cpu;
      EXPECT_EQ(dl.total_bw(), fair + ext) << when << ", CPU " << cpu;
    }
  };
  populate();
  run_for(Nanos::from_ms(20));
  expect_bw(kOne, 0, "before");
  auto first = counting_table(1);
  ASSERT_EQ(reg(first), 0);
  run_for(Nanos::from_ms(20));
  expect_bw(0, kOne, "attached");
  unreg(first);
  run_for(Nanos::from_ms(20));
  expect_bw(kOne, 0, "detached");

  // The fair servers get twice as much; the ext ones still what is usual; and twice as much again.
  for (u32 cpu = 0; cpu < k().nr_cpus(); ++cpu) {
    ASSERT_TRUE(k().rq(static_cast<CpuId>(cpu)).dl->fair.set_runtime(k(), 100'000'000));
  }
  run_for(Nanos::from_ms(20));
  expect_bw((100ULL << 20) / 1000, 0, "doubled");
  auto second = counting_table(1);
  ASSERT_EQ(reg(second), 0);
  run_for(Nanos::from_ms(20));
  expect_bw(0, kOne, "doubled, attached");
  unreg(second);
  run_for(Nanos::from_ms(20));
  expect_bw((100ULL << 20) / 1000, 0, "doubled, detached");

  // A scheduler of some tasks only leaves the fair class its servers.
  auto partial = counting_table(1);
  set(*partial, "flags", static_cast<u64>(abi::SCX_OPS_SWITCH_PARTIAL));
  ASSERT_EQ(reg(partial), 0);
  expect_bw((100ULL << 20) / 1000, kOne, "partial");
  unreg(partial);

  DlServer& server = k().rq(0).dl->fair;
  EXPECT_EQ(server.set_runtime(k(), DlServer::kPeriodNs + 1).error().value, EINVAL);
  // All of the CPUs may be reserved, and no more: who comes after that cannot be enabled.
  for (u32 cpu = 0; cpu < k().nr_cpus(); ++cpu) {
    ASSERT_TRUE(k().rq(static_cast<CpuId>(cpu)).dl->fair.set_runtime(k(), 960'000'000));
  }
  auto refused = counting_table(1);
  ASSERT_EQ(reg(refused), 0);
  EXPECT_EQ(k().ext().last_exit().msg, "scx_root_enable() failed (-16)");
  unreg(refused);
  ASSERT_TRUE(server.set_runtime(k(), 1'000'000'000));
  // With nothing reserved none starts.
  ASSERT_TRUE(server.set_runtime(k(), 0));
  run_for(Nanos::from_ms(20));
  EXPECT_FALSE(server.active);
  EXPECT_EQ(server.bandwidth(), 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Steps, ExtEnableFailureTest,
    ::testing::Values(Failure{EnableStep::kAllocKickSyncs, 0, ENOMEM, nullptr},
                      Failure{EnableStep::kAllocSched, 0, ENOMEM, nullptr},
                      Failure{EnableStep::kLink, 0, 0, "scx_root_enable() failed (-12)"},
                      Failure{EnableStep::kInit, 0, 0, "ops.init() failed (-12)"},
                      Failure{EnableStep::kHotplugSeq, 0, 0,
                              "expected hotplug seq 0 did not match actual 0"},
                      Failure{EnableStep::kValidate, 0, 0, "scx_root_enable() failed (-22)"},
                      Failure{EnableStep::kCgroupInit, 0, 0, "ops.cgroup_init() failed (-12)"},
                      Failure{EnableStep::kInitTask, 0, 0, "ops.init_task() failed (-12) for "},
                      Failure{EnableStep::kInitTask, 5, 0, "ops.init_task() failed (-12) for "},
                      Failure{EnableStep::kInitTask, 17, 0, "ops.init_task() failed (-12) for "},
                      Failure{EnableStep::kEnableRace, 0, 0, "fault injection"}));

TEST_F(ExtEnableTest, AnErrorAtAnyMomentOfEnablingLosesNoTask) {
  for (u64 us = 0; us < 12'000; us += 730) {
    boot("1n1l4c1t");
    counts_.clear();
    k().trace().scx_callback.subscribe(
        [this](Nanos, CpuId, ext::Op which, const Task* p, u64 result) {
          if (p == nullptr) return;
          const std::string_view op = ext::op_name(which);
          Count& c = counts_[p->pid];
          if (op == "init_task" && static_cast<s32>(result) == 0) ++c.init;
          if (op == "exit_task") ++c.exit;
          if (op == "enable") ++c.enable;
          if (op == "disable") ++c.disable;
        });
    populate();
    run_for(Nanos::from_ms(5));
    auto table = counting_table(300'000);
    int ret = -1;
    bool done = false;
    spawn("loader", steps({Step::system_call([&](Task&) {
            ret = ops_type().reg(table);
            done = true;
          })}));
    spawn("saboteur", steps({Step::system_call([&](Task&) {
            k().sleep_ns(Nanos::from_us(us));
            if (ext().root) ext::error(*ext().root, "saboteur after {} us", us);
          })}));
    for (int ms = 0; ms < 2000 && !done; ++ms) run_for(Nanos::from_ms(1));
    ASSERT_TRUE(done) << us;
    ASSERT_EQ(ret, 0);
    expect_everybody_runs();
    unreg(table);
    expect_nobody_in(k().ext_class());
    expect_balanced();
    expect_everybody_runs();
  }
}

}  // namespace
}  // namespace uscx::sched::testing
