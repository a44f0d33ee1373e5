// SPDX-License-Identifier: GPL-2.0-only
// What the machine asks memory for before it is needed. Hints only: nothing depends on them.
#include <algorithm>

#include "machine/simulated/simulated_machine.h"
#include "sched/kernel.h"
#include "sched/prefetch.h"
#include "sched/task.h"

namespace uscx::machine {

/// With more CPUs and tasks than the cache holds, most of an event's time would go into waiting for
/// memory. What the next ones need is fetched while this one is handled, in three steps, each of
/// which finds what the one before it asked for.
void SimulatedMachine::prefetch_coming() {
  const auto arrived = queue_.arrived(), coming = queue_.coming();
  if (queue_.arrivals() != arrivals_) {
    arrivals_ = queue_.arrivals();
    for (Ahead* step : {&first_, &second_, &third_}) step->next -= std::min(step->next, arrived_);
    arrived_ = arrived.size();
  }
  const std::size_t all = arrived.size() + coming.size();
  const auto fetch = [&](Ahead& step, auto&& what) {
    const std::size_t until = std::min(queue_.taken() + step.events, all);
    for (; step.next < until; ++step.next) {
      what(step.next < arrived.size() ? arrived[step.next] : coming[step.next - arrived.size()]);
    }
  };
  fetch(first_, [this](Handle event) { prefetch_first(event); });
  fetch(second_, [this](Handle event) { prefetch_second(event); });
  fetch(third_, [this](Handle event) { prefetch_third(event); });
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
  sched::prefetch_local_dsq(kernel_->rq(event.cpu));
  const Cpu& c = cpus_[static_cast<u32>(event.cpu)];
  if (event.kind != Kind::kProgress) {
    queue_.prefetch(c.progress);
  } else if (c.task != nullptr && c.task->behaviour) {
    sched::prefetch_behaviour(*c.task);
  }
}

}  // namespace uscx::machine
