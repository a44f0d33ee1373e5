// SPDX-License-Identifier: GPL-2.0-only
#include "observe/metrics.h"

#include <algorithm>

#include "sched/flags.h"
#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

Metrics::Metrics(sched::Tracepoints& trace, u32 nr_cpus)
    : cpus_(nr_cpus),
      cpu_since_ns_(nr_cpus),
      cpu_idle_(nr_cpus, true),
      cpu_curr_(nr_cpus, 0),
      idle_cpus_(nr_cpus) {
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
  trace.sched_process_free.subscribe([this](const Task& p) { tasks_.erase(p.pid); });
  trace.scx_callback.subscribe(
      [this](Nanos, CpuId, std::string_view, const Task*, u64) { callbacks_ += counting_; });
}

void Metrics::begin(Nanos now) {
  account_waste(now.ns);
  for (Cpu& cpu : cpus_) cpu = {};
  groups_.clear();
  for (auto& [pid, task] : tasks_) task.ran = false;
  wakeup_latency_ = {};
  idle_while_waiting_ns_ = 0;
  switches_ = wakeups_ = migrations_ = forks_ = exits_ = callbacks_ = 0;
  begin_ns_ = now.ns;
  counting_ = true;
}

void Metrics::end(Nanos now) {
  if (!counting_) return;
  account_waste(now.ns);
  for (u32 cpu = 0; cpu < cpus_.size(); ++cpu) {
    if (cpu_idle_[cpu]) continue;
    const u64 ran_ns = clip(cpu_since_ns_[cpu], now.ns);
    cpus_[cpu].busy_ns += ran_ns;
    if (auto it = tasks_.find(cpu_curr_[cpu]); it != tasks_.end())
      groups_[it->second.label].cpu_ns += ran_ns;
  }
  end_ns_ = now.ns;
  counting_ = false;
}

u64 Metrics::clip(u64 since_ns, u64 now_ns) const {
  return now_ns - std::max(since_ns, begin_ns_);
}

Metrics::TaskState& Metrics::state_of(const Task& p) {
  auto [it, fresh] = tasks_.try_emplace(p.pid);
  if (fresh) it->second.label = p.group_label.empty() ? std::string(p.comm) : p.group_label;
  return it->second;
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
  task.since_ns = task.woken_ns = now_ns;
  task.woken = woken;
}

void Metrics::leave_cpu(u64 now_ns, CpuId cpu, const Task& prev, bool still_runnable) {
  if (prev.is_idle()) {
    --idle_cpus_;
    return;
  }
  TaskState& task = state_of(prev);
  if (counting_) {
    const u64 ran_ns = clip(cpu_since_ns_[static_cast<u32>(cpu)], now_ns);
    cpus_[static_cast<u32>(cpu)].busy_ns += ran_ns;
    groups_[task.label].cpu_ns += ran_ns;
  }
  task.state = still_runnable ? State::kWaiting : State::kSleeping;
  task.since_ns = now_ns;
  if (still_runnable) ++waiting_;
}

void Metrics::enter_cpu(u64 now_ns, CpuId cpu, const Task& next) {
  const auto index = static_cast<u32>(cpu);
  cpu_since_ns_[index] = now_ns;
  cpu_idle_[index] = next.is_idle();
  cpu_curr_[index] = next.pid;
  if (next.is_idle()) {
    ++idle_cpus_;
    return;
  }
  TaskState& task = state_of(next);
  if (task.state == State::kWaiting) --waiting_;
  if (counting_) {
    ++cpus_[index].tasks_run;
    if (!task.ran) ++groups_[task.label].tasks;
    task.ran = true;
  }
  task.state = State::kRunning;
  task.since_ns = now_ns;
}

void Metrics::on_executes(u64 now_ns, const Task& p) {
  TaskState& task = state_of(p);
  if (!task.woken) return;
  task.woken = false;
  if (counting_ && task.woken_ns >= begin_ns_) wakeup_latency_.add(now_ns - task.woken_ns);
}

void Metrics::on_switch(u64 now_ns, CpuId cpu, const Task& prev, u32 prev_state, const Task& next) {
  account_waste(now_ns);
  switches_ += counting_;
  leave_cpu(now_ns, cpu, prev, prev_state == sched::TASK_RUNNING);
  enter_cpu(now_ns, cpu, next);
}

}  // namespace uscx::observe
