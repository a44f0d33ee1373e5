// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs about CPUs: numbers, masks, runqueues, kicks, clocks and performance targets.
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

/// The scheduler, where CPU argument 0 is valid for it; null otherwise (reported).
Sched* sched_for_cpu(Ext::Impl& ext, const bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return sch && cpu_valid(*sch, s32_arg(call, 0)) ? sch : nullptr;
}

u64 kick(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Sched* sch = sched_for_cpu(ext, call)) kick_cpu(*sch, s32_arg(call, 0), call.args[1]);
  return 0;
}

u64 nr_cpu_ids(Ext::Impl& ext, bpf::KfuncCall&) {
  return ext.kernel.nr_cpus();
}
u64 nr_node_ids(Ext::Impl& ext, bpf::KfuncCall&) {
  return ext.kernel.topology().nr_nodes;
}
u64 get_possible(Ext::Impl& ext, bpf::KfuncCall&) {
  return pointer_result(&ext.kernel.possible_mask());
}
u64 get_online(Ext::Impl& ext, bpf::KfuncCall&) {
  return pointer_result(&ext.kernel.online_mask());
}
/// The masks are the kernel's own: nothing to release but the pointer's trust.
u64 put_cpumask(Ext::Impl&, bpf::KfuncCall& call) {
  cpumask_arg(call, 0);
  return 0;
}

u64 now(Ext::Impl& ext, bpf::KfuncCall&) {
  return bpf_now(ext, ext.kernel.this_rq());
}

// ---- runqueues
// --------------------------------------------------------------------------------------

u64 rq_result(const Rq& rq) {
  return pointer_result(static_cast<const abi::rq*>(&rq));
}

u64 get_locked_rq(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  if (!sch) return 0;
  Rq* rq = locked_rq(ext);
  if (!rq) {
    error(*sch, "accessing rq without holding rq lock");
    return 0;
  }
  return rq_result(*rq);
}

u64 cpu_rq(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_for_cpu(ext, call);
  if (!sch) return 0;
  if (!sch->warned_deprecated_rq) {
    sch->warned_deprecated_rq = true;
    ext.kernel.kernel_log(
        "sched_ext: scx_bpf_cpu_rq() is deprecated; use scx_bpf_locked_rq() when holding rq lock "
        "or scx_bpf_cpu_curr() to read remote curr safely.");
  }
  return rq_result(ext.kernel.rq(s32_arg(call, 0)));
}

u64 cpu_curr(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_for_cpu(ext, call);
  return task_result(sch ? ext.kernel.rq(s32_arg(call, 0)).current() : nullptr);
}

// ---- performance
// --------------------------------------------------------------------------------------

u64 perf_cap(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (!sched_for_cpu(ext, call)) return abi::SCX_CPUPERF_ONE;
  return cpuperf_cap(ext, s32_arg(call, 0));
}

u64 perf_cur(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (!sched_for_cpu(ext, call)) return abi::SCX_CPUPERF_ONE;
  return cpuperf_cur(ext, s32_arg(call, 0));
}

u64 perf_set(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Sched* sch = sched_of(ext, call)) cpuperf_set(*sch, s32_arg(call, 0), u32_arg(call, 1));
  return 0;
}

constexpr KfuncEntry kEntries[] = {
    {"scx_bpf_kick_cpu", kick},
    {"scx_bpf_nr_cpu_ids", nr_cpu_ids},
    {"scx_bpf_nr_node_ids", nr_node_ids},
    {"scx_bpf_get_possible_cpumask", get_possible},
    {"scx_bpf_get_online_cpumask", get_online},
    {"scx_bpf_put_cpumask", put_cpumask},
    {"scx_bpf_now", now},
    {"scx_bpf_locked_rq", get_locked_rq},
    {"scx_bpf_cpu_rq", cpu_rq},
    {"scx_bpf_cpu_curr", cpu_curr},
    {"scx_bpf_cpuperf_cap", perf_cap},
    {"scx_bpf_cpuperf_cur", perf_cur},
    {"scx_bpf_cpuperf_set", perf_set},
};

}  // namespace

u32 cpuperf_cap(Ext::Impl& ext, CpuId cpu) {
  return ext.kernel.topology().cpus[static_cast<u32>(cpu)].capacity;
}

/// CPUs run at one frequency here: arch_scale_freq_capacity() is what it is without a driver.
u32 cpuperf_cur(Ext::Impl&, CpuId) {
  return abi::SCX_CPUPERF_ONE;
}

s32 cpuperf_set(Sched& sch, s32 cpu, u32 perf) {
  if (perf > abi::SCX_CPUPERF_ONE) {
    error(sch, "Invalid cpuperf target {} for CPU {}", perf, cpu);
    return -EINVAL;
  }
  if (!cpu_valid(sch, cpu)) return -EINVAL;

  Kernel& k = sch.kernel;
  Rq& rq = k.rq(cpu);
  Rq* locked = locked_rq(sch.ext);
  if (locked && locked != &rq) {  // two runqueues' locks could be taken in either order
    error(sch, "Invalid target CPU {}", cpu);
    return -EINVAL;
  }
  if (!locked) {
    k.rq_lock(rq);
    k.update_rq_clock(rq);
  }
  rq.scx.cpuperf_target = perf;
  if (!locked) k.rq_unlock(rq);
  return 0;
}

std::span<const KfuncEntry> cpu_kfuncs() {
  return kEntries;
}

}  // namespace uscx::sched::ext
