// SPDX-License-Identifier: GPL-2.0-only
// Kernel code that must stay on its CPU and may be preempted, or sleep, all the same.
#include "base/bitmap.h"
#include "sched/private.h"

namespace uscx::sched {

const abi::cpumask& Kernel::cpumask_of(CpuId cpu) {
  auto& masks = private_->cpumasks_of;
  if (masks.empty()) masks.resize(nr_cpus());
  abi::cpumask*& mask = masks[static_cast<u32>(cpu)];
  if (mask == nullptr) {
    mask = window_->make<abi::cpumask>(kCpumaskObject);
    bitmap::set(mask->bits, static_cast<u32>(cpu));
  }
  return *mask;
}

void Kernel::migrate_disable() {
  if (current().migration_disabled++ == 0) ++this_rq().nr_pinned;
}

/// The mask is narrowed when the task is about to leave its CPU: most never do. The class hears of
/// it (ops.set_cpumask()). Linux: migrate_disable_switch().
void Kernel::Private::migrate_disable_switch(Task& prev) {
  if (prev.migration_disabled == 0 || prev.cpus_ptr != &prev.cpus_mask) return;
  Rq& rq = k.task_rq_lock(prev);
  k.sched_change(prev, DEQUEUE_SAVE,
                 [&] { prev.klass->set_cpus_allowed(prev, &k.cpumask_of(rq.id)); });
  k.task_rq_unlock(rq, prev);
}

void Kernel::migrate_enable() {
  Task& p = current();
  USCX_ASSERT(p.migration_disabled != 0);
  if (p.migration_disabled > 1) {
    --p.migration_disabled;
    return;
  }
  Rq& r = this_rq();
  if (p.cpus_ptr != &p.cpus_mask) {
    task_rq_lock(p);
    const u32 dest = ext_->any_and_distribute(*online_mask_, p.cpus_mask);
    sched_change(p, DEQUEUE_SAVE, [&] { p.klass->set_cpus_allowed(p, &p.cpus_mask); });
    private_->affine_move_task(r, p, static_cast<CpuId>(dest), true);
  }
  // No sooner: a stopper that was queued above comes when this is over.
  p.migration_disabled = 0;
  --r.nr_pinned;
}

}  // namespace uscx::sched
