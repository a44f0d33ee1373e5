// SPDX-License-Identifier: GPL-2.0-only
// The scheduling point: which task of ours runs next, asking ops.dispatch() where there is none.
#include <utility>

#include "base/bitmap.h"
#include "bpf/window.h"
#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

using Verdict = abi::scx_dsp_verdict;
using Events = abi::scx_event_stats;

/// Asks one scheduler for something to run here. Linux: scx_dispatch_sched.
Verdict dispatch_sched(Sched& sch, Rq& rq, Task& prev) {
  Kernel& kernel = sch.kernel;
  SchedCpu& cpu = sch.cpu(rq.id);
  // An idle task is known by its address, so that these lines of it need not be read.
  const bool prev_idle = &prev == rq.idle_task();
  const bool prev_on_sch = !prev_idle && task_is_ext(kernel, prev) && task_on_sched(sch, prev);
  if (consume_global_dsq(sch, rq)) return abi::SCX_DSP_LOCAL;

  if (bypass_dsp_enabled(sch)) {
    if (bypassing(sch, rq.id)) {
      return consume_dispatch_q(sch, rq, *cpu.bypass_dsq, 0) ? abi::SCX_DSP_LOCAL
                                                             : abi::SCX_DSP_NONE;
    }
    // What is left from a bypass that has just ended here.
    if (consume_dispatch_q(sch, rq, *cpu.bypass_dsq, 0)) return abi::SCX_DSP_LOCAL;
  }
  if (!sch.has_op(Op::kDispatch) || !(rq.scx.flags & abi::SCX_RQ_ONLINE)) return abi::SCX_DSP_NONE;

  cpu.dsp_rq = &rq;
  int nr_loops = abi::SCX_DSP_MAX_LOOPS;
  do {
    cpu.dsp_nr_tasks = 0;
    call_op(sch, Op::kDispatch, &rq,
            {static_cast<u64>(static_cast<s64>(rq.id)), prev_on_sch ? prev.address() : 0});
    flush_dispatch_buf(sch, rq);
    if (!prev_idle && (prev.scx.flags & abi::SCX_TASK_QUEUED) && prev.scx.slice != 0) {
      return abi::SCX_DSP_PREV;
    }
    if (rq.scx.local_dsq.nr != 0) return abi::SCX_DSP_LOCAL;
    if (consume_global_dsq(sch, rq)) return abi::SCX_DSP_LOCAL;
    // It dispatches, but never to here: let the CPU go on and come back, so that the watchdog and
    // everybody else get their turn.
    if (--nr_loops == 0) {
      kick_cpu(sch, rq.id, 0);
      break;
    }
  } while (cpu.dsp_nr_tasks != 0);
  return abi::SCX_DSP_NONE;
}

/// Tells an old-style scheduler that it has the CPU back from a higher class.
void acquire_cpu(Sched& sch, Rq& rq) {
  if (!(sch.ops.flags & abi::SCX_OPS_HAS_CPU_PREEMPT) || !rq.scx.cpu_released) return;
  if (sch.ops.has(Op::kCpuAcquire)) {
    call_op(sch, Op::kCpuAcquire, &rq, {static_cast<u64>(static_cast<s64>(rq.id)), 0});
  }
  rq.scx.cpu_released = false;
}

Verdict decide(Sched& root, Rq& rq, Task& prev) {
  Kernel& kernel = root.kernel;
  acquire_cpu(root, rq);
  const bool prev_idle = &prev == rq.idle_task();
  const bool prev_queued = !prev_idle && (prev.scx.flags & abi::SCX_TASK_QUEUED) != 0;
  if (!prev_idle && task_is_ext(kernel, prev)) {
    update_curr(rq);
    // It was interrupted, or another class came and went: what is left of its slice is its own.
    if (prev_queued && prev.scx.slice != 0 && !bypassing(*task_sched(prev), rq.id)) {
      return abi::SCX_DSP_PREV;
    }
  }
  if (rq.scx.local_dsq.nr != 0) return abi::SCX_DSP_LOCAL;
  const Verdict verdict = dispatch_sched(root, rq, prev);
  if (verdict != abi::SCX_DSP_NONE) return verdict;

  // Nothing else: prev goes on, unless the scheduler wants to be asked about that (ENQ_LAST).
  if (!prev_idle && (prev.scx.flags & abi::SCX_TASK_QUEUED)) {
    Sched& sch = *task_sched(prev);
    if (!(sch.ops.flags & abi::SCX_OPS_ENQ_LAST) || bypassing(sch, rq.id)) {
      add_event(sch, &Events::SCX_EV_DISPATCH_KEEP_LAST, 1);
      return abi::SCX_DSP_PREV;
    }
  }
  return abi::SCX_DSP_NONE;
}

/// May drop and retake the runqueue's lock. Linux: dispatch_one.
Verdict dispatch_one(Sched& root, Rq& rq, Task& prev) {
  rq.scx.flags |= abi::SCX_RQ_IN_DISPATCH;
  const Verdict verdict = decide(root, rq, prev);
  if (verdict != abi::SCX_DSP_NONE && rq.scx.nr_immed != 0 && rq.scx.local_dsq.nr > 1) {
    schedule_reenq_local(rq, 0);
  }
  rq.scx.flags &= ~static_cast<u32>(abi::SCX_RQ_IN_DISPATCH);
  return verdict;
}

abi::scx_cpu_preempt_reason preempt_reason(Kernel& kernel, const SchedClass& klass) {
  if (&klass == &kernel.stop_class()) return abi::SCX_CPU_PREEMPT_STOP;
  if (&klass == &kernel.dl_class()) return abi::SCX_CPU_PREEMPT_DL;
  if (&klass == &kernel.rt_class()) return abi::SCX_CPU_PREEMPT_RT;
  return abi::SCX_CPU_PREEMPT_UNKNOWN;
}

/// Another class takes the CPU: ops.cpu_release(). Linux: switch_class.
void release_cpu(Sched& sch, Rq& rq, Task& next) {
  Kernel& kernel = sch.kernel;
  if (!(sch.ops.flags & abi::SCX_OPS_HAS_CPU_PREEMPT)) return;
  if (next.klass->rank() < kernel.ext_class().rank() || rq.scx.cpu_released) return;
  if (sch.ops.has(Op::kCpuRelease)) {
    auto* args = kernel.window().make<abi::scx_cpu_release_args>(bpf::kReadOnlyMemory);
    args->reason = preempt_reason(kernel, *next.klass);
    args->task = &next;
    call_op(sch, Op::kCpuRelease, &rq,
            {static_cast<u64>(static_cast<s64>(rq.id)), reinterpret_cast<u64>(args)});
    kernel.window().destroy(args);
  }
  rq.scx.cpu_released = true;
}

/// SCX_KICK_WAIT: this CPU promised not to go on before the kicked ones went through a scheduling
/// point. Linux spins, with interrupts on. In a plain run one context runs at a time and cannot
/// spin; but each of them reschedules when the interrupt that was sent to it arrives, so that is
/// what is waited for. In an explored run schedule() ends in spin_for_kicked().
void wait_for_kicked(Rq& rq) {
  if (!rq.scx.kick_sync_pending) return;
  rq.scx.kick_sync_pending = false;
  if (ext_rq(rq).kernel.explored()) {
    ext_rq(rq).spin_for_kicked = true;
    return;
  }
  ExtRq& ext = ext_rq(rq);
  Kernel& kernel = ext.kernel;
  bool waits = false;
  const u32 nr = kernel.nr_cpus();
  for (u32 i = 0; (i = bitmap::next(ext.cpus_to_sync.words.data(), nr, i)) < nr; ++i) {
    const auto cpu = static_cast<CpuId>(i);
    ext.cpus_to_sync.clear(cpu);
    if (cpu != rq.id && kernel.rq(cpu).scx.kick_sync == ext.kick_syncs[i]) waits = true;
  }
  if (waits) kernel.machine().charge(rq.id, Nanos{kernel.costs().ipi_ns});
}

}  // namespace

void spin_for_kicked(Rq& rq) {
  ExtRq& ext = ext_rq(rq);
  if (!std::exchange(ext.spin_for_kicked, false)) return;
  Kernel& kernel = ext.kernel;
  const u32 nr = kernel.nr_cpus();
  for (u32 i = 0; (i = bitmap::next(ext.cpus_to_sync.words.data(), nr, i)) < nr; ++i) {
    const auto cpu = static_cast<CpuId>(i);
    ext.cpus_to_sync.clear(cpu);
    if (cpu == rq.id) continue;
    while (kernel.rq(cpu).scx.kick_sync == ext.kick_syncs[i]) {
      // Those that wait for this CPU in their turn go on.
      ++rq.scx.kick_sync;
      kernel.relax("kick_sync");
    }
  }
}

SchedClass::Pick pick_task(Rq& rq, Task& prev, bool force) {
  ExtRq& ext = ext_rq(rq);
  Kernel& kernel = ext.kernel;
  Ext::Impl& impl = impl_of(kernel);
  Sched* root = impl.root;
  if (!impl.enabled() || root == nullptr) return {};
  SchedClass& klass = kernel.ext_class();

  ++rq.scx.kick_sync;
  if (rq.next_klass == nullptr || rq.next_klass->rank() > klass.rank()) rq.next_klass = &klass;
  const Verdict verdict = dispatch_one(*root, rq, prev);
  run_deferred_after_dispatch(rq);
  wait_for_kicked(rq);
  // The lock was dropped: what came of a higher class meanwhile goes first.
  if (!force && rq.next_klass->rank() > klass.rank()) return {.task = nullptr, .retry = true};

  Task* p = nullptr;
  if (verdict == abi::SCX_DSP_PREV) {
    p = &prev;
    if (p->scx.slice == 0) {
      task_slice_ended(rq, *p);
      refill_task_slice_dfl(*task_sched(*p), *p);
    }
    return {.task = p};
  }
  if (rq.scx.local_dsq.nr == 0) return {};
  p = ext.local_dsq->tasks.front();
  if (p->scx.slice == 0) {
    Sched& sch = *task_sched(*p);
    if (!bypassing(sch, rq.id) && !sch.warned_zero_slice) {
      kernel.kernel_log(fmt::format("sched_ext: {}[{}] has zero slice in {}()", p->comm, p->pid,
                                    "do_pick_task_scx"));
      sch.warned_zero_slice = true;
    }
    refill_task_slice_dfl(sch, *p);
  }
  return {.task = p};
}

void set_next_task(Rq& rq, Task& p) {
  Sched& sch = *task_sched(p);
  if (p.scx.flags & abi::SCX_TASK_QUEUED) {
    // It may be picked while still with the BPF scheduler (core scheduling): it is no more.
    ops_dequeue(rq, p, abi::SCX_DEQ_CORE_SCHED_EXEC);
    dispatch_dequeue(rq, p);
  }
  p.se.exec_start = rq.clock_task;
  if (sch.has_op(Op::kRunning) && (p.scx.flags & abi::SCX_TASK_QUEUED)) {
    call_op_task(sch, Op::kRunning, &rq, p);
  }
  clr_task_runnable(rq, p, true);
  apply_task_slice_oob(rq, p);
  if (p.scx.slice == abi::SCX_SLICE_INF) {
    rq.scx.flags |= abi::SCX_RQ_CAN_STOP_TICK;
  } else {
    rq.scx.flags &= ~static_cast<u32>(abi::SCX_RQ_CAN_STOP_TICK);
  }
}

void put_prev_task(Rq& rq, Task& p, Task* next) {
  Sched& sch = *task_sched(p);
  Kernel& kernel = sch.kernel;
  ++rq.scx.kick_sync;
  update_curr(rq);
  if (p.scx.slice == 0) task_slice_ended(rq, p);
  if (sch.has_op(Op::kStopping) && (p.scx.flags & abi::SCX_TASK_QUEUED)) {
    call_op_task(sch, Op::kStopping, &rq, p, {1});
  }

  if (p.scx.flags & abi::SCX_TASK_QUEUED) {
    set_task_runnable(rq, p);
    if (p.scx.slice != 0 && !bypassing(sch, rq.id)) {
      // Preempted by a higher class: it goes on with what is left of its slice, unless it may not
      // wait (IMMED).
      if (p.scx.flags & abi::SCX_TASK_IMMED) {
        p.scx.flags |= abi::SCX_TASK_REENQ_PREEMPTED;
        do_enqueue_task(rq, p, abi::SCX_ENQ_REENQ, -1);
        p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_REENQ_REASON_MASK);
      } else {
        dispatch_enqueue(sch, rq, *ext_rq(rq).local_dsq, p, 0, 0, abi::SCX_ENQ_HEAD);
      }
    } else if (next != nullptr && next->klass->rank() < kernel.ext_class().rank()) {
      USCX_ASSERT(sch.ops.flags & abi::SCX_OPS_ENQ_LAST);
      do_enqueue_task(rq, p, abi::SCX_ENQ_LAST, -1);
      // What was put on the local DSQ runs, but the pick has settled on the idle task. 7.3 leaves
      // it to the scheduler to cause another.
      if (!slices_apply_late(sch) && p.scx.dsq == ext_rq(rq).local_dsq) {
        kernel.machine().queue_irq_work(*ext_rq(rq).resched_work, rq.id);
      }
    } else {
      do_enqueue_task(rq, p, 0, -1);
    }
  }
  // An idle task is known by its address: nothing of it is in a cache yet.
  if (next != nullptr && next != rq.idle_task() && !task_is_ext(kernel, *next)) {
    if (Sched* root = impl_of(kernel).root) release_cpu(*root, rq, *next);
  }
}

}  // namespace uscx::sched::ext
