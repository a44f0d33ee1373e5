// SPDX-License-Identifier: GPL-2.0-only
// A task's way through a scheduler: NONE, INIT_BEGIN, INIT, READY, ENABLED, and back; DEAD.
#include <algorithm>
#include <cstring>

#include "sched/ext/queue.h"
#include "sched/ext/rb_tree.h"
#include "sched/ext/task_iter.h"

namespace uscx::sched::ext {
namespace {

/// Linux: sched_prio_to_weight, by static_prio from nice -20.
constexpr u32 kPrioToWeight[40] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15,
};
constexpr u32 kWeightIdlePrio = 3;

u32 task_weight(const Task& p) {
  if (p.policy == SCHED_IDLE) return kWeightIdlePrio;
  return kPrioToWeight[static_cast<std::size_t>(p.static_prio - MAX_RT_PRIO)];
}

bool transition_allowed(u32 from, u32 to) {
  switch (to) {
    case abi::SCX_TASK_NONE:
      return from != abi::SCX_TASK_DEAD;
    case abi::SCX_TASK_INIT_BEGIN:
      return from == abi::SCX_TASK_NONE;
    case abi::SCX_TASK_INIT:
      return from == abi::SCX_TASK_INIT_BEGIN;
    case abi::SCX_TASK_READY:
      return from == abi::SCX_TASK_INIT || from == abi::SCX_TASK_ENABLED;
    case abi::SCX_TASK_ENABLED:
      return from == abi::SCX_TASK_READY;
    case abi::SCX_TASK_DEAD:
      return from == abi::SCX_TASK_NONE || from == abi::SCX_TASK_INIT_BEGIN;
    default:
      return false;
  }
}

/// The program asked not to be given this task (p->scx.disallow).
void check_disallow(Sched& sch, Task& p, bool fork) {
  if (!p.scx.disallow) return;
  if (fork) {
    error(sch, "ops.init_task() set task->scx.disallow for {}[{}] during fork", p.comm, p.pid);
    return;
  }
  if (sch.ext.state != abi::SCX_ENABLING) {
    error(sch, "ops.init_task() set task->scx.disallow for {}[{}] outside the enable path", p.comm,
          p.pid);
    return;
  }
  Rq& rq = sch.kernel.task_rq_lock(p);
  // The class is looked up when tasks are switched, later in enabling.
  if (p.policy == SCHED_EXT) {
    p.policy = SCHED_NORMAL;
    ++sch.ext.nr_rejected;
  }
  sch.kernel.task_rq_unlock(rq, p);
}

/// A number no other task gets; each CPU takes them by the chunk. Linux: scx_alloc_tid.
u64 alloc_tid(Ext::Impl& ext) {
  ExtRq& here = ext_rq(ext.kernel.this_rq());
  if (here.next_tid >= here.end_tid) {
    here.next_tid = ext.next_tid;
    here.end_tid = ext.next_tid += abi::SCX_TID_CHUNK;
  }
  return here.next_tid++;
}

/// What ops.exit_task() is due for, by the state the task has come to.
void exit_by_state(Sched& sch, Task& p) {
  bool cancelled = false;
  switch (get_task_state(p)) {
    case abi::SCX_TASK_NONE:
      return;
    case abi::SCX_TASK_INIT:
      cancelled = true;
      break;
    case abi::SCX_TASK_READY:
      break;
    case abi::SCX_TASK_ENABLED:
      disable_task(sch, p);
      break;
    default:
      USCX_ASSERT(!"task state in transit");
  }
  if (sch.has_op(Op::kExitTask)) call_op_exit_task(sch, sch.kernel.task_rq(p), p, cancelled);
}

}  // namespace

u32 weight_to_cgroup(u64 weight) {
  const u64 w = (weight * 100 + 512) / 1024;  // rounded to the nearest
  return static_cast<u32>(std::clamp<u64>(w, 1, 10000));
}

void set_task_state(Task& p, u32 state) {
  USCX_ASSERT(transition_allowed(get_task_state(p), state));
  if (state == abi::SCX_TASK_INIT) p.scx.flags |= abi::SCX_TASK_RESET_RUNNABLE_AT;
  p.scx.flags &= ~static_cast<u32>(abi::SCX_TASK_STATE_MASK);
  p.scx.flags |= state;
}

int init_task(Sched& sch, Task& p, bool fork) {
  p.scx.disallow = false;
  if (sch.has_op(Op::kInitTask)) {
    if (const s32 ret = call_op_init_task(sch, p, fork); ret != 0) {
      return sanitize_err(sch, Op::kInitTask, ret);
    }
  }
  check_disallow(sch, p, fork);
  return 0;
}

void enable_task(Sched& sch, Task& p) {
  Rq& rq = sch.kernel.task_rq(p);
  USCX_ASSERT(!(p.scx.flags & abi::SCX_TASK_IN_CUSTODY));
  p.scx.weight = weight_to_cgroup(task_weight(p));
  if (sch.has_op(Op::kEnable)) call_op_task(sch, Op::kEnable, &rq, p);
  if (sch.has_op(Op::kSetWeight)) call_op_task(sch, Op::kSetWeight, &rq, p, {p.scx.weight});
  set_task_state(p, abi::SCX_TASK_ENABLED);
}

void disable_task(Sched& sch, Task& p) {
  USCX_ASSERT(get_task_state(p) == abi::SCX_TASK_ENABLED);
  Rq& rq = sch.kernel.task_rq(p);
  clear_direct_dispatch(p);
  if (sch.has_op(Op::kDisable)) call_op_task(sch, Op::kDisable, &rq, p);
  set_task_state(p, abi::SCX_TASK_READY);
  p.scx.dsq_vtime = 0;
  task_slice_ended(rq, p);
  set_task_slice(p, 0);
  p.scx.reenq_cnt = 0;
  USCX_ASSERT(!(p.scx.flags & abi::SCX_TASK_IN_CUSTODY));
}

void disable_and_exit_task(Sched& sch, Task& p) {
  exit_by_state(sch, p);
  p.scx.sched = nullptr;
  set_task_state(p, abi::SCX_TASK_NONE);
}

bool task_dead_and_done(Kernel& kernel, const Task& p) {
  return p.__state == TASK_DEAD && !kernel.task_current(kernel.task_rq(p), p);
}

Task* tid_to_task(Ext::Impl& ext, u64 tid) {
  if (!ext.tid_to_task) {
    if (ext.root) error(*ext.root, "scx_bpf_tid_to_task() called without SCX_OPS_TID_TO_TASK");
    return nullptr;
  }
  auto it = ext.tids.find(tid);
  return it == ext.tids.end() ? nullptr : it->second;
}

// ------------------------------------------------------------------------- hooks of the core

void Ext::init_task_entity(Task& p) {
  std::memset(&p.scx, 0, sizeof(p.scx));
  rb::clear(p.scx.dsq_priq);
  p.scx.sticky_cpu = -1;
  p.scx.holding_cpu = -1;
  p.scx.runnable_cpu = -1;
  p.scx.runnable_at = impl_->kernel.jiffies();
  p.scx.ddsp_dsq_id = abi::SCX_DSQ_INVALID;
  p.scx.slice = abi::SCX_SLICE_DFL;
}

void Ext::pre_fork(Task&) {
  impl_->fork_rwsem.lock_shared(impl_->kernel);
}

int Ext::fork(Task& p) {
  p.scx.tid = alloc_tid(*impl_);
  if (!impl_->init_task_enabled) return 0;
  Sched& sch = *impl_->root;
  set_task_state(p, abi::SCX_TASK_INIT_BEGIN);
  if (const int ret = init_task(sch, p, true); ret != 0) {
    set_task_state(p, abi::SCX_TASK_NONE);
    return -ret;
  }
  set_task_state(p, abi::SCX_TASK_INIT);
  p.scx.sched = sch.abi_pointer();
  return 0;
}

void Ext::post_fork(Task& p) {
  Kernel& kernel = impl_->kernel;
  if (impl_->init_task_enabled) {
    set_task_state(p, abi::SCX_TASK_READY);
    // Seen by nobody yet, but its callbacks run with the runqueue's lock as always.
    if (task_is_ext(kernel, p)) {
      Rq& rq = kernel.task_rq_lock(p);
      enable_task(*task_sched(p), p);
      kernel.task_rq_unlock(rq, p);
    }
  }
  {
    LockGuard guard(impl_->tasks_lock, kernel.held());
    impl_->tasks.push_back(p);
    if (impl_->tid_to_task) impl_->tids[p.scx.tid] = &p;
  }
  impl_->fork_rwsem.unlock_shared(kernel);
}

void Ext::cancel_fork(Task& p) {
  Kernel& kernel = impl_->kernel;
  if (impl_->init_task_enabled && get_task_state(p) != abi::SCX_TASK_NONE) {
    Rq& rq = kernel.task_rq_lock(p);
    USCX_ASSERT(get_task_state(p) < abi::SCX_TASK_READY);
    disable_and_exit_task(*task_sched(p), p);
    kernel.task_rq_unlock(rq, p);
  }
  impl_->fork_rwsem.unlock_shared(kernel);
}

void Ext::task_dead(Task& p) {
  Kernel& kernel = impl_->kernel;
  {
    LockGuard guard(impl_->tasks_lock, kernel.held());
    if (p.scx_tasks_node.linked()) forget_task(*impl_, p);
    impl_->tids.erase(p.scx.tid);
  }
  // A task whose init_task() is in progress: who runs it sees DEAD and undoes it.
  if (get_task_state(p) == abi::SCX_TASK_NONE) return;
  Rq& rq = kernel.task_rq_lock(p);
  if (get_task_state(p) != abi::SCX_TASK_INIT_BEGIN) disable_and_exit_task(*task_sched(p), p);
  set_task_state(p, abi::SCX_TASK_DEAD);
  kernel.task_rq_unlock(rq, p);
}

int Ext::check_setscheduler(Task& p, int policy) {
  if (enabled_ && p.scx.disallow && p.policy != static_cast<u32>(policy) && policy == SCHED_EXT) {
    return EACCES;
  }
  return 0;
}

}  // namespace uscx::sched::ext
