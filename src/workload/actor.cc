// SPDX-License-Identifier: GPL-2.0-only
#include "workload/actor.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "sched/cgroup.h"
#include "sched/deadline.h"
#include "sched/flags.h"

namespace uscx::workload {

using sched::Kernel;
using sched::Step;
using sched::Task;

namespace {

// What needs no system call, an uncontended lock or a signal that nobody waits for, takes some 20
// ns of user code (an atomic operation and the call of a library function). That is paid for in
// batches, so that even a task that does nothing else uses time.
constexpr u64 kUserOperationNs = 20;
constexpr u32 kFreeOperations = 64;

}  // namespace

Actor::Actor(std::shared_ptr<Run> run, const ThreadSpec& thread, const Identity& who)
    : run_(std::move(run)),
      thread_(thread),
      random_(run_->stream(who.number)),
      who_(who),
      // Nobody is born with SCHED_DEADLINE: it is the first thing that the task asks for.
      applied_(thread.attributes.policy == sched::SCHED_DEADLINE ? nullptr : &thread.attributes) {
  bind();
}

Actor::~Actor() {
  forget_wait();
  if (wake_.armed()) run_->machine().timer_cancel(wake_);
  if (entered_) run_->forget(*this);
}

void Actor::WakeTimer::fired(Kernel& kernel) {
  kernel.wake_up(*task);
}

// --- names
// ----------------------------------------------------------------------------------------

template <class T>
std::vector<Resource*> Actor::bind_name(const std::string& name, const Phase& phase) {
  std::vector<Resource*> out;
  const u64 count = has_loop_index(name) ? static_cast<u64>(phase.loop) : 1;
  for (u64 l = 0; l < count; ++l) {
    out.push_back(&run_->resources().get<T>(substitute(name, who_, &l)));
  }
  return out;
}

template <class T>
T& Actor::bound(const std::vector<Resource*>& names) const {
  const auto index = names.size() > 1 ? static_cast<std::size_t>(phase_loop_) : 0;
  USCX_ASSERT(index < names.size());
  return static_cast<T&>(*names[index]);
}

template Flag& Actor::bound<Flag>(const std::vector<Resource*>& names) const;  // for control.cc

void Actor::bind() {
  for (const Phase& phase : thread_.phases) {
    auto& ops = bound_.emplace_back();
    for (const Op& op : phase.ops) ops.push_back(bind(op, phase));
  }
}

Actor::Bound Actor::bind(const Op& op, const Phase& phase) {
  switch (op.kind) {
    case OpKind::kTimer: {
      // rt-app: a timer whose name begins with "unique" belongs to one task.
      const std::string own = fmt::format("\n{}", who_.number);
      const bool unique = op.ref.starts_with("unique");
      return {bind_name<PeriodicTimer>(unique ? op.ref + own : op.ref, phase), {}};
    }
    case OpKind::kLock:
    case OpKind::kUnlock:
      return {bind_name<Mutex>(op.ref, phase), {}};
    case OpKind::kWait:
      return {bind_name<Condition>(op.ref, phase), bind_name<Mutex>(op.mutex, phase)};
    case OpKind::kSignal:
    case OpKind::kBroadcast:
    case OpKind::kSuspend:
    case OpKind::kResume:
      return {bind_name<Condition>(op.ref, phase), {}};
    case OpKind::kBarrier:
      return {bind_name<Barrier>(op.ref, phase), {}};
    case OpKind::kPipeWrite:
    case OpKind::kPipeRead:
      return {bind_name<Pipe>(op.ref, phase), {}};
    case OpKind::kFutexWait:
    case OpKind::kFutexWake:
      return {bind_name<Semaphore>(op.ref, phase), {}};
    case OpKind::kSpin:
    case OpKind::kSet:
    case OpKind::kAwait:
      return {bind_name<Flag>(op.ref, phase), {}};
    default:
      break;
  }
  return {};
}

// --- the way through the phases
// ---------------------------------------------------------------------

Step Actor::next(Kernel& kernel, Task& task) {
  Step step;
  for (u32 free_operations = 0;; ++free_operations) {
    if (over_) {
      over_ = false;
      advance();
    }
    const bool plain = phase_entered_ && !run_->stopping() && free_operations < kFreeOperations;
    if (!plain) [[unlikely]] {
      if (interlude(kernel, task, free_operations, step)) return step;
    }
    if (op_ < nr_ops_ && execute(kernel, ops_[op_], step)) {
      unpaid_ = false;
      return step;
    }
    over_ = true;
  }
}

bool Actor::interlude(Kernel& kernel, Task& task, u32 free_operations, Step& step) {
  if (!entered_) {
    entered_ = true;
    wake_.task = entry_.task = &task;
    start_time_ = kernel.now();
    run_->enter(*this);
  }
  if (run_->stopping()) {
    step = leave();
    return true;
  }
  if (free_operations == kFreeOperations) {
    step = Step::compute(Nanos{kFreeOperations * kUserOperationNs});
    return true;
  }
  if (!delayed_) {
    if (sleeps_until(kernel, start_time_ + thread_.delay)) {
      step = Step::block();
      return true;
    }
    delayed_ = true;
    stage_ = 0;
    start_time_ = kernel.now();
  }
  if (at_end()) {
    step = leave();
    return true;
  }
  phase_entered_ = true;
  const std::vector<Op>& ops = thread_.phases[phase_].ops;
  ops_ = ops.data();
  nr_ops_ = static_cast<u32>(ops.size());
  std::optional<Step> first = enter_phase();
  if (first) step = std::move(*first);
  return first.has_value();
}

/// To the next operation, loop, phase, or loop over the phases.
void Actor::advance() {
  stage_ = 0;
  if (++op_ < nr_ops_) return;
  op_ = 0;
  const Phase& phase = thread_.phases[phase_];
  if (phase.loop == kForever || ++phase_loop_ < phase.loop) return;
  phase_loop_ = 0;
  phase_entered_ = false;
  if (++phase_ < thread_.phases.size()) return;
  if (thread_.loop == kForever || ++thread_loop_ < thread_.loop) phase_ = 0;
}

/// What a phase does not say is as the thread says, as in rt-app.
std::optional<Step> Actor::enter_phase() {
  const Attributes& own = thread_.phases[phase_].attributes;
  const bool any = own.cpus || own.policy || own.priority || own.cgroup || own.deadline.any();
  const Attributes* wanted = any ? &own : &thread_.attributes;
  if (wanted == applied_) return std::nullopt;
  return Step::system_call([this, wanted](Task& self) { apply(*wanted, self); });
}

Result<void> set_deadline(Kernel& kernel, Task& task, const Reservation& r) {
  return kernel.set_deadline(
      task,
      {.runtime_ns = r.runtime->ns, .deadline_ns = r.deadline->ns, .period_ns = r.period->ns});
}

void Actor::apply(const Attributes& a, Task& task) {
  Kernel& kernel = run_->kernel();
  applied_ = &a;
  const auto& cpus = a.cpus ? a.cpus : thread_.attributes.cpus;
  abi::cpumask mask{};
  if (cpus) {
    for (const u32 cpu : *cpus) mask.bits[cpu / 64] |= 1UL << (cpu % 64);
  } else {
    mask = kernel.possible_mask();
  }
  Troubles& troubles = run_->troubles();
  if (!kernel.set_affinity(task, mask)) ++troubles.calls_failed;
  const int policy = a.policy.value_or(*thread_.attributes.policy);
  if (policy == sched::SCHED_DEADLINE) {
    const Reservation& r = a.deadline.any() ? a.deadline : thread_.attributes.deadline;
    if (!set_deadline(kernel, task, r)) ++troubles.calls_failed;
  } else {
    const int priority = a.priority.value_or(thread_.attributes.priority.value_or(0));
    const bool realtime = policy == sched::SCHED_FIFO || policy == sched::SCHED_RR;
    if (!kernel.set_scheduler(task, policy, realtime ? priority : 0)) ++troubles.calls_failed;
    if (!realtime) kernel.set_nice(task, priority);
  }
  const auto& cgroup = a.cgroup ? a.cgroup : thread_.attributes.cgroup;
  if (cgroup) run_->attach_to_cgroup(task, substitute(*cgroup, who_, nullptr));
}

void Actor::killed(Kernel& /*kernel*/, Task& /*task*/) {
  leave();
}

Step Actor::leave() {
  forget_wait();
  if (wake_.armed()) run_->machine().timer_cancel(wake_);
  if (entered_) run_->leave(*this);
  entered_ = false;
  return Step::exit();
}

// --- operations
// -------------------------------------------------------------------------------------

inline bool Actor::execute(Kernel& kernel, const Op& op, Step& step) {
  const bool runs = op.kind == OpKind::kRun;
  if (runs || (op.kind == OpKind::kSleep && !unpaid_)) [[likely]] {
    if (runs || stage_ == 0) {
      const Nanos drawn = draw(op.duration);
      if (runs) {
        over_ = true;
        step.work = drawn;
        return true;
      }
      until_ = kernel.now() + drawn;
    }
    if (!sleeps_until(kernel, until_)) return false;
    step.kind = Step::Kind::kBlock;
    return true;
  }
  std::optional<Step> other = execute(op);
  if (other) step = std::move(*other);
  return other.has_value();
}

std::optional<Step> Actor::execute(const Op& op) {
  // The time of the system call before this one must pass first; what computes includes it.
  if (unpaid_ && op.kind != OpKind::kRuntime && stage_ == 0) return Step::compute(Nanos{1}, false);
  switch (op.kind) {
    // Those that name nothing first: they need not look for it.
    case OpKind::kRuntime:
      return done_after(Step::compute(draw(op.duration), false));
    case OpKind::kSleep:
      if (stage_ == 0) until_ = now() + draw(op.duration);
      return sleep_until(until_);
    case OpKind::kYield:
      return done_after(Step::yield());
    case OpKind::kMigrateDisable:
      run_->kernel().migrate_disable();
      return std::nullopt;
    case OpKind::kMigrateEnable:
      return done_after(Step::system_call([this](Task&) { run_->kernel().migrate_enable(); }));
    case OpKind::kFork:
      return done_after(fork(op));
    default:
      return execute(op, bound_[phase_][op_]);
  }
}

std::optional<Step> Actor::execute(const Op& op, const Bound& names) {
  switch (op.kind) {
    case OpKind::kTimer:
      return timer(op, bound<PeriodicTimer>(names.ref));
    case OpKind::kLock:
      return lock(bound<Mutex>(names.ref));
    case OpKind::kUnlock:
      unlock(bound<Mutex>(names.ref));
      return std::nullopt;
    case OpKind::kWait:
      return wait(bound<Condition>(names.ref), bound<Mutex>(names.mutex));
    case OpKind::kSignal:
      if (bound<Condition>(names.ref).waiters.wake(run_->kernel(), 1) > 0) pay_system_call();
      return std::nullopt;
    case OpKind::kBroadcast:
    case OpKind::kResume:
      if (bound<Condition>(names.ref).waiters.wake_all(run_->kernel()) > 0) pay_system_call();
      return std::nullopt;
    case OpKind::kBarrier:
      return barrier(bound<Barrier>(names.ref));
    case OpKind::kSuspend:
      return suspend(bound<Condition>(names.ref));
    case OpKind::kPipeWrite:
      return pipe_write(bound<Pipe>(names.ref), op.count);
    case OpKind::kPipeRead:
      return pipe_read(bound<Pipe>(names.ref), op.count);
    case OpKind::kFutexWait:
      return futex_wait(bound<Semaphore>(names.ref));
    case OpKind::kFutexWake:
      futex_wake(bound<Semaphore>(names.ref), op.count);
      return std::nullopt;
    case OpKind::kCgroupCreate:
    case OpKind::kCgroupSet:
    case OpKind::kCgroupRemove:
    case OpKind::kCgroupMove:
      return done_after(cgroup(op));
    default:
      return control(op, names);
  }
}

Nanos Actor::draw(const Duration& d) {
  if (d.min == d.max) return d.min;
  return d.min + Nanos{random_.below((d.max - d.min).ns + 1)};
}

void Actor::pay_system_call() {
  Kernel& kernel = run_->kernel();
  kernel.machine().charge(kernel.cpu(), Nanos{kernel.costs().syscall_ns});
  unpaid_ = true;
}

Step Actor::block_on(sched::WaitQueue& queue) {
  forget_wait();
  queue.add(entry_);
  queued_on_ = &queue;
  return Step::block();
}

void Actor::forget_wait() {
  if (queued_on_ != nullptr) queued_on_->remove(entry_);
  queued_on_ = nullptr;
}

bool Actor::sleeps_until(Kernel& kernel, Nanos when) {
  stage_ = 1;
  if (kernel.now() >= when) return false;
  if (!wake_.armed()) kernel.machine().timer_start(wake_, when, kernel.cpu());
  return true;
}

std::optional<Step> Actor::sleep_until(Nanos when) {
  if (!sleeps_until(run_->kernel(), when)) return std::nullopt;
  return Step::block();
}

/// rt-app's rules: the first period begins with the task; a relative timer that is late starts
/// anew from now, an absolute one tries to catch up.
std::optional<Step> Actor::timer(const Op& op, PeriodicTimer& timer) {
  if (stage_ == 0) {
    if (!timer.used) timer.next = start_time_;
    timer.used = true;
    timer.next += draw(op.duration);
    until_ = timer.next;
    if (now() >= until_) {
      if (!op.absolute) timer.next = now();
      return std::nullopt;
    }
  }
  return sleep_until(until_);
}

std::optional<Step> Actor::lock(Mutex& mutex) {
  stage_ = 1;
  if (mutex.owner != nullptr) return block_on(mutex.waiters);
  forget_wait();
  mutex.owner = task();
  return std::nullopt;
}

void Actor::unlock(Mutex& mutex) {
  if (mutex.owner != task()) return;  // undefined for POSIX, harmless in rt-app
  mutex.owner = nullptr;
  if (mutex.waiters.wake(run_->kernel(), 1) > 0) pay_system_call();
}

std::optional<Step> Actor::wait(Condition& condition, Mutex& mutex) {
  if (stage_ == 0) {
    unlock(mutex);
    stage_ = 1;
    return block_on(condition.waiters);
  }
  if (stage_ == 1) {
    if (entry_.link.linked()) return Step::block();
    stage_ = 2;
  }
  auto step = lock(mutex);
  stage_ = 2;
  return step;
}

std::optional<Step> Actor::suspend(Condition& condition) {
  if (stage_ == 0) {
    stage_ = 1;
    return block_on(condition.waiters);
  }
  if (entry_.link.linked()) return Step::block();
  forget_wait();
  return std::nullopt;
}

std::optional<Step> Actor::barrier(Barrier& barrier) {
  if (stage_ == 0) {
    stage_ = 1;
    left_ = barrier.round;
    if (++barrier.arrived < barrier.users) return block_on(barrier.waiters);
    barrier.arrived = 0;
    ++barrier.round;
    if (barrier.waiters.wake_all(run_->kernel()) > 0) pay_system_call();
    return std::nullopt;
  }
  if (barrier.round == left_) return block_on(barrier.waiters);
  forget_wait();
  return std::nullopt;
}

/// As pipe_write(): it wakes a reader where the pipe was empty, and tells the scheduler that the
/// writer is about to sleep or to be read (WF_SYNC).
std::optional<Step> Actor::pipe_write(Pipe& pipe, u64 bytes) {
  const bool blocked = stage_ == 1;
  if (pipe.bytes + bytes > kPipeCapacity) {
    stage_ = 1;
    return block_on(pipe.writers);
  }
  forget_wait();
  const bool was_empty = pipe.bytes == 0;
  pipe.bytes += bytes;
  if (was_empty) pipe.readers.wake(run_->kernel(), 1, sched::WF_SYNC);
  if (!blocked) pay_system_call();
  return std::nullopt;
}

/// As pipe_read(): it wakes a writer when a page of the full pipe has become free, and hands on to
/// the next reader what it leaves.
std::optional<Step> Actor::pipe_read(Pipe& pipe, u64 bytes) {
  const bool blocked = stage_ == 1;
  if (!blocked) left_ = bytes;
  const u64 taken = pipe.bytes < left_ ? pipe.bytes : left_;
  pipe.bytes -= taken;
  left_ -= taken;
  if (taken > 0 && kPipeCapacity - pipe.bytes >= kPipeMessageMax) {
    pipe.writers.wake(run_->kernel(), 1, sched::WF_SYNC);
  }
  if (left_ > 0) {
    stage_ = 1;
    return block_on(pipe.readers);
  }
  forget_wait();
  if (pipe.bytes > 0) pipe.readers.wake(run_->kernel(), 1, sched::WF_SYNC);
  if (!blocked) pay_system_call();
  return std::nullopt;
}

/// No system call where the counter allows it, as in glibc.
std::optional<Step> Actor::futex_wait(Semaphore& semaphore) {
  if (semaphore.value == 0) {
    stage_ = 1;
    return block_on(semaphore.waiters);
  }
  forget_wait();
  --semaphore.value;
  return std::nullopt;
}

void Actor::futex_wake(Semaphore& semaphore, u64 count) {
  semaphore.value += count;
  const u32 woken = semaphore.waiters.wake(run_->kernel(), static_cast<u32>(count));
  if (woken > 0) pay_system_call();
}

/// What a write to the cgroup file system does, as a system call.
Step Actor::cgroup(const Op& op) {
  const u64 loop = static_cast<u64>(phase_loop_);
  return Step::system_call([this, &op, path = substitute(op.ref, who_, &loop)](Task& self) {
    switch (op.kind) {
      case OpKind::kCgroupCreate:
        run_->make_cgroup({path, op.cgroup});
        break;
      case OpKind::kCgroupSet:
        run_->set_cgroup(path, op.cgroup);
        break;
      case OpKind::kCgroupRemove:
        if (!run_->kernel().cgroups().remove(path)) ++run_->troubles().calls_failed;
        break;
      default:
        if (op.task.empty()) {
          run_->attach_to_cgroup(self, path);
        } else {
          run_->move_to_cgroup(op.task, path);
        }
        break;
    }
  });
}

Step Actor::fork(const Op& op) {
  const u32 thread = run_->thread_index(op.ref);
  return Step::system_call([this, thread](Task& self) {
    run_->fork(self, {.thread = thread, .group = who_.group, .instance = who_.instance});
  });
}

}  // namespace uscx::workload
