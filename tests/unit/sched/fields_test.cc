// SPDX-License-Identifier: GPL-2.0-only
// Nothing stays silently zero: each member and variable of the kernel that real schedulers read
// (tests/unit/btf/known_paths.h) is seen to change here, or docs/fidelity.md has its row.
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "../btf/known_paths.h"
#include "bpf/impl.h"
#include "ext_harness.h"
#include "sched/cgroup.h"

namespace uscx::sched::testing {
namespace {

class ExtFieldsTest : public ExtTest {
 protected:
  /// "task_struct.comm", with how to see that somebody writes it.
  using Checks = std::map<std::string, std::function<bool()>>;

  void SetUp() override {
    boot("2n1l2c1t");
    on_fiber([&] { group_ = *k().cgroups().create("/group"); });
    TaskSpec spec;
    spec.comm = "parent";
    spec.nice = -3;
    spec.cgroup = group_;
    spec.behaviour = scripted([this, n = 0](Kernel& kernel, Task& self) mutable -> Step {
      if (++n == 3) {
        return Step::system_call([&](Task&) {
          TaskSpec child;
          child.comm = "child";
          child.behaviour = spinner();
          child_ = *kernel.fork(self, std::move(child));
        });
      }
      if (n % 2) return Step::compute(Nanos::from_us(500));
      return Step::system_call([&kernel](Task&) { kernel.sleep_ns(Nanos::from_us(300)); });
    });
    parent_ = &spawn(std::move(spec));
    kworker_ = &k().create_kthread("kworker/0:1", [this](Task&) {
      k().consume(Nanos{50'000});
      k().sleep_ns(Nanos::from_s(1));
    });
    run_for(Nanos::from_ms(20));
    ASSERT_NE(child_, nullptr);
  }
  u64 variable(const char* name, u32 cpu) {
    const auto& ksyms = k().bpf().impl().ksyms;
    return ksyms.resolve(ksyms.value(name), cpu);
  }
  const abi::cpufreq_policy& cpufreq(u32 cpu) {
    const u64 policy = *reinterpret_cast<u64*>(variable("cpufreq_cpu_data", cpu));
    return *reinterpret_cast<abi::cpufreq_policy*>(policy);
  }
  const abi::kthread& kthread() { return *static_cast<abi::kthread*>(kworker_->worker_private); }

  Task* parent_ = nullptr;
  Task* child_ = nullptr;
  Task* kworker_ = nullptr;
  Cgroup* group_ = nullptr;
};

/// What callbacks are given is in fields_callbacks_test.cc. The last two are what programs give to
/// kfuncs: they write those, and nobody else does.
const std::set<std::string> kSeenElsewhere = {
    "scx_cgroup_init_args",
    "scx_event_stats",
    "scx_exit_info",
    "scx_exit_task_args",
    "scx_init_task_args",
    "scx_bpf_select_cpu_and_args",
    "scx_bpf_dsq_insert_vtime_args",
};

TEST_F(ExtFieldsTest, AreWrittenOrListed) {
  auto table = make_table("fields");
  constexpr u64 kVtimeDsq = 7;
  u64 enq_flags = 0;     // of a direct dispatch under way
  bool disallow = true;  // as ops.init_task() finds it
  parent_->scx.disallow = true;
  set_callback(
      *table, "init", 0,
      [&](const auto&) -> u64 {
        return static_cast<u64>(ext::create_dsq(ext(), &root(), kVtimeDsq, -1));
      },
      true);
  set_callback(
      *table, "init_task", 2,
      [&](const auto& a) -> u64 {
        if (&task_arg(a[0]) == parent_) disallow = parent_->scx.disallow;
        return 0;
      },
      true);
  set_callback(*table, "enqueue", 2, [&](const auto& a) -> u64 {
    Task& p = task_arg(a[0]);
    if (&p == parent_ && enq_flags != 0) {
      ext::dsq_insert_vtime(root(), &p, kVtimeDsq, 1'000'000, 4711, 0);
      return 0;
    }
    ext::dsq_insert(root(), &p, abi::SCX_DSQ_GLOBAL, 1'000'000, abi::SCX_ENQ_HEAD);
    if (&p == parent_) enq_flags |= p.scx.ddsp_enq_flags;
    return 0;
  });
  // Nobody goes to an idle CPU without coming to enqueue().
  set_callback(*table, "select_cpu", 3, [&](const auto& a) -> u64 { return a[1]; });
  set_callback(*table, "dispatch", 2,
               [&](const auto&) -> u64 { return ext::dsq_move_to_local(root(), kVtimeDsq, 0); });
  ASSERT_EQ(reg(table), 0);
  run_for(Nanos::from_ms(50));
  Task& p = *parent_;
  Task& c = *child_;
  Rq& rq = k().task_rq(c);
  const abi::cgroup& g = *group_;
  const Checks checks = {
      {"cgroup.ancestors", [&] { return g.ancestors[1] == &g; }},
      {"cgroup.dom_cgrp", [&] { return g.dom_cgrp == &g; }},
      {"cgroup.kn", [&] { return g.kn != nullptr; }},
      {"cgroup.level", [&] { return g.level == 1; }},
      {"cgroup.self", [&] { return g.self.cgroup == &g; }},
      {"cgroup.self.refcnt.percpu_count_ptr", [&] { return g.self.refcnt.percpu_count_ptr != 0; }},
      {"cgroup.subsys[1]", [&] { return g.subsys[1] == &group_->group->css; }},
      {"cgroup_subsys_state.cgroup", [&] { return group_->group->css.cgroup == &g; }},
      {"cgroup_subsys_state.parent", [&] { return group_->group->css.parent != nullptr; }},
      {"css_set.dfl_cgrp", [&] { return c.cgroups->dfl_cgrp == &g; }},
      {"kernfs_node.id", [&] { return g.kn->id > 1; }},
      {"kernfs_node.name", [&] { return std::string_view(g.kn->name) == "group"; }},
      {"task_group.css", [&] { return c.sched_task_group->css.cgroup == &g; }},
      {"task_group.scx.weight", [&] { return c.sched_task_group->scx.weight == 100; }},
      {"cpumask.bits", [&] { return c.cpus_mask.bits[0] == 0xf; }},
      {"pid.numbers", [&] { return c.thread_pid->numbers[0].ns != nullptr; }},
      {"upid.nr", [&] { return c.thread_pid->numbers[0].nr == c.pid; }},
      {"upid.ns", [&] { return c.thread_pid->numbers[0].ns->pid_allocated > 2; }},
      {"pid_namespace.ns.inum", [&] { return c.thread_pid->numbers[0].ns->ns.inum != 0; }},
      {"signal_struct.pids",
       [&] {
         return c.signal->pids[abi::PIDTYPE_TGID] == c.thread_pid &&
                c.signal->pids[abi::PIDTYPE_SID] == p.signal->pids[abi::PIDTYPE_SID];
       }},
      {"signal_struct.thread_head", [&] { return c.signal->thread_head.next == &c.thread_node; }},
      {"rq.clock_pelt", [&] { return rq.clock_pelt > 0; }},
      {"rq.clock_task", [&] { return rq.clock_task > 0; }},
      {"rq.curr", [&] { return rq.curr != nullptr; }},
      {"cpufreq_policy.cpuinfo.max_freq", [&] { return cpufreq(1).cpuinfo.max_freq == 3'000'000; }},
      {"cpufreq_policy.max", [&] { return cpufreq(1).max == 3'000'000; }},
      {"kthread.data", [&] { return kthread().data != nullptr; }},
      {"worker.desc",
       [&] {
         const auto* worker = static_cast<const abi::worker*>(kthread().data);
         return std::string_view(worker->desc) == "kworker/0:1";
       }},
      {"task_struct.cgroups", [&] { return c.cgroups == p.cgroups; }},
      {"task_struct.comm", [&] { return std::string_view(c.comm) == "child"; }},
      {"task_struct.cpus_mask", [&] { return c.cpus_mask.bits[0] != 0; }},
      {"task_struct.cpus_ptr", [&] { return c.cpus_ptr == &c.cpus_mask; }},
      {"task_struct.flags", [&] { return (k().rq(0).idle->flags & PF_IDLE) != 0; }},
      {"task_struct.group_leader", [&] { return c.group_leader == &c; }},
      {"task_struct.mm", [&] { return c.mm != nullptr && k().rq(0).idle->mm == nullptr; }},
      {"task_struct.nr_cpus_allowed", [&] { return c.nr_cpus_allowed == 4; }},
      {"task_struct.nvcsw", [&] { return p.nvcsw > 3; }},
      {"task_struct.on_cpu", [&] { return c.on_cpu == 1; }},
      {"task_struct.pid", [&] { return c.pid > p.pid; }},
      {"task_struct.policy",
       [&] {
         const bool normal = c.policy == 0;
         on_fiber([&] { ASSERT_TRUE(k().set_scheduler(c, SCHED_BATCH, 0)); });
         return normal && c.policy == 3;
       }},
      {"task_struct.prio", [&] { return p.prio == 117; }},
      {"task_struct.real_cred", [&] { return c.real_cred != nullptr; }},
      {"task_struct.real_parent", [&] { return c.real_parent == &p; }},
      {"task_struct.sched_class",
       [&] {
         return c.sched_class == k().ext_class().address && c.sched_class != nullptr &&
                c.sched_class != k().rq(0).idle->sched_class;
       }},
      {"task_struct.scx.ddsp_dsq_id", [&] { return c.scx.ddsp_dsq_id == abi::SCX_DSQ_INVALID; }},
      {"task_struct.scx.ddsp_enq_flags",
       [&] { return (enq_flags & abi::SCX_ENQ_HEAD) != 0 && p.scx.ddsp_enq_flags == 0; }},
      {"task_struct.scx.disallow", [&] { return !disallow; }},
      {"task_struct.scx.dsq_vtime",
       [&] { return p.scx.dsq_vtime == 4711 && c.scx.dsq_vtime == 0; }},
      {"task_struct.scx.flags", [&] { return (c.scx.flags & abi::SCX_TASK_QUEUED) != 0; }},
      {"task_struct.scx.runnable_at", [&] { return c.scx.runnable_at > 0; }},
      {"task_struct.scx.slice", [&] { return c.scx.slice > 0 && c.scx.slice <= 20'000'000; }},
      {"task_struct.scx.tid", [&] { return c.scx.tid > p.scx.tid; }},
      {"task_struct.scx.weight", [&] { return p.scx.weight == 194; }},  // nice -3
      {"task_struct.se.sum_exec_runtime", [&] { return c.se.sum_exec_runtime > 0; }},
      {"task_struct.signal", [&] { return c.signal != p.signal && c.signal != nullptr; }},
      {"task_struct.static_prio", [&] { return p.static_prio == 117; }},
      {"task_struct.stime", [&] { return kworker_->stime >= 50'000 && c.stime == 0; }},
      {"task_struct.tgid", [&] { return c.tgid == c.pid; }},
      {"task_struct.thread_node", [&] { return c.thread_node.prev == &c.signal->thread_head; }},
      {"task_struct.thread_node.next",
       [&] { return c.thread_node.next == &c.signal->thread_head; }},
      {"task_struct.thread_pid", [&] { return c.thread_pid != p.thread_pid; }},
      {"task_struct.utime", [&] { return c.utime > 0; }},
      {"task_struct.worker_private",
       [&] {
         return kworker_->worker_private != nullptr && (kworker_->flags & PF_WQ_WORKER) != 0 &&
                kworker_->mm == nullptr;
       }},
  };

  std::ifstream file(std::string(USCX_TEST_DATA) + "/../../../docs/fidelity.md");
  std::stringstream fidelity;
  fidelity << file.rdbuf();
  ASSERT_FALSE(fidelity.str().empty());
  int written = 0, listed = 0;
  for (const btf::KnownPath& path : btf::kKnownPaths) {
    if (kSeenElsewhere.contains(path.root)) continue;
    const std::string name = std::string(path.root) + "." + path.path;
    if (const auto it = checks.find(name); it != checks.end()) {
      EXPECT_TRUE(it->second()) << name;
      ++written;
      continue;
    }
    EXPECT_NE(fidelity.str().find("`" + name + "`"), std::string::npos)
        << name << " is neither checked here nor listed in docs/fidelity.md";
    ++listed;
  }
  EXPECT_GT(written, 50);
  EXPECT_LT(listed, 40);
  unreg(table);
}

TEST_F(ExtFieldsTest, PolicyFollowsItsSystemCall) {
  on_fiber([&] { ASSERT_TRUE(k().set_scheduler(*child_, SCHED_BATCH, 0).has_value()); });
  EXPECT_EQ(child_->policy, 3U);
  on_fiber([&] { ASSERT_TRUE(k().set_scheduler(*child_, SCHED_FIFO, 7).has_value()); });
  EXPECT_EQ(child_->prio, 92);
  EXPECT_EQ(child_->sched_class, k().rt_class().address);
}

TEST_F(ExtFieldsTest, PerCpuVariablesAreThere) {
  run_for(Nanos::from_ms(20));
  u64 user = 0, system = 0, idle = 0;
  for (u32 cpu = 0; cpu < k().nr_cpus(); ++cpu) {
    const auto& stat = *reinterpret_cast<abi::kernel_cpustat*>(variable("kernel_cpustat", cpu));
    user += stat.cpustat[abi::CPUTIME_USER] + stat.cpustat[abi::CPUTIME_NICE];
    system += stat.cpustat[abi::CPUTIME_SYSTEM];
    idle += stat.cpustat[abi::CPUTIME_IDLE];
  }
  EXPECT_GT(user, 10'000'000U);
  EXPECT_GT(idle, 10'000'000U);
  // Nothing is counted twice: idle time is not the idle tasks' system time.
  EXPECT_LE(user + system + idle, now().ns * k().nr_cpus());
  for (const char* name :
       {"runqueues", "kernel_cpustat", "cpufreq_cpu_data", "sd_llc_id", "sd_llc_size",
        "sched_core_priority", "sugov_cpu", "vm_event_states", "__preempt_count"}) {
    EXPECT_NE(variable(name, 0), 0U) << name;
    EXPECT_NE(variable(name, 0), variable(name, 1)) << name;
  }
}

}  // namespace
}  // namespace uscx::sched::testing
