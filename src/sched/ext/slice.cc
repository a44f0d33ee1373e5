// SPDX-License-Identifier: GPL-2.0-only
// Time slices: setting them, by the scheduler at once or from elsewhere later, and using them up.
#include <algorithm>

#include "sched/deadline.h"
#include "sched/ext/queue.h"
#include "sched/private.h"

namespace uscx::sched::ext {

bool set_task_slice_keep_oob(Task& p, u64 slice) {
  if (p.scx.flags & abi::SCX_TASK_PROTECTED) return false;
  p.scx.slice = slice;
  return true;
}

bool set_task_slice(Task& p, u64 slice) {
  if (!set_task_slice_keep_oob(p, slice)) return false;
  clear_task_slice_oob(p);
  return true;
}

void task_slice_ended(Rq&, Task& p) {
  p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_PROTECTED);
}

void clear_task_slice_oob(Task& p) {
  p.scx.slice_oob.counter = 0;
}

/// Remembers a slice that was set without the task's runqueue locked; who has it locked applies it.
static void set_task_slice_oob(Sched& sch, Task& p, u64 slice) {
  u64 dur = slice;
  if (slice == abi::SCX_SLICE_INF) {
    dur = abi::SCX_SLICE_OOB_DUR_MASK;
  } else if (slice >= abi::SCX_SLICE_OOB_DUR_MASK) {
    dur = abi::SCX_SLICE_OOB_DUR_MASK - 1;
    add_event(sch, &abi::scx_event_stats::SCX_EV_SLICE_CLAMPED, 1);
  }
  const u64 id = (sch.id & abi::SCX_SLICE_OOB_ID_MASK) << abi::SCX_SLICE_OOB_ID_SHIFT;
  p.scx.slice_oob.counter = static_cast<s64>(abi::SCX_SLICE_OOB_PENDING | id | dur);
}

void apply_task_slice_oob(Rq&, Task& p) {
  const u64 oob = static_cast<u64>(p.scx.slice_oob.counter);
  if (oob == 0) return;
  p.scx.slice_oob.counter = 0;
  Sched& sch = *task_sched(p);
  if (((oob >> abi::SCX_SLICE_OOB_ID_SHIFT) & abi::SCX_SLICE_OOB_ID_MASK) !=
      (sch.id & abi::SCX_SLICE_OOB_ID_MASK)) {
    return;
  }
  const u64 dur = oob & abi::SCX_SLICE_OOB_DUR_MASK;
  const u64 slice = dur == abi::SCX_SLICE_OOB_DUR_MASK ? u64{abi::SCX_SLICE_INF} : dur;
  if (!set_task_slice_keep_oob(p, slice)) {
    add_event(sch, &abi::scx_event_stats::SCX_EV_SLICE_DENIED, 1);
  }
}

void apply_slice_vtime(Task& p, u64 slice, u64 vtime, u64 enq_flags) {
  if (slice != 0) {
    p.scx.slice = slice;
    if (!(enq_flags & abi::SCX_ENQ_SLICE_DFL)) clear_task_slice_oob(p);
  } else if (p.scx.slice == 0) {
    p.scx.slice = 1;
  }
  if (enq_flags & abi::SCX_ENQ_DSQ_PRIQ) p.scx.dsq_vtime = vtime;
}

void refill_task_slice_dfl(Sched& sch, Task& p) {
  set_task_slice_keep_oob(p, sch.slice_dfl);
  add_event(sch, &abi::scx_event_stats::SCX_EV_REFILL_SLICE_DFL, 1);
}

namespace {

/// The current task has run since it was last charged.
[[gnu::noinline]] void charge_curr(Rq& rq, Task& curr) {
  Kernel& kernel = ext_rq(rq).kernel;
  const u64 delta_ns = kernel.update_curr_common(rq);
  if (delta_ns == 0) return;
  if (rq.ext_server_active)
    KernelInternals::of(kernel).dl_server_update(rq.dl->ext, delta_ns, false);
  if (curr.scx.slice != abi::SCX_SLICE_INF) {
    curr.scx.slice -= std::min<u64>(curr.scx.slice, delta_ns);
  }
}

[[gnu::cold, gnu::noinline]] void update_curr_with_slice(Rq& rq, Task& curr) {
  apply_task_slice_oob(rq, curr);
  charge_curr(rq, curr);
}

}  // namespace

void update_curr(Rq& rq) {
  Task& curr = *rq.current();
  if (curr.scx.slice_oob.counter != 0) [[unlikely]]
    return update_curr_with_slice(rq, curr);
  // More often than not it was charged a moment ago.
  if (rq.clock_task > curr.se.exec_start) charge_curr(rq, curr);
}

bool task_set_slice(Sched& sch, Task& p, u64 slice) {
  if (!task_on_sched(sch, p)) return false;
  if (sch.kernel.config().version < btf::KernelVersion{7, 3}) {
    p.scx.slice = slice;
    return true;
  }
  Rq* locked = locked_rq(sch.ext);
  if (locked == nullptr ||
      (p.scx.runnable_cpu != locked->id && !sch.kernel.task_current(*locked, p))) {
    set_task_slice_oob(sch, p, slice);
    return true;
  }
  if (!set_task_slice(p, slice)) {
    add_event(sch, &abi::scx_event_stats::SCX_EV_SLICE_DENIED, 1);
  }
  return true;
}

bool task_set_dsq_vtime(Sched& sch, Task& p, u64 vtime) {
  if (!task_on_sched(sch, p)) return false;
  p.scx.dsq_vtime = vtime;
  return true;
}

}  // namespace uscx::sched::ext
