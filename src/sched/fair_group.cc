// SPDX-License-Identifier: GPL-2.0-only
// Weights and bandwidth of task groups in the fair class.
#include "sched/fair_group.h"

#include <algorithm>

#include "sched/cgroup.h"
#include "sched/classes.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr u64 kMinWeight = 2;  // of 1024 << 10: what is left of a task in a huge group

void add_load(TaskGroup* group, u64 load) {
  for (; !group->is_root(); group = group->parent_group()) {
    const bool was_active = group->fair.load != 0;
    group->fair.load += load;
    if (was_active) return;
    load = group->shares;  // it counts among its siblings from now on
  }
}

void sub_load(TaskGroup* group, u64 load) {
  for (; !group->is_root(); group = group->parent_group()) {
    USCX_ASSERT(group->fair.load >= load);
    group->fair.load -= load;
    if (group->fair.load != 0) return;
    load = group->shares;
  }
}

struct PeriodTimer final : Timer {
  PeriodTimer(Kernel& k, TaskGroup& g) : kernel(k), group(g) {}
  void fired(Kernel&) override;
  Kernel& kernel;
  TaskGroup& group;
};

void start_period(Kernel& kernel, TaskGroup& group) {
  FairBandwidth& b = group.fair.bandwidth;
  if (!b.timer) b.timer = std::make_unique<PeriodTimer>(kernel, group);
  if (!b.timer->armed()) {
    kernel.machine().timer_start(*b.timer, kernel.now() + Nanos{b.period_ns}, kernel.cpu());
  }
}

/// What waits may run again; each goes back to the runqueue it belongs to.
void release_waiting(Kernel& kernel, TaskGroup& group) {
  FairBandwidth& b = group.fair.bandwidth;
  if (b.throttled) b.throttled_ns += kernel.now().ns - b.throttled_since_ns;
  b.throttled = false;
  while (Task* p = b.waiting.front()) {
    Rq& rq = kernel.task_rq(*p);
    kernel.rq_lock(rq);
    if (p->throttled_in != &group || &kernel.task_rq(*p) != &rq) {  // it left meanwhile
      kernel.rq_unlock(rq);
      continue;
    }
    kernel.update_rq_clock(rq);
    fair_group_unthrottle(*p);
    kernel.fair_class().enqueue_task(rq, *p, ENQUEUE_WAKEUP | ENQUEUE_NOCLOCK);
    kernel.wakeup_preempt(rq, *p, 0);
    kernel.rq_unlock(rq);
  }
}

void PeriodTimer::fired(Kernel&) {
  FairBandwidth& b = group.fair.bandwidth;
  if (!b.enabled()) return;
  ++b.nr_periods;
  if (b.throttled) ++b.nr_throttled;
  const bool idle = !b.used && !b.throttled;
  b.used = false;
  b.runtime_ns = std::min(b.runtime_ns + static_cast<s64>(b.quota_ns),
                          static_cast<s64>(b.quota_ns + b.burst_ns));
  if (idle) return;  // starts again with the next use
  start_period(kernel, group);
  if (b.throttled && b.runtime_ns > 0) release_waiting(kernel, group);
}

}  // namespace

void fair_group_enqueue(Task& p) {
  USCX_ASSERT(p.fair_load == 0);
  p.fair_load = p.se.load.weight;
  add_load(&task_group(p), p.fair_load);
}

void fair_group_dequeue(Task& p) {
  USCX_ASSERT(p.fair_load != 0);
  sub_load(&task_group(p), p.fair_load);
  p.fair_load = 0;
}

u64 fair_task_weight(const Task& p) {
  u64 weight = p.se.load.weight;
  for (const TaskGroup* g = &task_group(p); !g->is_root(); g = g->parent_group()) {
    // A task that has just left its runqueue still settles what it ran.
    const u64 load = std::max<u64>(g->fair.load, weight);
    weight = weight * g->shares / load;
  }
  return std::max(weight, kMinWeight);
}

bool fair_task_idle(const Task& p) {
  if (p.policy == static_cast<u32>(SCHED_IDLE)) return true;
  for (const TaskGroup* g = &task_group(p); !g->is_root(); g = g->parent_group()) {
    if (g->idle != 0) return true;
  }
  return false;
}

void fair_group_charge(Kernel& kernel, Rq& rq, Task& p, u64 delta_ns) {
  for (TaskGroup* g = &task_group(p); !g->is_root(); g = g->parent_group()) {
    FairBandwidth& b = g->fair.bandwidth;
    if (!b.enabled()) continue;
    start_period(kernel, *g);
    b.used = true;
    b.runtime_ns -= static_cast<s64>(delta_ns);
    if (b.runtime_ns > 0) continue;
    if (!b.throttled) {
      b.throttled = true;
      b.throttled_since_ns = kernel.now().ns;
    }
    kernel.resched_curr(rq);
  }
}

TaskGroup* fair_throttled_group(const Task& p) {
  TaskGroup* outermost = nullptr;
  if (p.kernel_stack != nullptr || p.is_kthread()) return nullptr;
  for (TaskGroup* g = &task_group(p); !g->is_root(); g = g->parent_group()) {
    if (g->fair.bandwidth.throttled) outermost = g;
  }
  return outermost;
}

void fair_group_throttle(TaskGroup& group, Task& p) {
  USCX_ASSERT(p.throttled_in == nullptr);
  p.throttled_in = &group;
  group.fair.bandwidth.waiting.push_back(p);
}

void fair_group_unthrottle(Task& p) {
  USCX_ASSERT(p.throttled_in != nullptr);
  p.throttled_in->fair.bandwidth.waiting.erase(p);
  p.throttled_in = nullptr;
}

void fair_group_set_shares(TaskGroup& group, u64 shares) {
  const u64 old = group.shares;
  group.shares = shares;
  if (group.fair.load == 0 || group.is_root()) return;
  // The children's load of the parent changes; it stays active, so nothing moves further up.
  TaskGroup* parent = group.parent_group();
  if (!parent->is_root()) parent->fair.load += shares - old;
}

void fair_group_set_bandwidth(Kernel& kernel, TaskGroup& group, u64 period_ns, u64 quota_ns,
                              u64 burst_ns) {
  FairBandwidth& b = group.fair.bandwidth;
  if (b.timer) kernel.machine().timer_cancel(*b.timer);
  b.period_ns = period_ns;
  b.quota_ns = quota_ns;
  b.burst_ns = burst_ns;
  b.runtime_ns = b.enabled() ? static_cast<s64>(quota_ns) : 0;
  release_waiting(kernel, group);
}

void fair_group_shut_down(Kernel& kernel, TaskGroup& group) {
  FairBandwidth& b = group.fair.bandwidth;
  if (b.timer) kernel.machine().timer_cancel(*b.timer);
  b.timer.reset();
}

}  // namespace uscx::sched
