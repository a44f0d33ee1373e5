// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <string>

#include "abi/abi.h"
#include "base/intrusive_list.h"
#include "base/lock.h"
#include "base/types.h"
#include "bpf/window.h"
#include "sched/behaviour.h"
#include "sched/fiber.h"
#include "sched/flags.h"
#include "sched/wait.h"

namespace uscx::sched {

class SchedClass;
struct DlTask;
struct Rq;
struct TaskGroup;

/// Which stores programs may do to a task: scx.slice, scx.dsq_vtime, scx.disallow.
/// Programs see sizeof(abi::task_struct) of it and nothing of what follows.
extern const bpf::ObjectType kTaskObject;
extern const bpf::ObjectType kCgroupObject;
/// A struct cpumask (or bpf_cpumask's first member) that programs may read.
extern const bpf::ObjectType kCpumaskObject;

/// How far do_exit() is.
enum class ExitStage : u8 { kAlive, kExiting, kNotified };

/// A task: the struct that programs see (pid, comm, scx, cpus_ptr, ... are the real ones), and what
/// the core keeps behind it. Lives in the address window. Linux: task_struct.
struct Task : abi::task_struct {
  explicit Task(std::string name);

  // What every wakeup and switch touches comes first, line by line: with thousands of tasks nothing
  // of one is in a cache when it is wanted, and prefetch.cc asks for these lines.

  // --- with nivcsw and thread_info
  SchedClass* klass = nullptr;  // p->sched_class
  CpuId cpu = 0;                // task_cpu()
  u32 slot = 0;                 // dense number among the tasks there are: observers index by it
  int on_rq_state = 0;          // p->on_rq: 0, TASK_ON_RQ_QUEUED, TASK_ON_RQ_MIGRATING
  u32 pending_signals = 0;      // bit per number, of SIGKILL, SIGSTOP
  u64 woken_at_ns = kNotWoken;  // since which it has not executed
  static constexpr u64 kNotWoken = ~0ULL;

  // --- where it is queued
  RankedLock pi_lock;          // affinity, policy and wakeups; before the rq lock
  ListNode scx_runnable_node;  // rq->scx.runnable_list
  ListNode scx_dsq_node;       // FIFO position in its DSQ

  // --- what it does
  std::unique_ptr<Behaviour> behaviour;
  std::unique_ptr<Fiber> kernel_stack;  // present while a system call (Step::kCall) is in progress
  // The compute step in progress; the machine takes what has been done off `pending.work`.
  Computation pending{};
  bool step_valid = false;       // `pending` still has something to do
  bool deferred_valid = false;   // so has `deferred`
  bool wakeup_migrated = false;  // p->sched_remote_wakeup
  CpuId ran_on = kNoCpu;     // the machine's: where it last had a CPU, its caches are warm there
  Nanos interrupted_work{};  // what a signal cut off `pending`
  Step deferred{};           // what follows once the system call's entry is paid for

  // --- scheduler core, cold -----------------------------------------------------------------
  u64 created_at_ns = 0;
  ListNode wake_node;     // Rq::wake_list, from a queued wakeup until it is done
  ListNode all_node;      // Kernel::tasks, by creation
  ListNode life_node;     // from allocation until it is freed
  ListNode rq_node;       // a class's queue (rt)
  ListNode sibling_node;  // the parent's child_list
  IntrusiveList<Task, &Task::sibling_node> child_list;
  ListNode cgroup_node;             // its group's list, from fork until it is dead
  bool forked_into_cgroup = false;  // between can_fork and post_fork: with cgroup_mutex held
  ListNode throttled_node;          // fair: waits for its group's next period
  TaskGroup* throttled_in = nullptr;
  u64 fair_load = 0;           // fair: what it adds to its group's load; 0: not runnable
  bool fair_queued = false;    // in the fair tree: runnable and not current
  bool reset_on_fork = false;  // p->sched_reset_on_fork
  ExitStage exit_stage = ExitStage::kAlive;
  bool waited_for = false;     // its parent calls waitpid(): it stays a zombie until then
  WaitQueue wait_chldexit;     // where it waits for children to exit
  u64 vruntime_ns = 0;         // fair
  u64 fair_seq = 0;            // fair: order among equal vruntimes
  std::shared_ptr<DlTask> dl;  // deadline: its reservation; null: it never had one
  std::string group_label;     // the workload's name for its kind: the report groups by it

  // --- sched_ext's own (the rest is in abi::task_struct::scx) --------------------------------
  ListNode scx_tasks_node;      // scx_tasks list
  void* scx_private = nullptr;  // owned by sched/ext

  bool is_idle() const { return (flags & PF_IDLE) != 0; }
  bool is_kthread() const { return (flags & PF_KTHREAD) != 0; }
  bool on_rq_queued() const { return on_rq_state == TASK_ON_RQ_QUEUED; }
  bool on_rq_migrating() const { return on_rq_state == TASK_ON_RQ_MIGRATING; }
  /// Sets both p->on_rq as programs see it and ours.
  void set_on_rq(int state) {
    on_rq_state = state;
    on_rq = static_cast<u8>(state);
  }
  /// The kernel computes for `work`, which takes as long on every CPU.
  void set_pending(Nanos work) {
    pending = {.work = work, .scaled = false};
    step_valid = work.ns > 0;
  }
  u64 address() const { return reinterpret_cast<u64>(static_cast<const abi::task_struct*>(this)); }

  static Task* from(abi::task_struct* p) { return static_cast<Task*>(p); }
  static const Task* from(const abi::task_struct* p) { return static_cast<const Task*>(p); }
};

// Of an idle task only this line is touched, of others this one and six more: see prefetch.cc.
static_assert(offsetof(abi::task_struct, se.nr_migrations) % 64 == 0);
static_assert(offsetof(abi::task_struct, scx.sched) -
                  offsetof(abi::task_struct, se.nr_migrations) ==
              64);
static_assert(offsetof(abi::task_struct, scx.dsq_priq) - offsetof(abi::task_struct, scx.sched) ==
              128);
static_assert(offsetof(abi::task_struct, cpus_ptr) % 64 == 0);
static_assert(offsetof(abi::task_struct, nivcsw) - offsetof(abi::task_struct, cpus_ptr) == 64);

}  // namespace uscx::sched
