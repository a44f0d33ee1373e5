// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs that take or give CPUs as cids. Schedulers of the cpu form may call them, too.
#include <cstring>

#include "sched/ext/cid.h"
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

/// Every possible CPU has a cid.
bool cid_valid(Sched& sch, s32 cid) {
  if (cid >= 0 && static_cast<u32>(cid) < sch.kernel.nr_cpus()) return true;
  error(sch, "invalid cid {}", cid);
  return false;
}

/// The CPU, or a negative errno. Linux: scx_cid_to_cpu().
s32 cpu_of_cid(Sched& sch, s32 cid) {
  if (!cid_valid(sch, cid) || !sch.ext.cids) return -EINVAL;
  return sch.ext.cids->cpu_of(cid);
}

s32 cid_of_cpu(Ext::Impl& ext, CpuId cpu) {
  return ext.cids ? ext.cids->cid_of(cpu) : -EINVAL;
}

/// The scheduler that calls, where cid argument 0 is valid for it, and the CPU that is; null where
/// not.
Sched* sched_for_cid(Ext::Impl& ext, const bpf::KfuncCall& call, CpuId& cpu) {
  Sched* sch = sched_of(ext, call);
  if (!sch) return nullptr;
  cpu = cpu_of_cid(*sch, s32_arg(call, 0));
  return cpu >= 0 ? sch : nullptr;
}

u64 cid_to_cpu(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return s32_result(sch ? cpu_of_cid(*sch, s32_arg(call, 0)) : -EINVAL);
}

u64 cpu_to_cid(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  const s32 cpu = s32_arg(call, 0);
  return s32_result(sch && cpu_valid(*sch, cpu) ? cid_of_cpu(ext, cpu) : -EINVAL);
}

/// What the program's struct has beyond the kernel's, and all of it where nothing is known, is -1.
u64 cid_topo(Ext::Impl& ext, bpf::KfuncCall& call) {
  const u64 size = call.args[2];
  void* out = call.memory(1, size, true);
  if (!out) return 0;
  std::memset(out, 0xff, size);
  Sched* sch = sched_of(ext, call);
  const s32 cid = s32_arg(call, 0);
  if (!sch || !cid_valid(*sch, cid) || !ext.cids || !ext.cids->has_topology()) return 0;
  std::memcpy(out, &ext.cids->topo(cid),
              std::min(size, cid_topo_size(ext.kernel.config().version)));
  return 0;
}

/// 7.2, from ops.init(). A bad entry ends the scheduler; those before it are in place. (From 7.3 on
/// ops.init_cids() calls it, which is of the cid form.)
u64 cid_override(Ext::Impl& ext, bpf::KfuncCall& call) {
  const u32 size = u32_arg(call, 1);
  const auto* cids = static_cast<const s32*>(call.memory(0, size, false));
  if (!cids) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return 0;
  const u32 nr_cpus = ext.kernel.nr_cpus();
  if (size != nr_cpus * sizeof(s32)) {
    error(*sch, "scx_bpf_cid_override: expected {} bytes, got {}", nr_cpus * sizeof(s32), size);
    return 0;
  }
  CpuSet seen;
  seen.resize(nr_cpus);
  for (u32 cpu = 0; cpu < nr_cpus; ++cpu) {
    const s32 cid = cids[cpu];
    if (!cid_valid(*sch, cid)) return 0;
    if (seen.test(cid)) {
      error(*sch, "cid {} assigned to multiple cpus", cid);
      return 0;
    }
    seen.set(cid);
    ext.cids->assign(static_cast<CpuId>(cpu), cid);
  }
  ext.cids->forget_topology();
  ext.kernel.synchronize_rcu();
  return 0;
}

u64 nr_cids(Ext::Impl& ext, bpf::KfuncCall&) {
  return ext.kernel.nr_cpus();
}
u64 nr_online_cids(Ext::Impl& ext, bpf::KfuncCall&) {
  return bitmap::weight(ext.kernel.online_mask().bits, ext.kernel.nr_cpus());
}
/// The mask is in the arena of a scheduler of the cid form; others have none.
u64 online_cmask(Ext::Impl&, bpf::KfuncCall&) {
  return 0;
}

u64 this_cid(Ext::Impl& ext, bpf::KfuncCall&) {
  return s32_result(cid_of_cpu(ext, ext.kernel.cpu()));
}
u64 task_cid(Ext::Impl& ext, bpf::KfuncCall& call) {
  const Task* p = task_arg(call, 0);
  return p ? s32_result(cid_of_cpu(ext, p->cpu)) : 0;
}
u64 cid_curr(Ext::Impl& ext, bpf::KfuncCall& call) {
  CpuId cpu = kNoCpu;
  const bool known = sched_for_cid(ext, call, cpu) != nullptr;
  return task_result(known ? ext.kernel.rq(cpu).current() : nullptr);
}

u64 kick_cid(Ext::Impl& ext, bpf::KfuncCall& call) {
  CpuId cpu = kNoCpu;
  if (Sched* sch = sched_for_cid(ext, call, cpu)) kick_cpu(*sch, cpu, call.args[1]);
  return 0;
}

u64 perf_cap(Ext::Impl& ext, bpf::KfuncCall& call) {
  CpuId cpu = kNoCpu;
  if (!sched_for_cid(ext, call, cpu)) return abi::SCX_CPUPERF_ONE;
  return cpuperf_cap(ext, cpu);
}
u64 perf_cur(Ext::Impl& ext, bpf::KfuncCall& call) {
  CpuId cpu = kNoCpu;
  if (!sched_for_cid(ext, call, cpu)) return abi::SCX_CPUPERF_ONE;
  return cpuperf_cur(ext, cpu);
}
u64 perf_set(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  if (!sch) return s32_result(-ENODEV);
  const s32 cpu = cpu_of_cid(*sch, s32_arg(call, 0));
  return s32_result(cpu < 0 ? cpu : cpuperf_set(*sch, cpu, u32_arg(call, 1)));
}

constexpr KfuncEntry kEntries[] = {
    {"scx_bpf_cid_to_cpu", cid_to_cpu},     {"scx_bpf_cpu_to_cid", cpu_to_cid},
    {"scx_bpf_cid_topo", cid_topo},         {"scx_bpf_cid_override", cid_override},
    {"scx_bpf_nr_cids", nr_cids},           {"scx_bpf_nr_online_cids", nr_online_cids},
    {"scx_bpf_online_cmask", online_cmask}, {"scx_bpf_this_cid", this_cid},
    {"scx_bpf_task_cid", task_cid},         {"scx_bpf_cid_curr", cid_curr},
    {"scx_bpf_kick_cid", kick_cid},         {"scx_bpf_cidperf_cap", perf_cap},
    {"scx_bpf_cidperf_cur", perf_cur},      {"scx_bpf_cidperf_set", perf_set},
};

}  // namespace

std::span<const KfuncEntry> cid_kfuncs() {
  return kEntries;
}

}  // namespace uscx::sched::ext
