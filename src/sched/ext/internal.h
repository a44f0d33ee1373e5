// SPDX-License-Identifier: GPL-2.0-only
// What the parts of sched_ext share. Linux: kernel/sched/ext/internal.h.
//
// Names follow Linux's without the scx_ prefix. Functions that Linux gives the runqueue's lock by
// contract say so; `Ext::Impl` is what Linux has as globals, `Sched` what it has in scx_sched.
#pragma once

#include <fmt/format.h>

#include <bitset>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "abi/abi.h"
#include "base/bitmap.h"
#include "base/intrusive_list.h"
#include "base/lock.h"
#include "base/types.h"
#include "bpf/program.h"
#include "bpf/window.h"
#include "sched/ext/ext.h"
#include "sched/ext/ops.h"
#include "sched/kernel.h"

namespace uscx::sched::ext {

class CidTables;   // cid.h
struct IdleState;  // idle.cc
struct DumpState;  // dump.cc
class TaskIter;    // task_iter.h
class Worker;      // worker.h
struct Dsq;
struct DsqCursor;

// ------------------------------------------------------------------------------- small things

/// A set of CPUs, as large as the machine.
struct CpuSet {
  std::vector<unsigned long> words;
  void resize(u32 nr_cpus) { words.assign((nr_cpus + 63) / 64, 0); }
  bool test(CpuId cpu) const { return bitmap::test(words.data(), static_cast<u32>(cpu)); }
  void set(CpuId cpu) { bitmap::set(words.data(), static_cast<u32>(cpu)); }
  void clear(CpuId cpu) { bitmap::clear(words.data(), static_cast<u32>(cpu)); }
  bool empty() const {
    for (unsigned long w : words)
      if (w != 0) return false;
    return true;
  }
};

inline constexpr u64 kOpssStateMask = (1UL << abi::SCX_OPSS_QSEQ_SHIFT) - 1;
inline constexpr u64 kOpssQseqMask = ~kOpssStateMask;

/// A jiffies comparison that survives wrapping.
inline bool time_after(u64 a, u64 b) {
  return static_cast<s64>(b - a) < 0;
}
inline bool time_before64(u64 a, u64 b) {
  return static_cast<s64>(a - b) < 0;
}
inline bool u32_before(u32 a, u32 b) {
  return static_cast<s32>(a - b) < 0;
}

inline bool dsq_is_builtin(u64 id) {
  return (id & abi::SCX_DSQ_FLAG_BUILTIN) != 0;
}
inline bool dsq_is_local_on(u64 id) {
  return (id & abi::SCX_DSQ_LOCAL_ON) == abi::SCX_DSQ_LOCAL_ON;
}

// ------------------------------------------------------------------------------- queues

extern const bpf::ObjectType kDsqObject;

/// A dispatch queue: what programs see (id, nr, first_task), and the queue itself. Lives in the
/// window. Lock: `guard`, except those owned by a runqueue (local), which its lock protects.
struct alignas(64) Dsq : abi::scx_dispatch_q {
  Dsq(Kernel& kernel, u64 dsq_id, Sched* owner);

  // With the end of what programs see:
  IntrusiveList<Task, &Task::scx_dsq_node> tasks;  // FIFO, and vtime order where there is a tree

  Kernel& kernel;
  Rq* rq = nullptr;                 // whose local DSQ it is; null: of nobody
  Sched* owner;                     // null for the local ones
  std::vector<DsqCursor*> cursors;  // iterators in progress
  RankedLock guard;

  bool is_local() const { return rq != nullptr; }
  static Dsq* from(abi::scx_dispatch_q* q) { return static_cast<Dsq*>(q); }
};

/// The DSQ a task is on, or null.
inline Dsq* task_dsq(const Task& p) {
  return p.scx.dsq ? Dsq::from(p.scx.dsq) : nullptr;
}

/// Where an iterator of a program stands. The program's own bytes hold only `handle`.
struct DsqCursor {
  u64 handle = 0;
  Dsq* dsq = nullptr;  // null: the DSQ was destroyed
  Sched* sched = nullptr;
  bool reverse = false;
  bool placed = false;  // false: not started, or run to its end
  Task* pos = nullptr;  // the last one visited that is still queued; null: before the first
  u32 seq = 0;          // later insertions are not visited
  bool has_slice = false, has_vtime = false;
  u64 slice = 0, vtime = 0;
};

/// One decision of ops.dispatch() that waits in the buffer. Linux: scx_dsp_buf_ent.
struct DspEnt {
  Task* task = nullptr;
  u64 qseq = 0;
  u64 dsq_id = 0;
  u64 slice = 0;
  u64 vtime = 0;
  u64 enq_flags = 0;
};

// ------------------------------------------------------------------------------- a scheduler

/// What a scheduler has per CPU. Linux: scx_sched_pcpu.
struct alignas(64) SchedCpu {
  bool bypassing = false;  // under the runqueue's lock
  // The dispatch buffer. Linux: scx_dsp_ctx.
  Rq* dsp_rq = nullptr;
  u32 dsp_cursor = 0;
  u32 dsp_nr_tasks = 0;
  std::vector<DspEnt> dsp_buf;  // dsp_max_batch
  CpuSet cpus_to_kick, cpus_to_kick_if_idle, cpus_to_preempt, cpus_to_wait;
  bool to_kick_linked = false;
  abi::scx_event_stats event_stats{};
  u64 deferred_reenq_local_flags = 0;
  bool deferred_reenq_local = false;
  Dsq* bypass_dsq = nullptr;
};

/// What ops.exit() is told, in window memory; strings beside it. Linux: alloc_exit_info.
struct ExitInfo {
  abi::scx_exit_info* info = nullptr;
  char* msg = nullptr;   // SCX_EXIT_MSG_LEN
  char* dump = nullptr;  // dump_len
  char* reason = nullptr;
  u32 dump_len = 0;
  Pid stalled_pid = 0;
};

inline constexpr u32 kExitReasonLen = 64;
ExitInfo make_exit_info(Kernel& kernel, u32 dump_len);
void free_exit_info(Kernel& kernel, ExitInfo& ei);

extern const bpf::ObjectType kSchedObject;

/// One loaded BPF scheduler. In the window, since p->scx.sched points at it, but opaque to
/// programs. Linux: struct scx_sched.
struct Sched {
  Sched(Ext::Impl& ext, Ops ops, bool cid_form);
  ~Sched();
  Sched(const Sched&) = delete;
  Sched& operator=(const Sched&) = delete;

  u64 opaque = 0;  // all that programs could see

  Ext::Impl& ext;
  Kernel& kernel;
  Ops ops;
  bool is_cid_type;
  bool dead = false;                // ops.exit() has run: kfuncs find no scheduler any more
  std::bitset<kNrOps> has_op_bits;  // callbacks that are being called
  std::shared_ptr<bpf::StructOpsTable> table;
  u32 map_id = 0;  // table->map_id

  std::map<u64, Dsq*> dsqs;          // user DSQs by id
  std::vector<Dsq*> global_dsqs;     // by node
  std::vector<SchedCpu> cpus;        // by CpuId
  std::vector<Dsq*> destroyed_dsqs;  // freed with the scheduler: tasks and cursors may point there

  u64 slice_dfl = abi::SCX_SLICE_DFL;
  u64 bypass_timestamp = 0;
  s32 bypass_depth = 0;
  s32 nr_bypassing = 0;  // of `cpus`
  s32 bypass_dsp_enable_depth = 0;
  bool bypass_dsp_claim = false;
  bool aborting = false;
  bool dump_disabled = false;
  u32 dsp_max_batch = abi::SCX_DSP_DFL_MAX_BATCH;
  bool warned_zero_slice = false;
  bool warned_deprecated_rq = false;
  u64 id = 0;
  u64 watchdog_timeout = 0;  // jiffies

  s32 exit_kind = abi::SCX_EXIT_NONE;  // claimed once
  ExitInfo exit_info;
  std::unique_ptr<Worker> helper;  // the kthread that disables it
  std::unique_ptr<IrqWork> disable_irq_work;
  std::unique_ptr<Timer> bypass_lb_timer;
  bool disable_done = false;  // scx_disable_workfn has finished
  WaitQueue disable_waiters;

  bool has_op(Op op) const { return has_op_bits[static_cast<std::size_t>(op)]; }
  SchedCpu& cpu(CpuId c) { return cpus[static_cast<std::size_t>(c)]; }
  abi::scx_sched* abi_pointer() { return reinterpret_cast<abi::scx_sched*>(this); }
};

/// The scheduler a task is under, or null. Linux: scx_task_sched.
inline Sched* task_sched(const Task& p) {
  return reinterpret_cast<Sched*>(p.scx.sched);
}
inline bool task_on_sched(const Sched& sch, const Task& p) {
  return task_sched(p) == &sch;
}
inline bool bypassing(Sched& sch, CpuId cpu) {
  return sch.nr_bypassing != 0 && sch.cpu(cpu).bypassing;
}
inline bool bypass_dsp_enabled(const Sched& sch) {
  return sch.bypass_dsp_enable_depth > 0;
}

// ------------------------------------------------------------------------------- per runqueue

/// The ext part of a runqueue that programs do not see; what they do see is in Rq::scx
/// (nr_running, flags, clock, kick_sync, cpu_released, cpuperf_target, nr_immed...).
/// What every wakeup and switch looks at is on its first two cache lines.
struct alignas(64) ExtRq {
  ExtRq(Ext::Impl& ext, Rq& rq);
  ~ExtRq();
  ExtRq(const ExtRq&) = delete;
  ExtRq& operator=(const ExtRq&) = delete;

  Kernel& kernel;
  Dsq* local_dsq = nullptr;
  IntrusiveList<Task, &Task::scx_runnable_node> runnable_list;
  // This CPU's context (Linux: per-CPU variables).
  Rq* locked_rq = nullptr;  // scx_locked_rq_state
  Task* direct_dispatch_task = nullptr;
  bool direct_dispatched = false;  // direct_dispatch_task was dispatched already
  bool spin_for_kicked = false;    // explored runs: at the end of schedule()
  bool idle_mask_late = false;     // PlantedBug::kIdleMaskLate
  // There may be some of what is below:
  bool deferred_reenq = false;
  bool deferred_ddsp = false;
  bool remote_activates = false;

  u64 remote_activate_enq_flags = 0;
  IntrusiveList<Task, &Task::scx_dsq_node> ddsp_deferred_locals;
  Ext::Impl& ext;
  std::vector<Sched*> deferred_reenq_locals;
  std::vector<std::pair<Dsq*, u64>> deferred_reenq_users;  // with their flags

  std::vector<Sched*> sched_pcpus_to_kick;
  std::unique_ptr<IrqWork> deferred_work;
  std::unique_ptr<IrqWork> kick_work;
  std::unique_ptr<IrqWork> resched_work;  // resched_curr() once schedule() is over
  std::vector<u64> kick_syncs;            // by CpuId; of the CPUs in cpus_to_sync
  CpuSet cpus_to_sync;
  u64 next_tid = 0, end_tid = 0;  // task numbers this CPU may give out
};

inline ExtRq& ext_rq(Rq& rq) {
  return *rq.ext;
}

// ------------------------------------------------------------------------------- globals

/// Steps of enabling at which a test can make it fail (with -ENOMEM or as the step's callback
/// would).
enum class EnableStep : u8 {
  kNone,
  kAllocKickSyncs,
  kAllocSched,
  kLink,
  kInit,
  kHotplugSeq,
  kValidate,
  kCgroupInit,
  kInitTask,    // of the n-th task: fail_after counts down
  kEnableRace,  // an error arrives before ENABLING becomes ENABLED
};

struct Ext::Impl {
  Impl(Ext& ext, Kernel& kernel);
  ~Impl();

  Ext& ext;
  Kernel& kernel;
  std::unique_ptr<SchedClass> klass;

  Sched* root = nullptr;  // scx_root
  abi::scx_enable_state state = abi::SCX_DISABLED;
  bool enabled() const { return ext.enabled_; }
  void set_enabled(bool on) { ext.enabled_ = on; }
  bool switched_all() const { return ext.switched_all_; }
  void set_switched_all(bool on) { ext.switched_all_ = on; }
  bool switching_all = false;
  bool init_task_enabled = false;
  bool tid_to_task = false;
  bool cgroup_enabled = false;  // scx_cgroup_enabled, under cgroup_lock()
  u64 nr_rejected = 0;
  u64 hotplug_seq = 0;
  u64 enable_seq = 0;
  u64 next_sched_id = 0;
  u64 next_tid = 1;
  u64 nr_callbacks = 0;
  u64 slice_bypass_ns = abi::SCX_SLICE_BYPASS;
  u64 bypass_lb_intv_us = abi::SCX_BYPASS_LB_DFL_INTV_US;

  IntrusiveList<Task, &Task::scx_tasks_node> tasks;  // scx_tasks
  std::map<u64, Task*> tids;                         // scx_tid_hash
  std::map<u32, Sched*> by_map;                      // ops->priv: by struct_ops map
  TaskIter* iters = nullptr;                         // iterations in progress over `tasks`

  SleepingLock enable_mutex{LockRank::kScxEnable, "scx_enable_mutex"};
  SleepingLock cpus_lock{LockRank::kCpuHotplug, "cpu_hotplug_lock", SleepingLock::Kind::kPerCpu};
  SleepingLock fork_rwsem{LockRank::kScxFork, "scx_fork_rwsem", SleepingLock::Kind::kPerCpu};
  SleepingLock cgroup_ops_rwsem{LockRank::kScxCgroupOps, "scx_cgroup_ops_rwsem",
                                SleepingLock::Kind::kPerCpu};
  RankedLock tasks_lock{LockRank::kScxTasks, "scx_tasks_lock"};
  RankedLock bypass_lock{LockRank::kScxBypass, "scx_bypass_lock"};
  RankedLock sched_lock{LockRank::kScxSched, "scx_sched_lock"};
  RankedLock dump_lock{LockRank::kDump, "scx_dump_lock"};

  std::unique_ptr<Worker> enable_helper;  // scx_enable_helper
  std::unique_ptr<Worker> watchdog;       // the work queue's thread
  std::unique_ptr<Timer> watchdog_timer;
  bool watchdog_queued = false;   // its thread has not got to it yet
  u64 watchdog_timestamp = 0;     // jiffies
  u64 watchdog_interval = ~0ULL;  // jiffies

  std::map<u64, std::unique_ptr<DsqCursor>> cursors;  // of programs' iterators, by handle
  u64 next_cursor = 1;

  std::shared_ptr<CidTables> cids;  // those programs see; null before there are any
  std::shared_ptr<IdleState> idle;  // owned by idle.cc
  std::shared_ptr<DumpState> dump;  // owned by dump.cc
  ExitRecord last_exit;
  std::vector<Sched*> retired;  // ended; their memory stays until the next enable

  // Test only: makes enable fail at a step. See fail_at().
  EnableStep fail_step = EnableStep::kNone;
  u32 fail_after = 0;
};

/// True, once, where the test wants this step to fail now.
bool step_fails(Ext::Impl& ext, EnableStep step);
/// "enabling", ...
const char* enable_state_name(abi::scx_enable_state state);
void set_enable_state(Ext::Impl& ext, abi::scx_enable_state state);
/// Test only: the next enable fails at `step` (for kInitTask: at the n-th task, from 0).
void fail_at(Ext& ext, EnableStep step, u32 n = 0);

inline Ext::Impl& impl_of(Kernel& kernel) {
  return kernel.ext().impl();
}

std::unique_ptr<SchedClass> make_class(Ext::Impl& ext);

// ------------------------------------------------------------------------------- exit, errors

/// Claims the one exit of a scheduler; false where it has been claimed. Linux: scx_claim_exit.
bool claim_exit(Sched& sch, s32 kind);
/// Completes a claimed exit: fills exit info and queues the disabling. Linux: scx_finish_exit.
void finish_exit(Sched& sch, s32 kind, s64 exit_code, CpuId exit_cpu, std::string_view msg);
/// Any context. False where another exit came first. Linux: scx_vexit.
[[gnu::cold]] bool vexit(Sched& sch, s32 kind, s64 exit_code, CpuId exit_cpu, std::string_view msg);

template <class... Args>
[[gnu::cold]] bool exit_sched(Sched& sch, s32 kind, s64 exit_code,
                              fmt::format_string<Args...> format, Args&&... args) {
  return vexit(sch, kind, exit_code, sch.kernel.cpu(),
               fmt::format(format, std::forward<Args>(args)...));
}
/// The scheduler did something it must not: it is ejected. `format` is Linux's message in fmt's
/// spelling. Linux: scx_error.
template <class... Args>
[[gnu::cold]] void error(Sched& sch, fmt::format_string<Args...> format, Args&&... args) {
  exit_sched(sch, abi::SCX_EXIT_ERROR, 0, format, std::forward<Args>(args)...);
}
/// "runtime error"... Linux: scx_exit_reason.
std::string_view exit_reason(s32 kind);
/// scx_disable(): asks for an end of the given kind without a message.
void disable(Sched& sch, s32 kind);
/// Waits until the disabling that was asked for is over. On a fiber. Linux: scx_flush_disable_work.
void flush_disable_work(Sched& sch);

// ------------------------------------------------------------------------------- for kfuncs

/// The scheduler a program's kfuncs act on, or null. Linux: scx_prog_sched.
Sched* prog_sched(Ext::Impl& ext, const bpf::Program& prog);
/// The runqueue whose lock the running callback was called with, or null. Linux: scx_locked_rq.
Rq* locked_rq(Ext::Impl& ext);
/// True, or an error "invalid CPU %d <where>". Linux: scx_cpu_valid.
bool cpu_valid(Sched& sch, CpuId cpu, std::string_view where = {});
/// Is `p` what the running callback is about? An error if not. Linux: scx_kf_arg_task_ok.
bool kf_arg_task_ok(Sched& sch, const Task& p);

/// scx_bpf_dsq_insert and its vtime form, after their arguments were checked for type. Context: a
/// callback that may dispatch.
bool dsq_insert(Sched& sch, Task* p, u64 dsq_id, u64 slice, u64 enq_flags);
bool dsq_insert_vtime(Sched& sch, Task* p, u64 dsq_id, u64 slice, u64 vtime, u64 enq_flags);
u32 dispatch_nr_slots(Sched& sch);
void dispatch_cancel(Sched& sch);
bool dsq_move_to_local(Sched& sch, u64 dsq_id, u64 enq_flags);

/// Iterators: `it` is the program's memory (48 bytes). `sch` may be null (ENODEV).
s32 dsq_iter_new(Ext::Impl& ext, Sched* sch, abi::bpf_iter_scx_dsq* it, u64 dsq_id, u64 flags);
Task* dsq_iter_next(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it);
void dsq_iter_destroy(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it);
void dsq_iter_set_slice(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it, u64 slice);
void dsq_iter_set_vtime(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it, u64 vtime);
/// scx_bpf_dsq_move (vtime: scx_bpf_dsq_move_vtime).
bool dsq_move(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it, Task& p, u64 dsq_id, u64 enq_flags,
              bool vtime);

/// Return 0 or a negative errno. `sch` null: -ENODEV.
s32 create_dsq(Ext::Impl& ext, Sched* sch, u64 dsq_id, s32 node);
void destroy_dsq(Sched& sch, u64 dsq_id);
s32 dsq_nr_queued(Sched& sch, u64 dsq_id);  // -ENOENT
Task* dsq_peek(Sched& sch, u64 dsq_id);
void dsq_reenq(Sched& sch, u64 dsq_id, u64 reenq_flags);
u32 reenqueue_local(Sched& sch);  // scx_bpf_reenqueue_local(), from ops.cpu_release()

void kick_cpu(Sched& sch, CpuId cpu, u64 flags);
bool task_set_slice(Sched& sch, Task& p, u64 slice);
bool task_set_dsq_vtime(Sched& sch, Task& p, u64 vtime);
Task* tid_to_task(Ext::Impl& ext, u64 tid);
/// scx_bpf_now(): the runqueue's clock where it is valid, else the time. Linux: __scx_bpf_now.
u64 bpf_now(Ext::Impl& ext, Rq& rq);

// ------------------------------------------------------------------------------- queueing

/// Runqueue's lock held for all of these.
void set_task_state(Task& p, u32 state);
inline u32 get_task_state(const Task& p) {
  return p.scx.flags & abi::SCX_TASK_STATE_MASK;
}
bool set_task_slice(Task& p, u64 slice);
void task_slice_ended(Rq& rq, Task& p);
void do_enqueue_task(Rq& rq, Task& p, u64 enq_flags, CpuId sticky_cpu);
void dispatch_enqueue(Sched& sch, Rq& rq, Dsq& dsq, Task& p, u64 slice, u64 vtime, u64 enq_flags);
void dispatch_dequeue(Rq& rq, Task& p);
bool consume_dispatch_q(Sched& sch, Rq& rq, Dsq& dsq, u64 enq_flags);
bool consume_global_dsq(Sched& sch, Rq& rq);
void flush_dispatch_buf(Sched& sch, Rq& rq);
bool task_can_run_on_remote_rq(Sched& sch, Task& p, Rq& rq, bool enforce);
bool rq_online(const Rq& rq);
void bypass(Sched& sch, bool on);  // scx_bypass(): may be nested; takes the locks itself

/// After schedule(), no lock held: waits for the CPUs that a kick was to wait for. Linux:
/// kick_sync_wait_bal_cb.
void spin_for_kicked(Rq& rq);

/// What could not be done where it came up: moves to other CPUs' local DSQs, re-enqueueing.
void run_deferred(Rq& rq);
void schedule_reenq_local(Rq& rq, u64 reenq_flags);

// Work and timers of a scheduler and a runqueue.
void kick_cpus_irq_work(Ext::Impl& ext);
void disable_irq_workfn(Sched& sch);
void disable_workfn(Sched& sch);
void root_disable(Sched& sch);
void disable_bypass_dsp(Sched& sch);
/// The set of schedulers changed: how often to look at their tasks. On a fiber.
void refresh_watchdog(Ext::Impl& ext);
/// Enables the scheduler of a table, on a fiber; waits until it is done. 0 or a positive errno.
int enable(Ext::Impl& ext, std::shared_ptr<bpf::StructOpsTable> table, bool cid_form);
/// Ends it and forgets the table. On a fiber.
void unregister(Ext::Impl& ext, const bpf::StructOpsTable& table);
/// Frees schedulers that were unregistered.
void free_retired(Ext::Impl& ext);
/// The class a task has by its policy. Linux: scx_setscheduler_class.
SchedClass& setscheduler_class(Kernel& kernel, const Task& p);
// cgroup.cc
/// cgroup_mutex and scx_cgroup_ops_rwsem: no group comes, goes or is written to. scx_cgroup_lock.
void cgroup_lock(Ext::Impl& ext);
void cgroup_unlock(Ext::Impl& ext);
/// With cgroup_lock(): tells a scheduler of every group, parents first; 0 or ops.cgroup_init()'s
/// errno. scx_cgroup_init; scx_cgroup_exit.
int cgroup_init(Sched& sch);
void cgroup_exit(Sched& sch);
/// Registers sched_ext_ops and its cid form.
void register_struct_ops(Ext::Impl& ext);
void bypass_lb_timerfn(Sched& sch);

// ------------------------------------------------------------------------------- idle.cc

/// Makes Impl::idle with all masks clear. Once, when the runqueues exist. scx_idle_init_masks.
void idle_init_masks(Ext::Impl& ext);
/// From enable, before ops.init(). scx_idle_enable; scx_idle_disable.
void idle_enable(Sched& sch);
void idle_disable(Ext::Impl& ext);
/// scx_idle_update_selcpu_topology.
void idle_update_selcpu_topology(Sched& sch);
/// The built-in policy: an idle CPU that was claimed, or a negative errno. `allowed` may be null.
/// scx_select_cpu_dfl.
s32 select_cpu_dfl(Sched& sch, Task& p, CpuId prev_cpu, u64 wake_flags, const abi::cpumask* allowed,
                   u64 flags);
/// __scx_update_idle(): updates the built-in masks and calls ops.update_idle(). Runqueue's lock
/// held, sched_ext enabled. After bypass ends Rq::scx.flags has SCX_RQ_ROOT_IDLE_RENOTIFY: idle
/// CPUs are told again.
void update_idle(Rq& rq, bool idle, bool do_notify);

// ------------------------------------------------------------------------------- dump.cc,
// events.cc

/// Writes the debug dump into ei.dump (dump_len bytes) and the scx_dump tracepoint.
/// scx_dump_state.
void dump_state(Sched& sch, ExitInfo& ei, bool dump_all_tasks);

using EventCounter = abi::s64 abi::scx_event_stats::*;
/// Adds to an event counter of this CPU and tells the tracepoint. scx_add_event.
void add_event(Sched& sch, EventCounter event, s64 count);
/// Sums over CPUs. scx_read_events.
abi::scx_event_stats read_events(Sched& sch);
/// Names and values of this profile's events, in its order.
std::vector<std::pair<std::string, s64>> event_list(Sched& sch);

// ------------------------------------------------------------------------------- kfuncs_*.cc

/// Registers the kfunc sets and their filter. From Ext::register_bpf().
void register_kfuncs(Ext::Impl& ext);

}  // namespace uscx::sched::ext
