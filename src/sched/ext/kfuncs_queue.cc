// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs that put tasks on dispatch queues, and those that make and look at queues.
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

/// The task to insert: null is an error of the scheduler's, anything but a task a fault.
bool insert_arg(bpf::KfuncCall& call, Task*& p) {
  p = call.args[0] ? task_arg(call, 0) : nullptr;
  return !call.faulted();
}

u64 insert_v2(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = nullptr;
  if (!insert_arg(call, p)) return 0;
  Sched* sch = sched_of(ext, call);
  return sch && dsq_insert(*sch, p, call.args[1], call.args[2], call.args[3]);
}

u64 insert_v1(Ext::Impl& ext, bpf::KfuncCall& call) {
  insert_v2(ext, call);
  return 0;
}

u64 insert_vtime(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = nullptr;
  if (!insert_arg(call, p)) return 0;
  const auto* a = call.memory<abi::scx_bpf_dsq_insert_vtime_args>(1, false);
  if (!a) return 0;
  Sched* sch = sched_of(ext, call);
  return sch && dsq_insert_vtime(*sch, p, a->dsq_id, a->slice, a->vtime, a->enq_flags);
}

/// The form with five arguments has no room to say who calls: it acts for the root scheduler.
u64 insert_vtime_v1(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = nullptr;
  if (!insert_arg(call, p) || !ext.root) return 0;
  dsq_insert_vtime(*ext.root, p, call.args[1], call.args[2], call.args[3], call.args[4]);
  return 0;
}

u64 nr_slots(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return sch ? dispatch_nr_slots(*sch) : 0;
}

u64 cancel(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Sched* sch = sched_of(ext, call)) dispatch_cancel(*sch);
  return 0;
}

u64 move_to_local_v2(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return sch && dsq_move_to_local(*sch, call.args[0], call.args[1]);
}

u64 move_to_local(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return sch && dsq_move_to_local(*sch, call.args[0], 0);
}

u64 create(Ext::Impl& ext, bpf::KfuncCall& call) {
  return s32_result(create_dsq(ext, sched_of(ext, call), call.args[0], s32_arg(call, 1)));
}

u64 destroy(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Sched* sch = sched_of(ext, call)) destroy_dsq(*sch, call.args[0]);
  return 0;
}

u64 nr_queued(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return s32_result(sch ? dsq_nr_queued(*sch, call.args[0]) : -ENODEV);
}

u64 peek(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return task_result(sch ? dsq_peek(*sch, call.args[0]) : nullptr);
}

u64 reenq(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Sched* sch = sched_of(ext, call)) dsq_reenq(*sch, call.args[0], call.args[1]);
  return 0;
}

u64 reenq_local_v2(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Sched* sch = sched_of(ext, call)) dsq_reenq(*sch, abi::SCX_DSQ_LOCAL, 0);
  return 0;
}

u64 reenq_local(Ext::Impl& ext, bpf::KfuncCall& call) {
  Sched* sch = sched_of(ext, call);
  return sch ? reenqueue_local(*sch) : 0;
}

constexpr KfuncEntry kQueueKfuncs[] = {
    {"scx_bpf_dsq_insert", insert_v1},
    {"scx_bpf_dsq_insert___v2", insert_v2},
    {"__scx_bpf_dsq_insert_vtime", insert_vtime},
    {"scx_bpf_dsq_insert_vtime", insert_vtime_v1},
    {"scx_bpf_dispatch_nr_slots", nr_slots},
    {"scx_bpf_dispatch_cancel", cancel},
    {"scx_bpf_dsq_move_to_local", move_to_local},
    {"scx_bpf_dsq_move_to_local___v2", move_to_local_v2},
    {"scx_bpf_create_dsq", create},
    {"scx_bpf_destroy_dsq", destroy},
    {"scx_bpf_dsq_nr_queued", nr_queued},
    {"scx_bpf_dsq_peek", peek},
    {"scx_bpf_dsq_reenq", reenq},
    {"scx_bpf_reenqueue_local___v2", reenq_local_v2},
    {"scx_bpf_reenqueue_local", reenq_local},
};

}  // namespace

std::span<const KfuncEntry> queue_kfuncs() {
  return kQueueKfuncs;
}

}  // namespace uscx::sched::ext
