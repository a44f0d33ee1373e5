// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/types.h"
#include "observe/histogram.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// What happened between begin() and end(), by counting tracepoints. Times are virtual.
class Metrics {
 public:
  struct Cpu {
    u64 busy_ns = 0;    // running anything but the idle task
    u64 tasks_run = 0;  // times a task (not idle) was switched in
    // What runs there: since when, and of which group (kIdle: nothing).
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

  Metrics(sched::Tracepoints& trace, u32 nr_cpus);
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

 private:
  static constexpr u32 kIdle = ~0U;
  static constexpr u32 kNoGroup = (1U << 24) - 1;  // not seen yet
  enum class State : u8 { kSleeping, kWaiting, kRunning };
  struct TaskState {
    u32 group : 24 = kNoGroup;
    State state : 2 = State::kSleeping;
    bool woken : 1 = false;  // and has not run since
    bool ran : 1 = false;
  };
  static_assert(sizeof(TaskState) == 4);  // those of thousands of tasks stay in the cache

  TaskState& state_of(const sched::Task& p);
  void set_waiting(const sched::Task& p, u64 now_ns, bool woken);
  void on_switch(u64 now_ns, CpuId cpu, const sched::Task& prev, u32 prev_state,
                 const sched::Task& next);
  /// What ran on `cpu` since the last look ran in the group it was in.
  void charge_cgroup(u64 now_ns, CpuId cpu);
  void leave_cpu(u64 now_ns, CpuId cpu, const sched::Task& prev, bool still_runnable);
  /// Ends a wakeup's latency: the task's own code runs.
  void on_executes(u64 now_ns, const sched::Task& p);
  void enter_cpu(u64 now_ns, CpuId cpu, const sched::Task& next);
  /// Adds the time since the last change of idle_cpus_ or waiting_.
  void account_waste(u64 now_ns);
  u64 clip(u64 since_ns, u64 now_ns) const;

  u32 group_of(const sched::Task& p);

  std::vector<Cpu> cpus_;
  std::vector<TaskState> tasks_;  // by slot
  std::vector<Group> groups_;
  std::map<std::string, u32> group_numbers_;  // by label
  std::vector<std::string> cpu_cgroup_;       // of what runs there; empty: the root
  std::vector<u64> cpu_cgroup_since_ns_;
  std::map<std::string, u64, std::less<>> cgroup_self_ns_;  // all but the root
  bool any_cgroup_ = false;
  Histogram wakeup_latency_;
  u32 idle_cpus_;
  u64 waiting_ = 0;
  u64 waste_since_ns_ = 0;
  u64 idle_while_waiting_ns_ = 0;
  u64 begin_ns_ = 0, end_ns_ = 0;
  bool counting_ = true;
  u64 switches_ = 0, wakeups_ = 0, migrations_ = 0, forks_ = 0, exits_ = 0, callbacks_ = 0;
};

}  // namespace uscx::observe
