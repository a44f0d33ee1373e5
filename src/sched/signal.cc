// SPDX-License-Identifier: GPL-2.0-only
// The signals that the scheduler notices: those that end, stop and continue a task. Tasks have no
// handlers, so everything else would be ignored or end them as SIGKILL does.
#include <csignal>

#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr u32 bit(int signal) {
  return 1U << signal;
}

}  // namespace

void Kernel::kill(Task& p, int signal) {
  USCX_ASSERT(signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT);
  activate();
  if (p.exit_stage != ExitStage::kAlive) return;
  if (signal == SIGCONT) {
    p.pending_signals &= ~bit(SIGSTOP);
    wake_up(p, TASK_STOPPED);
    return;
  }
  p.pending_signals |= bit(signal);
  // signal_wake_up(): what does not sleep is made to look.
  const u32 state = TASK_INTERRUPTIBLE | (signal == SIGKILL ? TASK_STOPPED | TASK_WAKEKILL : 0);
  if (wake_up(p, state) || &p == &current()) return;
  if (task_current(task_rq(p), p)) machine_.send_resched(p.cpu);
}

void Kernel::Private::interrupt_user_mode(Rq& rq) {
  Task& p = *rq.current();
  if (p.pending_signals == 0 || p.kernel_stack || p.deferred_valid || !p.step_valid) return;
  k.machine_.charge(rq.id, Nanos{0});  // brings what is left of the step up to now
  p.interrupted_work += p.pending.work;
  p.pending.work = {};
}

bool Kernel::Private::deliver_signals(CpuId cpu, Task& p) {
  const u32 signals = p.pending_signals;
  p.pending_signals = 0;
  if ((signals & bit(SIGKILL)) != 0) {
    p.behaviour->killed(k, p);
    const u64 exit_ns = k.costs().exit_ns;
    p.interrupted_work = {};
    p.deferred = Step::exit();
    p.deferred_valid = true;
    p.set_pending(Nanos{exit_ns - exit_ns / 128});
    return true;
  }
  p.__state = TASK_STOPPED;
  return !schedule(cpu, ScheduleMode::kNone);
}

}  // namespace uscx::sched
