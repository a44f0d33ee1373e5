// SPDX-License-Identifier: GPL-2.0-only
// Idle tracking as the rest of sched_ext uses it.
#include "sched/ext/idle_state.h"
#include "sched/prefetch.h"

namespace uscx::sched::ext {

void idle_init_masks(Ext::Impl& ext) {
  Kernel& k = ext.kernel;
  ext.idle =
      std::make_shared<IdleState>(k.window(), k.topology(), k.online_mask(), k.config().version);
}

void idle_enable(Sched& sch) {
  const bool builtin =
      !sch.ops.has(Op::kUpdateIdle) || (sch.ops.flags & abi::SCX_OPS_KEEP_BUILTIN_IDLE);
  idle_of(sch).enable(builtin, (sch.ops.flags & abi::SCX_OPS_BUILTIN_IDLE_PER_NODE) != 0);
}

void idle_disable(Ext::Impl& ext) {
  ext.idle->tracker.disable();
}

void idle_update_selcpu_topology(Sched& sch) {
  idle_of(sch).update_topology((sch.ops.flags & abi::SCX_OPS_BUILTIN_IDLE_PER_NODE) != 0);
}

s32 select_cpu_dfl(Sched& sch, Task& p, CpuId prev_cpu, u64 wake_flags, const abi::cpumask* allowed,
                   u64 flags) {
  Kernel& k = sch.kernel;
  k.sync_point("scx_idle_masks");
  const IdleRequest request{
      .cpus_ptr = p.cpus_ptr,
      .nr_cpus_allowed = static_cast<u32>(p.nr_cpus_allowed),
      .this_cpu = k.cpu(),
      .waker_exiting = (k.current().flags & PF_EXITING) != 0,
      .waker_local_dsq_empty = k.this_rq().scx.local_dsq.nr == 0,
  };
  const s32 cpu = idle_of(sch).select_cpu(request, prev_cpu, wake_flags, allowed, flags);
  // It is likely to be woken, which touches all that an entry there does.
  if (cpu >= 0 && cpu != k.cpu() && k.outgrows_cache()) prefetch_rq(k.rq(cpu));
  return cpu;
}

u32 Ext::any_and_distribute(const abi::cpumask& a, const abi::cpumask& b) {
  return impl_->idle->tracker.any_distribute(impl_->kernel.cpu(), a, &b);
}

namespace {

/// 7.2 has no SCX_RQ_ROOT_IDLE_RENOTIFY: a scheduler that leaves bypass is not told about CPUs that
/// went idle meanwhile.
bool take_renotify(Rq& rq, bool idle, bool do_notify) {
  constexpr u32 kOwed = abi::SCX_RQ_ROOT_IDLE_RENOTIFY;
  const bool owed = (rq.scx.flags & kOwed) != 0;
  if (owed && (do_notify || idle)) {
    rq.scx.flags &= ~kOwed;
    return true;
  }
  return false;
}

}  // namespace

void update_idle(Rq& rq, bool idle, bool do_notify) {
  Kernel& k = ext_rq(rq).kernel;
  Ext::Impl& ext = impl_of(k);
  k.assert_rq_held(rq);
  IdleTracker& tracker = ext.idle->tracker;
  // A real transition, or the idle task was picked again: something reserved the CPU, and nothing
  // came of it.
  const bool repick = rq.curr == rq.idle;
  if (tracker.enabled() && (do_notify || repick)) {
    k.sync_point("scx_idle_masks");
    if (k.planted(PlantedBug::kIdleMaskLate) && !idle) {
      ext_rq(rq).idle_mask_late = true;
    } else {
      tracker.set_idle(rq.id, idle);
    }
    k.sync_point("scx_idle_masks");
  }

  // After the masks: either ops.enqueue() sees the idle bit, or ops.update_idle() sees the task
  // that it queued.
  Sched* root = ext.root;
  if (!root) return;
  const bool owed =
      k.config().version >= btf::KernelVersion{7, 3} && take_renotify(rq, idle, do_notify);
  if ((do_notify || owed) && root->has_op(Op::kUpdateIdle) && !bypassing(*root, rq.id)) {
    call_op(*root, Op::kUpdateIdle, &rq, {static_cast<u64>(rq.id), static_cast<u64>(idle)});
  }
}

}  // namespace uscx::sched::ext
