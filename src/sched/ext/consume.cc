// SPDX-License-Identifier: GPL-2.0-only
// Moving tasks from shared queues to local ones, across runqueues where need be.
#include "base/bitmap.h"
#include "sched/ext/queue.h"
#include "sched/prefetch.h"

namespace uscx::sched::ext {
namespace {

/// Whether that CPU is on line is another question.
bool task_allowed_on_cpu(const Task& p, CpuId cpu) {
  return bitmap::test(p.cpus_ptr->bits, static_cast<u32>(cpu));
}

/// Takes the task off its queue and changes from the locked runqueue to the task's. False: it was
/// dequeued in between, by its own CPU.
bool unlink_dsq_and_switch_rq_lock(Task& p, Dsq& dsq, Rq& locked, Rq& src_rq) {
  Kernel& kernel = dsq.kernel;
  const CpuId cpu = kernel.cpu();
  USCX_ASSERT(p.scx.holding_cpu < 0);
  task_unlink_from_dsq(p, dsq);
  p.scx.holding_cpu = cpu;
  dsq.guard.unlock(kernel.held());
  switch_rq_lock(kernel, locked, src_rq);
  if (kernel.planted(PlantedBug::kHoldingCpuUnchecked)) return true;
  return p.scx.holding_cpu == cpu;
}

}  // namespace

void switch_rq_lock(Kernel& kernel, Rq& from, Rq& to) {
  ExtRq& here = ext_rq(kernel.this_rq());
  const bool tracked = here.locked_rq == &from;
  from.lock.unlock(kernel.held());
  to.lock.lock(kernel.held());
  if (tracked) here.locked_rq = &to;
}

void move_local_task_to_local_dsq(Sched& sch, Task& p, u64 enq_flags, Rq& dst_rq) {
  USCX_ASSERT(p.scx.holding_cpu < 0);
  Dsq& dst = *ext_rq(dst_rq).local_dsq;
  local_dsq_insert(dst, p, enq_flags);
  rq_owned_post_enq(sch, dst_rq, dst, p, enq_flags);
}

void move_remote_task_to_local_dsq(Sched& sch, Task& p, u64 enq_flags, Rq& src_rq, Rq& dst_rq) {
  Kernel& kernel = sch.kernel;
  // sticky_cpu makes the enqueue put it on the local DSQ without asking.
  p.scx.sticky_cpu = dst_rq.id;
  kernel.deactivate_task(src_rq, p, 0);
  kernel.set_task_cpu(p, dst_rq.id);
  switch_rq_lock(kernel, src_rq, dst_rq);

  ExtRq& dst = ext_rq(dst_rq);
  USCX_ASSERT(!dst.remote_activates);
  dst.remote_activates = true;
  dst.remote_activate_enq_flags = enq_flags;
  kernel.activate_task(dst_rq, p, 0);
  dst.remote_activates = false;
}

bool task_can_run_on_remote_rq(Sched& sch, Task& p, Rq& rq, bool enforce) {
  if (p.migration_disabled != 0) {
    if (enforce) {
      error(sch, "SCX_DSQ_LOCAL[_ON] cannot move migration disabled {}[{}] from CPU {} to {}",
            p.comm, p.pid, p.cpu, rq.id);
    }
    return false;
  }
  if (!task_allowed_on_cpu(p, rq.id)) {
    if (enforce) {
      error(sch, "SCX_DSQ_LOCAL[_ON] target CPU {} not allowed for {}[{}]", rq.id, p.comm, p.pid);
    }
    return false;
  }
  if (!rq_online(rq)) {
    if (enforce) {
      add_event(sch, &abi::scx_event_stats::SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE, 1);
    }
    return false;
  }
  return true;
}

Rq& move_task_between_dsqs(Sched& sch, Task& p, u64 enq_flags, Dsq& src, Dsq& dst_dsq) {
  Kernel& kernel = sch.kernel;
  Rq& src_rq = kernel.task_rq(p);
  Dsq* dst = &dst_dsq;
  Rq* dst_rq = &src_rq;
  if (dst->is_local()) {
    dst_rq = dst->rq;
    if (&src_rq != dst_rq && !task_can_run_on_remote_rq(sch, p, *dst_rq, true)) {
      dst = &find_global_dsq(sch, p.cpu);
      dst_rq = &src_rq;
      enq_flags |= abi::SCX_ENQ_GDSQ_FALLBACK;
    }
  }
  if (!dst->is_local()) {
    dispatch_dequeue_locked(p, src);
    src.guard.unlock(kernel.held());
    dispatch_enqueue(sch, *dst_rq, *dst, p, 0, 0, enq_flags);
  } else if (&src_rq == dst_rq) {
    task_unlink_from_dsq(p, src);
    src.guard.unlock(kernel.held());
    move_local_task_to_local_dsq(sch, p, enq_flags, *dst_rq);
  } else {
    src.guard.unlock(kernel.held());
    move_remote_task_to_local_dsq(sch, p, enq_flags, src_rq, *dst_rq);
  }
  return *dst_rq;
}

bool consume_dispatch_q(Sched& sch, Rq& rq, Dsq& dsq, u64 enq_flags) {
  Kernel& kernel = sch.kernel;
  for (;;) {
    kernel.sync_point("dsq list");
    if (dsq.tasks.empty()) return false;
    dsq.guard.lock(kernel.held());
    Task* p = dsq.tasks.front();
    // A scheduler that is being ejected must not keep CPUs busy walking its queues.
    if (sch.aborting && dsq.id != abi::SCX_DSQ_BYPASS) p = nullptr;
    for (; p != nullptr; p = dsq.tasks.next(*p)) {
      if (p->cpu == rq.id || task_can_run_on_remote_rq(sch, *p, rq, false)) break;
    }
    if (p == nullptr) {
      dsq.guard.unlock(kernel.held());
      return false;
    }
    if (kernel.outgrows_cache()) {
      prefetch_task(p);
      if (p->cpu != rq.id) prefetch_rq(kernel.task_rq(*p));
    }
    if (p->cpu == rq.id) {
      task_unlink_from_dsq(*p, dsq);
      dsq.guard.unlock(kernel.held());
      move_local_task_to_local_dsq(sch, *p, enq_flags, rq);
      return true;
    }
    Rq& src_rq = kernel.task_rq(*p);
    if (unlink_dsq_and_switch_rq_lock(*p, dsq, rq, src_rq)) {
      move_remote_task_to_local_dsq(sch, *p, enq_flags, src_rq, rq);
      return true;
    }
    switch_rq_lock(kernel, src_rq, rq);
  }
}

bool consume_global_dsq(Sched& sch, Rq& rq) {
  return consume_dispatch_q(sch, rq, find_global_dsq(sch, rq.id), 0);
}

}  // namespace uscx::sched::ext
