// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/types.h"
#include "observe/histogram.h"
#include "observe/steps.h"
#include "sched/flags.h"
#include "sched/task.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// What happened between begin() and end(), by counting tracepoints. Times are virtual.
class Metrics {
 public:
  struct Cpu {
    u64 busy_ns = 0;    // running anything but the idle task
    u64 tasks_run = 0;  // times a task (not idle) was switched in
    // What runs there: since when (begin() at most), and of which group (kIdle: nothing).
    u64 since_ns = 0;
    u32 group = kIdle;
  };
  struct Group {
    u64 tasks = 0;  // that ran at least once
    u64 cpu_ns = 0;
    bool seen = false;  // since begin()
  };

  /// A control group, its descendants included.
  struct Cgroup {
    u64 cpu_ns = 0;
    u64 self_ns = 0;  // of tasks that are in it themselves
  };

  Metrics(sched::Tracepoints& trace, u32 nr_cpus, Steps steps = Steps::kSubscribed);
  Metrics(const Metrics&) = delete;

  /// Forgets what was counted so far and starts at `now`; tasks and CPUs stay in the state they
  /// are in.
  void begin(Nanos now);
  /// Closes all open intervals at `now`. No more is counted.
  void end(Nanos now);

  u64 duration_ns() const { return end_ns_ - begin_ns_; }
  const Histogram& wakeup_latency() const { return wakeup_latency_; }
  const std::vector<Cpu>& cpus() const { return cpus_; }
  /// What was on a CPU since begin(), by the label of its tasks.
  std::map<std::string, Group> groups() const;
  /// By path, the root first. Empty where there never was a group but the root.
  std::map<std::string, Cgroup> cgroups() const;
  u64 switches() const { return switches_; }
  u64 wakeups() const { return wakeups_; }
  u64 migrations() const { return migrations_; }
  u64 forks() const { return forks_; }
  u64 exits() const { return exits_; }
  u64 callbacks() const { return callbacks_; }
  /// Integral over time of min(idle CPUs, runnable tasks that wait): CPU time that was wasted.
  /// Affinity is not looked at: a pinned task's wait counts too.
  u64 idle_while_waiting_ns() const { return idle_while_waiting_ns_; }

  /// Something of this task will be told soon.
  void prefetch(u32 slot) const {
    if (slot < nr_slots_) __builtin_prefetch(&tasks_[slot], 1);
  }

  // See steps.h.
  void on_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 state,
                 const sched::Task& next) {
    if (!knows(next)) [[unlikely]]
      meet(next);
    count_switch(now, cpu, prev, state, next);
  }
  void on_wakeup(Nanos now, CpuId, const sched::Task& p, CpuId) {
    if (!knows(p)) [[unlikely]]
      meet(p);
    count_wakeup(now, p);
  }
  void on_migrate(Nanos, const sched::Task&, CpuId, CpuId) { migrations_ += counting_; }
  void on_callback(Nanos, CpuId, sched::ext::Op, const sched::Task*, u64) {
    callbacks_ += counting_;
  }
  // The same in two steps. That a task is known means that what is kept of it has its place, and
  // says which group is its; of an idle task nothing is kept. All CPUs were idle at the beginning,
  // so that what leaves one is known.
  bool knows(const sched::Task& p) const {
    return p.is_idle() || (p.slot < nr_slots_ && tasks_[p.slot].group() != kNoGroup);
  }
  void meet(const sched::Task& p);
  void count_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 state,
                    const sched::Task& next) {
    account_waste(now.ns);
    switches_ += counting_;
    leave_cpu(now.ns, cpu, prev, state == sched::TASK_RUNNING);
    enter_cpu(now.ns, cpu, next);
  }
  void count_wakeup(Nanos now, const sched::Task& p) {
    wakeups_ += counting_;
    set_waiting(p, now.ns, true);
  }

 private:
  static constexpr u32 kIdle = ~0U;
  static constexpr u32 kNoGroup = (1U << 24) - 1;  // not seen yet
  enum class State : u32 { kSleeping, kWaiting = 1U << 24, kRunning = 2U << 24 };
  /// One word, which is changed in a register: the group, kNoGroup at first, and the rest above it.
  class TaskState {
   public:
    u32 group() const { return word_ & kNoGroup; }
    State state() const { return static_cast<State>(word_ & kStateMask); }
    bool woken() const { return (word_ & kWoken) != 0; }  // and has not run since
    bool ran() const { return (word_ & kRan) != 0; }
    void set_group(u32 group) { word_ = (word_ & ~kNoGroup) | group; }
    void set_state(State state) { word_ = (word_ & ~kStateMask) | static_cast<u32>(state); }
    void set_woken(bool woken) { word_ = (word_ & ~kWoken) | (woken ? kWoken : 0); }
    void set_ran(bool ran) { word_ = (word_ & ~kRan) | (ran ? kRan : 0); }

   private:
    static constexpr u32 kStateMask = 3U << 24, kWoken = 1U << 26, kRan = 1U << 27;
    u32 word_ = kNoGroup;
  };
  static_assert(sizeof(TaskState) == 4);  // those of thousands of tasks stay in the cache

  void set_waiting(const sched::Task& p, u64 now_ns, bool woken);
  void leave_cpu(u64 now_ns, CpuId cpu, const sched::Task& prev, bool still_runnable);
  void enter_cpu(u64 now_ns, CpuId cpu, const sched::Task& next);
  /// Begins to follow who runs in which group, which costs something with every switch.
  void watch_cgroups(sched::Tracepoints& trace);
  /// What ran on `cpu` since the last look ran in the group it was in.
  void charge_cgroup(u64 now_ns, CpuId cpu);
  /// Ends a wakeup's latency: the task's own code runs.
  void on_executes(Nanos now, CpuId cpu, const sched::Task& p);
  /// Adds the time since the last change of idle_cpus_ or waiting_.
  void account_waste(u64 now_ns) {
    if (counting_)
      idle_while_waiting_ns_ += (now_ns - waste_since_ns_) * std::min<u64>(idle_cpus_, waiting_);
    waste_since_ns_ = now_ns;
  }

  // What every step touches, first.
  bool counting_ = true;
  u32 idle_cpus_;
  u64 waiting_ = 0;
  u64 waste_since_ns_ = 0;
  u64 idle_while_waiting_ns_ = 0;
  u64 switches_ = 0, wakeups_ = 0, migrations_ = 0, callbacks_ = 0;
  std::vector<Cpu> cpus_;
  std::vector<Group> groups_;
  std::vector<TaskState> tasks_;  // by slot
  u32 nr_slots_ = 0;
  u64 begin_ns_ = 0, end_ns_ = 0;
  Histogram wakeup_latency_;
  std::map<std::string, u32> group_numbers_;  // by label
  std::vector<std::string> cpu_cgroup_;       // of what runs there; empty: the root
  std::vector<u64> cpu_cgroup_since_ns_;
  std::map<std::string, u64, std::less<>> cgroup_self_ns_;  // all but the root
  bool any_cgroup_ = false;
  u64 forks_ = 0, exits_ = 0;
};

// Of tasks that it knows.

inline void Metrics::set_waiting(const sched::Task& p, u64 now_ns, bool woken) {
  TaskState task = tasks_[p.slot];
  if (task.state() != State::kSleeping) return;
  account_waste(now_ns);
  ++waiting_;
  task.set_state(State::kWaiting);
  task.set_woken(woken);
  tasks_[p.slot] = task;
}

inline void Metrics::leave_cpu(u64 now_ns, CpuId cpu, const sched::Task& prev,
                               bool still_runnable) {
  if (prev.is_idle()) {
    --idle_cpus_;
    return;
  }
  USCX_ASSERT(knows(prev));
  TaskState task = tasks_[prev.slot];
  if (counting_) {
    Cpu& c = cpus_[static_cast<u32>(cpu)];
    const u64 ran_ns = now_ns - c.since_ns;
    c.busy_ns += ran_ns;
    Group& group = groups_[task.group()];
    group.cpu_ns += ran_ns;
    group.seen = true;
  }
  waiting_ += still_runnable;
  task.set_state(still_runnable ? State::kWaiting : State::kSleeping);
  tasks_[prev.slot] = task;
}

inline void Metrics::enter_cpu(u64 now_ns, CpuId cpu, const sched::Task& next) {
  Cpu& c = cpus_[static_cast<u32>(cpu)];
  c.since_ns = now_ns;
  if (next.is_idle()) {
    c.group = kIdle;
    ++idle_cpus_;
    return;
  }
  TaskState task = tasks_[next.slot];
  c.group = task.group();
  c.tasks_run += counting_;
  waiting_ -= task.state() == State::kWaiting;
  task.set_state(State::kRunning);
  if (counting_ && !task.ran()) [[unlikely]] {
    task.set_ran(true);
    ++groups_[task.group()].tasks;
    groups_[task.group()].seen = true;
  }
  tasks_[next.slot] = task;
}

}  // namespace uscx::observe
