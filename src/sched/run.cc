// SPDX-License-Identifier: GPL-2.0-only
// What the current task of a CPU does: its behaviour's steps, its system calls on fibers.
#include "sched/private.h"

namespace uscx::sched {

namespace {
// Steps a task may take without using any time; more is a model that would stop the clock.
constexpr u32 kMaxFreeSteps = 100'000;
}  // namespace

void SystemCall::release() {
  if (--body_->users == 0) delete body_;
  body_ = nullptr;
}

/// Asks the behaviour. All but computing is a system call, whose entry is paid for first.
[[gnu::always_inline]] inline void Kernel::Private::take_step(Task& p) {
  Step step = p.behaviour->next(k, p);
  USCX_ASSERT(k.held().empty());
  if (step.kind == Step::Kind::kCompute) {
    p.pending.work = step.work;
    p.pending.fraction = 0;
    p.pending.scaled = step.scaled;
    p.step_valid = true;
    return;
  }
  if (step.kind == Step::Kind::kBlock) {
    // Before anything can wake it: a wakeup from here on ends the sleep that has not begun.
    USCX_ASSERT((step.state & TASK_NORMAL) != 0);
    p.__state = step.state;
  }
  const Costs& costs = k.costs();
  u64 cost = p.is_kthread() ? 0 : costs.syscall_ns;
  if (step.kind == Step::Kind::kExit) [[unlikely]]
    cost = costs.exit_ns - costs.exit_ns / 128;
  p.deferred.kind = step.kind;
  p.deferred.state = step.state;
  if (step.kind == Step::Kind::kCall) [[unlikely]]
    p.deferred.call = std::move(step.call);
  p.deferred_valid = true;
  p.set_pending(Nanos{cost});
}

/// Does the system call. False where another task runs now.
[[gnu::always_inline]] inline bool Kernel::Private::run_deferred(CpuId cpu, Task& p) {
  p.deferred_valid = false;
  if (p.deferred.kind != Step::Kind::kBlock) [[unlikely]]
    return run_system_call(cpu, p);
  // A signal that came before it slept: it does not. Linux: signal_pending_state().
  if (p.pending_signals != 0 && (p.__state & TASK_INTERRUPTIBLE) != 0) p.__state = TASK_RUNNING;
  return !schedule(cpu, ScheduleMode::kNone);
}

[[gnu::always_inline]] inline void Kernel::Private::run(Rq& rq, CpuId cpu) {
  Task& p = *rq.current();
  if (&p == rq.idle_task()) return irq_exit(rq);
  for (u32 free_steps = 0;; ++free_steps) {
    USCX_ASSERT(free_steps < kMaxFreeSteps);
    irq_exit(rq);
    if (rq.current() != &p) return;

    if (p.woken_at_ns != Task::kNotWoken) {
      k.trace_.task_executes(k.now(), cpu, p);
      p.woken_at_ns = Task::kNotWoken;
    }
    if (p.pending_signals != 0 || p.interrupted_work.ns > 0) [[unlikely]] {
      if (!attend_to_signals(cpu, p)) return irq_exit(rq);
    }
    if (p.step_valid && p.pending.work.ns > 0) return;
    p.step_valid = false;
    bool stays = true;
    if (p.deferred_valid) {
      stays = run_deferred(cpu, p);
    } else if (p.kernel_stack) [[unlikely]] {
      stays = resume_fiber(cpu, p);
    } else {
      take_step(p);
    }
    if (!stays) return irq_exit(rq);  // schedule() itself may have asked for another
  }
}

void Kernel::run_current(CpuId cpu) {
  KernelInternals entry(*this, cpu);
  entry.priv().run(entry.rq(), cpu);
}

/// Before it goes on in user mode. False where another task runs now.
[[gnu::cold]] bool Kernel::Private::attend_to_signals(CpuId cpu, Task& p) {
  if (p.pending_signals != 0 && !p.kernel_stack && !p.deferred_valid) {
    if (!deliver_signals(cpu, p)) return false;
  }
  if (p.interrupted_work.ns > 0) {
    p.pending.work += p.interrupted_work;
    p.interrupted_work = {};
    p.step_valid = true;
  }
  return true;
}

/// Does a system call other than one that sleeps only. False where another task runs now.
bool Kernel::Private::run_system_call(CpuId cpu, Task& p) {
  switch (p.deferred.kind) {
    case Step::Kind::kYield: {
      Rq& rq = k.rq(cpu);
      k.rq_lock(rq);
      p.klass->yield_task(rq);
      k.rq_unlock(rq);
      return !schedule(cpu, ScheduleMode::kNone);
    }
    case Step::Kind::kExit: {
      if (p.exit_stage != ExitStage::kNotified) {
        // Each part may be preempted at its end. Nearly all is the first, which gives back memory
        // and files; little is left to do once the parent has been told.
        const bool alive = p.exit_stage == ExitStage::kAlive;
        alive ? exit_begin(p) : exit_notify(p);
        p.deferred_valid = true;
        p.set_pending(Nanos{k.costs().exit_ns / 256});
        return true;
      }
      // do_task_dead(): the last reference goes once it is off its CPU.
      p.__state = TASK_DEAD;
      const bool switched = schedule(cpu, ScheduleMode::kNone);
      USCX_ASSERT(switched);
      return false;
    }
    case Step::Kind::kCall: {
      if (fiber_pool.empty()) {
        fiber_pool.push_back(std::make_unique<Fiber>());
        fiber_pool.back()->held.hooks = k.explorer_;
      }
      p.kernel_stack = std::move(fiber_pool.back());
      fiber_pool.pop_back();
      p.kernel_stack->start([&p, call = std::move(p.deferred.call)] { call(p); });
      return resume_fiber(cpu, p);
    }
    case Step::Kind::kCompute:
    case Step::Kind::kBlock:
      break;
  }
  USCX_ASSERT(!"not a system call");
  __builtin_unreachable();
}

/// Goes on with the system call in progress. False where another task runs now.
bool Kernel::Private::resume_fiber(CpuId cpu, Task& p) {
  k.set_context(cpu, p.kernel_stack.get());
  p.kernel_stack->resume();
  k.set_context(cpu, nullptr);
  if (p.kernel_stack->finished()) {
    USCX_ASSERT(p.kernel_stack->held.empty());
    fiber_pool.push_back(std::move(p.kernel_stack));
    return true;
  }
  // A preemption is left to the caller's look at need_resched.
  return suspend_reason != Suspend::kBlocked || !schedule(cpu, ScheduleMode::kNone);
}

void Kernel::Private::suspend(Suspend reason) {
  USCX_ASSERT(k.fiber_ != nullptr && !k.fiber_->held.atomic());
  suspend_reason = reason;
  k.fiber_->suspend();
}

void Kernel::block(u32 state) {
  USCX_ASSERT(fiber_ != nullptr);
  current().__state = state;
  private_->suspend(Suspend::kBlocked);
}

void Kernel::consume(Nanos duration) {
  if (duration.ns == 0) return;
  if (fiber_ == nullptr) {
    private_->charge(duration.ns);
    return;
  }
  Task& p = current();
  p.set_pending(duration);
  private_->suspend(Suspend::kComputing);
}

void Kernel::cond_resched() {
  if (fiber_ != nullptr && this_rq().need_resched) private_->suspend(Suspend::kPreempted);
}

void Kernel::yield() {
  Rq& r = this_rq();
  rq_lock(r);
  current().klass->yield_task(r);
  rq_unlock(r);
  private_->suspend(Suspend::kBlocked);  // runnable: schedule() leaves it queued
}

}  // namespace uscx::sched
