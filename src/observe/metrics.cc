// SPDX-License-Identifier: GPL-2.0-only
#include "observe/metrics.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/cgroup.h"

namespace uscx::observe {

using sched::Task;

Metrics::Metrics(sched::Tracepoints& trace, u32 nr_cpus, Steps steps)
    : idle_cpus_(nr_cpus), cpus_(nr_cpus), cpu_cgroup_(nr_cpus), cpu_cgroup_since_ns_(nr_cpus) {
  if (steps == Steps::kSubscribed) subscribe_steps(trace, *this);
  trace.sched_wakeup_new.subscribe([this](Nanos now, CpuId, const Task& p, CpuId) {
    if (!knows(p)) meet(p);
    set_waiting(p, now.ns, false);
  });
  trace.task_executes.subscribe<&Metrics::on_executes>(*this);
  trace.sched_process_fork.subscribe(
      [this](Nanos, const Task&, const Task&) { forks_ += counting_; });
  trace.sched_process_exit.subscribe([this](Nanos, const Task&) { exits_ += counting_; });
  trace.sched_process_free.subscribe([this](const Task& p) {
    if (p.slot < nr_slots_) tasks_[p.slot] = TaskState{};
  });
  trace.cgroup_mkdir.subscribe([this, &trace](Nanos, std::string_view path, u64) {
    if (!any_cgroup_) watch_cgroups(trace);
    cgroup_self_ns_.try_emplace(std::string(path), 0);
  });
  trace.cgroup_attach_task.subscribe(
      [this](Nanos now, const Task& p, std::string_view, std::string_view to) {
        const auto cpu = static_cast<u32>(p.cpu);
        if (p.on_cpu == 0) return;
        charge_cgroup(now.ns, p.cpu);
        cpu_cgroup_[cpu] = to == "/" ? "" : to;
      });
}

void Metrics::begin(Nanos now) {
  account_waste(now.ns);
  for (Group& group : groups_) group = {};
  for (auto& [path, self_ns] : cgroup_self_ns_) self_ns = 0;
  // What is on a CPU now has been seen to run there, should it never leave it.
  for (Cpu& cpu : cpus_) {
    cpu.busy_ns = 0;
    cpu.since_ns = now.ns;
    cpu.tasks_run = cpu.group == kIdle ? 0 : 1;
  }
  for (TaskState& task : tasks_) {
    const bool runs = task.state() == State::kRunning;
    task.set_ran(runs);
    if (!runs) continue;
    ++groups_[task.group()].tasks;
    groups_[task.group()].seen = true;
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
    const u64 ran_ns = now.ns - cpu.since_ns;
    cpu.busy_ns += ran_ns;
    groups_[cpu.group].cpu_ns += ran_ns;
    groups_[cpu.group].seen = true;
  }
  end_ns_ = now.ns;
  counting_ = false;
}

std::map<std::string, Metrics::Group> Metrics::groups() const {
  std::map<std::string, Group> out;
  for (const auto& [label, number] : group_numbers_) {
    if (groups_[number].seen) out.emplace(label, groups_[number]);
  }
  return out;
}

[[gnu::cold]] void Metrics::meet(const Task& p) {
  if (p.slot >= nr_slots_) {
    tasks_.resize(std::max<std::size_t>(p.slot + 1, tasks_.size() * 2));
    nr_slots_ = static_cast<u32>(tasks_.size());
  }
  const std::string label = p.group_label.empty() ? std::string(p.comm) : p.group_label;
  const auto [it, fresh] = group_numbers_.try_emplace(label, static_cast<u32>(groups_.size()));
  if (fresh) groups_.emplace_back();
  USCX_ASSERT(groups_.size() < kNoGroup);
  tasks_[p.slot].set_group(it->second);
}

void Metrics::watch_cgroups(sched::Tracepoints& trace) {
  any_cgroup_ = true;
  trace.sched_switch.subscribe(
      [this](Nanos now, CpuId cpu, const Task& prev, u32, const Task& next) {
        if (counting_ && !prev.is_idle()) charge_cgroup(now.ns, cpu);
        const std::string& path = sched::task_cgroup(next).path;
        cpu_cgroup_[static_cast<u32>(cpu)] = path == "/" ? "" : path;
        cpu_cgroup_since_ns_[static_cast<u32>(cpu)] = now.ns;
      });
}

void Metrics::charge_cgroup(u64 now_ns, CpuId cpu) {
  const auto index = static_cast<u32>(cpu);
  if (!cpu_cgroup_[index].empty()) {
    cgroup_self_ns_[cpu_cgroup_[index]] +=
        now_ns - std::max(cpu_cgroup_since_ns_[index], begin_ns_);
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

void Metrics::on_executes(Nanos now, CpuId, const Task& p) {
  if (p.slot >= nr_slots_ || !tasks_[p.slot].woken()) return;
  tasks_[p.slot].set_woken(false);
  if (counting_ && p.woken_at_ns >= begin_ns_) wakeup_latency_.add(now.ns - p.woken_at_ns);
}

}  // namespace uscx::observe
