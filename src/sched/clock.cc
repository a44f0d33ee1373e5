// SPDX-License-Identifier: GPL-2.0-only
// Runqueue locks, runqueue clocks, and what running costs a task.
#include <algorithm>

#include "sched/private.h"

namespace uscx::sched {

void Kernel::double_rq_lock(Rq& a, Rq& b) {
  rq_lock(a.id <= b.id ? a : b);
  if (&a != &b) rq_lock(a.id <= b.id ? b : a);
}

void Kernel::double_rq_unlock(Rq& a, Rq& b) {
  if (&a != &b) rq_unlock(a.id <= b.id ? b : a);
  rq_unlock(a.id <= b.id ? a : b);
}

void Kernel::update_rq_clock(Rq& r) {
  assert_rq_held(r);
  r.clock_valid = true;
  ext_->rq_clock_updated(r);
  // What this entry has used of the CPU so far has passed here: who is switched in after a tick's
  // work has its whole slice left at the tick's next time. Other CPUs may be behind that.
  const u64 used = r.id == this_cpu_ ? r.entry_charged_ns : 0;
  r.clock = r.clock_task = r.clock_pelt = std::max<u64>(r.clock, now().ns + used);
}

u64 Kernel::update_curr_common(Rq& r) {
  assert_rq_held(r);
  Task& curr = *r.current();
  if (r.clock_task <= curr.se.exec_start) return 0;
  const u64 delta = r.clock_task - curr.se.exec_start;
  curr.se.exec_start = r.clock_task;
  curr.se.sum_exec_runtime += delta;
  (curr.is_kthread() ? curr.stime : curr.utime) += delta;
  const bool nice = curr.static_prio > DEFAULT_PRIO;
  r.times.add(curr.is_kthread() ? abi::CPUTIME_SYSTEM
              : nice            ? abi::CPUTIME_NICE
                                : abi::CPUTIME_USER,
              delta);
  return delta;
}

void CpuTimes::publish() {
  USCX_ASSERT(stat_ != nullptr);
  for (u32 what = 0; what < kIdle; ++what) stat_->cpustat[what] += unpublished_ns_[what];
  stat_->cpustat[abi::CPUTIME_IDLE] += unpublished_ns_[kIdle];
  std::ranges::fill(unpublished_ns_, 0);
  sum_ns_ = 0;
}

Rq& Kernel::task_rq_lock(Task& p) {
  for (;;) {
    p.pi_lock.lock(held());
    Rq& r = task_rq(p);
    rq_lock(r);
    // A move between runqueues needs no more than their locks (sched_ext's).
    if (&r == &task_rq(p) && !p.on_rq_migrating()) return r;
    task_rq_unlock(r, p);
    while (p.on_rq_migrating()) relax("on_rq");
  }
}

Rq& Kernel::task_rq_lock_pi_held(Task& p) {
  USCX_ASSERT(p.pi_lock.held_by(held()));
  for (;;) {
    Rq& r = task_rq(p);
    rq_lock(r);
    if (&r == &task_rq(p) && !p.on_rq_migrating()) return r;
    rq_unlock(r);
    while (p.on_rq_migrating()) relax("on_rq");
  }
}

void Kernel::task_rq_unlock(Rq& r, Task& p) {
  rq_unlock(r);
  p.pi_lock.unlock(held());
}

}  // namespace uscx::sched
