// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/kfunc_table.h"

#include <algorithm>
#include <array>

namespace uscx::sched::ext {

namespace {

using bpf::kKfAcquire;
using bpf::kKfImplicitArgs;
using bpf::kKfIterDestroy;
using bpf::kKfIterNew;
using bpf::kKfIterNext;
using bpf::kKfRcu;
using bpf::kKfRcuProtected;
using bpf::kKfRelease;
using bpf::kKfRetNull;
using bpf::kKfSleepable;

constexpr btf::KernelVersion k7_3{7, 3};
constexpr btf::KernelVersion kAlways{};
constexpr u32 kImpl = kKfImplicitArgs;
constexpr u32 kMove = kSetDispatch | kSetUnlocked;
constexpr u32 kSelect = kSetSelectCpu | kSetUnlocked | kSetCpuOnly;
constexpr u32 kIdleCpu = kSetIdle | kSetCpuOnly;
constexpr u32 kAnyCpu = kSetAny | kSetCpuOnly;
constexpr u32 kCurr = kImpl | kKfRetNull | kKfRcuProtected;

constexpr auto kKfuncs = std::to_array<KfuncRow>({
    {"scx_bpf_dsq_insert", kSetEnqueueDispatch, kImpl | kKfRcu},
    {"scx_bpf_dsq_insert___v2", kSetEnqueueDispatch, kImpl | kKfRcu},
    {"__scx_bpf_dsq_insert_vtime", kSetEnqueueDispatch, kImpl | kKfRcu},
    {"scx_bpf_dsq_insert_vtime", kSetEnqueueDispatch, kKfRcu},

    {"scx_bpf_dispatch_nr_slots", kSetDispatch, kImpl},
    {"scx_bpf_dispatch_cancel", kSetDispatch, kImpl},
    {"scx_bpf_dsq_move_to_local", kSetDispatch, kImpl},
    {"scx_bpf_dsq_move_to_local___v2", kSetDispatch, kImpl},
    {"scx_bpf_dsq_move_set_slice", kMove, kKfRcu},
    {"scx_bpf_dsq_move_set_vtime", kMove, kKfRcu},
    {"scx_bpf_dsq_move", kMove, kKfRcu},
    {"scx_bpf_dsq_move_vtime", kMove, kKfRcu},
    {"scx_bpf_sub_dispatch", kSetDispatch, kImpl},

    {"scx_bpf_reenqueue_local", kSetCpuRelease, kImpl},

    {"scx_bpf_create_dsq", kSetUnlocked, kImpl | kKfSleepable},
    {"__scx_bpf_select_cpu_and", kSelect, kImpl | kKfRcu},
    {"scx_bpf_select_cpu_and", kSelect, kKfRcu},
    {"scx_bpf_select_cpu_dfl", kSelect, kImpl | kKfRcu},

    {"scx_bpf_task_set_slice", kSetAny, kImpl | kKfRcu},
    {"scx_bpf_task_set_dsq_vtime", kSetAny, kImpl | kKfRcu},
    {"scx_bpf_kick_cpu", kAnyCpu, kImpl},
    {"scx_bpf_kick_cid", kSetAny, kImpl},
    {"scx_bpf_dsq_nr_queued", kSetAny, kImpl},
    {"scx_bpf_destroy_dsq", kSetAny, kImpl},
    {"scx_bpf_dsq_peek", kSetAny, kCurr},
    {"scx_bpf_dsq_reenq", kSetAny, kImpl},
    {"scx_bpf_reenqueue_local___v2", kSetAny, kImpl},
    {"bpf_iter_scx_dsq_new", kSetAny, kImpl | kKfIterNew | kKfRcuProtected},
    {"bpf_iter_scx_dsq_next", kSetAny, kKfIterNext | kKfRetNull},
    {"bpf_iter_scx_dsq_destroy", kSetAny, kKfIterDestroy},
    {"scx_bpf_exit_bstr", kSetAny, kImpl},
    {"scx_bpf_error_bstr", kSetAny, kImpl},
    {"scx_bpf_dump_bstr", kSetAny, kImpl},
    {"scx_bpf_cpuperf_cap", kAnyCpu, kImpl},
    {"scx_bpf_cpuperf_cur", kAnyCpu, kImpl},
    {"scx_bpf_cpuperf_set", kAnyCpu, kImpl},
    {"scx_bpf_cidperf_cap", kSetAny, kImpl},
    {"scx_bpf_cidperf_cur", kSetAny, kImpl},
    {"scx_bpf_cidperf_set", kSetAny, kImpl},
    {"scx_bpf_nr_node_ids", kSetAny, 0},
    {"scx_bpf_nr_cpu_ids", kSetAny, 0},
    {"scx_bpf_nr_cids", kSetAny, 0},
    {"scx_bpf_nr_online_cids", kSetAny, 0},
    {.name = "scx_bpf_online_cmask", .sets = kSetAny, .flags = kImpl, .since = k7_3},
    {"scx_bpf_this_cid", kSetAny, 0},
    {"scx_bpf_get_possible_cpumask", kAnyCpu, kKfAcquire},
    {"scx_bpf_get_online_cpumask", kAnyCpu, kKfAcquire},
    {"scx_bpf_put_cpumask", kAnyCpu, kKfRelease},
    {"scx_bpf_task_running", kSetAny, kKfRcu},
    {"scx_bpf_task_cpu", kAnyCpu, kKfRcu},
    {"scx_bpf_task_cid", kSetAny, kKfRcu},
    {.name = "scx_bpf_cpu_rq", .sets = kAnyCpu, .flags = kImpl, .until = k7_3},
    {"scx_bpf_locked_rq", kSetAny, kImpl | kKfRetNull},
    {"scx_bpf_cpu_curr", kAnyCpu, kCurr},
    {"scx_bpf_cid_curr", kSetAny, kCurr},
    {"scx_bpf_tid_to_task", kSetAny, kKfRetNull | kKfRcuProtected},
    {"scx_bpf_now", kSetAny, 0},
    {.name = "scx_bpf_events", .sets = kSetAny, .flags = kImpl, .flags_until_7_3 = 0},
    {"scx_bpf_task_cgroup", kSetAny, kImpl | kKfRcu | kKfAcquire},
    {.name = "scx_bpf_sub_grant", .sets = kSetAny, .flags = kImpl, .since = k7_3},
    {.name = "scx_bpf_sub_revoke", .sets = kSetAny, .flags = kImpl, .since = k7_3},
    {.name = "scx_bpf_sub_caps", .sets = kSetAny, .flags = kImpl, .since = k7_3},
    {.name = "scx_bpf_sub_kill_bstr", .sets = kSetAny, .flags = kImpl, .since = k7_3},

    {"scx_bpf_cpu_node", kIdleCpu, kImpl},
    {"scx_bpf_get_idle_cpumask_node", kIdleCpu, kImpl | kKfAcquire},
    {"scx_bpf_get_idle_cpumask", kIdleCpu, kImpl | kKfAcquire},
    {"scx_bpf_get_idle_smtmask_node", kIdleCpu, kImpl | kKfAcquire},
    {"scx_bpf_get_idle_smtmask", kIdleCpu, kImpl | kKfAcquire},
    {"scx_bpf_put_idle_cpumask", kIdleCpu, kKfRelease},
    {"scx_bpf_test_and_clear_cpu_idle", kIdleCpu, kImpl},
    {"scx_bpf_pick_idle_cpu_node", kIdleCpu, kImpl | kKfRcu},
    {"scx_bpf_pick_idle_cpu", kIdleCpu, kImpl | kKfRcu},
    {"scx_bpf_pick_any_cpu_node", kIdleCpu, kImpl | kKfRcu},
    {"scx_bpf_pick_any_cpu", kIdleCpu, kImpl | kKfRcu},

    {.name = "scx_bpf_cid_override",
     .sets = kSetInitCids,
     .flags = kImpl | kKfSleepable,
     .served_until = k7_3},
    {"scx_bpf_cid_to_cpu", kSetCid, kImpl},
    {"scx_bpf_cpu_to_cid", kSetCid, kImpl},
    {"scx_bpf_cid_topo", kSetCid, kImpl},
});

constexpr auto kMembers = std::to_array<MemberRow>({
    {"select_cpu", "select_cid", kSetSelectCpu | kSetEnqueueDispatch},
    {"enqueue", "", kSetSelectCpu | kSetEnqueueDispatch},
    {"dispatch", "", kSetEnqueueDispatch | kSetDispatch},
    {"cpu_release", "", kSetCpuRelease},
    {"init_task", "", kSetUnlocked},
    {"dump", "", kSetUnlocked},
    {"cgroup_init", "cpuctl_init", kSetUnlocked},
    {"cgroup_exit", "cpuctl_exit", kSetUnlocked},
    {"cgroup_prep_move", "cpuctl_prep_move", kSetUnlocked},
    {"cgroup_cancel_move", "cpuctl_cancel_move", kSetUnlocked},
    {"cgroup_set_weight", "cpuctl_set_weight", kSetUnlocked},
    {"cgroup_set_bandwidth", "cpuctl_set_bandwidth", kSetUnlocked},
    {"cgroup_set_idle", "cpuctl_set_idle", kSetUnlocked},
    {"sub_attach", "", kSetUnlocked},
    {"sub_detach", "", kSetUnlocked},
    {"sub_ecaps_updated", "", kSetEnqueueDispatch | kSetDispatch, k7_3},
    {"cpu_online", "cid_online", kSetUnlocked},
    {"cpu_offline", "cid_offline", kSetUnlocked},
    {"init_cids", "", kSetUnlocked | kSetInitCids, k7_3},
    {"init", "", kSetUnlocked, kAlways, kSetUnlocked | kSetInitCids},
    {"exit", "", kSetUnlocked},
});

}  // namespace

std::span<const KfuncRow> kfunc_table() {
  return kKfuncs;
}
std::span<const MemberRow> member_table() {
  return kMembers;
}

const KfuncRow* find_kfunc_row(std::string_view name) {
  const auto it = std::ranges::find(kKfuncs, name, &KfuncRow::name);
  return it == kKfuncs.end() ? nullptr : &*it;
}

const MemberRow* find_member_row(std::string_view member, btf::KernelVersion version) {
  const auto it = std::ranges::find_if(kMembers, [&](const MemberRow& row) {
    return (row.member == member || (!row.cid_name.empty() && row.cid_name == member)) &&
           version >= row.since;
  });
  return it == kMembers.end() ? nullptr : &*it;
}

std::string_view set_name(u32 sets, btf::KernelVersion version) {
  if (sets & kSetEnqueueDispatch) return "scx_kfunc_ids_enqueue_dispatch";
  if (sets & kSetDispatch) return "scx_kfunc_ids_dispatch";
  if (sets & kSetCpuRelease) return "scx_kfunc_ids_cpu_release";
  if (sets & kSetSelectCpu) return "scx_kfunc_ids_select_cpu";
  if (sets & kSetUnlocked) return "scx_kfunc_ids_unlocked";
  if (sets & kSetInitCids) {
    return version < k7_3 ? "scx_kfunc_ids_init" : "scx_kfunc_ids_init_cids";
  }
  if (sets & kSetIdle) return "scx_kfunc_ids_idle";
  if (sets & kSetCid) return "scx_kfunc_ids_cid";
  return "scx_kfunc_ids_any";
}

std::string callable_from(const KfuncRow& row, btf::KernelVersion version) {
  if (row.sets & kFreeSets) {
    return row.sets & kSetCpuOnly ? "all callbacks of the cpu form, SYSCALL, TRACING"
                                  : "all callbacks, SYSCALL, TRACING";
  }
  std::string text;
  const auto add = [&text](std::string_view who) {
    if (!text.empty()) text += ", ";
    text += who;
  };
  for (const MemberRow& m : kMembers) {
    if (version >= m.since && (m.sets_in(version) & row.sets)) add(m.member);
  }
  if (row.sets & (kSetUnlocked | kSetSelectCpu)) add("SYSCALL");
  return text;
}

}  // namespace uscx::sched::ext
