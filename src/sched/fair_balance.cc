// SPDX-License-Identifier: GPL-2.0-only
// Spreads fair tasks: an idle CPU pulls one that waits elsewhere, and busy ones even out now and
// then. One task at a time; Linux's domains and load averages are not modelled.
#include "base/bitmap.h"
#include "sched/classes.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr u32 kBalanceTicks = 8;  // between two looks of a busy CPU

/// The last task in line that may move to `cpu`, or null.
Task* movable(Kernel& kernel, Rq& from, CpuId cpu) {
  const auto& tree = from.fair->tree;
  for (auto it = tree.rbegin(); it != tree.rend(); ++it) {
    if (kernel.is_cpu_allowed(**it, cpu) && (*it)->migration_disabled == 0) return *it;
  }
  return nullptr;
}

}  // namespace

bool Kernel::Private::pull_fair_task(Rq& rq, u32 margin) {
  if (nr_fair_waiting == 0) return false;
  // The busiest CPU of this LLC, or where there is none, of the machine.
  Rq* busiest = nullptr;
  const auto consider = [&](Rq& other) {
    if (&other == &rq) return;
    if (other.fair->nr_queued < rq.fair->nr_queued + margin) return;
    if (busiest && other.fair->nr_queued <= busiest->fair->nr_queued) return;
    if (movable(k, other, rq.id) != nullptr) busiest = &other;
  };
  const u32 llc = k.topology().cpus[static_cast<u32>(rq.id)].llc;
  // Only where a task waits: to look at all runqueues costs more than everything else here does.
  const unsigned long* waiting = rq.fair->waiting;
  for (CpuId cpu : k.llc_cpus(llc)) {
    if (bitmap::test(waiting, static_cast<u32>(cpu))) consider(k.rq(cpu));
  }
  if (busiest == nullptr) {
    const u32 nr = k.nr_cpus();
    for (u32 i = 0; (i = bitmap::next(waiting, nr, i)) < nr; ++i) consider(*k.rqs_[i]);
  }
  if (busiest == nullptr) return false;

  k.rq_unlock(rq);
  k.double_rq_lock(rq, *busiest);
  k.update_rq_clock(rq);
  Task* p = movable(k, *busiest, rq.id);
  if (p != nullptr) {
    k.update_rq_clock(*busiest);
    k.deactivate_task(*busiest, *p, DEQUEUE_NOCLOCK);
    k.set_task_cpu(*p, rq.id);
    k.activate_task(rq, *p, ENQUEUE_NOCLOCK);
    k.wakeup_preempt(rq, *p, 0);
  }
  k.rq_unlock(*busiest);
  return p != nullptr;
}

void Kernel::Private::periodic_balance(Rq& rq) {
  // Not all at the same tick.
  const u64 tick = k.now().ns / k.tick_ns() + static_cast<u32>(rq.id);
  if (tick % kBalanceTicks != 0 || !rq.online) return;
  k.rq_lock(rq);
  pull_fair_task(rq, 2);
  k.rq_unlock(rq);
  // Idle CPUs have no tick: a busy one looks on their behalf, as Linux's nohz balancer does.
  for (Rq* idle : k.rqs_) {
    if (rq.fair->tree.empty()) return;
    if (!idle->online || !k.idle_cpu(idle->id)) continue;
    k.rq_lock(*idle);
    pull_fair_task(*idle, 2);
    k.rq_unlock(*idle);
  }
}

}  // namespace uscx::sched
