// SPDX-License-Identifier: GPL-2.0-only
// What a task of a workload does to other tasks, to the machine's CPUs and to the scheduler.
#include <utility>

#include "base/bitmap.h"
#include "sched/ext/ext.h"
#include "sched/ext/sysrq.h"
#include "sched/flags.h"
#include "workload/actor.h"

namespace uscx::workload {

using sched::Step;
using sched::Task;

namespace {

constexpr Nanos kSpinStep = Nanos::from_us(1);
constexpr Nanos kPoll = Nanos::from_us(500);
constexpr u32 kMaxPolls = 20'000;  // 10 s: then it goes on, and the report counts it

bool in_state(const Task& p, TaskState state) {
  if (p.exit_state != 0) return true;  // it will not come any more
  switch (state) {
    case TaskState::kSleeping:
      return p.on_cpu == 0 && (p.__state & sched::TASK_NORMAL) != 0;
    case TaskState::kStopped:
      return p.on_cpu == 0 && (p.__state & sched::TASK_STOPPED) != 0;
    case TaskState::kRunning:
      return p.__state == sched::TASK_RUNNING;
  }
  return false;
}

}  // namespace

/// Sleeps half a millisecond at a time until `holds`.
template <class Condition>
std::optional<Step> Actor::poll(Condition&& holds) {
  if (stage_ == 0) {
    polls_ = 0;
    until_ = now();
  }
  if (auto step = sleep_until(until_)) return step;
  if (holds()) return std::nullopt;
  if (++polls_ > kMaxPolls) {
    ++run_->troubles().waits_failed;
    return std::nullopt;
  }
  until_ = now() + kPoll;
  return sleep_until(until_);
}

/// A system call; a failure is counted.
Step Actor::call(std::function<Result<void>(Task& self)> what) {
  return done_after(Step::system_call([this, what = std::move(what)](Task& self) {
    if (!what(self)) ++run_->troubles().calls_failed;
  }));
}

Step Actor::set_affinity(const Op& op) {
  return call([this, &op](Task& self) -> Result<void> {
    abi::cpumask mask{};
    for (const u32 cpu : op.cpus) bitmap::set(mask.bits, cpu);
    Task* p = op.ref.empty() ? &self : run_->task_of(op.ref);
    if (p == nullptr) return fail(ESRCH);
    return run_->kernel().set_affinity(*p, mask);
  });
}

Step Actor::set_scheduler(const Op& op) {
  return call([this, &op](Task& self) -> Result<void> {
    Task* p = op.ref.empty() ? &self : run_->task_of(op.ref);
    if (p == nullptr) return fail(ESRCH);
    if (op.number == sched::SCHED_DEADLINE) return set_deadline(run_->kernel(), *p, op.deadline);
    return run_->kernel().set_scheduler(*p, op.number, op.priority);
  });
}

std::optional<Step> Actor::control(const Op& op, const Bound& names) {
  sched::Kernel& kernel = run_->kernel();
  switch (op.kind) {
    case OpKind::kSpin:
      if (bound<Flag>(names.ref).set) return std::nullopt;
      return Step::compute(kSpinStep, false);
    case OpKind::kSet:
      bound<Flag>(names.ref).set = true;
      return std::nullopt;
    case OpKind::kAwait:
      return poll([&] { return bound<Flag>(names.ref).set; });
    case OpKind::kAwaitState:
      return poll([&] {
        const Task* p = run_->task_of(op.ref);
        return p == nullptr || in_state(*p, static_cast<TaskState>(op.number));
      });
    case OpKind::kAwaitScheduler:
      return poll([&] { return op.ref == kernel.ext().state(); });
    case OpKind::kSetAffinity:
      return set_affinity(op);
    case OpKind::kSetScheduler:
      return set_scheduler(op);
    case OpKind::kSetPriority:
      return call([this, &op](Task& self) -> Result<void> {
        Task* p = op.ref.empty() ? &self : run_->task_of(op.ref);
        if (p == nullptr) return fail(ESRCH);
        run_->kernel().set_nice(*p, op.priority);
        return {};
      });
    case OpKind::kKill:
      return call([this, &op](Task& self) -> Result<void> {
        Task* p = op.ref.empty() ? &self : run_->task_of(op.ref);
        if (p == nullptr) return fail(ESRCH);
        run_->kernel().kill(*p, op.number);
        return {};
      });
    case OpKind::kWaitPid:
      return call([this, &op](Task&) -> Result<void> {
        run_->kernel().wait_for_exit(run_->pid_of(op.ref));
        return {};
      });
    case OpKind::kExec:
      return call([this](Task&) -> Result<void> {
        run_->kernel().sched_exec();
        return {};
      });
    case OpKind::kHotplug:
      return call([this, &op](Task&) {
        const CpuId cpu = static_cast<CpuId>(op.number);
        return op.on ? run_->kernel().cpu_up(cpu) : run_->kernel().cpu_down(cpu);
      });
    case OpKind::kSysRq:
      return call([this, &op](Task&) -> Result<void> {
        switch (op.ref.front()) {
          case 'S':
            sched::ext::sysrq_reset(run_->kernel());
            break;
          case 'D':
            sched::ext::sysrq_dump(run_->kernel());
            break;
          case 'l':
            run_->kernel().sysrq_showallcpus();
            break;
        }
        return {};
      });
    case OpKind::kScheduler:
      return call([this, &op](Task&) -> Result<void> {
        if (!run_->control_scheduler(op.ref)) return fail(EIO);
        return {};
      });
    default:
      break;
  }
  USCX_ASSERT(!"an operation of no kind");
  __builtin_unreachable();
}

}  // namespace uscx::workload
