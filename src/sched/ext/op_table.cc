// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/op_table.h"

#include <array>

#include "base/assert.h"

namespace uscx::sched::ext {

namespace {

constexpr btf::KernelVersion k7_3{7, 3};
constexpr u32 kEnabling = kLockEnable | kLockFork;

constexpr auto kOps = std::to_array<OpRow>({
    {Op::kSelectCpu, "s32 (p, s32 prev_cpu, u64 wake_flags)", kLockPi,
     "A task wakes up, or is forked, and may use more than one CPU. Which CPU it should be on is a "
     "hint; inserting it into a DSQ here skips ops.enqueue().",
     "The task may be dequeued or its affinity change before it is enqueued: what is returned is "
     "checked again. Not called for a task with one CPU or with migration disabled, nor for a "
     "wakeup that is queued to another CPU.",
     "The built-in idle selection; a task that finds an idle CPU goes to its local DSQ."},
    {Op::kEnqueue, "void (p, u64 enq_flags)", kLockRq,
     "A runnable task is the scheduler's from now on, unless it is inserted into a DSQ before this "
     "returns. Again whenever its slice ends, it is put back, or it is re-enqueued "
     "(SCX_ENQ_REENQ).",
     "From its return until it is inserted the task may be dequeued at any time (ops.dequeue), by "
     "a "
     "change of affinity, weight, class or group, and enqueued anew at once. What was remembered "
     "of it must be found by ops.dequeue(), or tell a stale entry by itself.",
     "The task goes to the global DSQ."},
    {Op::kDequeue, "void (p, u64 deq_flags)", kLockRq,
     "A task leaves the scheduler's custody: it was inserted into a local or the global DSQ "
     "(flags 0), sleeps, or one of its properties changes.",
     "Only for tasks in custody: those in the local and global DSQs are the kernel's. With flags 0 "
     "the lock held is that of the CPU that dispatches. ops.quiescent() comes after it.",
     "Nothing."},
    {Op::kDispatch, "void (s32 cpu, prev)", kLockRq,
     "A CPU's local DSQ is empty. Inserting tasks fills a buffer that is carried out on return, "
     "or at scx_bpf_dsq_move_to_local(). Again while something was dispatched and nothing came, "
     "at most 32 times.",
     "The runqueue's lock is dropped and taken again while tasks move from other CPUs: whatever "
     "was "
     "read before may have changed. `prev` is null, or the task that ran last, which may have gone "
     "to sleep (ops.quiescent() has come) or be kept on (SCX_TASK_QUEUED).",
     "Only the global DSQ is looked at."},
    {Op::kTick, "void (p)", kLockRq, "Every 1/HZ while the task runs.",
     "None while the CPU stops its tick (an infinite slice and nohz_full).", "Nothing."},
    {Op::kRunnable, "void (p, u64 enq_flags)", kLockRq,
     "A task becomes runnable on a CPU: it wakes up, or is put back after a change "
     "(SCX_ENQ_RESTORE)."
     " Then ops.enqueue() comes, unless it runs on.",
     "Not for moves between CPUs.", "Nothing."},
    {Op::kRunning, "void (p)", kLockRq, "A task takes its CPU.",
     "The callback may run on another CPU than the task's: use scx_bpf_task_cpu(p).", "Nothing."},
    {Op::kStopping, "void (p, bool runnable)", kLockRq,
     "A task leaves its CPU. Not runnable: ops.quiescent() follows.",
     "A change of a running task gives stopping(false), quiescent, the change, runnable, running "
     "without a context switch.",
     "Nothing."},
    {Op::kQuiescent, "void (p, u64 deq_flags)", kLockRq,
     "A task is no longer runnable: it sleeps (SCX_DEQ_SLEEP), or a property changes.",
     "ops.dispatch() may still get it as prev.", "Nothing."},
    {Op::kYield, "bool (from, to)", kLockRq,
     "sched_yield() (`to` is null), or a yield to a certain task, which may be refused.",
     "`to` may be on another runqueue.", "The slice ends; a yield to a task is refused."},
    {Op::kCoreSchedBefore, "bool (a, b)", kLockRq,
     "Core scheduling asks which of two tasks goes first.", "Not called here: no core scheduling.",
     "The one that has been runnable for longer."},
    {Op::kSetWeight, "void (p, u32 weight)", kLockRq,
     "The task's weight (1 to 10000, 100 for nice 0) changes; and after each ops.enable().",
     "The task is off its queue meanwhile: ops.dequeue() and ops.quiescent() come first.",
     "p->scx.weight is kept all the same."},
    {Op::kSetCpumask, "void (p, const struct cpumask *mask)", kLockRq,
     "The task's affinity changes; and when it comes into the class.",
     "The task is off its queue meanwhile. It may already be inserted for a CPU that it must not "
     "use any more: such a verdict is an error for SCX_DSQ_LOCAL_ON.",
     "p->cpus_ptr is kept all the same."},
    {Op::kUpdateIdle, "void (s32 cpu, bool idle)", kLockRq, "A CPU goes idle, or is idle no more.",
     "Without SCX_OPS_KEEP_BUILTIN_IDLE the built-in tracking, and the kfuncs that use it, are "
     "off. "
     "A CPU that was just told idle may have been claimed by scx_bpf_pick_idle_cpu().",
     "The built-in tracking."},
    {Op::kInitTask, "s32 (p, args)", kLockFork,
     "A task is met for the first time: at its fork (args->fork), by its parent; or while the "
     "scheduler is enabled, for all that there are.",
     "May sleep, so that tasks run, and even die, meanwhile. p->scx.disallow may be set while "
     "enabling only. Of any class: ops.enable() says when it comes into ours.",
     "Every task is taken."},
    {Op::kExitTask, "void (p, args)", kLockRq,
     "The last word about a task: it is dead and off its CPU, or the scheduler ends, or the fork "
     "failed (args->cancelled).",
     "In the context of whoever runs next, or of idle. Not after a failed ops.init_task().",
     "Nothing."},
    {Op::kEnable, "void (p)", kLockRq,
     "The task comes into the class; p->scx.weight is set. ops.set_weight() follows, and "
     "ops.set_cpumask() unless it is a fork.",
     "As often as it comes; each has its ops.disable().", "Nothing."},
    {Op::kDisable, "void (p)", kLockRq, "The task leaves the class, dies, or the scheduler ends.",
     "It is on no queue any more.", "Nothing."},
    {Op::kDump, "void (ctx)", kLockDump,
     "An error ends the scheduler, or SysRq-D asks: what scx_bpf_dump() writes goes into the dump.",
     "The state is what made it fail. No runqueue's lock.", "Nothing."},
    {Op::kDumpCpu, "void (ctx, s32 cpu, bool idle)", kLockRq | kLockDump,
     "For each CPU of the dump.", "An idle CPU of which nothing is written is left out.",
     "Nothing."},
    {Op::kDumpTask, "void (ctx, p)", kLockRq | kLockDump, "For each runnable task of the dump.", "",
     "Nothing."},
    {Op::kCgroupInit, "s32 (cgrp, args)", kLockCgroup,
     "A cgroup is made, or was there when the scheduler was enabled (parents first).",
     "May sleep. Tasks of the group may have been met before, while enabling.",
     "Every cgroup is taken."},
    {Op::kCgroupExit, "void (cgrp)", kLockCgroup,
     "A cgroup is gone, after a grace period; or the scheduler ends (children first).",
     "May sleep. Long after rmdir(2) has returned; its dead tasks' ops.exit_task() came before.",
     "Nothing."},
    {Op::kCgroupPrepMove, "s32 (p, from, to)", kLockCgroup | kLockThreadgroup,
     "A task, of any class, is about to move. Here it may be refused.",
     "May sleep; the task runs meanwhile.", "Every move is taken."},
    {Op::kCgroupMove, "void (p, from, to)", kLockRq | kLockPi | kLockCgroup | kLockThreadgroup,
     "The task has moved. One for each ops.cgroup_prep_move() that succeeded, or "
     "ops.cgroup_cancel_move().",
     "Comes between ops.quiescent() and ops.runnable() where it is runnable.", "Nothing."},
    {Op::kCgroupCancelMove, "void (p, from, to)", kLockCgroup | kLockThreadgroup,
     "A move that was prepared does not come: another thread's was refused.", "", "Nothing."},
    {Op::kCgroupSetWeight, "void (cgrp, u32 weight)", kLockCgroupOps,
     "cpu.weight or cpu.weight.nice was written and changed.", "Without cgroup_mutex.", "Nothing."},
    {Op::kCgroupSetBandwidth, "void (cgrp, u64 period_us, u64 quota_us, u64 burst_us)",
     kLockCgroupOps, "cpu.max or cpu.max.burst was written and changed; a quota of ~0 is none.",
     "Holding tasks back is the scheduler's affair. May sleep since 7.3.", "Nothing."},
    {Op::kCgroupSetIdle, "void (cgrp, bool idle)", kLockCgroupOps,
     "cpu.idle was written and changed.", "", "Nothing."},
    {Op::kSubAttach,
     "s32 (args)",
     kLockEnable,
     "A sub-scheduler wants to attach below this one.",
     "",
     "It is refused.",
     {},
     true},
    {Op::kSubDetach, "void (args)", 0, "A sub-scheduler has gone.", "", "Nothing.", {}, true},
    {Op::kSubCapsUpdated, "void (cmask, u64 caps)", 0,
     "The capabilities a parent grants have changed.", "", "Nothing.", k7_3, true},
    {Op::kSubEcapsUpdated, "void (s32 cid, u64 before, u64 after)", kLockRq,
     "What is in effect on a CPU has changed.", "", "Nothing.", k7_3, true},
    {Op::kCpuOnline, "void (s32 cpu)", kLockCpus, "A CPU has come.", "May sleep.",
     "The scheduler exits, asking to be restarted."},
    {Op::kCpuOffline, "void (s32 cpu)", kLockCpus, "A CPU is about to go.", "May sleep.",
     "The scheduler exits, asking to be restarted."},
    {Op::kInitCids, "s32 ()", kEnabling | kLockCpus, "Before ops.init(): the place to number CPUs.",
     "", "The default numbers.", k7_3, true},
    {Op::kInit, "s32 ()", kLockEnable | kLockCpus,
     "The scheduler is enabled: before it hears of any task, CPU or cgroup.",
     "May sleep. Tasks run meanwhile, under the class they had.", "Nothing."},
    {Op::kExit, "void (info)", kLockEnable,
     "The scheduler has ended: the last callback, also where enabling failed.",
     "May sleep. No kfunc finds the scheduler afterwards.", "Nothing."},
    {Op::kCpuAcquire, "void (s32 cpu, args)", kLockRq,
     "The CPU is back from a higher class. Deprecated: use the tracepoint sched_switch.", "",
     "Nothing."},
    {Op::kCpuRelease, "void (s32 cpu, args)", kLockRq,
     "A task of a higher class takes the CPU. Deprecated: use the tracepoint sched_switch.",
     "What waits on its local DSQ stays there unless scx_bpf_reenqueue_local() gives it back.",
     "Nothing."},
});
static_assert(kOps.size() == kNrOps);

/// Who runs a callback of its own scheduler before it returns; and those that run one of another's,
/// which the kernel guards against recursion itself.
constexpr auto kCalls = std::to_array<KfuncCallsOp>({
    {"scx_bpf_dsq_move_to_local", Op::kDequeue},
    {"scx_bpf_dsq_move_to_local___v2", Op::kDequeue},
    {"scx_bpf_dsq_move", Op::kDequeue},
    {"scx_bpf_dsq_move_vtime", Op::kDequeue},
    {"scx_bpf_reenqueue_local", Op::kEnqueue},
    {"scx_bpf_sub_dispatch", Op::kDispatch, true},
    {"scx_bpf_sub_grant", Op::kSubCapsUpdated, true},
    {"scx_bpf_sub_revoke", Op::kSubCapsUpdated, true},
});

struct LockName {
  u32 lock;
  std::string_view name;
};
constexpr LockName kLockNames[] = {
    {kLockEnable, "scx_enable_mutex"},
    {kLockCpus, "cpus_read_lock"},
    {kLockFork, "scx_fork_rwsem"},
    {kLockCgroup, "cgroup_mutex"},
    {kLockThreadgroup, "cgroup_threadgroup_rwsem"},
    {kLockCgroupOps, "scx_cgroup_ops_rwsem"},
    {kLockDump, "scx_dump_lock"},
    {kLockPi, "pi_lock"},
    {kLockRq, "rq lock"},
};

}  // namespace

std::span<const OpRow> op_table() {
  return kOps;
}

const OpRow& op_row(Op op) {
  const OpRow& row = kOps[static_cast<std::size_t>(op)];
  USCX_ASSERT(row.op == op);
  return row;
}

std::string lock_names(u32 locks) {
  std::string out;
  for (const auto& [lock, name] : kLockNames) {
    if ((locks & lock) == 0) continue;
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out.empty() ? "none" : out;
}

std::span<const KfuncCallsOp> kfunc_calls() {
  return kCalls;
}

}  // namespace uscx::sched::ext
