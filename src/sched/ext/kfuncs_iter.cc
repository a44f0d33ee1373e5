// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs that walk a dispatch queue and move tasks off it.
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

abi::bpf_iter_scx_dsq* iter_arg(bpf::KfuncCall& call) {
  return call.memory<abi::bpf_iter_scx_dsq>(0, true);
}

u64 iter_new(Ext::Impl& ext, bpf::KfuncCall& call) {
  auto* it = iter_arg(call);
  if (!it) return 0;
  return s32_result(dsq_iter_new(ext, sched_of(ext, call), it, call.args[1], call.args[2]));
}

u64 iter_next(Ext::Impl& ext, bpf::KfuncCall& call) {
  auto* it = iter_arg(call);
  return task_result(it ? dsq_iter_next(ext, it) : nullptr);
}

u64 iter_destroy(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (auto* it = iter_arg(call)) dsq_iter_destroy(ext, it);
  return 0;
}

u64 move_set_slice(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (auto* it = iter_arg(call)) dsq_iter_set_slice(ext, it, call.args[1]);
  return 0;
}

u64 move_set_vtime(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (auto* it = iter_arg(call)) dsq_iter_set_vtime(ext, it, call.args[1]);
  return 0;
}

u64 move_common(Ext::Impl& ext, bpf::KfuncCall& call, bool vtime) {
  auto* it = iter_arg(call);
  Task* p = task_arg(call, 1);
  return it && p && dsq_move(ext, it, *p, call.args[2], call.args[3], vtime);
}

u64 move(Ext::Impl& ext, bpf::KfuncCall& call) {
  return move_common(ext, call, false);
}
u64 move_vtime(Ext::Impl& ext, bpf::KfuncCall& call) {
  return move_common(ext, call, true);
}

constexpr KfuncEntry kEntries[] = {
    {"bpf_iter_scx_dsq_new", iter_new},
    {"bpf_iter_scx_dsq_next", iter_next},
    {"bpf_iter_scx_dsq_destroy", iter_destroy},
    {"scx_bpf_dsq_move_set_slice", move_set_slice},
    {"scx_bpf_dsq_move_set_vtime", move_set_vtime},
    {"scx_bpf_dsq_move", move},
    {"scx_bpf_dsq_move_vtime", move_vtime},
};

}  // namespace

std::span<const KfuncEntry> iter_kfuncs() {
  return kEntries;
}

}  // namespace uscx::sched::ext
