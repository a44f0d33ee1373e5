// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/special_kfuncs.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace uscx::bpf::verifier {

namespace {

using enum SpecialKfunc;
constexpr std::pair<std::string_view, SpecialKfunc> kNames[] = {
    {"__bpf_trap", kTrap},
    {"bpf_cast_to_kern_ctx", kCastToKernCtx},
    {"bpf_dynptr_clone", kDynptrClone},
    {"bpf_dynptr_file_discard", kDynptrFileDiscard},
    {"bpf_dynptr_from_file", kDynptrFromFile},
    {"bpf_dynptr_from_skb", kDynptrFromSkb},
    {"bpf_dynptr_from_skb_meta", kDynptrFromSkbMeta},
    {"bpf_dynptr_from_xdp", kDynptrFromXdp},
    {"bpf_dynptr_slice", kDynptrSlice},
    {"bpf_dynptr_slice_rdwr", kDynptrSliceRdwr},
    {"bpf_get_kmem_cache", kGetKmemCache},
    {"bpf_iter_css_task_new", kIterCssTaskNew},
    {"bpf_list_add", kListAdd},
    {"bpf_list_back", kListBack},
    {"bpf_list_del", kListDel},
    {"bpf_list_empty", kListEmpty},
    {"bpf_list_front", kListFront},
    {"bpf_list_is_first", kListIsFirst},
    {"bpf_list_is_last", kListIsLast},
    {"bpf_list_pop_back", kListPopBack},
    {"bpf_list_pop_front", kListPopFront},
    {"bpf_list_push_back", kListPushBack},
    {"bpf_list_push_front", kListPushFront},
    {"bpf_local_irq_restore", kLocalIrqRestore},
    {"bpf_local_irq_save", kLocalIrqSave},
    {"bpf_obj_drop", kObjDrop},
    {"bpf_obj_new", kObjNew},
    {"bpf_percpu_obj_drop", kPercpuObjDrop},
    {"bpf_percpu_obj_new", kPercpuObjNew},
    {"bpf_preempt_disable", kPreemptDisable},
    {"bpf_preempt_enable", kPreemptEnable},
    {"bpf_rbtree_add", kRbtreeAdd},
    {"bpf_rbtree_first", kRbtreeFirst},
    {"bpf_rbtree_left", kRbtreeLeft},
    {"bpf_rbtree_remove", kRbtreeRemove},
    {"bpf_rbtree_right", kRbtreeRight},
    {"bpf_rbtree_root", kRbtreeRoot},
    {"bpf_rcu_read_lock", kRcuReadLock},
    {"bpf_rcu_read_unlock", kRcuReadUnlock},
    {"bpf_rdonly_cast", kRdonlyCast},
    {"bpf_refcount_acquire", kRefcountAcquire},
    {"bpf_res_spin_lock", kResSpinLock},
    {"bpf_res_spin_lock_irqsave", kResSpinLockIrqsave},
    {"bpf_res_spin_unlock", kResSpinUnlock},
    {"bpf_res_spin_unlock_irqrestore", kResSpinUnlockIrqrestore},
    {"bpf_session_cookie", kSessionCookie},
    {"bpf_session_is_return", kSessionIsReturn},
    {"bpf_task_work_schedule_resume", kTaskWorkResume},
    {"bpf_task_work_schedule_signal", kTaskWorkSignal},
    {"bpf_throw", kThrow},
    {"bpf_wq_set_callback", kWqSetCallback},
    {"bpf_xdp_pull_data", kXdpPullData},
};
static_assert(std::ranges::is_sorted(kNames, {}, [](const auto& row) { return row.first; }));

}  // namespace

SpecialKfunc special_kfunc(std::string_view name) {
  constexpr std::string_view kImpl = "_impl";
  if (name.ends_with(kImpl)) name.remove_suffix(kImpl.size());
  auto it = std::ranges::lower_bound(kNames, name, {}, [](const auto& row) { return row.first; });
  return it != std::end(kNames) && it->first == name ? it->second : SpecialKfunc::kNone;
}

}  // namespace uscx::bpf::verifier
