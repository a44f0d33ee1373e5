// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs about tasks: sched_ext's, and those of the kernel at large that need the task table.
#include "sched/cgroup.h"
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

u64 running(Ext::Impl& ext, bpf::KfuncCall& call) {
  const Task* p = task_arg(call, 0);
  return p && ext.kernel.task_rq(*p).current() == p;
}

u64 cpu(Ext::Impl&, bpf::KfuncCall& call) {
  const Task* p = task_arg(call, 0);
  return p ? s32_result(p->cpu) : 0;
}

u64 set_slice(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = task_arg(call, 0);
  if (!p) return 0;
  Sched* sch = sched_of(ext, call);
  return sch && task_set_slice(*sch, *p, call.args[1]);
}

u64 set_dsq_vtime(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = task_arg(call, 0);
  if (!p) return 0;
  Sched* sch = sched_of(ext, call);
  return sch && task_set_dsq_vtime(*sch, *p, call.args[1]);
}

u64 from_tid(Ext::Impl& ext, bpf::KfuncCall& call) {
  return task_result(tid_to_task(ext, call.args[0]));
}

/// The group a task belongs to for the scheduler, which does not change while it is operated on.
u64 cgroup(Ext::Impl& ext, bpf::KfuncCall& call) {
  const Task* p = task_arg(call, 0);
  if (!p) return 0;
  Cgroup* cgrp = &ext.kernel.cgroups().root();
  Sched* sch = sched_of(ext, call);
  if (sch && kf_arg_task_ok(*sch, *p)) cgrp = &tg_cgrp(*p->sched_task_group);
  ext.kernel.cgroups().get(*cgrp);
  return cgrp->address();
}

constexpr KfuncEntry kEntries[] = {
    {"scx_bpf_task_running", running},     {"scx_bpf_task_cpu", cpu},
    {"scx_bpf_task_set_slice", set_slice}, {"scx_bpf_task_set_dsq_vtime", set_dsq_vtime},
    {"scx_bpf_tid_to_task", from_tid},     {"scx_bpf_task_cgroup", cgroup},
};

// ---- of the kernel at large
// -----------------------------------------------------------------------

u64 task_from_pid(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = ext.kernel.find_task(s32_arg(call, 0));
  if (p) ext.kernel.get_task(*p);
  return task_result(p);
}

u64 task_acquire(Ext::Impl& ext, bpf::KfuncCall& call) {
  Task* p = task_arg(call, 0);
  if (p) ext.kernel.get_task(*p);
  return task_result(p);
}

u64 task_release(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Task* p = task_arg(call, 0)) ext.kernel.put_task(*p);
  return 0;
}

Cgroup* cgroup_arg(Ext::Impl& ext, bpf::KfuncCall& call, u32 i) {
  if (Cgroup* cgrp = ext.kernel.cgroups().from_address(call.args[i])) return cgrp;
  call.fault(fmt::format("argument {} ({:#x}) is not a live cgroup", i + 1, call.args[i]));
  return nullptr;
}

u64 acquired(Ext::Impl& ext, Cgroup* cgrp) {
  return cgrp && ext.kernel.cgroups().try_get(*cgrp) ? cgrp->address() : 0;
}

u64 cgroup_acquire(Ext::Impl& ext, bpf::KfuncCall& call) {
  return acquired(ext, cgroup_arg(ext, call, 0));
}

u64 cgroup_release(Ext::Impl& ext, bpf::KfuncCall& call) {
  if (Cgroup* cgrp = cgroup_arg(ext, call, 0)) ext.kernel.cgroups().put(*cgrp);
  return 0;
}

u64 cgroup_ancestor(Ext::Impl& ext, bpf::KfuncCall& call) {
  const Cgroup* cgrp = cgroup_arg(ext, call, 0);
  const s32 level = s32_arg(call, 1);
  if (cgrp == nullptr || level > cgrp->level || level < 0) return 0;
  return acquired(ext, Cgroup::from(cgrp->ancestors[level]));
}

u64 cgroup_from_id(Ext::Impl& ext, bpf::KfuncCall& call) {
  return acquired(ext, ext.kernel.cgroups().from_id(call.args[0]));
}

u64 task_under_cgroup(Ext::Impl& ext, bpf::KfuncCall& call) {
  const Task* p = task_arg(call, 0);
  const Cgroup* ancestor = cgroup_arg(ext, call, 1);
  if (p == nullptr || ancestor == nullptr) return 0;
  const Cgroup& cgrp = task_cgroup(*p);
  return cgrp.level >= ancestor->level && cgrp.ancestors[ancestor->level] == ancestor;
}

constexpr u32 kNewReference = bpf::kKfAcquire | bpf::kKfRetNull;

constexpr struct {
  KfuncEntry entry;
  u32 flags;
} kCoreEntries[] = {
    {{"bpf_task_from_pid", task_from_pid}, kNewReference},
    // There is one pid namespace.
    {{"bpf_task_from_vpid", task_from_pid}, kNewReference},
    {{"bpf_task_acquire", task_acquire}, kNewReference | bpf::kKfRcu},
    {{"bpf_task_release", task_release}, bpf::kKfRelease},
    {{"bpf_cgroup_acquire", cgroup_acquire}, kNewReference | bpf::kKfRcu},
    {{"bpf_cgroup_release", cgroup_release}, bpf::kKfRelease},
    {{"bpf_cgroup_ancestor", cgroup_ancestor}, kNewReference | bpf::kKfRcu},
    {{"bpf_cgroup_from_id", cgroup_from_id}, kNewReference},
    {{"bpf_task_under_cgroup", task_under_cgroup}, bpf::kKfRcu},
};

}  // namespace

std::span<const KfuncEntry> task_kfuncs() {
  return kEntries;
}

void register_core_kfuncs(Ext::Impl& ext) {
  bpf::KfuncRegistry& registry = ext.kernel.bpf().kfuncs();
  for (const auto& [entry, flags] : kCoreEntries) {
    registry.add({.name = entry.name,
                  .flags = flags,
                  .fn = [&ext, body = entry.body](bpf::KfuncCall& call) { return body(ext, call); },
                  .set = "generic_btf_ids"});
  }
  // A reference that a program left in a map goes when the map's element does.
  ext.kernel.bpf().register_kptr_destructor("task_struct", [&kernel = ext.kernel](u64 address) {
    kernel.put_task(*Task::from(reinterpret_cast<abi::task_struct*>(address)));
  });
  ext.kernel.bpf().register_kptr_destructor("cgroup", [&kernel = ext.kernel](u64 address) {
    kernel.cgroups().put(*Cgroup::from(reinterpret_cast<abi::cgroup*>(address)));
  });
}

}  // namespace uscx::sched::ext
