// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/ops.h"

#include <cerrno>
#include <cstring>
#include <span>

#include "base/assert.h"
#include "btf/btf.h"
#include "sched/cgroup.h"
#include "sched/ext/internal.h"
#include "sched/private.h"

namespace uscx::sched::ext {
namespace {

struct OpName {
  Op op;
  std::string_view name;
  std::string_view cid_name;  // in sched_ext_ops_cid; empty: not there
};

constexpr OpName kOpNames[] = {
    {Op::kSelectCpu, "select_cpu", "select_cid"},
    {Op::kEnqueue, "enqueue", "enqueue"},
    {Op::kDequeue, "dequeue", "dequeue"},
    {Op::kDispatch, "dispatch", "dispatch"},
    {Op::kTick, "tick", "tick"},
    {Op::kRunnable, "runnable", "runnable"},
    {Op::kRunning, "running", "running"},
    {Op::kStopping, "stopping", "stopping"},
    {Op::kQuiescent, "quiescent", "quiescent"},
    {Op::kYield, "yield", "yield"},
    {Op::kCoreSchedBefore, "core_sched_before", "core_sched_before"},
    {Op::kSetWeight, "set_weight", "set_weight"},
    {Op::kSetCpumask, "set_cpumask", "set_cmask"},
    {Op::kUpdateIdle, "update_idle", "update_idle"},
    {Op::kInitTask, "init_task", "init_task"},
    {Op::kExitTask, "exit_task", "exit_task"},
    {Op::kEnable, "enable", "enable"},
    {Op::kDisable, "disable", "disable"},
    {Op::kDump, "dump", "dump"},
    {Op::kDumpCpu, "dump_cpu", "dump_cid"},
    {Op::kDumpTask, "dump_task", "dump_task"},
    {Op::kCgroupInit, "cgroup_init", "cpuctl_init"},
    {Op::kCgroupExit, "cgroup_exit", "cpuctl_exit"},
    {Op::kCgroupPrepMove, "cgroup_prep_move", "cpuctl_prep_move"},
    {Op::kCgroupMove, "cgroup_move", "cpuctl_move"},
    {Op::kCgroupCancelMove, "cgroup_cancel_move", "cpuctl_cancel_move"},
    {Op::kCgroupSetWeight, "cgroup_set_weight", "cpuctl_set_weight"},
    {Op::kCgroupSetBandwidth, "cgroup_set_bandwidth", "cpuctl_set_bandwidth"},
    {Op::kCgroupSetIdle, "cgroup_set_idle", "cpuctl_set_idle"},
    {Op::kSubAttach, "sub_attach", "sub_attach"},
    {Op::kSubDetach, "sub_detach", "sub_detach"},
    {Op::kSubCapsUpdated, "sub_caps_updated", "sub_caps_updated"},
    {Op::kSubEcapsUpdated, "sub_ecaps_updated", "sub_ecaps_updated"},
    {Op::kCpuOnline, "cpu_online", "cid_online"},
    {Op::kCpuOffline, "cpu_offline", "cid_offline"},
    {Op::kInitCids, "init_cids", "init_cids"},
    {Op::kInit, "init", "init"},
    {Op::kExit, "exit", "exit"},
    {Op::kCpuAcquire, "cpu_acquire", ""},
    {Op::kCpuRelease, "cpu_release", ""},
};
static_assert(std::size(kOpNames) == kNrOps);

u64 read_number(std::span<const std::byte> data, u32 offset, u32 size) {
  u64 value = 0;
  USCX_ASSERT(size <= 8 && offset + size <= data.size());
  std::memcpy(&value, data.data() + offset, size);
  return value;
}

std::string read_string(std::span<const std::byte> data, u32 offset, u32 size) {
  const char* s = reinterpret_cast<const char*>(data.data()) + offset;
  return {s, strnlen(s, size)};
}

/// The arguments of a callback whose first is a task.
OpArgs with_task(const Task& p, const OpArgs& args) {
  USCX_ASSERT(args.words[3] == 0);
  return {p.address(), args.words[0], args.words[1], args.words[2]};
}

u64 run(Sched& sch, Op op, const Task* subject, const OpArgs& args) {
  Kernel& kernel = sch.kernel;
  const bpf::Program* prog = sch.ops.program(op);
  USCX_ASSERT(prog != nullptr);
  const u64 cost_ns = kernel.costs().bpf_callback_ns;
  if (cost_ns != 0) KernelInternals::of(kernel).charge_unclocked(cost_ns);
  ++sch.ext.nr_callbacks;
  kernel.sync_point("callback");
  const u64 insns_before = prog->insns_executed;
  // A program that does not sleep keeps the task whose CPU it borrows there. Who asks whether that
  // task may migrate sees it. Linux: rcu_read_lock_dont_migrate() of the trampoline.
  Task& current = kernel.current();
  const u16 pinned = prog->sleepable ? 0 : 1;
  current.migration_disabled = static_cast<u16>(current.migration_disabled + pinned);
  const u64 result = kernel.bpf().run(*prog, args.words);
  current.migration_disabled = static_cast<u16>(current.migration_disabled - pinned);
  if (kernel.trace().scx_callback_cost.enabled()) [[unlikely]] {
    const u64 insns = prog->insns_executed - insns_before;
    kernel.trace().scx_callback_cost(kernel.now(), kernel.cpu(), op_name(op),
                                     cost_ns + insns * kernel.costs().bpf_insn_ps / 1000);
  }
  kernel.trace().scx_callback(kernel.now(), kernel.cpu(), op, subject, result);
  return result;
}

/// Lets kfuncs know which runqueue is locked while a callback runs.
class LockedRqScope {
 public:
  LockedRqScope(Sched& sch, Rq* rq) : here_(rq ? &ext_rq(sch.kernel.this_rq()) : nullptr) {
    if (here_ == nullptr) return;
    sch.kernel.assert_rq_held(*rq);
    before_ = here_->locked_rq;
    here_->locked_rq = rq;
  }
  ~LockedRqScope() {
    if (here_ != nullptr) here_->locked_rq = before_;
  }
  LockedRqScope(const LockedRqScope&) = delete;
  LockedRqScope& operator=(const LockedRqScope&) = delete;

 private:
  ExtRq* here_;
  Rq* before_ = nullptr;
};

/// Which tasks the callback is about. Linux keeps them in current, so do we: programs see it.
class SubjectScope {
 public:
  SubjectScope(Kernel& kernel, Task* a, Task* b) : current_(kernel.current()) {
    before_[0] = current_.scx.kf_tasks[0];
    before_[1] = current_.scx.kf_tasks[1];
    current_.scx.kf_tasks[0] = a;
    current_.scx.kf_tasks[1] = b;
  }
  ~SubjectScope() {
    current_.scx.kf_tasks[0] = before_[0];
    current_.scx.kf_tasks[1] = before_[1];
  }
  SubjectScope(const SubjectScope&) = delete;
  SubjectScope& operator=(const SubjectScope&) = delete;

 private:
  Task& current_;
  abi::task_struct* before_[2];
};

}  // namespace

std::string_view op_name(Op op) {
  USCX_ASSERT(op < Op::kCount);
  return kOpNames[static_cast<std::size_t>(op)].name;
}

Op op_by_name(std::string_view member) {
  for (const OpName& n : kOpNames) {
    if (member == n.name || member == n.cid_name) return n.op;
  }
  return Op::kCount;
}

bool op_may_sleep(Op op, btf::KernelVersion version) {
  switch (op) {
    case Op::kInitTask:
    case Op::kCgroupInit:
    case Op::kCgroupExit:
    case Op::kCgroupPrepMove:
    case Op::kCpuOnline:
    case Op::kCpuOffline:
    case Op::kInitCids:
    case Op::kInit:
    case Op::kExit:
    case Op::kSubAttach:
    case Op::kSubDetach:
      return true;
    case Op::kCgroupSetBandwidth:
      return version >= btf::KernelVersion{7, 3};
    default:
      return false;
  }
}

Ops read_ops(const btf::Btf& vmlinux, std::string_view type_name,
             const bpf::StructOpsTable& table) {
  Ops ops;
  const auto type = vmlinux.find_composite(type_name);
  USCX_ASSERT(type.has_value());
  const auto members = vmlinux.members(*type);
  for (u32 i = 0; i < members.size(); ++i) {
    const btf::Member& m = members[i];
    if (const Op op = op_by_name(m.name); op != Op::kCount) {
      if (i < table.programs.size()) ops.programs[static_cast<std::size_t>(op)] = table.programs[i];
      continue;
    }
    const u32 size = vmlinux.size_of(m.type).value_or(0);
    const u32 at = m.byte_offset();
    if (size == 0 || at + size > table.data.size()) continue;
    if (m.name == "name") {
      ops.name = read_string(table.data, at, size);
    } else if (size <= 8) {
      const u64 value = read_number(table.data, at, size);
      if (m.name == "dispatch_max_batch") ops.dispatch_max_batch = static_cast<u32>(value);
      if (m.name == "flags") ops.flags = value;
      if (m.name == "timeout_ms") ops.timeout_ms = static_cast<u32>(value);
      if (m.name == "exit_dump_len") ops.exit_dump_len = static_cast<u32>(value);
      if (m.name == "hotplug_seq") ops.hotplug_seq = value;
      if (m.name == "sub_cgroup_id") ops.sub_cgroup_id = value;
      if (m.name == "cid_shard_size") ops.cid_shard_size = static_cast<u32>(value);
    }
  }
  if (ops.exit_dump_len == 0) ops.exit_dump_len = abi::SCX_EXIT_DUMP_DFL_LEN;
  return ops;
}

u64 call_op(Sched& sch, Op op, Rq* locked_rq, const OpArgs& args) {
  LockedRqScope locked(sch, locked_rq);
  return run(sch, op, nullptr, args);
}

u64 call_op_about(Sched& sch, Op op, const Task& p, const OpArgs& args) {
  return run(sch, op, &p, with_task(p, args));
}

u64 call_op_task(Sched& sch, Op op, Rq* locked_rq, Task& p, const OpArgs& args) {
  SubjectScope subject(sch.kernel, &p, nullptr);
  LockedRqScope locked(sch, locked_rq);
  return run(sch, op, &p, with_task(p, args));
}

bool call_op_2tasks(Sched& sch, Op op, Rq* locked_rq, Task& a, Task* b) {
  SubjectScope subject(sch.kernel, &a, b);
  LockedRqScope locked(sch, locked_rq);
  return (run(sch, op, &a, {a.address(), b ? b->address() : 0}) & 0xff) != 0;
}

s32 call_op_init_task(Sched& sch, Task& p, bool fork) {
  auto* args = sch.kernel.window().make<abi::scx_init_task_args>(bpf::kReadOnlyMemory);
  args->fork = fork;
  args->cgroup = &tg_cgrp(*p.sched_task_group);
  const s32 ret =
      static_cast<s32>(run(sch, Op::kInitTask, &p, {p.address(), reinterpret_cast<u64>(args)}));
  sch.kernel.window().destroy(args);
  return ret;
}

void call_op_exit_task(Sched& sch, Rq& rq, Task& p, bool cancelled) {
  auto* args = sch.kernel.window().make<abi::scx_exit_task_args>(bpf::kReadOnlyMemory);
  args->cancelled = cancelled;
  call_op_task(sch, Op::kExitTask, &rq, p, {reinterpret_cast<u64>(args)});
  sch.kernel.window().destroy(args);
}

s32 sanitize_err(Sched& sch, Op op, s32 err) {
  constexpr s32 kMaxErrno = 4095;
  if (err < 0 && err >= -kMaxErrno) return err;
  error(sch, "ops.{}() returned an invalid errno {}", op_name(op), err);
  return -EPROTO;
}

}  // namespace uscx::sched::ext
