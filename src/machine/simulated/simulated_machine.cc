// SPDX-License-Identifier: GPL-2.0-only
#include "machine/simulated/simulated_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sched/kernel.h"
#include "sched/prefetch.h"
#include "sched/task.h"

namespace uscx::machine {

using sched::Task;

namespace {

constexpr u32 kFullCapacity = 1024;
/// Steps longer than this (146 years) are as good as endless, and times can be added safely.
constexpr u64 kForever = 1ULL << 62;

/// The wall time in which a CPU of `capacity` does `work` of which `fraction`/1024 ns is done.
u64 wall_time(u64 work, u64 fraction, u32 capacity) {
  if (capacity == kFullCapacity && fraction == 0) return std::min(work, kForever);
  const auto units = static_cast<unsigned __int128>(work) * kFullCapacity;
  if (units <= fraction) return 0;
  const auto time = (units - fraction + capacity - 1) / capacity;
  return time < kForever ? static_cast<u64>(time) : kForever;
}

}  // namespace

SimulatedMachine::SimulatedMachine(const MachineSpec& spec)
    : topology_(spec.topology), costs_(spec.costs) {
  USCX_ASSERT(topology_.nr_cpus() >= 1 && topology_.nr_cpus() <= kMaxCpus);
  cpus_.reserve(topology_.nr_cpus());
  for (u32 i = 0; i < topology_.nr_cpus(); ++i) {
    const CpuId id = static_cast<CpuId>(i);
    Cpu c{.progress = make_event(Kind::kProgress, id, nullptr),
          .tick = make_event(Kind::kTick, id, nullptr)};
    c.capacity = topology_.cpus[i].capacity;
    USCX_ASSERT(c.capacity >= 1 && c.capacity <= kFullCapacity);
    cpus_.push_back(c);
  }
}

void SimulatedMachine::attach(sched::Kernel& kernel) {
  USCX_ASSERT(kernel_ == nullptr && now_ == 0);
  USCX_ASSERT(kernel.config().hz > 0);
  kernel_ = &kernel;
  tick_period_ns_ = 1'000'000'000 / kernel.config().hz;
}

void SimulatedMachine::set_progress(u64 every, std::function<void()> progress) {
  USCX_ASSERT(every > 0);
  progress_every_ = every;
  next_progress_ = events_ + every;
  on_progress_ = std::move(progress);
}

SimulatedMachine::Cpu& SimulatedMachine::at(CpuId cpu) {
  USCX_ASSERT(cpu >= 0 && static_cast<u32>(cpu) < cpus_.size());
  return cpus_[static_cast<u32>(cpu)];
}

SimulatedMachine::Handle SimulatedMachine::make_event(Kind kind, CpuId cpu, void* target) {
  const Handle event = queue_.make();
  queue_.at(event) = {.kind = kind, .cpu = cpu, .target = target};
  return event;
}

// --- running
// --------------------------------------------------------------------------------------

OrError<SimulatedMachine::Ended> SimulatedMachine::run_until(Nanos deadline) {
  constexpr bool kNever = false;
  return run(deadline, kNever);
}

OrError<SimulatedMachine::Ended> SimulatedMachine::run_until_done(const bool& done,
                                                                  Nanos deadline) {
  if (done) return Ended::kCondition;
  return run(deadline, done);
}

OrError<SimulatedMachine::Ended> SimulatedMachine::run_until(const std::function<bool()>& condition,
                                                             Nanos deadline) {
  holds_ = condition();
  if (holds_) return Ended::kCondition;
  condition_ = &condition;
  OrError<Ended> ended = run(deadline, holds_);
  condition_ = nullptr;
  return ended;
}

OrError<SimulatedMachine::Ended> SimulatedMachine::run(Nanos deadline, const bool& done) {
  USCX_ASSERT(kernel_ != nullptr && handling_ == kNoCpu);
  stopping_ = false;
  kernel_->activate();  // tasks and their steps live in its window
  OrError<Ended> ended = run_events(deadline, done);
  finish_entries();
  return ended;
}

OrError<SimulatedMachine::Ended> SimulatedMachine::run_events(Nanos deadline, const bool& done) {
  const bool large = kernel_->outgrows_cache();
  const bool asks = condition_ != nullptr || after_event_ != nullptr;
  while (!queue_.empty()) {
    const u64 time = queue_.next_time();
    if (time > deadline.ns) break;
    USCX_ASSERT(time >= now_);
    const Handle event = queue_.pop();
    if (is_off(queue_.at(event))) continue;
    if (time != now_) events_at_now_ = 0;
    now_ = time;
    if (large) prefetch_coming(queue_.at(event));
    if (++events_at_now_ > kMaxEventsPerInstant) [[unlikely]]
      return std::unexpected(stuck(queue_.at(event)));
    ++events_;
    handle(event);
    if (asks) [[unlikely]]
      ask_after_event();
    if (events_ >= next_progress_) [[unlikely]] {
      next_progress_ = events_ + progress_every_;
      on_progress_();
    }
    if (stopping_) return Ended::kStopped;
    if (done) return Ended::kCondition;
  }
  if (deadline == Nanos::max()) return Ended::kNoEvents;
  now_ = std::max(now_, deadline.ns);
  return Ended::kTime;
}

void SimulatedMachine::ask_after_event() {
  if (after_event_) after_event_();
  if (condition_ != nullptr) holds_ = (*condition_)();
}

CpuId SimulatedMachine::served_by(const Event& event) const {
  const bool moves = event.kind == Kind::kTimer || event.kind == Kind::kIrqWork;
  return moves ? kernel_->interrupt_cpu(event.cpu) : event.cpu;
}

inline u64 SimulatedMachine::time_left(const Cpu& c) const {
  if (c.step == nullptr) return c.overhead_ns;
  const u32 capacity = c.step->scaled ? c.capacity : kFullCapacity;
  return c.overhead_ns + wall_time(c.step->work.ns, c.step->fraction, capacity);
}

/// After a kernel entry: takes up the current task's step and times it.
inline void SimulatedMachine::settle(Cpu& c) {
  catch_up(c);
  if (c.task == nullptr) {
    if (queue_.armed(c.progress)) queue_.disarm(c.progress);
    return;
  }
  if (c.step == nullptr && c.task->step_valid) c.step = &c.task->pending;
  const u64 due = now_ + time_left(c);
  if (!queue_.armed(c.progress) || queue_.time(c.progress) != due) queue_.arm(c.progress, due);
}

/// Work that the handler queued on its own CPU comes at once, then the CPU goes on.
inline void SimulatedMachine::finish_handler(CpuId cpu) {
  if (!own_work_.empty()) [[unlikely]]
    do_own_work(cpu);
  settle(at(cpu));
}

void SimulatedMachine::handle(Handle handle) {
  const Event event = queue_.at(handle);
  const CpuId cpu = served_by(event);
  handling_ = cpu;
  switch (event.kind) {
    case Kind::kProgress:
      progress(cpu);
      break;
    case Kind::kTick:
      arm_tick(at(cpu));
      kernel_->irq_tick(cpu);
      break;
    case Kind::kTimer: {
      auto& timer = *static_cast<sched::Timer*>(event.target);
      timer.slot = sched::Timer::kIdle;
      queue_.release(handle);
      kernel_->irq_timer(cpu, timer);
      break;
    }
    case Kind::kResched:
      queue_.release(handle);
      at(cpu).left_idle = event.target != nullptr;
      kernel_->irq_resched(cpu);
      at(cpu).left_idle = false;
      break;
    case Kind::kIrqWork: {
      auto& work = *static_cast<sched::IrqWork*>(event.target);
      queue_.release(handle);
      work.queued = false;
      kernel_->irq_work(cpu, work);
      break;
    }
    case Kind::kResume:
      USCX_ASSERT(!"an entry that was left is the explored machine's to resume");
  }
  finish_handler(cpu);
  handling_ = kNoCpu;
}

void SimulatedMachine::do_own_work(CpuId cpu) {
  for (std::size_t i = 0; i < own_work_.size(); ++i) {
    USCX_ASSERT(i < kMaxEventsPerInstant);
    sched::IrqWork& work = *own_work_[i];
    work.queued = false;
    ++events_;
    kernel_->irq_work(cpu, work);
  }
  own_work_.clear();
}

/// The costs are paid and the step, if there was one, is done: the kernel says what comes next.
void SimulatedMachine::progress(CpuId cpu) {
  Cpu& c = at(cpu);
  catch_up(c);
  USCX_ASSERT(c.task != nullptr && c.overhead_ns == 0);
  if (c.step != nullptr) {
    USCX_ASSERT(c.step->work.ns == 0);
    c.task->step_valid = false;
    c.step->fraction = 0;
    c.step = nullptr;
  }
  kernel_->run_current(cpu);
}

Error SimulatedMachine::stuck(const Event& last) const {
  constexpr std::string_view kNames[] = {"a task's progress", "a tick",
                                         "a timer",           "a reschedule interrupt",
                                         "an irq_work",       "an entry that gave way"};
  return Error{fmt::format(
      "virtual time stands still at {}.{:09} s: more than {} events without progress, the last is "
      "{} on CPU {}",
      now_ / 1'000'000'000, now_ % 1'000'000'000, kMaxEventsPerInstant,
      kNames[static_cast<u32>(last.kind)], last.cpu)};
}

// --- what CPUs do -------------------------------------------------------------------------------

/// Accounts the time since `since_ns`: costs first, then work.
void SimulatedMachine::account(Cpu& c) {
  u64 elapsed = now_ - c.since_ns;
  c.since_ns = now_;
  const u64 paid = std::min(elapsed, c.overhead_ns);
  c.overhead_ns -= paid;
  elapsed -= paid;
  if (c.step == nullptr || elapsed == 0) return;
  const u64 capacity = c.step->scaled ? c.capacity : kFullCapacity;
  if (capacity == kFullCapacity) {
    c.step->work.ns -= std::min(elapsed, c.step->work.ns);
    return;
  }
  const auto units = static_cast<unsigned __int128>(elapsed) * capacity + c.step->fraction;
  const u64 done = static_cast<u64>(units / kFullCapacity);
  c.step->fraction = static_cast<u32>(units % kFullCapacity);
  c.step->work.ns -= std::min(done, c.step->work.ns);
}

void SimulatedMachine::settle_other(Cpu& c) {
  settle(c);
}

void SimulatedMachine::switched(CpuId cpu, Task& prev, Task& next) {
  Cpu& c = at(cpu);
  USCX_ASSERT(&prev != &next && c.task == (prev.is_idle() ? nullptr : &prev));
  catch_up(c);
  c.step = nullptr;
  c.task = next.is_idle() ? nullptr : &next;
  if (c.task != nullptr) {
    if (!prev.is_idle()) {
      c.overhead_ns += costs_.context_switch_ns;
    } else if (!c.left_idle) {
      c.overhead_ns += costs_.idle_exit_ns;
    }
    c.overhead_ns += migration_cost(next.ran_on, cpu);
    next.ran_on = cpu;
    if (next.behaviour && kernel_->outgrows_cache()) sched::prefetch_behaviour(next);
  }
  if (cpu != handling_) settle_other(c);
}

u64 SimulatedMachine::migration_cost(CpuId from, CpuId to) const {
  if (from == kNoCpu || from == to) return 0;
  const sched::CpuInfo& a = topology_.cpus[static_cast<u32>(from)];
  const sched::CpuInfo& b = topology_.cpus[static_cast<u32>(to)];
  if (a.node != b.node) return costs_.migrate_node_ns;
  return a.llc != b.llc ? costs_.migrate_llc_ns : 0;
}

void SimulatedMachine::charge(CpuId cpu, Nanos cost) {
  Cpu& c = at(cpu);
  catch_up(c);
  c.overhead_ns += cost.ns;
  if (cpu != handling_) settle_other(c);
}

// --- timers and interrupts
// ------------------------------------------------------------------------

void SimulatedMachine::timer_start(sched::Timer& timer, Nanos expires, CpuId cpu) {
  USCX_ASSERT(cpu >= 0 && static_cast<u32>(cpu) < cpus_.size());
  if (!timer.armed()) timer.slot = make_event(Kind::kTimer, cpu, &timer);
  Event& event = queue_.at(timer.slot);
  USCX_ASSERT(event.kind == Kind::kTimer && event.target == &timer);
  event.cpu = cpu;
  event.sleeper = handling_ == kNoCpu ? nullptr : at(handling_).task;
  event.slot = event.sleeper != nullptr ? event.sleeper->slot : 0;
  timer.expires_ns = expires.ns;
  queue_.arm(timer.slot, std::max(expires.ns, now_));
}

bool SimulatedMachine::timer_cancel(sched::Timer& timer) {
  if (!timer.armed()) return false;
  USCX_ASSERT(queue_.at(timer.slot).kind == Kind::kTimer && queue_.at(timer.slot).target == &timer);
  queue_.disarm(timer.slot);
  queue_.release(timer.slot);
  timer.slot = sched::Timer::kIdle;
  return true;
}

void SimulatedMachine::send_resched(CpuId to) {
  USCX_ASSERT(to >= 0 && static_cast<u32>(to) < cpus_.size());
  // One that a CPU sends itself comes when it has done what it is about: the next task gets at
  // least a little time, however often its scheduler asks for another.
  Cpu& c = at(to);
  u64 before_ns = to == handling_ ? c.overhead_ns : 0;
  // An idle CPU has to leave its idle state before it looks for something to run: others that look
  // meanwhile are first.
  const bool idle = to != handling_ && c.task == nullptr;
  if (idle) before_ns += costs_.idle_exit_ns;
  const Handle event = make_event(Kind::kResched, to, idle ? &c : nullptr);
  queue_.arm(event, now_ + before_ns + ipi_latency_ns());
}

bool SimulatedMachine::queue_irq_work(sched::IrqWork& work, CpuId to) {
  USCX_ASSERT(to >= 0 && static_cast<u32>(to) < cpus_.size());
  if (work.queued) return false;
  work.queued = true;
  if (to == handling_) {
    own_work_.push_back(&work);
  } else {
    const u64 latency = handling_ == kNoCpu ? 0 : ipi_latency_ns();
    queue_.arm(make_event(Kind::kIrqWork, to, &work), now_ + latency);
  }
  return true;
}

void SimulatedMachine::tick_start(CpuId cpu) {
  Cpu& c = at(cpu);
  c.ticking = true;
  if (c.tick_at_ns <= now_) arm_tick(c);
}

/// It stays armed: a CPU that is idle for less than a tick, as most are, has nothing to do for it.
void SimulatedMachine::tick_stop(CpuId cpu) {
  at(cpu).ticking = false;
}

}  // namespace uscx::machine
