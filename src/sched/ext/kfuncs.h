// SPDX-License-Identifier: GPL-2.0-only
// The kfuncs of sched_ext: bodies by topic, each in a file of its own. A body checks its arguments
// (until there is a verifier a bad one is a fault of the program, never ours), finds the scheduler
// it acts for, and delegates.
#pragma once

#include <span>
#include <string_view>

#include "bpf/bpf.h"
#include "bpf/kfunc.h"
#include "sched/ext/internal.h"

namespace uscx::sched::ext {

using KfuncBody = u64 (*)(Ext::Impl& ext, bpf::KfuncCall& call);

struct KfuncEntry {
  std::string_view name;
  KfuncBody body;
};

std::span<const KfuncEntry> queue_kfuncs();    // kfuncs_queue.cc: insert, dispatch, DSQs
std::span<const KfuncEntry> iter_kfuncs();     // kfuncs_iter.cc: DSQ iterators and moves
std::span<const KfuncEntry> idle_kfuncs();     // kfuncs_idle.cc
std::span<const KfuncEntry> cpu_kfuncs();      // kfuncs_cpu.cc: CPUs, cpumasks, clocks, cpuperf
std::span<const KfuncEntry> cid_kfuncs();      // kfuncs_cid.cc: the same by cid
std::span<const KfuncEntry> sub_kfuncs();      // kfuncs_sub.cc: sub-schedulers
std::span<const KfuncEntry> task_kfuncs();     // kfuncs_task.cc
std::span<const KfuncEntry> message_kfuncs();  // kfuncs_message.cc: exit, error, dump, events

/// bpf_task_*() and bpf_cgroup_*(): kfuncs of the kernel at large that need tasks and groups.
void register_core_kfuncs(Ext::Impl& ext);

// ---- values as registers ------------------------------------------------------------------------

/// A 32-bit result: the upper half is zero, as x86 leaves it.
inline u64 s32_result(s32 value) {
  return static_cast<u32>(value);
}
inline u64 pointer_result(const void* pointer) {
  return reinterpret_cast<u64>(pointer);
}
inline u64 task_result(const Task* p) {
  return p ? p->address() : 0;
}
inline s32 s32_arg(const bpf::KfuncCall& call, u32 i) {
  return static_cast<s32>(call.args[i]);
}
inline u32 u32_arg(const bpf::KfuncCall& call, u32 i) {
  return static_cast<u32>(call.args[i]);
}

/// Of a CPU that is there: its capacity, its speed now, of SCX_CPUPERF_ONE.
u32 cpuperf_cap(Ext::Impl& ext, CpuId cpu);
u32 cpuperf_cur(Ext::Impl& ext, CpuId cpu);
/// 0, or -EINVAL after an error. Linux: scx_cpuperf_set().
s32 cpuperf_set(Sched& sch, s32 cpu, u32 perf);

inline Sched* sched_of(Ext::Impl& ext, const bpf::KfuncCall& call) {
  return prog_sched(ext, call.program);
}
inline Task* task_arg(bpf::KfuncCall& call, u32 i) {
  return call.object<Task>(i, kTaskObject);
}
inline const abi::cpumask* cpumask_arg(bpf::KfuncCall& call, u32 i) {
  return call.memory<abi::cpumask>(i, false);
}

}  // namespace uscx::sched::ext
