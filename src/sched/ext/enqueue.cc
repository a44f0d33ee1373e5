// SPDX-License-Identifier: GPL-2.0-only
// A task becomes runnable: it goes to the BPF scheduler, or round it, to a dispatch queue.
#include "sched/deadline.h"
#include "sched/ext/queue.h"
#include "sched/private.h"

namespace uscx::sched::ext {
namespace {

using Events = abi::scx_event_stats;

SchedClass& next_class(Rq& rq) {
  return rq.next_klass ? *rq.next_klass : ext_rq(rq).kernel.idle_class();
}

void set_opss(Task& p, u64 state) {
  p.scx.ops_state.counter = static_cast<s64>(state);
}

/// The BPF scheduler said in ops.select_cpu() or ops.enqueue() where the task goes.
void direct_dispatch(Sched& sch, Task& p, u64 enq_flags) {
  Rq& rq = sch.kernel.task_rq(p);
  Dsq& dsq = find_dsq_for_dispatch(sch, rq, p.scx.ddsp_dsq_id, p.cpu);
  p.scx.ddsp_enq_flags |= enq_flags;

  // Another CPU's local DSQ: its runqueue cannot be locked from here, so it is done later.
  if (dsq.is_local() && dsq.rq != &rq) {
    const u64 state = opss(p) & kOpssStateMask;
    USCX_ASSERT(state == abi::SCX_OPSS_NONE || state == abi::SCX_OPSS_QUEUEING);
    set_opss(p, abi::SCX_OPSS_NONE);
    USCX_ASSERT(p.scx.dsq == nullptr);
    ext_rq(rq).ddsp_deferred_locals.push_back(p);
    ext_rq(rq).deferred_ddsp = true;
    schedule_deferred_locked(rq);
    return;
  }

  const u64 flags = p.scx.ddsp_enq_flags, slice = p.scx.ddsp_slice, vtime = p.scx.ddsp_vtime;
  clear_direct_dispatch(p);
  dispatch_enqueue(sch, rq, dsq, p, slice, vtime,
                   flags | abi::SCX_ENQ_APPLY_SLICE | abi::SCX_ENQ_CLEAR_OPSS);
}

/// Where a task goes that the BPF scheduler is not asked about; null: it is asked.
Dsq* dsq_without_asking(Sched& sch, Rq& rq, Task& p, u64& enq_flags) {
  Dsq* local = ext_rq(rq).local_dsq;
  if (!rq_online(rq)) return local;
  if (bypassing(sch, rq.id)) {
    add_event(sch, &Events::SCX_EV_BYPASS_DISPATCH, 1);
    return sch.cpu(p.cpu).bypass_dsq;
  }
  if (p.scx.ddsp_dsq_id != abi::SCX_DSQ_INVALID) return nullptr;
  if (!(sch.ops.flags & abi::SCX_OPS_ENQ_EXITING) && (p.flags & PF_EXITING)) {
    add_event(sch, &Events::SCX_EV_ENQ_SKIP_EXITING, 1);
    enq_flags |= abi::SCX_ENQ_RESCUE;
    return local;
  }
  if (!(sch.ops.flags & abi::SCX_OPS_ENQ_MIGRATION_DISABLED) && p.migration_disabled != 0) {
    add_event(sch, &Events::SCX_EV_ENQ_SKIP_MIGRATION_DISABLED, 1);
    return local;
  }
  if (!sch.has_op(Op::kEnqueue)) return &find_global_dsq(sch, p.cpu);
  return nullptr;
}

/// False: the task was re-enqueued too often and its scheduler is being ejected.
bool count_reenqueue(Sched& sch, Rq& rq, Task& p) {
  if (sch.kernel.config().version < btf::KernelVersion{7, 3}) return true;
  if (++p.scx.reenq_cnt > 1) add_event(sch, &Events::SCX_EV_REENQ_REPEAT, 1);
  if (p.scx.reenq_cnt <= abi::SCX_REENQ_MAX_REPEAT) return true;
  vexit(sch, abi::SCX_EXIT_ERROR_REENQ, 0, rq.id,
        fmt::format("{}[{}] reenqueued {} times without running", p.comm, p.pid, p.scx.reenq_cnt));
  return false;
}

void ask_scheduler(Sched& sch, Rq& rq, Task& p, u64 enq_flags) {
  // A sequence number tells this time in the scheduler's hands from an earlier one.
  constexpr u32 kSeqMask = static_cast<u32>(kOpssQseqMask >> abi::SCX_OPSS_QSEQ_SHIFT);
  p.scx.ops_qseq = (p.scx.ops_qseq + 1) & kSeqMask;
  if (p.scx.ops_qseq == 0) p.scx.ops_qseq = 1;
  const u64 qseq = static_cast<u64>(p.scx.ops_qseq) << abi::SCX_OPSS_QSEQ_SHIFT;

  USCX_ASSERT(opss(p) == abi::SCX_OPSS_NONE);
  set_opss(p, abi::SCX_OPSS_QUEUEING | qseq);
  sch.kernel.sync_point("ops_state");
  ExtRq& here = ext_rq(sch.kernel.this_rq());
  USCX_ASSERT(here.direct_dispatch_task == nullptr);
  here.direct_dispatch_task = &p;
  here.direct_dispatched = false;
  call_op_task(sch, Op::kEnqueue, &rq, p, {enq_flags});
  here.direct_dispatch_task = nullptr;

  if (p.scx.ddsp_dsq_id != abi::SCX_DSQ_INVALID) {
    direct_dispatch(sch, p, enq_flags);
    return;
  }
  // Custody first: once QUEUED is seen, a dispatch elsewhere may take it away again.
  p.scx.flags |= abi::SCX_TASK_IN_CUSTODY;
  sch.kernel.sync_point("ops_state");
  set_opss(p, abi::SCX_OPSS_QUEUED | qseq);
  sch.kernel.sync_point("ops_state");
}

}  // namespace

bool rq_is_open(Rq& rq, u64 enq_flags) {
  Kernel& kernel = ext_rq(rq).kernel;
  const int ext_rank = kernel.ext_class().rank();
  const int next_rank = next_class(rq).rank();
  if (next_rank > ext_rank) return false;
  if (next_rank < ext_rank) return true;
  if (rq.scx.flags & abi::SCX_RQ_IN_DISPATCH) return true;
  if (enq_flags & abi::SCX_ENQ_PREEMPT) {
    const Task& curr = *rq.current();
    return !task_is_ext(kernel, curr) || !(curr.scx.flags & abi::SCX_TASK_PROTECTED);
  }
  return false;
}

bool rq_online(const Rq& rq) {
  return (rq.scx.flags & abi::SCX_RQ_ONLINE) && rq.active;
}

bool task_leave_custody(Task& p) {
  // A migration between runqueues is no leaving: sticky_cpu is set meanwhile.
  if (!(p.scx.flags & abi::SCX_TASK_IN_CUSTODY) || p.scx.sticky_cpu >= 0) return false;
  p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_IN_CUSTODY);
  return true;
}

void clear_direct_dispatch(Task& p) {
  p.scx.ddsp_dsq_id = abi::SCX_DSQ_INVALID;
  p.scx.ddsp_enq_flags = 0;
}

void rq_owned_post_enq(Sched& sch, Rq& rq, Dsq&, Task& p, u64 enq_flags) {
  Kernel& kernel = sch.kernel;
  if (task_leave_custody(p) && sch.has_op(Op::kDequeue)) {
    call_op_task(sch, Op::kDequeue, &rq, p, {0});
  }
  // A CPU that runs nothing of our class or above must look again.
  if (p.klass->rank() > next_class(rq).rank()) kernel.wakeup_preempt(rq, p, 0);
  if (rq.scx.flags & abi::SCX_RQ_IN_DISPATCH) return;

  Task& curr = *rq.current();
  if ((enq_flags & abi::SCX_ENQ_PREEMPT) && &p != &curr && task_is_ext(kernel, curr)) {
    if (set_task_slice(curr, 0)) {
      kernel.resched_curr(rq);
    } else {
      add_event(sch, &Events::SCX_EV_SLICE_DENIED, 1);
    }
  }
}

void dispatch_enqueue(Sched& sch, Rq& rq, Dsq& target, Task& p, u64 slice, u64 vtime,
                      u64 enq_flags) {
  Dsq* dsq = &target;
  const bool rq_owned = dsq->is_local();
  HeldLocks& held = sch.kernel.held();
  USCX_ASSERT(p.scx.dsq == nullptr && !p.scx_dsq_node.linked());
  USCX_ASSERT(!(p.scx.dsq_flags & abi::SCX_TASK_DSQ_ON_PRIQ));

  if (!rq_owned) {
    dsq->guard.lock(held);
    if (dsq->id == abi::SCX_DSQ_INVALID) {
      error(sch, "attempting to dispatch to a destroyed dsq");
      dsq->guard.unlock(held);
      dsq = &find_global_dsq(sch, p.cpu);
      dsq->guard.lock(held);
    }
  }
  if (dsq_is_builtin(dsq->id) && (enq_flags & abi::SCX_ENQ_DSQ_PRIQ)) {
    error(sch, "cannot use vtime ordering for built-in DSQs");
    enq_flags &= ~u64{abi::SCX_ENQ_DSQ_PRIQ};
  }
  if ((enq_flags & abi::SCX_ENQ_APPLY_SLICE) && slices_apply_late(sch)) {
    apply_slice_vtime(p, slice, vtime, enq_flags);
  }

  dsq_link(sch, *dsq, p, enq_flags);
  p.scx.dsq_seq = ++dsq->seq;
  dsq_inc_nr(*dsq, p, enq_flags);
  p.scx.dsq = dsq;

  if (rq_owned) {
    rq_owned_post_enq(sch, rq, *dsq, p, enq_flags);
  } else {
    bool call_dequeue = false;
    if (dsq->id == abi::SCX_DSQ_GLOBAL || dsq->id == abi::SCX_DSQ_BYPASS) {
      call_dequeue = task_leave_custody(p);
    } else {
      p.scx.flags |= abi::SCX_TASK_IN_CUSTODY;
    }
    dsq->guard.unlock(held);
    if (call_dequeue && sch.has_op(Op::kDequeue)) call_op_task(sch, Op::kDequeue, &rq, p, {0});
  }
  if (enq_flags & abi::SCX_ENQ_CLEAR_OPSS) {
    // Last of all: dequeues wait for it, and change what was changed above.
    sch.kernel.sync_point("ops_state");
    set_opss(p, abi::SCX_OPSS_NONE);
  }
}

void do_enqueue_task(Rq& rq, Task& p, u64 enq_flags, CpuId sticky_cpu) {
  Sched& sch = *task_sched(p);
  USCX_ASSERT(p.scx.flags & abi::SCX_TASK_QUEUED);

  // Moved here by consuming or dispatching, or never left: it keeps its slice.
  if (sticky_cpu == rq.id) {
    dispatch_enqueue(sch, rq, *ext_rq(rq).local_dsq, p, 0, 0, enq_flags);
    return;
  }
  p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_IMMED);
  if ((enq_flags & abi::SCX_ENQ_REENQ) && !count_reenqueue(sch, rq, p)) return;

  if (Dsq* dsq = dsq_without_asking(sch, rq, p, enq_flags)) {
    refill_task_slice_dfl(sch, p);
    clear_direct_dispatch(p);
    dispatch_enqueue(sch, rq, *dsq, p, 0, 0, enq_flags);
  } else if (p.scx.ddsp_dsq_id != abi::SCX_DSQ_INVALID) {
    direct_dispatch(sch, p, enq_flags);
  } else {
    ask_scheduler(sch, rq, p, enq_flags);
  }
}

void set_task_runnable(Rq& rq, Task& p) {
  ExtRq& ext = ext_rq(rq);
  if (p.scx.flags & abi::SCX_TASK_RESET_RUNNABLE_AT) {
    p.scx.runnable_at = ext.kernel.jiffies();
    p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_RESET_RUNNABLE_AT);
  }
  // Appended: the list stays in the order of runnable_at.
  ext.runnable_list.push_back(p);
  p.scx.runnable_cpu = rq.id;
}

void clr_task_runnable(Rq& rq, Task& p, bool reset_runnable_at) {
  if (p.scx_runnable_node.linked()) ext_rq(rq).runnable_list.erase(p);
  p.scx.runnable_cpu = -1;
  if (reset_runnable_at) {
    p.scx.flags |= abi::SCX_TASK_RESET_RUNNABLE_AT;
    p.scx.reenq_cnt = 0;
  }
}

void enqueue_task(Rq& rq, Task& p, int core_enq_flags) {
  Sched& sch = *task_sched(p);
  Kernel& kernel = sch.kernel;
  CpuId sticky_cpu = p.scx.sticky_cpu;
  u64 enq_flags = static_cast<u32>(core_enq_flags);
  if (ext_rq(rq).remote_activates) enq_flags |= ext_rq(rq).remote_activate_enq_flags;

  if (sticky_cpu >= 0) p.scx.sticky_cpu = -1;
  if (core_enq_flags & ENQUEUE_WAKEUP) rq.scx.flags |= abi::SCX_RQ_IN_WAKEUP;
  // What runs and is only being changed stays where it is.
  if ((enq_flags & ENQUEUE_RESTORE) && kernel.task_current(rq, p)) {
    sticky_cpu = rq.id;
    // Sub-schedulers' rights to a CPU are 7.3's.
    if (slices_apply_late(sch)) enq_flags |= abi::SCX_ENQ_IGNORE_CAPS;
  }

  if (!(p.scx.flags & abi::SCX_TASK_QUEUED)) {
    set_task_runnable(rq, p);
    p.scx.flags |= abi::SCX_TASK_QUEUED;
    ++rq.nr_running;
    if (++rq.scx.nr_running == 1) KernelInternals::of(kernel).dl_server_start(rq.dl->ext);
    if (sch.has_op(Op::kRunnable) && !p.on_rq_migrating()) {
      call_op_task(sch, Op::kRunnable, &rq, p, {enq_flags});
    }
    do_enqueue_task(rq, p, enq_flags, sticky_cpu);
  } else {
    USCX_ASSERT(p.scx_runnable_node.linked());
  }
  rq.scx.flags &= ~static_cast<u32>(abi::SCX_RQ_IN_WAKEUP);
  if ((enq_flags & abi::SCX_ENQ_CPU_SELECTED) && rq.id != p.scx.selected_cpu) {
    add_event(sch, &Events::SCX_EV_SELECT_CPU_FALLBACK, 1);
  }
}

}  // namespace uscx::sched::ext
