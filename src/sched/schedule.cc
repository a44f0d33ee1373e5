// SPDX-License-Identifier: GPL-2.0-only
// schedule(): who runs next, and the switch to it.
#include "sched/classes.h"
#include "sched/deadline.h"
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

namespace {

constexpr u32 kMaxPreemptionsPerInstant = 16;

void sched_info_arrive(Rq& rq, Task& next) {
  if (next.sched_info.last_queued != 0) {
    next.sched_info.run_delay += rq.clock - next.sched_info.last_queued;
    next.sched_info.last_queued = 0;
  }
  next.sched_info.last_arrival = rq.clock;
  ++next.sched_info.pcount;
}

}  // namespace

/// The highest class, from `klass` down, that has a say in who runs next. Those of dl and rt
/// pull when one of their tasks stops, and that of fair when it has none.
SchedClass& Kernel::Private::next_to_ask(const SchedClass* klass, const Rq& rq, const Task& prev) {
  const SchedClass* prev_klass = &k.class_of(rq, prev);
  const int rank = klass == nullptr ? k.stop_->rank() : klass->rank() - 1;
  if (rank >= k.stop_->rank() && rq.stop != nullptr) return *k.stop_;
  if (rank >= k.dl_->rank() && (rq.nr_dl != 0 || prev_klass == k.dl_.get())) return *k.dl_;
  if (rank >= k.rt_->rank() && (rq.nr_rt != 0 || prev_klass == k.rt_.get())) return *k.rt_;
  if (rank >= k.fair_->rank() && !k.ext_->switched_all()) return *k.fair_;
  if (rank >= k.ext_class().rank() && k.ext_->enabled()) return k.ext_class();
  return *k.idle_;
}

/// Asks all classes in order.
[[gnu::noinline]] Task& Kernel::Private::ask_classes(Rq& rq, Task& prev) {
  const SchedClass* asked = nullptr;
  for (;;) {
    SchedClass& klass = next_to_ask(asked, rq, prev);
    const SchedClass::Pick pick = klass.pick_task(rq, prev);
    if (pick.task != nullptr) return *pick.task;
    // After a retry all are asked again: the lock was dropped.
    asked = pick.retry ? nullptr : &klass;
  }
}

[[gnu::always_inline]] inline Task& Kernel::Private::pick_next_task(Rq& rq, Task& prev) {
  Task* next = nullptr;
  // With sched_ext for all tasks, next_to_ask() says it, and then the idle class.
  SchedClass& ext = k.ext_class();
  const bool ext_first = rq.stop == nullptr && (rq.nr_dl | rq.nr_rt) == 0 &&
                         (&prev == rq.idle_task() || prev.klass == &ext) &&
                         k.ext_->switched_all() && k.ext_->enabled();
  if (ext_first) {
    const SchedClass::Pick pick = ext.pick_task(rq, prev);
    next = pick.task;
    if (next == nullptr && !pick.retry) next = k.idle_->pick_task(rq, prev).task;
  }
  if (next == nullptr) [[unlikely]]
    next = &ask_classes(rq, prev);
  k.assert_rq_held(rq);
  USCX_ASSERT(rq.current() == &prev);
  if (next != &prev) {
    k.class_of(rq, prev).put_prev_task(rq, prev, next);
    k.class_of(rq, *next).set_next_task(rq, *next, true);
  }
  return *next;
}

[[gnu::always_inline]] inline void Kernel::Private::context_switch(Rq& rq, Task& prev, Task& next,
                                                                   u32 prev_state, bool voluntary) {
  const Nanos now = k.now();
  const bool from_idle = &prev == rq.idle_task();
  const bool to_idle = &next == rq.idle_task();
  ++rq.nr_switches;
  ++k.nr_switches;
  rq.curr = &next;
  if (!from_idle) ++(voluntary ? prev.nvcsw : prev.nivcsw);
  k.trace_.sched_switch(now, rq.id, prev, prev_state, next);

  const u64 ran_ns = now.ns - rq.switched_at_ns;
  if (from_idle) {
    rq.times.add(abi::CPUTIME_IDLE, ran_ns);
  } else {
    rq.busy_ns += ran_ns;
    if (prev.on_rq_queued() && prev.sched_info.last_queued == 0) {
      prev.sched_info.last_queued = rq.clock;
    }
  }
  rq.switched_at_ns = now.ns;
  if (!to_idle) sched_info_arrive(rq, next);

  next.on_cpu = 1;
  prev.on_cpu = 0;
  set_tick(rq, !to_idle && !(rq.nohz_full && can_stop_tick(rq)));
  k.machine_.switched(rq.id, prev, next);
}

bool Kernel::Private::schedule(CpuId cpu, ScheduleMode mode) {
  Rq& rq = k.rq(cpu);
  Task& prev = *rq.current();
  USCX_ASSERT(k.fiber_ == nullptr && k.this_cpu_ == cpu && k.held().empty());
  USCX_ASSERT(rq.preempt_count == 0);
  ++rq.nr_schedules;
  rcu_quiescent(cpu);
  if (prev.migration_disabled != 0) [[unlikely]]
    migrate_disable_switch(prev);

  k.rq_lock(rq);
  k.update_rq_clock(rq);
  const u32 prev_state = prev.__state;
  bool voluntary = false;
  Task* next = nullptr;
  if (mode == ScheduleMode::kIdle && rq.nr_running == 0 && !k.ext_->enabled()) {
    next = &prev;
  } else {
    if (mode == ScheduleMode::kNone && prev_state != TASK_RUNNING) {
      // block_task(): from here on a wakeup goes the whole way through select_task_rq().
      int flags = DEQUEUE_SLEEP | DEQUEUE_NOCLOCK;
      if ((prev_state & (TASK_DEAD | TASK_STOPPED)) != 0) flags |= DEQUEUE_SPECIAL;
      prev.is_blocked = 1;
      if (k.dequeue_task(rq, prev, flags)) prev.set_on_rq(0);
      voluntary = true;
    }
    next = &pick_next_task(rq, prev);
  }
  rq.next_klass = &k.class_of(rq, *next);
  rq.need_resched = false;
  if (next == &prev) {
    if (rq.nohz_full) update_tick_dependency(rq);
    k.rq_unlock(rq);
    if (rq.balance_push) balance_push(rq);
    if (k.explored()) k.ext_->schedule_done(rq);
    return false;
  }
  // Before rq->curr changes, so that the current task is prev, as it is to Linux's programs.
  trace_programs(k, "sched_switch", mode == ScheduleMode::kPreempt, prev, *next, prev_state);
  context_switch(rq, prev, *next, mode == ScheduleMode::kPreempt ? TASK_RUNNING : prev_state,
                 voluntary);
  // Looked at with the lock: without it prev may run, and die, on another CPU.
  const bool dead = prev.__state == TASK_DEAD;
  k.rq_unlock(rq);
  if (next != rq.idle_task() && next->pending_signals != 0) interrupt_user_mode(rq);
  if (rq.balance_push) balance_push(rq);
  if (dead) task_is_dead(prev);
  if (k.explored()) k.ext_->schedule_done(rq);
  return true;
}

void Kernel::Private::set_tick(Rq& rq, bool on) {
  if (rq.tick_on == on) return;
  rq.tick_on = on;
  if (on) return k.machine_.tick_start(rq.id);
  k.machine_.tick_stop(rq.id);
  rcu_quiescent(rq.id);  // without a tick it is in user mode, or idle: no reader
}

/// Linux: sched_can_stop_tick().
bool Kernel::Private::can_stop_tick(Rq& rq) {
  if (rq.nr_dl != 0) return false;
  if (rq.nr_rt > 1) return false;
  if (rq.fair->nr_queued > 1) return false;
  return !k.ext_->enabled() || k.ext_->can_stop_tick(rq);
}

/// The number of tasks changed, or what the running one needs. Linux:
/// sched_update_tick_dependency().
void Kernel::Private::update_tick_dependency(Rq& rq) {
  if (rq.nohz_full && rq.online && !rq.current()->is_idle()) set_tick(rq, !can_stop_tick(rq));
}

void Kernel::Private::task_is_dead(Task& prev) {
  prev.klass->task_dead(prev);
  k.ext_->task_dead(prev);
  k.cgroups_->task_dead(prev);
  k.put_task(prev);
}

[[gnu::noinline]] void Kernel::Private::tell_untold_charge() {
  k.machine_.charge(k.this_cpu_, Nanos{std::exchange(untold_charge_ns, 0)});
}

/// Linux: preempt_schedule_irq() and, of an idle CPU, the idle loop.
void Kernel::Private::preempt_schedule_irq(Rq& rq) {
  if (rq.preempted_at_ns != k.now().ns) {
    rq.preempted_at_ns = k.now().ns;
    rq.preempted_count = 0;
  }
  // A further one is for an interrupt that this CPU sent itself, which is not free.
  if (++rq.preempted_count > 1) charge(k.costs().ipi_ns);
  if (rq.preempted_count <= kMaxPreemptionsPerInstant) {
    const bool idle = rq.current()->is_idle();
    schedule(rq.id, idle ? ScheduleMode::kIdle : ScheduleMode::kPreempt);
    if (!rq.need_resched) return;
  }
  // Asked for again by what schedule() itself did: not before some time has passed, or a scheduler
  // that always does so would stop the clock.
  if (rq.resched_sent) return;
  rq.resched_sent = true;
  tell_charge();
  k.machine_.send_resched(rq.id);
}

void Kernel::irq_resched(CpuId cpu) {
  KernelInternals entry(*this, cpu);
  entry.rq().resched_sent = false;
  entry.priv().irq_exit(entry.rq());
  entry.priv().interrupt_user_mode(entry.rq());
}

void Kernel::irq_tick(CpuId cpu) {
  KernelInternals entry(*this, cpu);
  Rq& r = rq(cpu);
  if (topology_.pmu) [[unlikely]]
    private_->count_cycles(r);
  rq_lock(r);
  update_rq_clock(r);
  current().klass->task_tick(r, current(), false);
  ext_->tick(r);
  r.times.publish();
  rq_unlock(r);
  private_->charge(costs().tick_ns);  // the clock was read first
  private_->rcu_quiescent(cpu);
  if (private_->rcu.nr_pending != 0 && now().ns >= private_->rcu.stall_at_ns) {
    private_->rcu_check_stall();
  }
  if (!ext_->switched_all()) private_->periodic_balance(r);
  private_->irq_exit(this_rq());
}

void Kernel::irq_timer(CpuId cpu, Timer& timer) {
  KernelInternals entry(*this, cpu);
  timer.fired(*this);
  entry.priv().irq_exit(entry.rq());
}

void Kernel::irq_work(CpuId cpu, IrqWork& work) {
  KernelInternals entry(*this, cpu);
  work.run(*this);
  entry.priv().irq_exit(entry.rq());
}

// ----------------------------------------------------------------------------------- resched

void Kernel::resched_curr(Rq& r) {
  assert_rq_held(r);
  if (r.need_resched) return;
  r.need_resched = true;
  // Outside of the machine's entries nobody looks at the flag on the way out.
  if (r.id == this_cpu_ && private_->in_entry) return;
  if (r.resched_sent) return;
  r.resched_sent = true;
  private_->tell_charge();
  machine_.send_resched(r.id);
}

void Kernel::resched_cpu(CpuId cpu) {
  Rq& r = rq(cpu);
  rq_lock(r);
  if (r.online) resched_curr(r);
  rq_unlock(r);
}

}  // namespace uscx::sched
