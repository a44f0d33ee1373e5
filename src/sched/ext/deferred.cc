// SPDX-License-Identifier: GPL-2.0-only
// What could not be done under the lock where it came up: moving directly dispatched tasks to other
// CPUs' local DSQs, and giving queued tasks back to the scheduler (re-enqueueing).
#include <algorithm>
#include <utility>
#include <vector>

#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

void schedule_deferred(Rq& rq) {
  ExtRq& ext = ext_rq(rq);
  ext.kernel.machine().queue_irq_work(*ext.deferred_work, rq.id);
}

/// Re-enqueues with the reason where ops.enqueue() can see it.
void reenqueue(Rq& rq, Task& p, u32 reason) {
  p.scx.flags |= reason;
  do_enqueue_task(rq, p, abi::SCX_ENQ_REENQ, -1);
  p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_REENQ_REASON_MASK);
}

/// Why a task of a local DSQ should be re-enqueued, or 0.
u32 local_reenq_reason(const Task& p, bool first, bool rq_open, u64 reenq_flags) {
  if (p.scx.flags & abi::SCX_TASK_PROTECTED) return 0;
  if ((p.scx.flags & abi::SCX_TASK_IMMED) && (!first || !rq_open)) {
    add_event(*task_sched(p), &abi::scx_event_stats::SCX_EV_REENQ_IMMED, 1);
    return abi::SCX_TASK_REENQ_IMMED;
  }
  return (reenq_flags & abi::SCX_REENQ_ANY) ? abi::SCX_TASK_REENQ_KFUNC : 0;
}

/// A dispatch says NONE last, when its task can be found on a queue already: it would say so of the
/// task's next time with the scheduler. Linux: scx_reenq_wait_dispatching.
void wait_dispatching(const Task& p) {
  Kernel& kernel = task_sched(p)->kernel;
  if (kernel.planted(PlantedBug::kReenqNotAwaited)) return;
  if (static_cast<u64>(p.scx.ops_state.counter) == abi::SCX_OPSS_DISPATCHING) {
    wait_ops_state(kernel, p, abi::SCX_OPSS_DISPATCHING);
  }
}

u32 reenq_local(Rq& rq, u64 reenq_flags) {
  Dsq& local = *ext_rq(rq).local_dsq;
  const bool open = rq_is_open(rq, 0);
  // First taken off, then re-enqueued: those that come back are not looked at again.
  std::vector<std::pair<Task*, u32>> taken;
  bool first = true;
  for (Task *p = local.tasks.front(), *next; p != nullptr; p = next) {
    next = local.tasks.next(*p);
    if (p->migration_pending != nullptr) continue;
    const u32 reason = local_reenq_reason(*p, first, open, reenq_flags);
    first = false;
    if (reason == 0) continue;
    wait_dispatching(*p);
    dispatch_dequeue(rq, *p);
    taken.emplace_back(p, reason);
  }
  for (auto [p, reason] : taken) reenqueue(rq, *p, reason);
  return static_cast<u32>(taken.size());
}

void process_ddsp_deferred_locals(Rq& rq) {
  if (!std::exchange(ext_rq(rq).deferred_ddsp, false)) return;
  auto& list = ext_rq(rq).ddsp_deferred_locals;
  while (Task* p = list.front()) {
    Sched& sch = *task_sched(*p);
    const u64 dsq_id = p->scx.ddsp_dsq_id, enq_flags = p->scx.ddsp_enq_flags;
    const u64 slice = p->scx.ddsp_slice, vtime = p->scx.ddsp_vtime;
    list.erase(*p);
    clear_direct_dispatch(*p);
    Dsq& dsq = find_dsq_for_dispatch(sch, rq, dsq_id, p->cpu);
    USCX_ASSERT(dsq.is_local());
    dispatch_to_local_dsq(sch, rq, dsq, *p, slice, vtime, enq_flags);
  }
}

/// Gives every task of a user DSQ that was there when it began back to the scheduler. `rq` is
/// locked before and after, not throughout.
void reenq_user(Rq& rq, Dsq& dsq, u64 reenq_flags) {
  Sched& sch = *dsq.owner;
  Kernel& kernel = sch.kernel;
  const u32 seq = dsq.seq;
  Rq* locked = &rq;
  dsq.guard.lock(kernel.held());
  while (sch.bypass_depth == 0 && (reenq_flags & abi::SCX_REENQ_ANY)) {
    Task* p = dsq.tasks.front();
    while (p != nullptr && u32_before(seq, p->scx.dsq_seq)) p = dsq.tasks.next(*p);
    if (p == nullptr) break;
    Rq& task_rq = kernel.task_rq(*p);
    if (locked != &task_rq) {
      // The runqueue's lock comes first; the task may leave the queue meanwhile.
      dsq.guard.unlock(kernel.held());
      switch_rq_lock(kernel, *locked, task_rq);
      locked = &task_rq;
      dsq.guard.lock(kernel.held());
      if (p->scx.dsq != &dsq || u32_before(seq, p->scx.dsq_seq) || p->scx.holding_cpu >= 0 ||
          p->cpu != task_rq.id) {
        continue;
      }
    }
    wait_dispatching(*p);
    dispatch_dequeue_locked(*p, dsq);
    dsq.guard.unlock(kernel.held());
    reenqueue(task_rq, *p, abi::SCX_TASK_REENQ_KFUNC);
    dsq.guard.lock(kernel.held());
  }
  dsq.guard.unlock(kernel.held());
  if (locked != &rq) switch_rq_lock(kernel, *locked, rq);
}

/// A scheduler that puts every task back where it came from would keep the CPU here for ever. Since
/// 7.3 the times are counted per task, when it is enqueued.
bool may_reenq_again(Sched& sch, u32 repeated) {
  if (repeated == 0 || sch.kernel.config().version >= btf::KernelVersion{7, 3}) return true;
  add_event(sch, &abi::scx_event_stats::SCX_EV_REENQ_REPEAT, 1);
  if (repeated <= abi::SCX_REENQ_MAX_REPEAT) return true;
  error(sch, "SCX_ENQ_REENQ on SCX_DSQ_LOCAL repeated {} times", repeated);
  return false;
}

void schedule_dsq_reenq(Sched& sch, Dsq& dsq, u64 reenq_flags, Rq* locked) {
  if (sch.bypass_depth != 0) return;
  Rq* rq;
  if (dsq.is_local()) {
    rq = dsq.rq;
    SchedCpu& cpu = sch.cpu(rq->id);
    if (!cpu.deferred_reenq_local) {
      cpu.deferred_reenq_local = true;
      ext_rq(*rq).deferred_reenq_locals.push_back(&sch);
      ext_rq(*rq).deferred_reenq = true;
    }
    cpu.deferred_reenq_local_flags |= reenq_flags;
  } else if (!dsq_is_builtin(dsq.id)) {
    rq = &sch.kernel.this_rq();
    auto& users = ext_rq(*rq).deferred_reenq_users;
    auto it = std::find_if(users.begin(), users.end(), [&](auto& u) { return u.first == &dsq; });
    if (it == users.end()) {
      users.emplace_back(&dsq, reenq_flags);
      ext_rq(*rq).deferred_reenq = true;
    } else {
      it->second |= reenq_flags;
    }
  } else {
    error(sch, "DSQ 0x{:x} not allowed for reenq", u64{dsq.id});
    return;
  }
  if (rq == locked) {
    schedule_deferred_locked(*rq);
  } else {
    schedule_deferred(*rq);
  }
}

}  // namespace

void schedule_deferred_locked(Rq& rq) {
  // A wakeup in progress ends in task_woken(), which runs what is deferred.
  if (rq.scx.flags & abi::SCX_RQ_IN_WAKEUP) return;
  if (rq.scx.flags & abi::SCX_RQ_BAL_CB_PENDING) return;
  if (rq.scx.flags & abi::SCX_RQ_IN_DISPATCH) {
    rq.scx.flags |= abi::SCX_RQ_BAL_CB_PENDING;
    return;
  }
  schedule_deferred(rq);
}

void schedule_reenq_local(Rq& rq, u64 reenq_flags) {
  Sched* root = impl_of(ext_rq(rq).kernel).root;
  if (root != nullptr) schedule_dsq_reenq(*root, *ext_rq(rq).local_dsq, reenq_flags, &rq);
}

void run_deferred(Rq& rq) {
  ExtRq& ext = ext_rq(rq);
  process_ddsp_deferred_locals(rq);
  if (!ext.deferred_reenq) return;
  ext.deferred_reenq = false;
  for (u32 repeated = 0; !ext.deferred_reenq_locals.empty(); ++repeated) {
    Sched& sch = *ext.deferred_reenq_locals.front();
    ext.deferred_reenq_locals.erase(ext.deferred_reenq_locals.begin());
    SchedCpu& cpu = sch.cpu(rq.id);
    cpu.deferred_reenq_local = false;
    const u64 flags = std::exchange(cpu.deferred_reenq_local_flags, 0);
    if (may_reenq_again(sch, repeated)) reenq_local(rq, flags);
  }
  while (!ext.deferred_reenq_users.empty()) {
    const auto [dsq, flags] = ext.deferred_reenq_users.front();
    ext.deferred_reenq_users.erase(ext.deferred_reenq_users.begin());
    if (dsq->id != abi::SCX_DSQ_INVALID) reenq_user(rq, *dsq, flags);
  }
}

void run_deferred_after_dispatch(Rq& rq) {
  if (!(rq.scx.flags & abi::SCX_RQ_BAL_CB_PENDING)) return;
  rq.scx.flags &= ~static_cast<u32>(abi::SCX_RQ_BAL_CB_PENDING);
  schedule_deferred(rq);
}

void dsq_reenq(Sched& sch, u64 dsq_id, u64 reenq_flags) {
  Rq* locked = locked_rq(sch.ext);
  if (reenq_flags & ~u64{abi::__SCX_REENQ_USER_MASK}) {
    error(sch, "invalid SCX_REENQ flags 0x{:x}", reenq_flags);
    return;
  }
  if (!(reenq_flags & abi::__SCX_REENQ_FILTER_MASK)) reenq_flags |= abi::SCX_REENQ_ANY;
  Dsq& dsq =
      find_dsq_for_dispatch(sch, locked ? *locked : sch.kernel.this_rq(), dsq_id, sch.kernel.cpu());
  schedule_dsq_reenq(sch, dsq, reenq_flags, locked);
}

u32 reenqueue_local(Sched& sch) {
  return reenq_local(sch.kernel.this_rq(), abi::SCX_REENQ_ANY);
}

}  // namespace uscx::sched::ext
