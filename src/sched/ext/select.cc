// SPDX-License-Identifier: GPL-2.0-only
// Which CPU a task wakes on.
#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

CpuId ask_scheduler(Sched& sch, Task& p, CpuId prev_cpu, int wake_flags) {
  Rq& this_rq = sch.kernel.this_rq();
  ExtRq& here = ext_rq(this_rq);
  USCX_ASSERT(here.direct_dispatch_task == nullptr);
  here.direct_dispatch_task = &p;
  here.direct_dispatched = false;
  this_rq.scx.in_select_cpu = true;
  const auto cpu = static_cast<CpuId>(
      call_op_task(sch, Op::kSelectCpu, nullptr, p,
                   {static_cast<u64>(static_cast<s64>(prev_cpu)), static_cast<u32>(wake_flags)}));
  this_rq.scx.in_select_cpu = false;
  here.direct_dispatch_task = nullptr;
  p.scx.selected_cpu = cpu;
  return cpu_valid(sch, cpu, "from ops.select_cpu()") ? cpu : prev_cpu;
}

/// The built-in choice; a task that found an idle CPU goes straight to its local DSQ.
CpuId choose_by_default(Sched& sch, Task& p, CpuId prev_cpu, int wake_flags) {
  CpuId cpu = select_cpu_dfl(sch, p, prev_cpu, static_cast<u32>(wake_flags), nullptr, 0);
  if (cpu < 0) {
    cpu = prev_cpu;
  } else {
    if (slices_apply_late(sch)) {
      add_event(sch, &abi::scx_event_stats::SCX_EV_REFILL_SLICE_DFL, 1);
      p.scx.ddsp_slice = sch.slice_dfl;
      p.scx.ddsp_enq_flags = abi::SCX_ENQ_SLICE_DFL;
    } else {
      refill_task_slice_dfl(sch, p);
    }
    p.scx.ddsp_dsq_id = abi::SCX_DSQ_LOCAL;
  }
  p.scx.selected_cpu = cpu;
  return cpu;
}

}  // namespace

CpuId select_task_rq(Task& p, CpuId prev_cpu, int wake_flags) {
  Sched& sch = *task_sched(p);
  if (wake_flags & WF_EXEC) return prev_cpu;  // a running task cannot be moved by its choice
  if (!bypassing(sch, p.cpu)) {
    return sch.has_op(Op::kSelectCpu) ? ask_scheduler(sch, p, prev_cpu, wake_flags)
                                      : choose_by_default(sch, p, prev_cpu, wake_flags);
  }
  add_event(sch, &abi::scx_event_stats::SCX_EV_BYPASS_DISPATCH, 1);
  // Before 7.3 bypassing tasks still looked for an idle CPU.
  if (!slices_apply_late(sch)) return choose_by_default(sch, p, prev_cpu, wake_flags);
  p.scx.selected_cpu = prev_cpu;
  return prev_cpu;
}

}  // namespace uscx::sched::ext
