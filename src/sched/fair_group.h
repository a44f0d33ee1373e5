// SPDX-License-Identifier: GPL-2.0-only
// What the fair class keeps of a task group: how much its runnable tasks weigh, and its bandwidth.
//
// Fair runqueues are flat: a task in a group runs with the part of the group's weight that falls to
// it, which is what Linux's hierarchy of runqueues comes to (calc_group_shares()).
#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "base/types.h"
#include "sched/machine.h"
#include "sched/task.h"

namespace uscx::sched {

class Kernel;
struct Rq;
struct TaskGroup;

/// cpu.max of a group, as far as the fair class enforces it. Linux: struct cfs_bandwidth, without
/// its slices per CPU: what runs is charged to the group at once.
struct FairBandwidth {
  u64 quota_ns = ~0ULL;  // ~0: no limit
  u64 period_ns = 100'000'000;
  u64 burst_ns = 0;
  s64 runtime_ns = 0;  // left in this period; less than 0: paid back by the next ones
  bool throttled = false;
  bool used = false;  // since the last refill
  u64 throttled_since_ns = 0;
  IntrusiveList<Task, &Task::throttled_node> waiting;  // runnable tasks that may not run
  std::unique_ptr<Timer> timer;

  // cpu.stat
  u64 nr_periods = 0;
  u64 nr_throttled = 0;
  u64 throttled_ns = 0;

  bool enabled() const { return quota_ns != ~0ULL; }
};

struct FairGroup {
  u64 load = 0;  // of runnable tasks and of children that have some, scaled by 1024, all CPUs
  FairBandwidth bandwidth;
};

/// A runnable fair task counts in its groups, or counts no more. Runqueue's lock held.
void fair_group_enqueue(Task& p);
void fair_group_dequeue(Task& p);
/// The weight it runs with, 1024 << 10 being that of nice 0 in the root group. Never 0.
u64 fair_task_weight(const Task& p);
/// Is it, or a group it is in, to run only where nothing else does (cpu.idle)?
bool fair_task_idle(const Task& p);
/// Takes `delta_ns` of running from the groups that have a limit; reschedules where one is used up.
void fair_group_charge(Kernel& kernel, Rq& rq, Task& p, u64 delta_ns);
/// The outermost group whose limit keeps `p` from running now, or null. Tasks in system calls and
/// kernel threads go on: they may hold locks that others wait for.
TaskGroup* fair_throttled_group(const Task& p);
void fair_group_throttle(TaskGroup& group, Task& p);
void fair_group_unthrottle(Task& p);

/// Sets the weight of an active group among its siblings.
void fair_group_set_shares(TaskGroup& group, u64 shares);
/// cpu.max; lets tasks go that waited for the old limit. Any context without locks.
void fair_group_set_bandwidth(Kernel& kernel, TaskGroup& group, u64 period_ns, u64 quota_ns,
                              u64 burst_ns);
/// Nothing of it fires any more.
void fair_group_shut_down(Kernel& kernel, TaskGroup& group);

}  // namespace uscx::sched
