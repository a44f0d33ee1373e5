// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs about tasks: sched_ext's, and those of the kernel at large that need the task table.
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

/// Every task is in the root group until there are others; the reference is never the last one.
u64 cgroup(Ext::Impl& ext, bpf::KfuncCall& call) {
  const Task* p = task_arg(call, 0);
  if (!p) return 0;
  if (Sched* sch = sched_of(ext, call)) kf_arg_task_ok(*sch, *p);
  return pointer_result(&ext.kernel.root_cgroup());
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

/// There is one group, which never goes: references to it need no count.
abi::cgroup* cgroup_arg(Ext::Impl& ext, bpf::KfuncCall& call, u32 i) {
  abi::cgroup* root = &ext.kernel.root_cgroup();
  if (call.args[i] == pointer_result(root)) return root;
  call.fault(fmt::format("argument {} ({:#x}) is not a live cgroup", i + 1, call.args[i]));
  return nullptr;
}

u64 cgroup_acquire(Ext::Impl& ext, bpf::KfuncCall& call) {
  return pointer_result(cgroup_arg(ext, call, 0));
}

u64 cgroup_release(Ext::Impl& ext, bpf::KfuncCall& call) {
  cgroup_arg(ext, call, 0);
  return 0;
}

u64 cgroup_ancestor(Ext::Impl& ext, bpf::KfuncCall& call) {
  const abi::cgroup* group = cgroup_arg(ext, call, 0);
  return group && s32_arg(call, 1) == group->level ? pointer_result(group) : 0;
}

u64 cgroup_from_id(Ext::Impl& ext, bpf::KfuncCall& call) {
  const abi::cgroup& root = ext.kernel.root_cgroup();
  return root.kn && root.kn->id == call.args[0] ? pointer_result(&root) : 0;
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
  // The root cgroup is the only one, and is not counted.
  ext.kernel.bpf().register_kptr_destructor("cgroup", [](u64) {});
}

}  // namespace uscx::sched::ext
