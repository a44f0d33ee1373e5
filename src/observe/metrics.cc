// SPDX-License-Identifier: GPL-2.0-only
#include "observe/metrics.h"

#include <algorithm>

#include "sched/cgroup.h"
#include "sched/flags.h"
#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

Metrics::Metrics(sched::Tracepoints& trace, u32 nr_cpus)
    : cpus_(nr_cpus), cpu_cgroup_(nr_cpus), cpu_cgroup_since_ns_(nr_cpus), idle_cpus_(nr_cpus) {
  trace.sched_switch.subscribe(
      [this](Nanos now, CpuId cpu, const Task& prev, u32 state, const Task& next) {
        on_switch(now.ns, cpu, prev, state, next);
      });
  trace.sched_wakeup.subscribe([this](Nanos now, CpuId, const Task& p, CpuId) {
    if (counting_) ++wakeups_;
    set_waiting(p, now.ns, true);
  });
  trace.sched_wakeup_new.subscribe(
      [this](Nanos now, CpuId, const Task& p, CpuId) { set_waiting(p, now.ns, false); });
  trace.task_executes.subscribe(
      [this](Nanos now, CpuId, const Task& p) { on_executes(now.ns, p); });
  trace.sched_migrate_task.subscribe(
      [this](Nanos, const Task&, CpuId, CpuId) { migrations_ += counting_; });
  trace.sched_process_fork.subscribe(
      [this](Nanos, const Task&, const Task&) { forks_ += counting_; });
  trace.sched_process_exit.subscribe([this](Nanos, const Task&) { exits_ += counting_; });
  trace.sched_process_free.subscribe([this](const Task& p) {
    if (p.slot < tasks_.size()) tasks_[p.slot] = TaskState{};
  });
  trace.cgroup_mkdir.subscribe([this](Nanos, std::string_view path, u64) {
    any_cgroup_ = true;
    cgroup_self_ns_.try_emplace(std::string(path), 0);
  });
  trace.cgroup_attach_task.subscribe(
      [this](Nanos now, const Task& p, std::string_view, std::string_view to) {
        const auto cpu = static_cast<u32>(p.cpu);
        if (p.on_cpu == 0) return;
        charge_cgroup(now.ns, p.cpu);
        cpu_cgroup_[cpu] = to == "/" ? "" : to;
      });
  trace.scx_callback.subscribe(
      [this](Nanos, CpuId, sched::ext::Op, const Task*, u64) { callbacks_ += counting_; });
}

void Metrics::begin(Nanos now) {
  account_waste(now.ns);
  for (Group& group : groups_) group = {};
  for (auto& [path, self_ns] : cgroup_self_ns_) self_ns = 0;
  // What is on a CPU now has been seen to run there, should it never leave it.
  for (Cpu& cpu : cpus_) {
    cpu.busy_ns = 0;
    cpu.tasks_run = cpu.group == kIdle ? 0 : 1;
  }
  for (TaskState& task : tasks_) {
    task.ran = task.state == State::kRunning;
    if (!task.ran) continue;
    ++groups_[task.group].tasks;
    groups_[task.group].seen = true;
  }
  wakeup_latency_ = {};
  idle_while_waiting_ns_ = 0;
  switches_ = wakeups_ = migrations_ = forks_ = exits_ = callbacks_ = 0;
  begin_ns_ = now.ns;
  counting_ = true;
}

void Metrics::end(Nanos now) {
  if (!counting_) return;
  account_waste(now.ns);
  for (std::size_t i = 0; i < cpus_.size(); ++i) {
    Cpu& cpu = cpus_[i];
    if (cpu.group == kIdle) continue;
    charge_cgroup(now.ns, static_cast<CpuId>(i));
    const u64 ran_ns = clip(cpu.since_ns, now.ns);
    cpu.busy_ns += ran_ns;
    groups_[cpu.group].cpu_ns += ran_ns;
    groups_[cpu.group].seen = true;
  }
  end_ns_ = now.ns;
  counting_ = false;
}

u64 Metrics::clip(u64 since_ns, u64 now_ns) const {
  return now_ns - std::max(since_ns, begin_ns_);
}

std::map<std::string, Metrics::Group> Metrics::groups() const {
  std::map<std::string, Group> out;
  for (const auto& [label, number] : group_numbers_) {
    if (groups_[number].seen) out.emplace(label, groups_[number]);
  }
  return out;
}

u32 Metrics::group_of(const Task& p) {
  const std::string label = p.group_label.empty() ? std::string(p.comm) : p.group_label;
  const auto [it, fresh] = group_numbers_.try_emplace(label, static_cast<u32>(groups_.size()));
  if (fresh) groups_.emplace_back();
  USCX_ASSERT(groups_.size() < kNoGroup);
  return it->second;
}

Metrics::TaskState& Metrics::state_of(const Task& p) {
  if (p.slot >= tasks_.size()) [[unlikely]]
    tasks_.resize(std::max<std::size_t>(p.slot + 1, tasks_.size() * 2));
  TaskState& task = tasks_[p.slot];
  if (task.group == kNoGroup) [[unlikely]]
    task.group = group_of(p) & kNoGroup;
  return task;
}

void Metrics::account_waste(u64 now_ns) {
  if (counting_)
    idle_while_waiting_ns_ += (now_ns - waste_since_ns_) * std::min<u64>(idle_cpus_, waiting_);
  waste_since_ns_ = now_ns;
}

void Metrics::set_waiting(const Task& p, u64 now_ns, bool woken) {
  TaskState& task = state_of(p);
  if (task.state != State::kSleeping) return;
  account_waste(now_ns);
  ++waiting_;
  task.state = State::kWaiting;
  task.woken = woken;
}

void Metrics::charge_cgroup(u64 now_ns, CpuId cpu) {
  const auto index = static_cast<u32>(cpu);
  if (!cpu_cgroup_[index].empty()) {
    cgroup_self_ns_[cpu_cgroup_[index]] += clip(cpu_cgroup_since_ns_[index], now_ns);
  }
  cpu_cgroup_since_ns_[index] = now_ns;
}

std::map<std::string, Metrics::Cgroup> Metrics::cgroups() const {
  std::map<std::string, Cgroup> all;
  if (!any_cgroup_) return all;
  Cgroup& root = all["/"];
  for (const Cpu& cpu : cpus_) root.cpu_ns += cpu.busy_ns;
  root.self_ns = root.cpu_ns;
  for (const auto& [path, self_ns] : cgroup_self_ns_) {
    root.self_ns -= self_ns;
    all[path].self_ns = self_ns;
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      all[path.substr(0, end)].cpu_ns += self_ns;
      if (end == std::string::npos) break;
    }
  }
  return all;
}

void Metrics::leave_cpu(u64 now_ns, CpuId cpu, const Task& prev, bool still_runnable) {
  if (prev.is_idle()) {
    --idle_cpus_;
    return;
  }
  TaskState& task = state_of(prev);
  if (counting_) {
    Cpu& c = cpus_[static_cast<u32>(cpu)];
    const u64 ran_ns = clip(c.since_ns, now_ns);
    c.busy_ns += ran_ns;
    groups_[task.group].cpu_ns += ran_ns;
    groups_[task.group].seen = true;
    if (any_cgroup_) charge_cgroup(now_ns, cpu);
  }
  task.state = still_runnable ? State::kWaiting : State::kSleeping;
  if (still_runnable) ++waiting_;
}

void Metrics::enter_cpu(u64 now_ns, CpuId cpu, const Task& next) {
  Cpu& c = cpus_[static_cast<u32>(cpu)];
  c.since_ns = now_ns;
  if (any_cgroup_) {
    const std::string& path = sched::task_cgroup(next).path;
    cpu_cgroup_[static_cast<u32>(cpu)] = path == "/" ? "" : path;
    cpu_cgroup_since_ns_[static_cast<u32>(cpu)] = now_ns;
  }
  if (next.is_idle()) {
    c.group = kIdle;
    ++idle_cpus_;
    return;
  }
  TaskState& task = state_of(next);
  c.group = task.group;
  if (task.state == State::kWaiting) --waiting_;
  if (counting_) {
    ++c.tasks_run;
    if (!task.ran) {
      ++groups_[task.group].tasks;
      groups_[task.group].seen = true;
    }
    task.ran = true;
  }
  task.state = State::kRunning;
}

void Metrics::on_executes(u64 now_ns, const Task& p) {
  TaskState& task = state_of(p);
  if (!task.woken) return;
  task.woken = false;
  if (counting_ && p.woken_at_ns >= begin_ns_) wakeup_latency_.add(now_ns - p.woken_at_ns);
}

void Metrics::on_switch(u64 now_ns, CpuId cpu, const Task& prev, u32 prev_state, const Task& next) {
  account_waste(now_ns);
  switches_ += counting_;
  leave_cpu(now_ns, cpu, prev, prev_state == sched::TASK_RUNNING);
  enter_cpu(now_ns, cpu, next);
}

}  // namespace uscx::observe
