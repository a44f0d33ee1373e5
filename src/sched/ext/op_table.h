// SPDX-License-Identifier: GPL-2.0-only
// What each callback of a scheduler is: when it comes, under which locks, what a scheduler must be
// ready for. `uscx ops` and docs/ops.md print it; callbacks that nest in another are held to it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "btf/profile.h"
#include "sched/ext/ops.h"

namespace uscx::sched::ext {

/// Locks the kernel holds while a callback runs.
enum OpLock : u32 {
  kLockRq = 1 << 0,           // of the task's, or the CPU's, runqueue
  kLockPi = 1 << 1,           // the task's pi_lock
  kLockEnable = 1 << 2,       // scx_enable_mutex
  kLockCpus = 1 << 3,         // cpus_read_lock(); for hotplug: the write side
  kLockFork = 1 << 4,         // scx_fork_rwsem: read in fork, write while enabling
  kLockCgroup = 1 << 5,       // cgroup_mutex
  kLockCgroupOps = 1 << 6,    // scx_cgroup_ops_rwsem, for reading
  kLockThreadgroup = 1 << 7,  // cgroup_threadgroup_rwsem, for writing
  kLockDump = 1 << 8,         // scx_dump_lock
};

struct OpRow {
  Op op;
  std::string_view prototype;  // of the cpu form, without its name: "s32 (task, prev_cpu, flags)"
  u32 locks;                   // always held
  std::string_view when;
  std::string_view care;    // the races, and what not to rely on
  std::string_view absent;  // what happens without it
  btf::KernelVersion since{};
  bool cid_only = false;
};

/// In the order of the table of the ops.
std::span<const OpRow> op_table();
const OpRow& op_row(Op op);
/// "rq, pi"; "none".
std::string lock_names(u32 locks);

/// A kfunc that calls a callback before it returns.
struct KfuncCallsOp {
  std::string_view kfunc;
  Op op;
  bool other_scheduler = false;  // of a parent or child: the kernel counts and stops recursion
};
std::span<const KfuncCallsOp> kfunc_calls();

/// May `inner` run within `outer`, of one scheduler? By what the kfuncs of `outer` call.
bool op_may_nest(Op outer, Op inner, btf::KernelVersion version);

// ---- what the command prints -------------------------------------------------------------------

std::string ops_text(btf::KernelVersion version);
std::string ops_markdown(btf::KernelVersion version);
std::string kfuncs_text(btf::KernelVersion version);
/// "callback -> kfunc -> callback", a line each.
std::string kfunc_graph(btf::KernelVersion version);

}  // namespace uscx::sched::ext
