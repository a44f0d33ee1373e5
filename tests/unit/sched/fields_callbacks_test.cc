// SPDX-License-Identifier: GPL-2.0-only
// What the kernel hands to callbacks: each member that real schedulers read is seen to change. The
// rest of those members is in fields_test.cc.
#include <csignal>

#include "ext_harness.h"
#include "sched/cgroup.h"

namespace uscx::sched::testing {
namespace {

class ExtCallbackFieldsTest : public ExtTest {
 protected:
  void SetUp() override { boot("1n1l4c1t"); }
  std::unique_ptr<Behaviour> napper() {
    return scripted([n = 0](Kernel& kernel, Task&) mutable {
      if (n++ % 2 == 0) return Step::compute(Nanos::from_us(200));
      return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(300)); });
    });
  }
  template <class T>
  static T& args(u64 address) {
    return *reinterpret_cast<T*>(address);
  }
};

TEST_F(ExtCallbackFieldsTest, InitAndExitOfTasks) {
  struct Seen {
    bool init = false, fork = false, exit = false, cancelled = false;
    const abi::cgroup* cgroup = nullptr;
  };
  std::map<Pid, Seen> seen;
  auto table = make_table("tasks");
  set_callback(
      *table, "init_task", 2,
      [&](const auto& a) -> u64 {
        Task& p = task_arg(a[0]);
        const auto& init = args<abi::scx_init_task_args>(a[1]);
        seen[p.pid] = {.init = true, .fork = init.fork, .cgroup = init.cgroup};
        if (std::string_view(p.comm) == "doomed") {
          k().kill(p, SIGKILL);
          k().sleep_ns(Nanos::from_ms(20));  // it dies meanwhile
        }
        return 0;
      },
      true);
  set_callback(*table, "exit_task", 2, [&](const auto& a) -> u64 {
    Seen& s = seen[task_arg(a[0]).pid];
    s.exit = true;
    s.cancelled = args<abi::scx_exit_task_args>(a[1]).cancelled;
    return 0;
  });
  Cgroup* group = nullptr;
  on_fiber([&] { group = *k().cgroups().create("/group"); });
  TaskSpec spec;
  spec.comm = "member";
  spec.cgroup = group;
  spec.behaviour = napper();
  const Pid member = spawn(std::move(spec)).pid;
  const Pid doomed = spawn("doomed", napper()).pid;
  ASSERT_EQ(reg(table), 0);
  Pid born = 0;
  spec = {};
  spec.comm = "born";
  spec.behaviour = steps({Step::compute(Nanos::from_us(100))});
  on_fiber([&] { born = (*k().create_task(std::move(spec)))->pid; });
  run_for(Nanos::from_ms(20));
  EXPECT_TRUE(seen[member].init && !seen[member].fork && !seen[member].exit);
  EXPECT_EQ(seen[member].cgroup, group);
  EXPECT_TRUE(seen[born].init && seen[born].fork && seen[born].exit && !seen[born].cancelled);
  EXPECT_TRUE(seen[doomed].exit && seen[doomed].cancelled);
  unreg(table);
  EXPECT_TRUE(seen[member].exit && !seen[member].cancelled);
}

TEST_F(ExtCallbackFieldsTest, InitOfCgroups) {
  abi::scx_cgroup_init_args root_args{}, group_args{};
  auto table = make_table("cgroups");
  set_callback(
      *table, "cgroup_init", 2,
      [&](const auto& a) -> u64 {
        const auto& group = args<const abi::cgroup>(a[0]);
        (group.level == 0 ? root_args : group_args) = args<abi::scx_cgroup_init_args>(a[1]);
        return 0;
      },
      true);
  on_fiber([&] {
    Cgroup& group = **k().cgroups().create("/group");
    ASSERT_TRUE(k().cgroups().set_weight(group, 300));
    ASSERT_TRUE(k().cgroups().set_max(group, 20'000, 50'000));
    ASSERT_TRUE(k().cgroups().set_burst(group, 7'000));
  });
  ASSERT_EQ(reg(table), 0);
  EXPECT_EQ(root_args.weight, 100U);
  EXPECT_EQ(root_args.bw_quota_us, ~0ULL);
  EXPECT_EQ(root_args.bw_period_us, 100'000U);
  EXPECT_EQ(root_args.bw_burst_us, 0U);
  EXPECT_EQ(group_args.weight, 300U);
  EXPECT_EQ(group_args.bw_quota_us, 20'000U);
  EXPECT_EQ(group_args.bw_period_us, 50'000U);
  EXPECT_EQ(group_args.bw_burst_us, 7'000U);
  unreg(table);
}

TEST_F(ExtCallbackFieldsTest, WhyASchedulerLeaves) {
  struct Seen {
    u32 kind = 0;
    s64 code = 0;
    s32 cpu = 0;
    std::string reason, msg, dump;
  } seen;
  bool bad = false;
  const auto table_that_sees = [&](const char* name) {
    auto table = make_table(name);
    set_callback(*table, "exit", 1, [&](const auto& a) -> u64 {
      const auto& info = args<abi::scx_exit_info>(a[0]);
      seen = {static_cast<u32>(info.kind),
              info.exit_code,
              info.exit_cpu,
              info.reason,
              info.msg,
              info.dump};
      return 0;
    });
    set_callback(*table, "select_cpu", 3, [&](const auto& a) -> u64 { return bad ? 4711 : a[1]; });
    return table;
  };
  spawn("napper", napper());

  auto failing = table_that_sees("failing");
  ASSERT_EQ(reg(failing), 0);
  bad = true;
  run_for(Nanos::from_ms(100));
  bad = false;
  EXPECT_EQ(seen.kind, static_cast<u32>(abi::SCX_EXIT_ERROR));
  EXPECT_EQ(seen.code, 0);
  EXPECT_GE(seen.cpu, 0);
  EXPECT_EQ(seen.reason, "runtime error");
  EXPECT_TRUE(seen.msg.starts_with("invalid CPU 4711")) << seen.msg;
  EXPECT_NE(seen.dump.find("CPU states"), std::string::npos);
  unreg(failing);

  auto leaving = table_that_sees("leaving");
  ASSERT_EQ(reg(leaving), 0);
  on_fiber([&] { EXPECT_TRUE(k().cpu_down(3)); });
  run_for(Nanos::from_ms(100));
  EXPECT_EQ(seen.kind, static_cast<u32>(abi::SCX_EXIT_UNREG_KERN));
  EXPECT_EQ(seen.code, static_cast<s64>(abi::SCX_ECODE_ACT_RESTART | abi::SCX_ECODE_RSN_HOTPLUG));
  EXPECT_EQ(seen.msg, "cpu 3 going offline, exiting scheduler");
  unreg(leaving);
}

TEST_F(ExtCallbackFieldsTest, EventsAreCounted) {
  auto table = make_table("events");
  set_op(*table, "cpu_online", returning(0));
  set_op(*table, "cpu_offline", returning(0));
  set_callback(*table, "select_cpu", 3, [&](const auto& a) -> u64 {
    return std::string_view(task_arg(a[0]).comm) == "pinned" ? 2 : a[1];
  });
  set_callback(*table, "enqueue", 2, [&](const auto& a) -> u64 {
    Task& p = task_arg(a[0]);
    const bool away = std::string_view(p.comm) == "away";
    ext::dsq_insert(root(), &p, away ? abi::SCX_DSQ_LOCAL_ON | 3U : abi::SCX_DSQ_GLOBAL, 1'000'000,
                    a[1]);
    return 0;
  });
  Task& pinned = spawn("pinned", napper());
  spawn("spins", spinner());
  for (int i = 0; i < 8; ++i) spawn("early", steps({Step::compute(Nanos::from_ms(40))}));
  ASSERT_EQ(reg(table), 0);
  const auto count = [&](abi::s64 abi::scx_event_stats::* event) {
    return ext::read_events(root()).*event;
  };
  using Events = abi::scx_event_stats;
  EXPECT_EQ(count(&Events::SCX_EV_SELECT_CPU_FALLBACK), 0);
  EXPECT_EQ(count(&Events::SCX_EV_ENQ_SKIP_MIGRATION_DISABLED), 0);
  EXPECT_EQ(count(&Events::SCX_EV_ENQ_SKIP_EXITING), 0);
  EXPECT_EQ(count(&Events::SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE), 0);
  // Enabling was done in bypass mode.
  EXPECT_EQ(count(&Events::SCX_EV_BYPASS_ACTIVATE), 1);
  EXPECT_GT(count(&Events::SCX_EV_BYPASS_DURATION), 0);
  EXPECT_GT(count(&Events::SCX_EV_BYPASS_DISPATCH), 0);

  ASSERT_TRUE(k().set_affinity(pinned, mask({0, 1})));
  on_fiber([&] { ASSERT_TRUE(k().cpu_down(3)); });
  spawn("away", napper());
  spawn("exits", steps({Step::compute(Nanos::from_us(100))}));
  spawn("stays", scripted([nap = std::shared_ptr<Behaviour>(napper()), first = true](
                              Kernel& kernel, Task& self) mutable {
          if (std::exchange(first, false)) kernel.migrate_disable();
          return nap->next(kernel, self);
        }));
  run_for(Nanos::from_ms(100));
  ASSERT_STREQ(k().ext().state(), "enabled") << k().ext().last_exit().msg;
  EXPECT_GT(count(&Events::SCX_EV_SELECT_CPU_FALLBACK), 10);
  EXPECT_GT(count(&Events::SCX_EV_ENQ_SKIP_MIGRATION_DISABLED), 10);
  EXPECT_GE(count(&Events::SCX_EV_ENQ_SKIP_EXITING), 1);
  EXPECT_GT(count(&Events::SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE), 10);
  EXPECT_GT(count(&Events::SCX_EV_DISPATCH_KEEP_LAST), 1);
  EXPECT_GT(count(&Events::SCX_EV_REFILL_SLICE_DFL), 10);
  unreg(table);
}

}  // namespace
}  // namespace uscx::sched::testing
