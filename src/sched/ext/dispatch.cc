// SPDX-License-Identifier: GPL-2.0-only
// What the BPF scheduler decides: checked, buffered, and carried out.
#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

SchedCpu& this_cpu(Sched& sch) {
  return sch.cpu(sch.kernel.cpu());
}

bool insert_preamble(Sched& sch, Task* p, u64 dsq_id, u64& enq_flags) {
  if (p == nullptr) {
    error(sch, "called with NULL task");
    return false;
  }
  if (!task_on_sched(sch, *p)) {
    add_event(sch, &abi::scx_event_stats::SCX_EV_INSERT_NOT_OWNED, 1);
    return false;
  }
  return vet_enq_flags(sch, dsq_id, enq_flags);
}

/// The verdict about the task that ops.select_cpu() or ops.enqueue() is asked about.
void mark_direct_dispatch(Sched& sch, ExtRq& here, Task& p, const DspEnt& verdict) {
  Task& asked = *here.direct_dispatch_task;
  const bool again = here.direct_dispatched;
  here.direct_dispatched = true;
  if (again) {
    error(sch, "{}[{}] already direct-dispatched", p.comm, p.pid);
    return;
  }
  if (&p != &asked) {
    error(sch, "scheduling for {}[{}] but trying to direct-dispatch {}[{}]", asked.comm, asked.pid,
          p.comm, p.pid);
    return;
  }
  p.scx.ddsp_slice = verdict.slice;
  p.scx.ddsp_vtime = verdict.vtime;
  p.scx.ddsp_dsq_id = verdict.dsq_id;
  p.scx.ddsp_enq_flags = verdict.enq_flags;
}

void insert_commit(Sched& sch, Task& p, DspEnt verdict) {
  ExtRq& here = ext_rq(sch.kernel.this_rq());
  // Before 7.3 the slice and vtime of a verdict were written at once, not at its insertion.
  if (!slices_apply_late(sch)) {
    apply_slice_vtime(p, verdict.slice, verdict.vtime, verdict.enq_flags);
  }
  if (here.direct_dispatch_task != nullptr) {
    mark_direct_dispatch(sch, here, p, verdict);
    return;
  }
  SchedCpu& cpu = this_cpu(sch);
  if (cpu.dsp_cursor >= sch.dsp_max_batch) {
    error(sch, "dispatch buffer overflow");
    return;
  }
  verdict.task = &p;
  verdict.qseq = opss(p) & kOpssQseqMask;
  cpu.dsp_buf[cpu.dsp_cursor++] = verdict;
}

/// Takes a task out of the scheduler's hands for a verdict about it (QUEUED to DISPATCHING). False
/// where it has left them since: nothing of the task may be touched then.
bool claim_for_dispatch(Sched& sch, Task& p, u64 qseq) {
  Kernel& kernel = sch.kernel;
  for (;;) {
    kernel.sync_point("ops_state");
    const u64 state = opss(p);
    switch (state & kOpssStateMask) {
      case abi::SCX_OPSS_QUEUED:
        if ((state & kOpssQseqMask) != qseq) return false;
        if (!task_on_sched(sch, p)) {
          add_event(sch, &abi::scx_event_stats::SCX_EV_INSERT_NOT_OWNED, 1);
          return false;
        }
        kernel.sync_point("ops_state");
        if (cmpxchg_opss(p, state, abi::SCX_OPSS_DISPATCHING)) return true;
        continue;
      case abi::SCX_OPSS_QUEUEING:
        // The enqueue holds the task's runqueue and needs nothing that is held here.
        if (kernel.planted(PlantedBug::kQueueingNotAwaited)) return false;
        wait_ops_state(kernel, p, state);
        continue;
      default:
        return false;
    }
  }
}

/// Carries out one buffered verdict, unless the task has left the scheduler's hands since.
void finish_dispatch(Sched& sch, Rq& rq, const DspEnt& verdict) {
  Task& p = *verdict.task;
  if (!claim_for_dispatch(sch, p, verdict.qseq)) return;
  sch.kernel.sync_point("ops_state");
  USCX_ASSERT(p.scx.flags & abi::SCX_TASK_QUEUED);

  Dsq& dsq = find_dsq_for_dispatch(sch, rq, verdict.dsq_id, p.cpu);
  if (dsq.is_local()) {
    dispatch_to_local_dsq(sch, rq, dsq, p, verdict.slice, verdict.vtime, verdict.enq_flags);
  } else {
    dispatch_enqueue(sch, rq, dsq, p, verdict.slice, verdict.vtime,
                     verdict.enq_flags | abi::SCX_ENQ_APPLY_SLICE | abi::SCX_ENQ_CLEAR_OPSS);
  }
}

}  // namespace

bool vet_enq_flags(Sched& sch, u64 dsq_id, u64& enq_flags) {
  const bool local = dsq_id == abi::SCX_DSQ_LOCAL || dsq_is_local_on(dsq_id);
  if (enq_flags & abi::__SCX_ENQ_INTERNAL_MASK) {
    error(sch, "invalid enq_flags 0x{:x}", enq_flags);
    return false;
  }
  if (enq_flags & abi::SCX_ENQ_IMMED) {
    if (!local) {
      error(sch, "SCX_ENQ_IMMED on a non-local DSQ 0x{:x}", dsq_id);
      return false;
    }
  } else if ((sch.ops.flags & abi::SCX_OPS_ALWAYS_ENQ_IMMED) && local) {
    enq_flags |= abi::SCX_ENQ_IMMED;
  }
  if ((enq_flags & abi::SCX_ENQ_RESCUE) && !local &&
      sch.kernel.config().version >= btf::KernelVersion{7, 3}) {
    error(sch, "SCX_ENQ_RESCUE on a non-local DSQ 0x{:x}", dsq_id);
    return false;
  }
  return true;
}

bool dsq_insert(Sched& sch, Task* p, u64 dsq_id, u64 slice, u64 enq_flags) {
  if (!insert_preamble(sch, p, dsq_id, enq_flags)) return false;
  insert_commit(sch, *p, {.dsq_id = dsq_id, .slice = slice, .enq_flags = enq_flags});
  return true;
}

bool dsq_insert_vtime(Sched& sch, Task* p, u64 dsq_id, u64 slice, u64 vtime, u64 enq_flags) {
  if (!insert_preamble(sch, p, dsq_id, enq_flags)) return false;
  insert_commit(sch, *p,
                {.dsq_id = dsq_id,
                 .slice = slice,
                 .vtime = vtime,
                 .enq_flags = enq_flags | abi::SCX_ENQ_DSQ_PRIQ});
  return true;
}

u32 dispatch_nr_slots(Sched& sch) {
  return sch.dsp_max_batch - this_cpu(sch).dsp_cursor;
}

void dispatch_cancel(Sched& sch) {
  SchedCpu& cpu = this_cpu(sch);
  if (cpu.dsp_cursor > 0) {
    --cpu.dsp_cursor;
  } else {
    error(sch, "dispatch buffer underflow");
  }
}

bool dsq_move_to_local(Sched& sch, u64 dsq_id, u64 enq_flags) {
  if (!vet_enq_flags(sch, abi::SCX_DSQ_LOCAL, enq_flags)) return false;
  SchedCpu& cpu = this_cpu(sch);
  flush_dispatch_buf(sch, *cpu.dsp_rq);
  Dsq* dsq = find_user_dsq(sch, dsq_id);
  if (dsq == nullptr) {
    error(sch, "invalid DSQ ID 0x{:016x}", dsq_id);
    return false;
  }
  if (!consume_dispatch_q(sch, *cpu.dsp_rq, *dsq, enq_flags)) return false;
  ++cpu.dsp_nr_tasks;
  return true;
}

void flush_dispatch_buf(Sched& sch, Rq& rq) {
  SchedCpu& cpu = this_cpu(sch);
  for (u32 i = 0; i < cpu.dsp_cursor; ++i) finish_dispatch(sch, rq, cpu.dsp_buf[i]);
  cpu.dsp_nr_tasks += cpu.dsp_cursor;
  cpu.dsp_cursor = 0;
}

void dispatch_to_local_dsq(Sched& sch, Rq& rq, Dsq& dst, Task& p, u64 slice, u64 vtime,
                           u64 enq_flags) {
  Kernel& kernel = sch.kernel;
  Rq& src_rq = kernel.task_rq(p);
  Rq& dst_rq = *dst.rq;
  if (&rq == &src_rq && &rq == &dst_rq) {
    dispatch_enqueue(sch, rq, dst, p, slice, vtime,
                     enq_flags | abi::SCX_ENQ_APPLY_SLICE | abi::SCX_ENQ_CLEAR_OPSS);
    return;
  }

  // holding_cpu keeps the claim while the locks change: a dequeue on the task's own CPU clears it.
  const CpuId cpu = kernel.cpu();
  p.scx.holding_cpu = cpu;
  kernel.sync_point("ops_state");
  p.scx.ops_state.counter = abi::SCX_OPSS_NONE;
  Rq* locked = &rq;
  if (locked != &src_rq) {
    switch_rq_lock(kernel, *locked, src_rq);
    locked = &src_rq;
  }
  if (p.scx.holding_cpu == cpu) {
    USCX_ASSERT(&src_rq == &kernel.task_rq(p));
    bool fallback = false;
    if (&src_rq == &dst_rq) {
      p.scx.holding_cpu = -1;
      dispatch_enqueue(sch, dst_rq, dst, p, slice, vtime, enq_flags | abi::SCX_ENQ_APPLY_SLICE);
    } else if (!task_can_run_on_remote_rq(sch, p, dst_rq, true)) {
      p.scx.holding_cpu = -1;
      fallback = true;
      dispatch_enqueue(sch, src_rq, find_global_dsq(sch, p.cpu), p, slice, vtime,
                       enq_flags | abi::SCX_ENQ_APPLY_SLICE | abi::SCX_ENQ_GDSQ_FALLBACK);
    } else {
      if (slices_apply_late(sch)) apply_slice_vtime(p, slice, vtime, enq_flags);
      move_remote_task_to_local_dsq(sch, p, enq_flags, src_rq, dst_rq);
      locked = &dst_rq;
    }
    // An idle CPU, or one that runs something lesser, must pick again.
    if (!fallback && p.klass->rank() > dst_rq.current()->klass->rank()) {
      kernel.resched_curr(dst_rq);
    }
  }
  if (locked != &rq) switch_rq_lock(kernel, *locked, rq);
}

}  // namespace uscx::sched::ext
