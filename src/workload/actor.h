// SPDX-License-Identifier: GPL-2.0-only
// One task of a workload: goes through the phases of its thread's description.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/hash.h"
#include "sched/behaviour.h"
#include "sched/machine.h"
#include "sched/wait.h"
#include "workload/run.h"
#include "workload/spec.h"

namespace uscx::workload {

/// sched_setattr(2) with a complete reservation.
Result<void> set_deadline(sched::Kernel& kernel, sched::Task& task, const Reservation& r);

class alignas(64) Actor final : public sched::Behaviour {
 public:
  Actor(std::shared_ptr<Run> run, const ThreadSpec& thread, const Identity& who);
  ~Actor() override;
  sched::Step next(sched::Kernel& kernel, sched::Task& task) override;
  void killed(sched::Kernel& kernel, sched::Task& task) override;

  const Identity& identity() const { return who_; }
  sched::Task* task() const { return wake_.task; }
  const std::string& thread_name() const { return thread_.name; }

 private:
  using Step = sched::Step;

  /// The two things an operation can name, resolved once. With %l there is one for every loop.
  struct Bound {
    std::vector<Resource*> ref;
    std::vector<Resource*> mutex;
  };
  /// Ends a sleep.
  struct WakeTimer final : sched::Timer {
    void fired(sched::Kernel& kernel) override;
    sched::Task* task = nullptr;
  };

  void bind();
  Bound bind(const Op& op, const Phase& phase);
  template <class T>
  std::vector<Resource*> bind_name(const std::string& name, const Phase& phase);
  template <class T>
  T& bound(const std::vector<Resource*>& names) const;

  bool at_end() const { return phase_ >= thread_.phases.size(); }
  void advance();
  /// All of next() that is not an operation's: true where `step` is what comes next.
  [[gnu::cold]] bool interlude(sched::Kernel& kernel, sched::Task& task, u32 free_operations,
                               Step& step);
  std::optional<Step> enter_phase();
  void apply(const Attributes& a, sched::Task& task);
  Step leave();

  /// Does (or goes on with) an operation. True: `step`, which is a new one, says how; the operation
  /// is not over unless over_ is set. False: it is over.
  bool execute(sched::Kernel& kernel, const Op& op, Step& step);
  /// The same for what is not just running or sleeping. A step, or nothing.
  std::optional<Step> execute(const Op& op);
  std::optional<Step> execute(const Op& op, const Bound& names);
  /// False: it is that time. True: it will be woken then.
  bool sleeps_until(sched::Kernel& kernel, Nanos when);
  std::optional<Step> sleep_until(Nanos when);
  std::optional<Step> timer(const Op& op, PeriodicTimer& timer);
  std::optional<Step> lock(Mutex& mutex);
  void unlock(Mutex& mutex);
  std::optional<Step> wait(Condition& condition, Mutex& mutex);
  std::optional<Step> suspend(Condition& condition);
  std::optional<Step> barrier(Barrier& barrier);
  std::optional<Step> pipe_write(Pipe& pipe, u64 bytes);
  std::optional<Step> pipe_read(Pipe& pipe, u64 bytes);
  std::optional<Step> futex_wait(Semaphore& semaphore);
  void futex_wake(Semaphore& semaphore, u64 count);
  Step fork(const Op& op);
  Step cgroup(const Op& op);

  // control.cc
  /// The control events; nothing: it is over.
  std::optional<Step> control(const Op& op, const Bound& names);
  template <class Condition>
  std::optional<Step> poll(Condition&& holds);
  Step call(std::function<Result<void>(sched::Task& self)> what);
  Step set_affinity(const Op& op);
  Step set_scheduler(const Op& op);

  Step done_after(Step step) {
    over_ = true;
    return step;
  }
  Step block_on(sched::WaitQueue& queue);
  void forget_wait();
  /// A system call that did not block: its time is still to pass.
  void pay_system_call();
  Nanos draw(const Duration& d);
  Nanos now() { return run_->kernel().now(); }

  // What a task that runs and sleeps needs is on the first two cache lines, since of thousands of
  // tasks nothing is in the cache when they are woken.
  std::shared_ptr<Run> run_;
  const ThreadSpec& thread_;
  Random random_;
  const Op* ops_ = nullptr;  // of the phase, once it is entered
  bool entered_ = false;
  bool delayed_ = false;
  bool phase_entered_ = false;  // and so the two before
  bool over_ = false;           // the operation ends with the step it returned
  bool unpaid_ = false;         // a system call's cost was charged and no time has passed since
  u32 stage_ = 0;               // how far the operation is; 0: not begun
  WakeTimer wake_;
  u32 phase_ = 0;
  u32 op_ = 0;
  u32 nr_ops_ = 0;
  s64 phase_loop_ = 0;
  Nanos until_;  // of a sleep

  const Identity who_;
  const Attributes* applied_;  // the phase's attributes in force; the thread's own at first
  s64 thread_loop_ = 0;
  std::vector<std::vector<Bound>> bound_;  // by phase and operation
  sched::WaitEntry entry_;
  sched::WaitQueue* queued_on_ = nullptr;
  u32 polls_ = 0;  // how often it has looked
  u64 left_ = 0;   // bytes still to read; the barrier's round
  Nanos start_time_;
};

}  // namespace uscx::workload
