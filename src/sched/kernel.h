// SPDX-License-Identifier: GPL-2.0-only
// sched::Kernel: owns everything a kernel has, and is what the machine, the workloads and the
// front door talk to. Many can live in a process; each is single-threaded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "abi/abi.h"
#include "base/hash.h"
#include "base/intrusive_list.h"
#include "bpf/bpf.h"
#include "bpf/host.h"
#include "btf/profile.h"
#include "sched/machine.h"
#include "sched/rq.h"
#include "sched/sched_class.h"
#include "sched/task.h"
#include "sched/tracepoints.h"
#include "sched/wait.h"

namespace uscx::sched {

namespace ext {
class Ext;
}

struct KernelConfig {
  btf::KernelVersion version{7, 3};
  u64 seed = 1;
  u32 hz = 250;  // Debian's CONFIG_HZ
};

/// How a new task is to be; what clone(2) and the calls after it would set.
struct TaskSpec {
  std::string comm;
  std::string group_label;               // for the report; empty: the comm
  std::unique_ptr<Behaviour> behaviour;
  int policy = 0;                        // SCHED_NORMAL
  int nice = 0;
  int rt_priority = 0;
  const abi::cpumask* affinity = nullptr;  // null: the parent's
  bool kthread = false;
};

class Kernel final : public bpf::Host {
 public:
  /// The machine must outlive the kernel.
  Kernel(const KernelConfig& config, Machine& machine);
  ~Kernel() override;

  const KernelConfig& config() const { return config_; }
  Machine& machine() { return machine_; }
  bpf::Bpf& bpf() { return *bpf_; }
  ext::Ext& ext() { return *ext_; }
  bpf::AddressWindow& window() { return *window_; }
  Tracepoints& trace() { return trace_; }
  Random& random() { return random_; }
  Nanos now() const { return machine_.now(); }
  u64 jiffies() const;
  u32 nr_cpus() const { return machine_.topology().nr_cpus(); }
  Rq& rq(CpuId cpu) { return *rqs_[static_cast<u32>(cpu)]; }
  const abi::cpumask& possible_mask() const { return *possible_mask_; }
  const abi::cpumask& online_mask() const { return *online_mask_; }

  // --- context ------------------------------------------------------------------------------
  CpuId cpu() const { return this_cpu_; }
  Rq& this_rq() { return rq(this_cpu_); }
  /// `current` of this CPU.
  Task& current() { return *this_rq().current(); }
  /// The fiber that runs, or null in interrupt and schedule() context.
  Fiber* fiber() { return fiber_; }
  /// Locks of the running context: the fiber's, or this CPU's.
  HeldLocks& held() { return fiber_ ? fiber_->held : this_rq().irq_held; }

  // --- entry points of the machine ------------------------------------------------------------
  // Each runs to completion on `cpu`, then handles need_resched there as the return from an
  // interrupt does (schedule(), where preemption is allowed).
  void irq_tick(CpuId cpu);
  void irq_resched(CpuId cpu);
  void irq_timer(CpuId cpu, Timer& timer);
  void irq_work(CpuId cpu, IrqWork& work);
  /// The current task of `cpu` has finished its compute step (or was just switched in): runs its
  /// behaviour or fiber until it computes again, or something else runs here. Returns the step that
  /// the CPU's current task computes now, for the machine to time; null where it is idle.
  Step* run_current(CpuId cpu);

  // --- tasks ----------------------------------------------------------------------------------
  /// Makes a task outside of any other (the machine's first processes), wakes it, and returns. On a
  /// fiber where sched_ext may have to initialise it. Errors: -EAGAIN, or init_task's.
  Result<Task*> create_task(TaskSpec spec);
  /// fork(2) by `parent`, on its fiber; may sleep (scx_fork_rwsem, ops.init_task).
  Result<Task*> fork(Task& parent, TaskSpec spec);
  /// A kernel thread running `main` on a fiber; FIFO where `rt_priority` > 0.
  Task& create_kthread(std::string comm, std::function<void(Task&)> main, int rt_priority = 0);
  Task* find_task(Pid pid);
  /// All live tasks by creation, idle tasks excluded.
  IntrusiveList<Task, &Task::all_node>& tasks() { return tasks_; }
  /// Tasks waiting to be freed are kept while someone holds a reference (bpf_task_from_pid).
  void get_task(Task& p);
  void put_task(Task& p);

  /// try_to_wake_up(): true where it was asleep. Any context; `wake_flags` WF_SYNC or 0.
  bool wake_up(Task& p, u32 state = TASK_NORMAL, int wake_flags = 0);
  /// sched_setaffinity(2). EINVAL where no CPU of the mask is online. May sleep.
  Result<void> set_affinity(Task& p, const abi::cpumask& mask);
  /// setpriority(2): nice -20 .. 19.
  void set_nice(Task& p, int nice);
  /// sched_setscheduler(2): EINVAL, EACCES (p->scx.disallow).
  Result<void> set_scheduler(Task& p, int policy, int rt_priority);

  // --- for what runs on a fiber -----------------------------------------------------------------
  /// Sleeps for a virtual duration. Linux: schedule_timeout, msleep.
  void sleep_ns(Nanos duration);
  /// Uses the CPU for a duration: other tasks may preempt, other CPUs go on.
  void consume(Nanos duration);
  /// Sleeps until somebody wakes the current task. Linux: set_current_state(); schedule().
  void block(u32 state = TASK_UNINTERRUPTIBLE);
  /// Gives way where need_resched is set. Linux: cond_resched().
  void cond_resched();
  /// Waits for a grace period. Linux: synchronize_rcu().
  void synchronize_rcu();

  // --- for the classes ---------------------------------------------------------------------------
  void resched_curr(Rq& rq);
  void update_rq_clock(Rq& rq);
  void activate_task(Rq& rq, Task& p, int flags);
  void deactivate_task(Rq& rq, Task& p, int flags);
  /// p->on_rq must be MIGRATING or p off every queue; both the fields and the trace.
  void set_task_cpu(Task& p, CpuId cpu);
  void set_cpus_allowed_common(Task& p, const abi::cpumask* new_mask);
  bool is_cpu_allowed(const Task& p, CpuId cpu) const;
  /// Takes p's pi_lock and its runqueue's lock. Linux: task_rq_lock().
  Rq& task_rq_lock(Task& p);
  void task_rq_unlock(Rq& rq, Task& p);
  /// Changes something about a task that is queued or running: dequeues and puts it, runs `change`,
  /// and sets it back. Linux: sched_change_begin/end (the guard(sched_change) scope).
  void sched_change(Task& p, int dequeue_flags, const std::function<void()>& change);
  SchedClass& class_for(const Task& p, int policy, int prio);
  SchedClass& fair_class() { return *fair_; }
  SchedClass& rt_class() { return *rt_; }
  SchedClass& idle_class() { return *idle_; }
  SchedClass& ext_class();
  void sync_point(const char* name) { machine_.sync_point(name); }

  // --- bpf::Host -----------------------------------------------------------------------------------
  u64 ktime_ns() override { return now().ns; }
  u32 this_cpu() override { return static_cast<u32>(this_cpu_); }
  u32 nr_cpu_ids() override { return nr_cpus(); }
  u64 current_task() override { return current().address(); }
  u64 current_pid_tgid() override;
  u32 prandom_u32() override;
  std::string_view current_comm() override;
  HeldLocks& held_locks() override { return held(); }
  void trace_printk(std::string_view text) override;
  void kernel_log(std::string_view text) override;
  void timer_start(bpf::HostTimer& timer, u64 expires_ns, bool absolute, CpuId pinned_cpu) override;
  bool timer_cancel(bpf::HostTimer& timer) override;
  bool is_task(u64 task) override;
  void program_fault(const bpf::Program& prog, std::string_view text) override;
  void charge_instructions(u64 count) override;
  bool may_sleep() override;

  // --- numbers --------------------------------------------------------------------------------------
  u64 nr_switches = 0;
  u64 nr_migrations = 0;
  u64 nr_forks = 0;
  u64 nr_exits = 0;

 private:
  friend class KernelInternals;
  KernelConfig config_;
  Machine& machine_;
  Random random_;
  Tracepoints trace_;
  std::unique_ptr<bpf::AddressWindow> window_;
  std::unique_ptr<bpf::Bpf> bpf_;
  std::vector<Rq*> rqs_;  // in the window
  abi::cpumask* possible_mask_ = nullptr;
  abi::cpumask* online_mask_ = nullptr;
  IntrusiveList<Task, &Task::all_node> tasks_;
  std::map<Pid, Task*> by_pid_;
  Pid next_pid_ = 1;
  CpuId this_cpu_ = 0;
  Fiber* fiber_ = nullptr;
  std::unique_ptr<SchedClass> fair_, rt_, idle_;
  std::unique_ptr<ext::Ext> ext_;
};

}  // namespace uscx::sched
