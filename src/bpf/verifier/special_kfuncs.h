// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs that rules name. Linux: special_kfunc_list.
#pragma once

#include <string_view>

#include "base/types.h"

namespace uscx::bpf::verifier {

enum class SpecialKfunc : u8 {
  kNone,
  kObjNew,
  kObjDrop,
  kRefcountAcquire,
  kListPushFront,
  kListPushBack,
  kListAdd,
  kListPopFront,
  kListPopBack,
  kListDel,
  kListFront,
  kListBack,
  kListIsFirst,
  kListIsLast,
  kListEmpty,
  kCastToKernCtx,
  kRdonlyCast,
  kRcuReadLock,
  kRcuReadUnlock,
  kRbtreeRemove,
  kRbtreeAdd,
  kRbtreeFirst,
  kRbtreeRoot,
  kRbtreeLeft,
  kRbtreeRight,
  kDynptrFromSkb,
  kDynptrFromXdp,
  kDynptrFromSkbMeta,
  kXdpPullData,
  kDynptrSlice,
  kDynptrSliceRdwr,
  kDynptrClone,
  kPercpuObjNew,
  kPercpuObjDrop,
  kThrow,
  kWqSetCallback,
  kPreemptDisable,
  kPreemptEnable,
  kIterCssTaskNew,
  kSessionCookie,
  kGetKmemCache,
  kLocalIrqSave,
  kLocalIrqRestore,
  kResSpinLock,
  kResSpinUnlock,
  kResSpinLockIrqsave,
  kResSpinUnlockIrqrestore,
  kDynptrFromFile,
  kDynptrFileDiscard,
  kTrap,
  kTaskWorkSignal,
  kTaskWorkResume,
  kSessionIsReturn,
};

/// By the FUNC's name; the older names with "_impl" mean the same.
SpecialKfunc special_kfunc(std::string_view name);

constexpr bool is_list_push(SpecialKfunc k) {
  return k == SpecialKfunc::kListPushFront || k == SpecialKfunc::kListPushBack ||
         k == SpecialKfunc::kListAdd;
}
constexpr bool is_list_api(SpecialKfunc k) {
  return k >= SpecialKfunc::kListPushFront && k <= SpecialKfunc::kListEmpty;
}
constexpr bool is_rbtree_api(SpecialKfunc k) {
  return k >= SpecialKfunc::kRbtreeRemove && k <= SpecialKfunc::kRbtreeRight;
}
constexpr bool is_task_work(SpecialKfunc k) {
  return k == SpecialKfunc::kTaskWorkSignal || k == SpecialKfunc::kTaskWorkResume;
}
constexpr bool is_res_spin_lock(SpecialKfunc k) {
  return k >= SpecialKfunc::kResSpinLock && k <= SpecialKfunc::kResSpinUnlockIrqrestore;
}
/// Runs its callback before it returns.
constexpr bool calls_back_at_once(SpecialKfunc k) {
  return k == SpecialKfunc::kRbtreeAdd;
}
constexpr bool calls_back_later(SpecialKfunc k) {
  return k == SpecialKfunc::kWqSetCallback || is_task_work(k);
}

}  // namespace uscx::bpf::verifier
