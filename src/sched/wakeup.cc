// SPDX-License-Identifier: GPL-2.0-only
// try_to_wake_up(): from asleep to a runqueue.
#include "base/bitmap.h"
#include "sched/prefetch.h"
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

bool Kernel::is_cpu_allowed(const Task& p, CpuId cpu) const {
  if (static_cast<u32>(cpu) >= nr_cpus()) return false;  // or less than 0
  // Who may run anywhere has a mask that is in no cache.
  if (static_cast<u32>(p.nr_cpus_allowed) < nr_cpus() &&
      !bitmap::test(p.cpus_ptr->bits, static_cast<u32>(cpu))) {
    return false;
  }
  // What cannot go elsewhere stays while its CPU goes down.
  const bool stays = p.migration_disabled != 0 || kthread_is_per_cpu(p);
  const abi::cpumask& served = stays ? *online_mask_ : *active_mask_;
  return bitmap::test(served.bits, static_cast<u32>(cpu));
}

CpuId Kernel::select_fallback_rq(CpuId cpu, Task& p) {
  const auto& cpus = topology().cpus;
  const NodeId node = cpus[static_cast<u32>(cpu)].node;
  for (u32 i = 0; i < nr_cpus(); ++i) {
    if (cpus[i].node == node && is_cpu_allowed(p, static_cast<CpuId>(i))) {
      return static_cast<CpuId>(i);
    }
  }
  for (u32 i = 0; i < nr_cpus(); ++i) {
    if (is_cpu_allowed(p, static_cast<CpuId>(i))) return static_cast<CpuId>(i);
  }
  // No CPU it may use is online: Linux widens the mask to all possible CPUs.
  Rq& r = task_rq(p);
  rq_lock(r);
  sched_change(p, DEQUEUE_SAVE, [&] { p.klass->set_cpus_allowed(p, possible_mask_); });
  rq_unlock(r);
  for (u32 i = 0; i < nr_cpus(); ++i) {
    if (is_cpu_allowed(p, static_cast<CpuId>(i))) return static_cast<CpuId>(i);
  }
  USCX_ASSERT(!"a machine has an online CPU");
  __builtin_unreachable();
}

[[gnu::always_inline]] inline CpuId Kernel::Private::select_task_rq(Task& p, CpuId cpu,
                                                                    int* wake_flags) {
  USCX_ASSERT(p.pi_lock.held_by(k.held()));
  if (p.nr_cpus_allowed > 1 && p.migration_disabled == 0) {
    cpu = p.klass->select_task_rq(p, cpu, *wake_flags);
    *wake_flags |= WF_RQ_SELECTED;
  } else {
    cpu = static_cast<CpuId>(bitmap::first(p.cpus_ptr->bits, k.nr_cpus()));
  }
  return k.is_cpu_allowed(p, cpu) ? cpu : k.select_fallback_rq(p.cpu, p);
}

[[gnu::always_inline]] inline void Kernel::Private::ttwu_do_wakeup(Task& p) {
  p.is_blocked = 0;
  p.__state = TASK_RUNNING;
  if (p.woken_at_ns == Task::kNotWoken) p.woken_at_ns = k.now().ns;
  k.trace_.sched_wakeup(k.now(), k.this_cpu_, p, p.cpu);
  trace_programs(k, "sched_wakeup", p);
}

void Kernel::Private::ttwu_do_activate(Rq& rq, Task& p, int wake_flags) {
  int flags = ENQUEUE_WAKEUP | ENQUEUE_NOCLOCK;
  if ((wake_flags & WF_RQ_SELECTED) != 0) flags |= ENQUEUE_RQ_SELECTED;
  if ((wake_flags & WF_MIGRATED) != 0) flags |= ENQUEUE_MIGRATED;
  k.activate_task(rq, p, flags);
  k.wakeup_preempt(rq, p, wake_flags);
  ttwu_do_wakeup(p);
  p.klass->task_woken(rq, p);
}

/// Not off its runqueue yet: it was about to sleep and stays.
[[gnu::cold]] bool Kernel::Private::ttwu_runnable(Task& p, int wake_flags) {
  Rq& rq = k.task_rq_lock_pi_held(p);
  const bool queued = p.on_rq_queued();
  if (queued) {
    k.update_rq_clock(rq);
    if (!k.task_current(rq, p)) k.wakeup_preempt(rq, p, wake_flags);
    ttwu_do_wakeup(p);
  }
  k.rq_unlock(rq);
  return queued;
}

/// The current task, which has said that it will sleep and has not.
[[gnu::cold]] bool Kernel::Private::ttwu_current(Task& p, u32 state) {
  if ((p.__state & state) == 0) return false;
  k.trace_.sched_waking(k.now(), k.this_cpu_, p, p.cpu);
  trace_programs(k, "sched_waking", p);
  ttwu_do_wakeup(p);
  return true;
}

/// The target does the rest in its interrupt; sched_ext sees it happen there.
[[gnu::noinline]] void Kernel::Private::ttwu_queue(Rq& rq, Task& p, int wake_flags) {
  p.wakeup_migrated = (wake_flags & WF_MIGRATED) != 0;
  rq.ttwu_pending = 1;
  rq.wake_list.push_back(p);
  k.machine_.queue_irq_work(*rq.wake_work, rq.id);
}

[[gnu::noinline]] bool Kernel::Private::ttwu_queue_cond(const Task& p, CpuId cpu) {
  if (p.klass == k.stop_.get()) return false;
  if (!k.is_cpu_allowed(p, cpu)) return false;
  if (!k.cpus_share_cache(k.this_cpu_, cpu)) return true;
  if (cpu == k.this_cpu_) return false;
  return k.rq(cpu).nr_running == 0;
}

void Kernel::Private::run_wake_list(Rq& rq) {
  if (rq.wake_list.empty()) return;
  k.rq_lock(rq);
  k.update_rq_clock(rq);
  while (Task* p = rq.wake_list.pop_front()) {
    if (p->cpu != rq.id) k.set_task_cpu(*p, rq.id);
    ttwu_do_activate(rq, *p, p->wakeup_migrated ? WF_MIGRATED : 0);
  }
  rq.ttwu_pending = 0;
  k.rq_unlock(rq);
}

bool Kernel::wake_up(Task& p, u32 state, int wake_flags) {
  Private& priv = *private_;
  wake_flags |= WF_TTWU;
  if (&p == &current() && p.on_rq_queued()) [[unlikely]]
    return priv.ttwu_current(p, state);

  LockGuard guard(p.pi_lock, held());
  if ((p.__state & state) == 0) return false;
  trace_.sched_waking(now(), this_cpu_, p, p.cpu);
  trace_programs(*this, "sched_waking", p);
  priv.charge(costs().wakeup_ns);
  if (p.on_rq_state != 0) [[unlikely]] {
    if (priv.ttwu_runnable(p, wake_flags)) return true;
  }

  p.__state = TASK_WAKING;
  if (p.on_cpu != 0) [[unlikely]] {
    // Caught between leaving its runqueue and leaving its CPU: that CPU finishes the wakeup.
    priv.ttwu_queue(task_rq(p), p, wake_flags);
    return true;
  }
  const CpuId cpu = priv.select_task_rq(p, p.wake_cpu, &wake_flags);
  if (cpu != this_cpu_ && outgrows_cache()) prefetch_wakeup_target(rq(cpu));
  if (p.cpu != cpu) {
    wake_flags |= WF_MIGRATED;
    set_task_cpu(p, cpu);
  } else {
    p.wake_cpu = cpu;
  }

  Rq& target = rq(cpu);
  if (ext_->allow_ttwu_queue(p) && priv.ttwu_queue_cond(p, cpu)) {
    priv.ttwu_queue(target, p, wake_flags);
    return true;
  }
  rq_lock(target);
  update_rq_clock(target);
  priv.ttwu_do_activate(target, p, wake_flags);
  rq_unlock(target);
  return true;
}

void Kernel::Private::wake_up_new_task(Task& p) {
  int wake_flags = WF_FORK;
  p.pi_lock.lock(k.held());
  p.__state = TASK_RUNNING;
  p.recent_used_cpu = p.cpu;
  const CpuId cpu = select_task_rq(p, p.cpu, &wake_flags);
  p.cpu = p.wake_cpu = cpu;
  p.thread_info.cpu = static_cast<u32>(cpu);
  Rq& rq = k.rq(cpu);
  k.rq_lock(rq);
  k.update_rq_clock(rq);
  p.woken_at_ns = k.now().ns;
  k.activate_task(rq, p, ENQUEUE_NOCLOCK | ENQUEUE_INITIAL);
  k.trace_.sched_wakeup_new(k.now(), k.this_cpu_, p, cpu);
  trace_programs(k, "sched_wakeup_new", p);
  k.wakeup_preempt(rq, p, wake_flags);
  p.klass->task_woken(rq, p);
  k.task_rq_unlock(rq, p);
}

}  // namespace uscx::sched
