// SPDX-License-Identifier: GPL-2.0-only
// Programs at tracepoints run where Linux traces, with its arguments.
#include "bpf/impl.h"
#include "ext_harness.h"

namespace uscx::sched::testing {
namespace {

class TraceProgramsTest : public ExtTest {
 protected:
  /// A program at tracepoint `name`, of so many arguments, that does `fn`.
  void attach(const std::string& name, u32 nr_args, Callback fn) {
    auto kfunc = std::make_unique<bpf::Kfunc>();
    kfunc->name = "traced";
    kfunc->fn = [fn = std::move(fn)](bpf::KfuncCall& call) { return fn(call.args); };
    auto prog = std::make_shared<bpf::Program>();
    prog->name = name;
    prog->type = 26;  // BPF_PROG_TYPE_TRACING
    prog->insns = {mov64_reg(6, 1)};
    for (u32 i = 0; i < nr_args; ++i) {
      prog->insns.push_back(load64(static_cast<u8>(i + 1), 6, static_cast<s16>(8 * i)));
    }
    prog->insns.push_back(call_kfunc(0));
    prog->insns.push_back(exit_insn());
    prog->subprogram_starts = {0};
    prog->nr_args = nr_args;
    prog->kfuncs = {kfunc.get()};
    traced_.push_back(std::move(kfunc));
    k().bpf().impl().trace_hooks.add(bpf::TraceHooks::Where::kEntry, name, prog);
  }

 private:
  std::vector<std::unique_ptr<bpf::Kfunc>> traced_;
};

TEST_F(TraceProgramsTest, OfTasks) {
  boot("1n1l2c1t");
  std::map<CpuId, const Task*> on;
  std::map<Pid, std::string> woken;
  u64 switches = 0, preempted = 0, migrations = 0, forks = 0, exits = 0, frees = 0;
  attach("sched_switch", 4, [&](const auto& a) -> u64 {
    const Task &prev = task_arg(a[1]), &next = task_arg(a[2]);
    EXPECT_EQ(&prev, &k().current());
    EXPECT_NE(&prev, &next);
    if (on.contains(k().cpu())) {
      EXPECT_EQ(on[k().cpu()], &prev);
    }
    EXPECT_TRUE(a[0] == 0 || a[3] == TASK_RUNNING);
    on[k().cpu()] = &next;
    ++switches;
    preempted += a[0];
    return 0;
  });
  attach("sched_waking", 1, [&](const auto& a) -> u64 {
    woken[task_arg(a[0]).pid] += "a";
    return 0;
  });
  attach("sched_wakeup", 1, [&](const auto& a) -> u64 {
    woken[task_arg(a[0]).pid] += "u";
    return 0;
  });
  attach("sched_wakeup_new", 1, [&](const auto& a) -> u64 {
    EXPECT_EQ(woken[task_arg(a[0]).pid], "");
    woken[task_arg(a[0]).pid] = "n";
    return 0;
  });
  attach("sched_migrate_task", 2, [&](const auto& a) -> u64 {
    EXPECT_NE(task_arg(a[0]).cpu, static_cast<CpuId>(a[1]));
    ++migrations;
    return 0;
  });
  attach("sched_process_fork", 2, [&](const auto& a) -> u64 {
    EXPECT_GT(task_arg(a[1]).pid, task_arg(a[0]).pid);
    ++forks;
    return 0;
  });
  attach("sched_process_exit", 2, [&](const auto& a) -> u64 {
    exits += a[1];
    return 0;
  });
  attach("sched_process_free", 1, [&](const auto&) -> u64 {
    ++frees;
    return 0;
  });
  for (int i = 0; i < 3; ++i) spawn("spins", spinner(Nanos::from_ms(2)));
  Task& naps =
      spawn("naps", scripted([n = 0](Kernel& kernel, Task&) mutable {
              if (n++ % 2 == 0) return Step::compute(Nanos::from_us(100));
              return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(700)); });
            }));
  const Pid brief = spawn("brief", steps({Step::compute(Nanos::from_us(50))})).pid;
  run_for(Nanos::from_ms(200));
  EXPECT_EQ(switches, k().nr_switches);
  EXPECT_GT(preempted, 0U);
  EXPECT_EQ(migrations, k().nr_migrations);
  EXPECT_EQ(forks, 5U);
  EXPECT_EQ(exits, 1U);
  EXPECT_EQ(frees, 1U);
  EXPECT_EQ(woken[brief], "n");
  EXPECT_TRUE(woken[naps.pid].starts_with("nauauau")) << woken[naps.pid];
}

TEST_F(TraceProgramsTest, OfSchedExt) {
  boot("1n1l2c1t");
  std::map<std::string, s64> events;
  std::string dump;
  attach("sched_ext_event", 2, [&](const auto& a) -> u64 {
    events[reinterpret_cast<const char*>(a[0])] += static_cast<s64>(a[1]);
    return 0;
  });
  attach("sched_ext_dump", 1, [&](const auto& a) -> u64 {
    dump += reinterpret_cast<const char*>(a[0]);
    return 0;
  });
  u64 exit_kind = 0, balances = 0;
  attach("sched_ext_exit", 2, [&](const auto& a) -> u64 {
    EXPECT_EQ(a[0], reinterpret_cast<u64>(&root()));
    exit_kind = a[1];
    return 0;
  });
  attach("sched_ext_bypass_lb", 5, [&](const auto& a) -> u64 {
    EXPECT_EQ(a[0], 0U);
    EXPECT_EQ(a[1], 2U);
    balances += a[2] >= a[3] && a[4] <= a[2];
    return 0;
  });
  auto table = make_table("traced");
  bool bad = false;
  set_callback(*table, "select_cpu", 3, [&](const auto& a) -> u64 { return bad ? 99 : a[1]; });
  spawn("naps", scripted([n = 0](Kernel& kernel, Task&) mutable {
          if (n++ % 2 == 0) return Step::compute(Nanos::from_us(100));
          return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(700)); });
        }));
  spawn("spins", spinner());
  ASSERT_EQ(reg(table), 0);
  run_for(Nanos::from_ms(50));
  const abi::scx_event_stats sum = ext::read_events(root());
  EXPECT_GT(events["SCX_EV_BYPASS_DISPATCH"], 0);
  EXPECT_EQ(events["SCX_EV_BYPASS_DISPATCH"], sum.SCX_EV_BYPASS_DISPATCH);
  EXPECT_EQ(events["SCX_EV_DISPATCH_KEEP_LAST"], sum.SCX_EV_DISPATCH_KEEP_LAST);
  EXPECT_EQ(dump, "");
  EXPECT_EQ(exit_kind, 0U);
  on_fiber([&] { ext::bypass(root(), true); });
  run_for(Nanos::from_ms(1'200));
  on_fiber([&] { ext::bypass(root(), false); });
  EXPECT_EQ(balances, 2U);  // every 500 ms
  bad = true;
  run_for(Nanos::from_ms(200));
  EXPECT_NE(dump.find("CPU states"), std::string::npos) << dump;
  EXPECT_STREQ(k().ext().state(), "disabled");
  EXPECT_EQ(exit_kind, static_cast<u64>(abi::SCX_EXIT_ERROR));
  unreg(table);
}

}  // namespace
}  // namespace uscx::sched::testing
