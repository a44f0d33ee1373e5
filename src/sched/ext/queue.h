// SPDX-License-Identifier: GPL-2.0-only
// What the files of queueing and dispatching share among themselves.
#pragma once

#include "sched/ext/internal.h"

namespace uscx::sched::ext {

// dsq.cc
void dsq_link(Sched& sch, Dsq& dsq, Task& p, u64 enq_flags);
void dsq_inc_nr(Dsq& dsq, Task& p, u64 enq_flags);
void dsq_dec_nr(Dsq& dsq, Task& p);
void task_unlink_from_dsq(Task& p, Dsq& dsq);
/// Puts an unlinked task on a local DSQ and counts it.
void local_dsq_insert(Dsq& dsq, Task& p, u64 enq_flags);
Dsq& find_global_dsq(Sched& sch, CpuId cpu);
Dsq* find_user_dsq(Sched& sch, u64 dsq_id);
/// The queue a verdict names, or, after an error, the global one of `tcpu`'s node.
Dsq& find_dsq_for_dispatch(Sched& sch, Rq& rq, u64 dsq_id, CpuId tcpu);

// enqueue.cc
/// Does nothing of a higher class stand between a task put on rq's local DSQ and the CPU?
bool rq_is_open(Rq& rq, u64 enq_flags);
/// True where the task was in the BPF scheduler's custody and leaves it: ops.dequeue() is due.
bool task_leave_custody(Task& p);
void refill_task_slice_dfl(Sched& sch, Task& p);
void apply_slice_vtime(Task& p, u64 slice, u64 vtime, u64 enq_flags);
void rq_owned_post_enq(Sched& sch, Rq& rq, Dsq& dsq, Task& p, u64 enq_flags);
void clear_direct_dispatch(Task& p);
void set_task_runnable(Rq& rq, Task& p);
void clr_task_runnable(Rq& rq, Task& p, bool reset_runnable_at);

void enqueue_task(Rq& rq, Task& p, int core_enq_flags);

inline u64 opss(const Task& p) {
  return static_cast<u64>(p.scx.ops_state.counter);
}

// dequeue.cc
/// Waits until the task has left `state`. Linux: wait_ops_state.
void wait_ops_state(Kernel& kernel, const Task& p, u64 state);
/// Changes ops_state, if it is still what was seen. Linux: atomic_long_try_cmpxchg.
inline bool cmpxchg_opss(Task& p, u64 seen, u64 state) {
  if (static_cast<u64>(p.scx.ops_state.counter) != seen) return false;
  p.scx.ops_state.counter = static_cast<s64>(state);
  return true;
}
bool dequeue_task(Rq& rq, Task& p, int core_deq_flags);
void ops_dequeue(Rq& rq, Task& p, u64 deq_flags);
/// Both the queue's lock and the runqueue's are held.
void dispatch_dequeue_locked(Task& p, Dsq& dsq);

// consume.cc
void switch_rq_lock(Kernel& kernel, Rq& from, Rq& to);
void move_local_task_to_local_dsq(Sched& sch, Task& p, u64 enq_flags, Rq& dst_rq);
void move_remote_task_to_local_dsq(Sched& sch, Task& p, u64 enq_flags, Rq& src_rq, Rq& dst_rq);
/// Returns the runqueue whose lock is held afterwards.
Rq& move_task_between_dsqs(Sched& sch, Task& p, u64 enq_flags, Dsq& src, Dsq& dst);

// dispatch.cc
void dispatch_to_local_dsq(Sched& sch, Rq& rq, Dsq& dst, Task& p, u64 slice, u64 vtime,
                           u64 enq_flags);
bool vet_enq_flags(Sched& sch, u64 dsq_id, u64& enq_flags);

// pick.cc
/// `force`: for the deadline server, whatever waits above. May drop and retake the lock.
SchedClass::Pick pick_task(Rq& rq, Task& prev, bool force = false);
// servers.cc: in any context without locks
/// Reserves what the ext class's servers are to have. False: other reservations have it (EBUSY).
[[nodiscard]] bool attach_servers(Ext::Impl& ext);
/// No task will be fair any more.
void detach_fair_servers(Ext::Impl& ext);
/// The fair class's servers take over again.
void detach_servers(Ext::Impl& ext, bool was_switched_all);
void set_next_task(Rq& rq, Task& p);
void put_prev_task(Rq& rq, Task& p, Task* next);

// select.cc
CpuId select_task_rq(Task& p, CpuId prev_cpu, int wake_flags);

// task_life.cc
void enable_task(Sched& sch, Task& p);
void disable_task(Sched& sch, Task& p);
void disable_and_exit_task(Sched& sch, Task& p);
/// A task that died while the scheduler was told about it; nothing is called about it any more.
bool task_dead_and_done(Kernel& kernel, const Task& p);
int init_task(Sched& sch, Task& p, bool fork);
u32 weight_to_cgroup(u64 weight);

// deferred.cc
/// dispatch() is over: what it deferred is done in interrupt work.
void run_deferred_after_dispatch(Rq& rq);
void schedule_deferred_locked(Rq& rq);

// slice.cc
/// Since 7.3 a verdict's slice and vtime are written when the task is put on its queue; before,
/// when the kfunc is called.
inline bool slices_apply_late(const Sched& sch) {
  return sch.kernel.config().version >= btf::KernelVersion{7, 3};
}
void update_curr(Rq& rq);
void apply_task_slice_oob(Rq& rq, Task& p);
void clear_task_slice_oob(Task& p);

inline bool task_is_ext(Kernel& kernel, const Task& p) {
  return p.klass == &kernel.ext_class();
}

}  // namespace uscx::sched::ext
