// SPDX-License-Identifier: GPL-2.0-only
// The invariants notice: each thing they say holds is made not to.
#include "sched/invariants.h"

#include "ext_harness.h"
#include "sched/cgroup.h"

namespace uscx::sched::testing {
namespace {

class InvariantsTest : public ExtTest {
 protected:
  void SetUp() override {
    boot("1n1l2c1t");
    invariants_ = std::make_unique<Invariants>(k());
    machine_->set_after_event([this] { invariants_->after_event(); });
  }
  void TearDown() override {
    invariants_.reset();
    kernel_.reset();
  }
  /// With a scheduler that has all that is followed, and a task in a group.
  void start() {
    table_ = make_table("watched");
    for (auto [op, nr_args] : {std::pair{"init_task", 2U},
                               {"exit_task", 2U},
                               {"enable", 1U},
                               {"disable", 1U},
                               {"runnable", 2U},
                               {"quiescent", 2U},
                               {"running", 1U},
                               {"stopping", 2U}}) {
      set_callback(*table_, op, nr_args, [](const auto&) -> u64 { return 0; });
    }
    ASSERT_EQ(reg(table_), 0);
    task_ = &spawn("spinner", spinner(Nanos::from_ms(1)));
    sleeper_ = &spawn("sleeper", scripted([](Kernel&, Task&) { return Step::block(); }));
    on_fiber([&] {
      group_ = *k().cgroups().create("/group");
      ASSERT_TRUE(k().cgroups().attach(*group_, *task_).has_value());
    });
    run_for(Nanos::from_ms(20));
    invariants_->check_all();
  }
  void called(std::string_view op, const Task& p) {
    k().trace().scx_callback(now(), 0, ext::op_by_name(op), &p, 0);
  }

  std::unique_ptr<Invariants> invariants_;
  std::shared_ptr<bpf::StructOpsTable> table_;
  Task* task_ = nullptr;
  Task* sleeper_ = nullptr;
  Cgroup* group_ = nullptr;
};

#define EXPECT_NOTICED(change, text) \
  EXPECT_DEATH(                      \
      {                              \
        change;                      \
        invariants_->check_all();    \
      },                             \
      text)

TEST_F(InvariantsTest, CountersOfTheKernel) {
  start();
  EXPECT_NOTICED(++k().nr_switches, "switches, .* counted");
  EXPECT_NOTICED(++k().rq(1).nr_switches, "switches of CPU 1, .* counted");
  EXPECT_NOTICED(++k().nr_migrations, "migrations, .* counted");
  EXPECT_NOTICED(++k().nr_forks, "forks, .* counted");
  EXPECT_NOTICED(++k().nr_exits, "exits, .* counted");
  EXPECT_NOTICED(++k().rq(task_->cpu).nr_running, "nr_running");
  unreg(table_);
}

TEST_F(InvariantsTest, CountersOfGroups) {
  start();
  EXPECT_NOTICED(++group_->set->nr_tasks, "nr_tasks");
  EXPECT_NOTICED(++k().cgroups().root().nr_descendants, "nr_descendants");
  EXPECT_NOTICED(++k().cgroups().root().nr_online_children, "nr_online_children");
  EXPECT_NOTICED(++group_->group->fair.load, "fair.load");
  EXPECT_NOTICED(group_->group->scx.flags &= ~u32{abi::SCX_TG_INITED}, "inited == online");
  EXPECT_NOTICED(task_->sched_task_group = k().cgroups().root().group, "sched_task_group");
  unreg(table_);
}

TEST_F(InvariantsTest, CountersOfTheScheduler) {
  start();
  EXPECT_NOTICED(++root().cpus[0].event_stats.SCX_EV_REENQ_IMMED,
                 "SCX_EV_REENQ_IMMED is 1, 0 counted");
  EXPECT_NOTICED(++root().cpus[1].event_stats.SCX_EV_BYPASS_DURATION, "SCX_EV_BYPASS_DURATION");
  EXPECT_NOTICED(k().trace().scx_dsq(now(), *task_, 77, true, 1),
                 "tasks on DSQs 0x4d is 0, 1 counted");
  EXPECT_NOTICED(ext().nr_callbacks -= 1, "callbacks begun");
  unreg(table_);
}

TEST_F(InvariantsTest, WhatTheSchedulerIsTold) {
  start();
  ASSERT_TRUE(sleeper_->scx.flags & abi::SCX_TASK_ENABLED);
  EXPECT_NOTICED(called("stopping", *sleeper_),
                 "ops.stopping of a task that is initialised enabled");
  EXPECT_NOTICED(called("running", *sleeper_), "ops.running of a task that is initialised enabled");
  EXPECT_NOTICED(called("quiescent", *sleeper_), "ops.quiescent of");
  EXPECT_NOTICED(called("runnable", *task_), "ops.runnable of .* runnable");
  EXPECT_NOTICED(called("enable", *sleeper_), "ops.enable of");
  EXPECT_NOTICED(called("exit_task", *sleeper_), "ops.exit_task of");
  EXPECT_NOTICED(called("init_task", *sleeper_), "ops.init_task of");
  EXPECT_NOTICED(called("exit", *sleeper_), "ops.exit of");
  unreg(table_);
}

#undef EXPECT_NOTICED

}  // namespace
}  // namespace uscx::sched::testing
