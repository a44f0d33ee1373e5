// SPDX-License-Identifier: GPL-2.0-only
// What the machine asks memory for before it is needed. Hints only: nothing depends on them.
#include <algorithm>

#include "machine/simulated/simulated_machine.h"
#include "sched/kernel.h"
#include "sched/prefetch.h"
#include "sched/task.h"

namespace uscx::machine {

/// With more CPUs and tasks than the cache holds, most of an event's time would go into waiting for
/// memory. What the next ones need is fetched while this one is handled, in four steps, each of
/// which finds what the one before it asked for.
void SimulatedMachine::prefetch_coming(const Event& now_handled) {
  // What was asked for an event ago is there: who the task is that will be switched to.
  if (now_handled.kind == Kind::kResched) {
    const sched::Task* next = sched::next_on_local_dsq(kernel_->rq(now_handled.cpu));
    if (next != nullptr) kernel_->trace().task_comes(next->slot);
  }
  // Events ahead. One is long enough for memory to answer; what is asked for longer before is lost
  // from the first cache again.
  constexpr u32 kFirst = 4, kSecond = 3, kThird = 2, kFourth = 1;
  static_assert(kFirst <= kRing);
  while (queue_.seen_ahead() < kFirst) {
    const Handle event = queue_.look_ahead();
    if (event == EventQueue::kNone) break;
    ahead_[first_++ % kRing] = event;
    prefetch_first(event);
  }
  const u64 now = first_ - std::min<u64>(first_, queue_.seen_ahead());
  for (second_ = std::max(second_, now); second_ < std::min(first_, now + kSecond); ++second_) {
    prefetch_second(ahead_[second_ % kRing]);
  }
  for (third_ = std::max(third_, now); third_ < std::min(second_, now + kThird); ++third_) {
    prefetch_third(ahead_[third_ % kRing]);
  }
  for (fourth_ = std::max(fourth_, now); fourth_ < std::min(third_, now + kFourth); ++fourth_) {
    prefetch_fourth(ahead_[fourth_ % kRing]);
  }
}

void SimulatedMachine::prefetch_first(Handle handle) const {
  const Event& event = queue_.at(handle);
  __builtin_prefetch(&cpus_[static_cast<u32>(event.cpu)]);
  sched::prefetch_rq(kernel_->rq(event.cpu));
  if (event.kind != Kind::kTimer) return;
  __builtin_prefetch(event.target);
  if (event.sleeper != nullptr) sched::prefetch_task(event.sleeper);
}

void SimulatedMachine::prefetch_second(Handle handle) const {
  sched::prefetch_rq_parts(kernel_->rq(queue_.at(handle).cpu));
}

void SimulatedMachine::prefetch_third(Handle handle) const {
  const Event& event = queue_.at(handle);
  sched::prefetch_dispatch(kernel_->rq(event.cpu));
  const Cpu& c = cpus_[static_cast<u32>(event.cpu)];
  if (event.kind != Kind::kProgress) {
    queue_.prefetch(c.progress);
    if (event.sleeper != nullptr) kernel_->trace().task_comes(event.slot);
  } else if (c.task != nullptr) {
    kernel_->trace().task_comes(c.task->slot);
    if (c.task->behaviour) sched::prefetch_behaviour(*c.task);
  }
}

void SimulatedMachine::prefetch_fourth(Handle handle) const {
  const Event& event = queue_.at(handle);
  if (event.kind != Kind::kResched) return;
  const sched::Task* next = sched::next_on_local_dsq(kernel_->rq(event.cpu));
  if (next != nullptr) sched::prefetch_task(next);
}

}  // namespace uscx::machine
