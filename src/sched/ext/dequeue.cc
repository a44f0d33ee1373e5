// SPDX-License-Identifier: GPL-2.0-only
// A task leaves the runqueue, or leaves its dispatch queue to run.
#include "sched/ext/queue.h"

namespace uscx::sched::ext {

void dispatch_dequeue(Rq& rq, Task& p) {
  Dsq* dsq = task_dsq(p);
  if (dsq == nullptr) {
    // It may wait to be moved to another CPU's local DSQ, or be between two queues in another CPU's
    // hands (holding_cpu); that CPU sees that it lost the task.
    if (p.scx_dsq_node.linked()) ext_rq(rq).ddsp_deferred_locals.erase(p);
    if (p.scx.holding_cpu >= 0) p.scx.holding_cpu = -1;
    return;
  }
  HeldLocks& held = ext_rq(rq).kernel.held();
  if (!dsq->is_local()) dsq->guard.lock(held);
  if (p.scx.holding_cpu < 0) {
    task_unlink_from_dsq(p, *dsq);
  } else {
    USCX_ASSERT(!p.scx_dsq_node.linked());
    p.scx.holding_cpu = -1;
  }
  p.scx.dsq = nullptr;
  if (!dsq->is_local()) dsq->guard.unlock(held);
}

void dispatch_dequeue_locked(Task& p, Dsq& dsq) {
  task_unlink_from_dsq(p, dsq);
  p.scx.dsq = nullptr;
}

void wait_ops_state(Kernel& kernel, const Task& p, u64 state) {
  while (static_cast<u64>(p.scx.ops_state.counter) == state) kernel.relax("ops_state");
}

/// The task, whose runqueue is locked, is not with the scheduler any more afterwards: what that
/// dispatches of it from now on is found stale by its sequence number.
static void take_from_scheduler(Sched& sch, Task& p) {
  Kernel& kernel = sch.kernel;
  kernel.sync_point("ops_state");
  for (;;) {
    const u64 opss = static_cast<u64>(p.scx.ops_state.counter);
    kernel.sync_point("ops_state");
    switch (opss & kOpssStateMask) {
      case abi::SCX_OPSS_NONE:
        return;
      case abi::SCX_OPSS_QUEUED:
        // Out of custody already: who dispatches it is about to say NONE.
        if (!(p.scx.flags & abi::SCX_TASK_IN_CUSTODY)) {
          kernel.relax("custody");
          continue;
        }
        if (cmpxchg_opss(p, opss, abi::SCX_OPSS_NONE)) return;
        break;
      case abi::SCX_OPSS_DISPATCHING:
        break;
      default:
        // QUEUEING begins and ends with this runqueue's lock held.
        USCX_ASSERT(!"an enqueue in progress with the runqueue locked by somebody else");
    }
    // The dispatch gets to its end without this runqueue's lock.
    if (kernel.planted(PlantedBug::kDispatchingNotAwaited)) return;
    wait_ops_state(kernel, p, abi::SCX_OPSS_DISPATCHING);
    USCX_ASSERT(static_cast<u64>(p.scx.ops_state.counter) == abi::SCX_OPSS_NONE);
    return;
  }
}

void ops_dequeue(Rq& rq, Task& p, u64 deq_flags) {
  Sched& sch = *task_sched(p);
  clr_task_runnable(rq, p, false);

  take_from_scheduler(sch, p);
  if (task_leave_custody(p) && sch.has_op(Op::kDequeue)) {
    call_op_task(sch, Op::kDequeue, &rq, p, {deq_flags});
  }
}

bool dequeue_task(Rq& rq, Task& p, int core_deq_flags) {
  Sched& sch = *task_sched(p);
  Kernel& kernel = sch.kernel;
  u64 deq_flags = static_cast<u32>(core_deq_flags);
  if (!(deq_flags & DEQUEUE_SLEEP)) deq_flags |= abi::SCX_DEQ_SCHED_CHANGE;
  if (!(p.scx.flags & abi::SCX_TASK_QUEUED)) {
    USCX_ASSERT(!p.scx_runnable_node.linked());
    return true;
  }
  ops_dequeue(rq, p, deq_flags);

  const bool running = kernel.task_current(rq, p);
  if (running && sch.has_op(Op::kStopping)) {
    update_curr(rq);
    call_op_task(sch, Op::kStopping, &rq, p, {0});
  }
  if (sch.has_op(Op::kQuiescent) && !p.on_rq_migrating()) {
    call_op_task(sch, Op::kQuiescent, &rq, p, {deq_flags});
  }
  if (deq_flags & abi::SCX_DEQ_SLEEP) {
    p.scx.flags |= abi::SCX_TASK_DEQD_FOR_SLEEP;
  } else {
    p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_DEQD_FOR_SLEEP);
  }
  p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_QUEUED);
  --rq.scx.nr_running;
  --rq.nr_running;
  dispatch_dequeue(rq, p);
  if (!((deq_flags & DEQUEUE_SAVE) && running)) task_slice_ended(rq, p);
  clear_direct_dispatch(p);
  return true;
}

}  // namespace uscx::sched::ext
