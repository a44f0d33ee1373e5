// SPDX-License-Identifier: GPL-2.0-only
// sched_ext and control groups: which callbacks a group's life and a task's moves cause.
// Linux: the CONFIG_EXT_GROUP_SCHED parts of kernel/sched/ext/ext.c.
#include "sched/cgroup.h"

#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

u64 address(const abi::task_group& tg) {
  return tg_cgrp(tg).address();
}

/// 0, or what ops.cgroup_init() returned.
s32 call_cgroup_init(Sched& sch, TaskGroup& tg) {
  bpf::AddressWindow& window = sch.kernel.window();
  auto* args = window.make<abi::scx_cgroup_init_args>(bpf::kReadOnlyMemory);
  args->weight = tg.scx.weight;
  args->bw_period_us = tg.scx.bw_period_us;
  args->bw_quota_us = tg.scx.bw_quota_us;
  args->bw_burst_us = tg.scx.bw_burst_us;
  args->sched_idle = tg.scx.idle;
  const s32 ret = static_cast<s32>(
      call_op(sch, Op::kCgroupInit, nullptr, {address(tg), reinterpret_cast<u64>(args)}));
  window.destroy(args);
  return ret;
}

/// The scheduler that ops.cgroup_init() of a group succeeded on. Linux: scx_tg_sched().
Sched* tg_sched(const TaskGroup& tg) {
  if ((tg.scx.flags & abi::SCX_TG_INITED) == 0) return nullptr;
  return reinterpret_cast<Sched*>(tg.scx.sched);
}

/// Whom a group's knobs concern: they belong to its parent. Linux: scx_tg_knob_sched().
Sched* tg_knob_sched(const TaskGroup& tg) {
  return tg_sched(tg.is_root() ? tg : *tg.parent_group());
}

/// It has died since the move began, while ops.cgroup_prep_move() of another slept. Dead tasks
/// leave the list that Linux moves from (css_set::mg_tasks), and nothing is said of them any more.
bool is_dead(const Task& p) {
  return !p.cgroup_node.linked();
}

/// Tells about moves that were prepared and will not be.
void cancel_moves(std::span<Task* const> tasks, Cgroup& to) {
  for (Task* p : tasks) {
    if (is_dead(*p)) continue;
    Sched* sch = task_sched(*p);
    if (p->scx.cgrp_moving_from && sch->has_op(Op::kCgroupCancelMove)) {
      call_op_about(*sch, Op::kCgroupCancelMove, *p,
                    {reinterpret_cast<u64>(p->scx.cgrp_moving_from), to.address()});
    }
    p->scx.cgrp_moving_from = nullptr;
  }
}

/// A write to a knob, under the lock that keeps the group's scheduler from changing.
class KnobWrite {
 public:
  KnobWrite(Ext::Impl& ext, const TaskGroup& tg) : ext_(ext) {
    ext_.cgroup_ops_rwsem.lock_shared(ext_.kernel);
    sch_ = ext_.cgroup_enabled ? tg_knob_sched(tg) : nullptr;
  }
  ~KnobWrite() { ext_.cgroup_ops_rwsem.unlock_shared(ext_.kernel); }
  KnobWrite(const KnobWrite&) = delete;
  KnobWrite& operator=(const KnobWrite&) = delete;
  /// The scheduler to tell, or null.
  Sched* with(Op op) const { return sch_ && sch_->has_op(op) ? sch_ : nullptr; }

 private:
  Ext::Impl& ext_;
  Sched* sch_ = nullptr;
};

}  // namespace

void cgroup_lock(Ext::Impl& ext) {
  // cgroup_mutex outside: a writer of the inner one that waits for it would stop rmdir, which holds
  // it while knob writes drain.
  ext.kernel.cgroups().mutex.lock(ext.kernel);
  ext.cgroup_ops_rwsem.lock(ext.kernel);
}

void cgroup_unlock(Ext::Impl& ext) {
  ext.cgroup_ops_rwsem.unlock(ext.kernel);
  ext.kernel.cgroups().mutex.unlock(ext.kernel);
}

int cgroup_init(Sched& sch) {
  int ret = 0;
  sch.kernel.cgroups().for_each_pre([&](Cgroup& cgrp) {
    TaskGroup& tg = *cgrp.group;
    constexpr u32 kBoth = abi::SCX_TG_ONLINE | abi::SCX_TG_INITED;
    if (ret != 0 || (tg.scx.flags & kBoth) != abi::SCX_TG_ONLINE) return;
    if (step_fails(sch.ext, EnableStep::kCgroupInit)) {
      ret = -ENOMEM;
    } else if (sch.ops.has(Op::kCgroupInit)) {
      ret = call_cgroup_init(sch, tg);
    }
    if (ret != 0) {
      error(sch, "ops.cgroup_init() failed ({})", ret);
      return;
    }
    tg.scx.sched = sch.abi_pointer();
    tg.scx.flags |= abi::SCX_TG_INITED;
  });
  return ret;
}

void cgroup_exit(Sched& sch) {
  sch.kernel.cgroups().for_each_post([&](Cgroup& cgrp) {
    TaskGroup& tg = *cgrp.group;
    tg.scx.sched = nullptr;
    if ((tg.scx.flags & abi::SCX_TG_INITED) == 0) return;
    tg.scx.flags &= ~static_cast<u32>(abi::SCX_TG_INITED);
    if (sch.ops.has(Op::kCgroupExit)) call_op(sch, Op::kCgroupExit, nullptr, {address(tg)});
  });
}

// ----------------------------------------------------------------------------------- hooks

int Ext::tg_online(TaskGroup& tg) {
  USCX_ASSERT((tg.scx.flags & (abi::SCX_TG_ONLINE | abi::SCX_TG_INITED)) == 0);
  if (!impl_->cgroup_enabled) {
    tg.scx.flags |= abi::SCX_TG_ONLINE;
    return 0;
  }
  Sched& sch = *impl_->root;
  if (sch.has_op(Op::kCgroupInit)) {
    if (const s32 ret = call_cgroup_init(sch, tg); ret != 0) {
      return -sanitize_err(sch, Op::kCgroupInit, ret);
    }
  }
  tg.scx.sched = sch.abi_pointer();
  tg.scx.flags |= abi::SCX_TG_ONLINE | abi::SCX_TG_INITED;
  return 0;
}

void Ext::tg_offline(TaskGroup& tg) {
  USCX_ASSERT((tg.scx.flags & abi::SCX_TG_ONLINE) != 0);
  Sched* sch = tg_sched(tg);
  if (impl_->cgroup_enabled && sch && sch->has_op(Op::kCgroupExit)) {
    call_op(*sch, Op::kCgroupExit, nullptr, {address(tg)});
  }
  tg.scx.sched = nullptr;
  tg.scx.flags &= ~static_cast<u32>(abi::SCX_TG_ONLINE | abi::SCX_TG_INITED);
}

int Ext::cgroup_can_attach(std::span<Task* const> tasks, Cgroup& to) {
  if (!impl_->cgroup_enabled) return 0;
  for (Task* p : tasks) {
    if (is_dead(*p)) continue;
    Cgroup& from = tg_cgrp(*p->sched_task_group);
    USCX_ASSERT(p->scx.cgrp_moving_from == nullptr);
    Sched* sch = task_sched(*p);
    if (&from == &to || sch == nullptr) continue;
    if (sch->has_op(Op::kCgroupPrepMove)) {
      const s32 ret = static_cast<s32>(
          call_op_about(*sch, Op::kCgroupPrepMove, *p, {from.address(), to.address()}));
      if (ret != 0) {
        const s32 err = sanitize_err(*sch, Op::kCgroupPrepMove, ret);
        cancel_moves(tasks, to);
        return -err;
      }
    }
    p->scx.cgrp_moving_from = &from;
  }
  return 0;
}

void Ext::cgroup_move_task(Task& p) {
  if (!impl_->cgroup_enabled) return;
  Sched* sch = task_sched(p);
  if (p.scx.cgrp_moving_from && sch && sch->has_op(Op::kCgroupMove)) {
    call_op_task(*sch, Op::kCgroupMove, &impl_->kernel.task_rq(p), p,
                 {reinterpret_cast<u64>(p.scx.cgrp_moving_from), address(*p.sched_task_group)});
  }
  p.scx.cgrp_moving_from = nullptr;
}

void Ext::group_set_weight(TaskGroup& tg, u32 weight) {
  KnobWrite write(*impl_, tg);
  if (Sched* sch = write.with(Op::kCgroupSetWeight); sch && tg.scx.weight != weight) {
    call_op(*sch, Op::kCgroupSetWeight, nullptr, {address(tg), weight});
  }
  tg.scx.weight = weight;
}

void Ext::group_set_idle(TaskGroup& tg, bool idle) {
  KnobWrite write(*impl_, tg);
  if (Sched* sch = write.with(Op::kCgroupSetIdle); sch && tg.scx.idle != idle) {
    call_op(*sch, Op::kCgroupSetIdle, nullptr, {address(tg), idle});
  }
  tg.scx.idle = idle;
}

void Ext::group_set_bandwidth(TaskGroup& tg, u64 period_us, u64 quota_us, u64 burst_us) {
  KnobWrite write(*impl_, tg);
  const bool same = tg.scx.bw_period_us == period_us && tg.scx.bw_quota_us == quota_us &&
                    tg.scx.bw_burst_us == burst_us;
  if (Sched* sch = write.with(Op::kCgroupSetBandwidth); sch && !same) {
    call_op(*sch, Op::kCgroupSetBandwidth, nullptr, {address(tg), period_us, quota_us, burst_us});
  }
  tg.scx.bw_period_us = period_us;
  tg.scx.bw_quota_us = quota_us;
  tg.scx.bw_burst_us = burst_us;
}

}  // namespace uscx::sched::ext
