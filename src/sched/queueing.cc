// SPDX-License-Identifier: GPL-2.0-only
// Putting tasks on runqueues and taking them off, moving them, and changing them meanwhile.
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

void Kernel::enqueue_task(Rq& r, Task& p, int flags) {
  if ((flags & ENQUEUE_NOCLOCK) == 0) update_rq_clock(r);
  assert_rq_held(r);
  p.klass->enqueue_task(r, p, flags);
  if (r.nohz_full) private_->update_tick_dependency(r);
  if ((flags & ENQUEUE_RESTORE) == 0 && p.sched_info.last_queued == 0) {
    p.sched_info.last_queued = r.clock;
  }
}

bool Kernel::dequeue_task(Rq& r, Task& p, int flags) {
  if ((flags & DEQUEUE_NOCLOCK) == 0) update_rq_clock(r);
  assert_rq_held(r);
  if ((flags & DEQUEUE_SAVE) == 0 && p.sched_info.last_queued != 0) {
    p.sched_info.run_delay += r.clock - p.sched_info.last_queued;
    p.sched_info.last_queued = 0;
  }
  const bool off = p.klass->dequeue_task(r, p, flags);
  if (r.nohz_full) private_->update_tick_dependency(r);
  return off;
}

void Kernel::activate_task(Rq& r, Task& p, int flags) {
  if (p.on_rq_migrating()) {
    flags |= ENQUEUE_MIGRATED;
  }
  enqueue_task(r, p, flags);
  p.set_on_rq(TASK_ON_RQ_QUEUED);
}

void Kernel::deactivate_task(Rq& r, Task& p, int flags) {
  USCX_ASSERT((flags & DEQUEUE_SLEEP) == 0);
  // Set before the dequeue and cleared after the enqueue: classes look at it.
  p.set_on_rq(TASK_ON_RQ_MIGRATING);
  dequeue_task(r, p, flags);
}

void Kernel::set_task_cpu(Task& p, CpuId cpu) {
  USCX_ASSERT(p.__state == TASK_RUNNING || p.__state == TASK_WAKING || p.on_rq_state != 0);
  USCX_ASSERT(!p.on_rq_queued() && p.on_cpu == 0);
  USCX_ASSERT(p.pi_lock.held_by(held()) || task_rq(p).lock.held_by(held()));
  USCX_ASSERT(rq(cpu).online);
  if (p.cpu != cpu) {
    trace_.sched_migrate_task(now(), p, p.cpu, cpu);
    trace_programs(*this, "sched_migrate_task", p, static_cast<u32>(cpu));
    ++p.se.nr_migrations;
    ++nr_migrations;
  }
  p.cpu = p.wake_cpu = cpu;
  p.thread_info.cpu = static_cast<u32>(cpu);
}

Rq& Kernel::move_queued_task(Rq& from, Task& p, CpuId new_cpu) {
  deactivate_task(from, p, DEQUEUE_NOCLOCK);
  set_task_cpu(p, new_cpu);
  rq_unlock(from);
  Rq& to = rq(new_cpu);
  rq_lock(to);
  USCX_ASSERT(p.cpu == new_cpu);
  activate_task(to, p, 0);
  wakeup_preempt(to, p, 0);
  return to;
}

void Kernel::wakeup_preempt(Rq& r, Task& p, int flags) {
  assert_rq_held(r);
  if (p.klass == r.next_klass) {
    r.next_klass->wakeup_preempt(r, p, flags);
  } else if (p.klass->rank() > r.next_klass->rank()) {
    r.next_klass->wakeup_preempt(r, p, flags);
    resched_curr(r);
    r.next_klass = p.klass;
  }
}

Kernel::SchedChange Kernel::sched_change_begin(Task& p, int flags) {
  // The same flags serve the dequeue and the enqueue; the upper ones are not shared.
  USCX_ASSERT((flags & ~0xffff) == 0);
  Rq& r = task_rq(p);
  assert_rq_held(r);
  if ((flags & DEQUEUE_NOCLOCK) == 0) {
    update_rq_clock(r);
    flags |= DEQUEUE_NOCLOCK;
  }
  if ((flags & DEQUEUE_CLASS) != 0) p.klass->switching_from(r, p);
  SchedChange change{.p = &p,
                     .klass = p.klass,
                     .flags = flags,
                     .prio = p.prio,
                     .queued = p.on_rq_queued(),
                     .running = task_current(r, p)};
  if (change.queued) dequeue_task(r, p, flags);
  if (change.running) put_prev_task(r, p);
  if ((flags & DEQUEUE_CLASS) != 0) change.klass->switched_from(r, p);
  return change;
}

void Kernel::sched_change_end(const SchedChange& change) {
  Task& p = *change.p;
  Rq& r = task_rq(p);
  assert_rq_held(r);
  const bool class_changes = (change.flags & ENQUEUE_CLASS) != 0;
  USCX_ASSERT(p.klass == change.klass || class_changes);
  p.sched_class = p.klass->address;
  if (class_changes) p.klass->switching_to(r, p);
  if (class_changes && planted(PlantedBug::kClassSwitchDropsRqLock)) {
    rq_unlock(r);
    rq_lock(r);
    update_rq_clock(r);
  }
  if (change.queued) enqueue_task(r, p, change.flags);
  if (change.running) set_next_task(r, p);
  if (!class_changes) {
    p.klass->prio_changed(r, p, change.prio);
    return;
  }
  p.klass->switched_to(r, p);
  if (!change.running) return;
  if (p.klass->rank() > change.klass->rank()) {
    // Promoted while running: the old class hears that it was preempted.
    r.next_klass->wakeup_preempt(r, p, 0);
    r.next_klass = p.klass;
  }
  if (p.klass->rank() < change.klass->rank()) resched_curr(r);
}

void Kernel::sched_change(Task& p, int dequeue_flags, const std::function<void()>& change) {
  const SchedChange scope = sched_change_begin(p, dequeue_flags);
  change();
  sched_change_end(scope);
}

}  // namespace uscx::sched
