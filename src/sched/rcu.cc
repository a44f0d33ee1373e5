// SPDX-License-Identifier: GPL-2.0-only
// Grace periods: what a reader may still look at is freed after all CPUs were seen elsewhere.
#include <memory>

#include "sched/private.h"

namespace uscx::sched {

void Kernel::Private::rcu_start() {
  rcu.in_progress = true;
  rcu.time_passed = false;
  rcu.current.swap(rcu.next);
  rcu.nr_pending = 0;
  rcu_watch_stalls();
  for (Rq* rq : k.rqs_) {
    const bool in_reader = k.explored() && rq->in_entry;
    const bool stuck = k.now().ns < rq->stuck_until_ns;
    const bool busy = rq->online && (rq->tick_on || in_reader || stuck);
    rcu.cpu_pending[static_cast<u32>(rq->id)] = busy;
    if (busy) ++rcu.nr_pending;
  }
  k.machine_.timer_start(rcu.timer, k.now() + Nanos{k.costs().rcu_grace_period_ns}, k.this_cpu_);
}

void Kernel::Private::report_quiescent(CpuId cpu) {
  if (!rcu.cpu_pending[static_cast<u32>(cpu)]) return;
  if (k.now().ns < k.rq(cpu).stuck_until_ns) return;
  rcu.cpu_pending[static_cast<u32>(cpu)] = false;
  // The end runs callbacks and wakes tasks: not here, where schedule() may be about to lock.
  if (--rcu.nr_pending == 0 && rcu.time_passed) k.machine_.timer_start(rcu.timer, k.now(), cpu);
}

void Rcu::GpTimer::fired(Kernel& kernel) {
  auto& priv = KernelInternals::of(kernel);
  if (!priv.rcu.in_progress) {
    if (!priv.rcu.next.empty()) priv.rcu_start();
    return;
  }
  priv.rcu.time_passed = true;
  if (priv.rcu.nr_pending == 0) priv.rcu_end();
}

void Kernel::Private::rcu_end() {
  rcu.in_progress = false;
  std::vector<std::function<void()>> callbacks;
  callbacks.swap(rcu.current);
  for (const auto& fn : callbacks) fn();
  if (!rcu.next.empty() && !rcu.in_progress) rcu_start();
}

/// The next tick notices the callback and asks for a grace period. So who waits for one right after
/// has the same, not the one after it.
void Kernel::call_rcu(std::function<void()> fn) {
  Rcu& rcu = private_->rcu;
  rcu.next.push_back(std::move(fn));
  if (rcu.in_progress || rcu.timer.armed()) return;
  const u64 tick_ns = 1'000'000'000 / config_.hz;
  machine_.timer_start(rcu.timer, Nanos{(now().ns / tick_ns + 1) * tick_ns}, this_cpu_);
}

void Kernel::synchronize_rcu() {
  struct Completion {
    bool done = false;
    WaitQueue waiters;
  };
  // Shared with the callback: the sleeper may be gone before it (the end of the kernel).
  auto completion = std::make_shared<Completion>();
  private_->rcu.next.push_back([this, completion] {
    completion->done = true;
    completion->waiters.wake_all(*this);
  });
  if (!private_->rcu.in_progress) private_->rcu_start();
  while (!completion->done) completion->waiters.sleep(*this);
}

}  // namespace uscx::sched
