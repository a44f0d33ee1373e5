// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs that look for idle CPUs.
#include "sched/ext/idle_state.h"
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

bool check_builtin_enabled(Sched& sch) {
  if (idle_of(sch).enabled()) return true;
  error(sch, "built-in idle tracking is disabled");
  return false;
}

/// `node`, or a negative errno. kNoNode is no error of the scheduler's.
s32 validate_node(Sched& sch, s32 node) {
  IdleTracker& idle = idle_of(sch);
  if (!idle.per_node()) {
    error(sch, "per-node idle tracking is disabled");
    return -EOPNOTSUPP;
  }
  if (node == kNoNode) return -ENOENT;
  if (node < 0 || static_cast<u32>(node) >= idle.nr_node_ids()) {
    error(sch, "invalid node {}", node);
    return -EINVAL;
  }
  if (!sch.kernel.machine().topology().node_possible(static_cast<u32>(node))) {
    error(sch, "unavailable node {}", node);
    return -EINVAL;
  }
  return node;
}

// ---- choosing a CPU for a task
// --------------------------------------------------------------------

bool migration_disabled(Ext::Impl& ext, const Task& p) {
  // Entering a program may disable migration of the current task itself.
  if (p.migration_disabled == 1) return &p != &ext.kernel.current();
  return p.migration_disabled != 0;
}

/// A task with one usable CPU: 7.3 looks at prev_cpu, 7.2 at the CPU itself.
s32 select_restricted(Sched& sch, const Task& p, CpuId prev_cpu, const abi::cpumask* allowed,
                      u64 flags, bool no_migration) {
  IdleTracker& idle = idle_of(sch);
  const auto in = [](const abi::cpumask* mask, CpuId cpu) {
    return bitmap::test(mask->bits, static_cast<u32>(cpu));
  };
  CpuId cpu = prev_cpu;
  if (sch.kernel.config().version >= btf::KernelVersion{7, 3}) {
    if (!in(allowed ? allowed : p.cpus_ptr, cpu)) return -EBUSY;
  } else {
    const u32 nr_cpus = sch.kernel.nr_cpus();
    cpu = no_migration ? p.cpu : static_cast<CpuId>(bitmap::first(p.cpus_ptr->bits, nr_cpus));
    if (static_cast<u32>(cpu) >= nr_cpus || !in(p.cpus_ptr, cpu)) return -EBUSY;
    if (allowed && !in(allowed, cpu)) return -EBUSY;
    if ((flags & abi::SCX_PICK_IDLE_IN_NODE) && idle.per_node() &&
        idle.node_of(cpu) != idle.node_of(prev_cpu)) {
      return -EBUSY;
    }
  }
  return idle.test_and_clear(cpu) ? cpu : -EBUSY;
}

s32 select_cpu_locked(Sched& sch, Task& p, CpuId prev_cpu, u64 wake_flags,
                      const abi::cpumask* allowed, u64 flags) {
  const bool no_migration = migration_disabled(sch.ext, p);
  if (p.nr_cpus_allowed == 1 || no_migration) {
    sch.kernel.sync_point("scx_idle_masks");
    return select_restricted(sch, p, prev_cpu, allowed, flags, no_migration);
  }
  return select_cpu_dfl(sch, p, prev_cpu, wake_flags, allowed, flags);
}

/// The mask and the CPU of `p` hold still under its pi_lock or its runqueue's lock. A callback that
/// holds one may ask about the tasks it covers only; with none held, pi_lock is taken here.
s32 select_cpu_from_kfunc(Sched& sch, Task& p, s32 prev_cpu, u64 wake_flags,
                          const abi::cpumask* allowed, u64 flags) {
  Kernel& k = sch.kernel;
  if (!cpu_valid(sch, prev_cpu)) return -EINVAL;
  if (!check_builtin_enabled(sch)) return -EBUSY;

  if (k.this_rq().scx.in_select_cpu) {
    if (!kf_arg_task_ok(sch, p)) return -EINVAL;
    USCX_ASSERT(p.pi_lock.held_by(k.held()));
    return select_cpu_locked(sch, p, prev_cpu, wake_flags, allowed, flags);
  }
  if (Rq* rq = locked_rq(sch.ext)) {
    if (rq != &k.task_rq(p)) {
      error(sch, "select_cpu kfunc called cross-task on {}[{}]", p.comm, p.pid);
      return -EINVAL;
    }
    return select_cpu_locked(sch, p, prev_cpu, wake_flags, allowed, flags);
  }
  LockGuard guard(p.pi_lock, k.held());
  return select_cpu_locked(sch, p, prev_cpu, wake_flags, allowed, flags);
}

u64 select_dfl(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = task_arg(call, 0);
  auto* is_idle = call.memory<u8>(3, true);
  if (!p || !is_idle) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  const s32 prev_cpu = s32_arg(call, 1);
  const s32 cpu = select_cpu_from_kfunc(*sch, *p, prev_cpu, call.args[2], nullptr, 0);
  *is_idle = cpu >= 0;
  return s32_result(cpu >= 0 ? cpu : prev_cpu);
}

u64 select_and(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = task_arg(call, 0);
  const abi::cpumask* allowed = cpumask_arg(call, 1);
  const auto* a = call.memory<abi::scx_bpf_select_cpu_and_args>(2, false);
  if (!p || !allowed || !a) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  return s32_result(select_cpu_from_kfunc(*sch, *p, a->prev_cpu, a->wake_flags, allowed, a->flags));
}

/// Without a caller's argument: for the root scheduler.
u64 select_and_v1(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = task_arg(call, 0);
  const abi::cpumask* allowed = cpumask_arg(call, 3);
  if (!p || !allowed) return 0;
  if (!ext.root) return s32_result(-ENODEV);
  return s32_result(
      select_cpu_from_kfunc(*ext.root, *p, s32_arg(call, 1), call.args[2], allowed, call.args[4]));
}

// ---- the masks
// --------------------------------------------------------------------------------------

enum class Which { kCpu, kSmt };

/// A negative `node` other than kNoNode, or no scheduler: the empty mask.
u64 mask_result(Ext::Impl& ext, NodeId node, bool valid, Which which) {
  IdleTracker& idle = ext.idle->tracker;
  if (!valid) return pointer_result(&idle.empty_mask());
  const bool cores = which == Which::kSmt && idle.smt_active();
  return pointer_result(cores ? &idle.smt_mask(node) : &idle.cpu_mask(node));
}

u64 get_mask(Ext::Impl& ext, bpf::KfuncCall& call, Which which) {
  Sched* sch = sched_of(ext, call);
  bool valid = sch != nullptr;
  if (sch && idle_of(*sch).per_node()) {
    error(*sch, "SCX_OPS_BUILTIN_IDLE_PER_NODE enabled");
    valid = false;
  }
  valid = valid && check_builtin_enabled(*sch);
  return mask_result(ext, kNoNode, valid, which);
}

u64 get_mask_node(Ext::Impl& ext, bpf::KfuncCall& call, Which which) {
  Sched* sch = sched_of(ext, call);
  const s32 node = sch ? validate_node(*sch, s32_arg(call, 0)) : -ENODEV;
  return mask_result(ext, node, node >= 0, which);
}

u64 get_cpumask(Ext::Impl& ext, bpf::KfuncCall& call) {
  return get_mask(ext, call, Which::kCpu);
}
u64 get_smtmask(Ext::Impl& ext, bpf::KfuncCall& call) {
  return get_mask(ext, call, Which::kSmt);
}
u64 get_cpumask_node(Ext::Impl& ext, bpf::KfuncCall& call) {
  return get_mask_node(ext, call, Which::kCpu);
}
u64 get_smtmask_node(Ext::Impl& ext, bpf::KfuncCall& call) {
  return get_mask_node(ext, call, Which::kSmt);
}

/// The masks are the kernel's own and never go: nothing to release but the pointer's trust.
u64 put_mask(Ext::Impl&, bpf::KfuncCall& call) {
  cpumask_arg(call, 0);
  return 0;
}

// ---- claiming CPUs
// ------------------------------------------------------------------------------------

u64 test_and_clear(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  const s32 cpu = s32_arg(call, 0);
  if (!sch || !check_builtin_enabled(*sch) || !cpu_valid(*sch, cpu)) return 0;
  ext.kernel.sync_point("scx_idle_masks");
  return idle_of(*sch).test_and_clear(cpu);
}

/// The flat forms work on the global masks only.
bool check_flat(Sched& sch) {
  if (!idle_of(sch).per_node()) return true;
  error(sch, "per-node idle tracking is enabled");
  return false;
}

s32 any_allowed(Ext::Impl& ext, const abi::cpumask& allowed, const abi::cpumask* also) {
  const u32 cpu = ext.idle->tracker.any_distribute(ext.kernel.cpu(), allowed, also);
  return cpu < ext.kernel.nr_cpus() ? static_cast<s32>(cpu) : -EBUSY;
}

u64 pick_idle(Ext::Impl& ext, bpf::KfuncCall& call) {
  const abi::cpumask* allowed = cpumask_arg(call, 0);
  if (!allowed) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  if (!check_flat(*sch) || !check_builtin_enabled(*sch)) return s32_result(-EBUSY);
  ext.kernel.sync_point("scx_idle_masks");
  return s32_result(idle_of(*sch).pick(ext.kernel.cpu(), *allowed, kNoNode, call.args[1]));
}

u64 pick_idle_node(Ext::Impl& ext, bpf::KfuncCall& call) {
  const abi::cpumask* allowed = cpumask_arg(call, 0);
  if (!allowed) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  const s32 node = validate_node(*sch, s32_arg(call, 1));
  if (node < 0) return s32_result(node);
  ext.kernel.sync_point("scx_idle_masks");
  return s32_result(idle_of(*sch).pick(ext.kernel.cpu(), *allowed, node, call.args[2]));
}

u64 pick_any(Ext::Impl& ext, bpf::KfuncCall& call) {
  const abi::cpumask* allowed = cpumask_arg(call, 0);
  if (!allowed) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  if (!check_flat(*sch)) return s32_result(-EBUSY);
  IdleTracker& idle = idle_of(*sch);
  if (idle.enabled()) {
    ext.kernel.sync_point("scx_idle_masks");
    const s32 cpu = idle.pick(ext.kernel.cpu(), *allowed, kNoNode, call.args[1]);
    if (cpu >= 0) return s32_result(cpu);
  }
  return s32_result(any_allowed(ext, *allowed, nullptr));
}

u64 pick_any_node(Ext::Impl& ext, bpf::KfuncCall& call) {
  const abi::cpumask* allowed = cpumask_arg(call, 0);
  if (!allowed) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  const s32 node = validate_node(*sch, s32_arg(call, 1));
  if (node < 0) return s32_result(node);
  IdleTracker& idle = idle_of(*sch);
  ext.kernel.sync_point("scx_idle_masks");
  const s32 cpu = idle.pick(ext.kernel.cpu(), *allowed, node, call.args[2]);
  if (cpu >= 0) return s32_result(cpu);
  const bool in_node = (call.args[2] & abi::SCX_PICK_IDLE_IN_NODE) != 0;
  return s32_result(any_allowed(ext, *allowed, in_node ? &idle.node_span(node) : nullptr));
}

u64 cpu_node(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  const s32 cpu = s32_arg(call, 0);
  if (!sch || !cpu_valid(*sch, cpu)) return s32_result(kNoNode);
  return s32_result(idle_of(*sch).node_of(cpu));
}

constexpr KfuncEntry kIdleKfuncs[] = {
    {"scx_bpf_select_cpu_dfl", select_dfl},
    {"__scx_bpf_select_cpu_and", select_and},
    {"scx_bpf_select_cpu_and", select_and_v1},
    {"scx_bpf_get_idle_cpumask", get_cpumask},
    {"scx_bpf_get_idle_smtmask", get_smtmask},
    {"scx_bpf_get_idle_cpumask_node", get_cpumask_node},
    {"scx_bpf_get_idle_smtmask_node", get_smtmask_node},
    {"scx_bpf_put_idle_cpumask", put_mask},
    {"scx_bpf_test_and_clear_cpu_idle", test_and_clear},
    {"scx_bpf_pick_idle_cpu", pick_idle},
    {"scx_bpf_pick_idle_cpu_node", pick_idle_node},
    {"scx_bpf_pick_any_cpu", pick_any},
    {"scx_bpf_pick_any_cpu_node", pick_any_node},
    {"scx_bpf_cpu_node", cpu_node},
};

}  // namespace

std::span<const KfuncEntry> idle_kfuncs() {
  return kIdleKfuncs;
}

}  // namespace uscx::sched::ext
