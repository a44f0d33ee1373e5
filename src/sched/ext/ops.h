// SPDX-License-Identifier: GPL-2.0-only
// The operations table of a BPF scheduler, and how its callbacks are called.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/types.h"
#include "bpf/program.h"
#include "bpf/struct_ops.h"
#include "btf/profile.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::sched {
struct Rq;
struct Task;
}  // namespace uscx::sched

namespace uscx::sched::ext {

struct Sched;

/// The callbacks of struct sched_ext_ops, by what they do. Which member index each has is the
/// profile's affair: see read_ops().
enum class Op : u8 {
  kSelectCpu,
  kEnqueue,
  kDequeue,
  kDispatch,
  kTick,
  kRunnable,
  kRunning,
  kStopping,
  kQuiescent,
  kYield,
  kCoreSchedBefore,
  kSetWeight,
  kSetCpumask,
  kUpdateIdle,
  kInitTask,
  kExitTask,
  kEnable,
  kDisable,
  kDump,
  kDumpCpu,
  kDumpTask,
  kCgroupInit,
  kCgroupExit,
  kCgroupPrepMove,
  kCgroupMove,
  kCgroupCancelMove,
  kCgroupSetWeight,
  kCgroupSetBandwidth,
  kCgroupSetIdle,
  kSubAttach,
  kSubDetach,
  kSubCapsUpdated,
  kSubEcapsUpdated,
  kCpuOnline,
  kCpuOffline,
  kInitCids,
  kInit,
  kExit,
  kCpuAcquire,
  kCpuRelease,
  kCount,
};
inline constexpr std::size_t kNrOps = static_cast<std::size_t>(Op::kCount);

/// "select_cpu": the member's name in sched_ext_ops. The cid form has some under another name.
std::string_view op_name(Op op);
/// The callback of a member by its name in either form of the table; kCount: none.
Op op_by_name(std::string_view member);
/// May a program for that callback sleep? Linux: bpf_scx_check_member.
bool op_may_sleep(Op op, btf::KernelVersion version);

/// A table as the scheduler gave it, read once. Linux: struct sched_ext_ops.
struct Ops {
  std::array<std::shared_ptr<const bpf::Program>, kNrOps> programs{};
  u32 dispatch_max_batch = 0;
  u64 flags = 0;  // SCX_OPS_*
  u32 timeout_ms = 0;
  u32 exit_dump_len = 0;  // bytes
  u64 hotplug_seq = 0;
  u64 sub_cgroup_id = 0;
  u32 cid_shard_size = 0;  // since 7.3; 0: the default
  std::string name;

  bool has(Op op) const { return programs[static_cast<std::size_t>(op)] != nullptr; }
  const bpf::Program* program(Op op) const { return programs[static_cast<std::size_t>(op)].get(); }
};

/// Reads a table by member name through the layout of `type_name` in `vmlinux`: the one place that
/// knows where a member lies.
Ops read_ops(const btf::Btf& vmlinux, std::string_view type_name, const bpf::StructOpsTable& table);

/// A callback's arguments. As many words for all of them, so that none needs to be counted.
struct OpArgs {
  u64 words[4] = {};
};

/// Calls ops.`op`, which must exist, with `args` as its u64 words. `locked_rq`: the runqueue whose
/// lock the caller holds, which the callback's kfuncs may touch; null: none is held, or the
/// callback may sleep and the caller is on a fiber. Returns R0. Linux: SCX_CALL_OP.
u64 call_op(Sched& sch, Op op, Rq* locked_rq, const OpArgs& args);
/// The same with a task as the first argument that kfuncs may not be used on: the task is only what
/// the trace says it is about.
u64 call_op_about(Sched& sch, Op op, const Task& p, const OpArgs& args);
/// The same about one task, which becomes the first argument and the one that kfuncs may be used
/// on. `args`: those behind it, three at most.
u64 call_op_task(Sched& sch, Op op, Rq* locked_rq, Task& p, const OpArgs& args = {});
/// About two; `b` may be null. Linux: SCX_CALL_OP_2TASKS_RET.
bool call_op_2tasks(Sched& sch, Op op, Rq* locked_rq, Task& a, Task* b);

/// ops.init_task(), on a fiber: what it returned. ops.exit_task(), with the runqueue's lock.
s32 call_op_init_task(Sched& sch, Task& p, bool fork);
void call_op_exit_task(Sched& sch, Rq& rq, Task& p, bool cancelled);

/// The negative errno a callback returned; where it is none, -EPROTO and an error about it.
s32 sanitize_err(Sched& sch, Op op, s32 err);

}  // namespace uscx::sched::ext
