// SPDX-License-Identifier: GPL-2.0-only
// sched::Kernel: owns everything a kernel has, and is what the machine, the workloads and the
// front door talk to. Many can live in a process; each is single-threaded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/abi.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/intrusive_list.h"
#include "bpf/bpf.h"
#include "bpf/host.h"
#include "btf/profile.h"
#include "sched/ext/ext.h"
#include "sched/machine.h"
#include "sched/planted.h"
#include "sched/rq.h"
#include "sched/sched_class.h"
#include "sched/task.h"
#include "sched/tracepoints.h"
#include "sched/wait.h"

namespace uscx::sched {

struct Cgroup;
struct DlParameters;
struct TaskGroup;
class Cgroups;

struct KernelConfig {
  btf::KernelVersion version{7, 3};
  u64 seed = 1;
  bpf::EngineKind engine = bpf::default_engine();  // changes nothing but the time a run takes
  u32 hz = 250;                                    // Debian's CONFIG_HZ
  PlantedBug planted = PlantedBug::kNone;          // tests only: see planted.h
  /// BTF to show programs instead of the built-in one: to verify against another kernel's types.
  /// Programs that were verified against it are not for running. Empty: the built-in.
  std::span<const std::byte> vmlinux_btf = {};
};

/// How a new task is to be; what clone(2) and the calls after it would set.
struct TaskSpec {
  std::string comm;
  std::string group_label;  // for the report; empty: the comm
  std::unique_ptr<Behaviour> behaviour;
  int policy = 0;  // SCHED_NORMAL
  int nice = 0;
  int rt_priority = 0;
  const abi::cpumask* affinity = nullptr;  // null: the parent's
  bool waited_for = false;                 // the parent calls wait_for_exit()
  bool kthread = false;
  Cgroup* cgroup = nullptr;  // CLONE_INTO_CGROUP; null: the parent's
  bool per_cpu = false;  // a kernel thread that stays on the CPU of its affinity, whatever happens
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
  const ext::Ext& ext() const { return *ext_; }
  bpf::AddressWindow& window() { return *window_; }
  Tracepoints& trace() { return trace_; }
  Random& random() { return random_; }
  Nanos now() const { return machine_.now(); }
  u64 jiffies() const;
  // The machine's, which do not change.
  const Topology& topology() const { return topology_; }
  const Costs& costs() const { return costs_; }
  u32 nr_cpus() const { return nr_cpus_; }
  /// With more CPUs than this, not all of them and their tasks are in a cache: see prefetch.h.
  static constexpr u32 kCpusInCache = 64;
  bool outgrows_cache() const { return nr_cpus_ > kCpusInCache; }
  Rq& rq(CpuId cpu) { return *rqs_[static_cast<u32>(cpu)]; }
  const abi::cpumask& possible_mask() const { return *possible_mask_; }
  const abi::cpumask& online_mask() const { return *online_mask_; }
  const abi::cpumask& active_mask() const { return *active_mask_; }

  /// Makes this kernel's window the mapped one. Every entry point does; whoever looks at tasks or
  /// runqueues from outside of them does it first.
  void activate() { window_->activate(); }
  u64 tick_ns() const { return 1'000'000'000 / config_.hz; }
  /// CPUs by machine-wide LLC number, ascending.
  const std::vector<CpuId>& llc_cpus(u32 llc) const { return llc_cpus_[llc]; }
  bool cpus_share_cache(CpuId a, CpuId b) const;
  bool idle_cpu(CpuId cpu);
  Cgroups& cgroups() { return *cgroups_; }

  // --- context ------------------------------------------------------------------------------
  CpuId cpu() const { return this_cpu_; }
  Rq& this_rq() { return rq(this_cpu_); }
  /// `current` of this CPU.
  Task& current() { return *this_rq().current(); }
  /// The fiber that runs, or null in interrupt and schedule() context.
  Fiber* fiber() { return fiber_; }
  /// Is this CPU handling an NMI?
  bool in_nmi() override { return this_rq().in_nmi; }
  /// Locks of the running context: the fiber's, or this CPU's.
  HeldLocks& held() { return *held_; }
  /// A place where another CPU may go first: nothing in a plain run. `name` says what is raced for.
  void sync_point(const char* name) {
    if (explorer_ != nullptr) [[unlikely]]
      explorer_->sync_point(name);
  }
  /// One round of a loop that waits for what another CPU does. In a plain run no other CPU is in
  /// the middle of anything, so that there is nothing to wait for. Linux: cpu_relax().
  void relax(const char* name) {
    USCX_ASSERT(explorer_ != nullptr && "only another CPU could end this loop");
    explorer_->relax(name);
  }
  /// Can another CPU be in the middle of a kernel entry?
  bool explored() const { return explorer_ != nullptr; }
  bool planted(PlantedBug bug) const { return config_.planted == bug; }
  /// The part of the context that is the kernel's: an exploring machine takes it away from where a
  /// context stops, and gives it back where it goes on.
  struct Context {
    CpuId cpu = 0;
    Fiber* fiber = nullptr;
    bool in_entry = false;
  };
  Context leave_context();
  void enter_context(const Context& context);

  // --- entry points of the machine ------------------------------------------------------------
  // Each runs to completion on `cpu`, then handles need_resched there as the return from an
  // interrupt does (schedule(), where preemption is allowed).
  void irq_tick(CpuId cpu);
  void irq_resched(CpuId cpu);
  void irq_timer(CpuId cpu, Timer& timer);
  void irq_work(CpuId cpu, IrqWork& work);
  /// The current task of `cpu` has finished its compute step (or was just switched in): runs its
  /// behaviour or fiber until it computes again, or something else runs here. The machine times
  /// Task::pending where Task::step_valid says that it is something: it takes what is done off its
  /// work, and asks again at 0. Nothing is to time where another task was switched in meanwhile
  /// (Machine::switched() was told, and asks once the switch is paid for), or it is idle.
  void run_current(CpuId cpu);

  // --- tasks ----------------------------------------------------------------------------------
  /// Makes a task outside of any other (the machine's first processes), wakes it, and returns. On a
  /// fiber where sched_ext may have to initialise it. Errors: -EAGAIN, or init_task's.
  Result<Task*> create_task(TaskSpec spec);
  /// fork(2) by `parent`, on its fiber; may sleep (scx_fork_rwsem, ops.init_task).
  Result<Task*> fork(Task& parent, TaskSpec spec);
  /// A kernel thread running `main` on a fiber; FIFO where `rt_priority` > 0; with a `cpu` it stays
  /// there (Linux: kthread_create_on_cpu()).
  Task& create_kthread(std::string comm, std::function<void(Task&)> main, int rt_priority = 0,
                       CpuId cpu = kNoCpu);
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
  /// The same for the kernel's own purposes: threads that belong to a CPU, too, and CPUs that are
  /// on their way up. Linux: set_cpus_allowed_ptr().
  Result<void> set_cpus_allowed(Task& p, const abi::cpumask& mask);
  /// setpriority(2): nice -20 .. 19.
  void set_nice(Task& p, int nice);
  /// sched_setscheduler(2): EINVAL, EACCES (p->scx.disallow).
  Result<void> set_scheduler(Task& p, int policy, int rt_priority);
  /// sched_setattr(2) with SCHED_DEADLINE. EINVAL; EPERM: it may not use every active CPU; EBUSY:
  /// more than what is left of the CPUs.
  Result<void> set_deadline(Task& p, const DlParameters& parameters);

  /// kill(2) of SIGKILL, SIGSTOP or SIGCONT. A task acts on it when it returns to user mode; kernel
  /// code that sleeps uninterruptibly ends first. Any context.
  void kill(Task& p, int signal);
  /// waitpid(2) by the current task, on its fiber: until the child has exited.
  void wait_for_exit(Pid pid);
  /// execve(2), as far as the scheduler is concerned: the class may choose another CPU. By the
  /// current task, on its fiber. Linux: sched_exec().
  void sched_exec();

  /// The current task's, which nest: it stays on its CPU, whatever its affinity, and may be
  /// preempted there. What moves it waits for the second. Any context of the task without locks.
  void migrate_disable();
  void migrate_enable();
  /// The mask of one CPU, which tasks may point at.
  const abi::cpumask& cpumask_of(CpuId cpu);

  /// Writing 0 or 1 to cpuN/online. On a fiber, which sleeps. EBUSY: the last CPU.
  Result<void> cpu_down(CpuId cpu);
  Result<void> cpu_up(CpuId cpu);
  /// SysRq-l: the other CPUs get an NMI each, in which they say that they are there; returns when
  /// all have. On a fiber. Linux: sysrq_handle_showallcpus().
  void sysrq_showallcpus();
  /// Whose interrupts come where: an offline CPU's timers go off elsewhere.
  CpuId interrupt_cpu(CpuId cpu) const;
  CpuId first_online_cpu() const;

  /// sched_yield(2), by the current task, on its fiber.
  void yield();

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
  /// Runs `fn` in interrupt context after a grace period. Any context. Linux: call_rcu().
  void call_rcu(std::function<void()> fn);

  // --- for the classes ---------------------------------------------------------------------------
  /// The runqueue's lock, with what Linux does around it (rq_unlock() invalidates the clock).
  void rq_lock(Rq& rq, std::source_location where = std::source_location::current());
  void rq_unlock(Rq& rq);
  /// Two runqueues, in the order of their CPUs; `a` and `b` may be the same.
  void double_rq_lock(Rq& a, Rq& b);
  void double_rq_unlock(Rq& a, Rq& b);
  void assert_rq_held(const Rq& rq) { USCX_ASSERT(rq.lock.held_by(held())); }
  void resched_curr(Rq& rq);
  /// As resched_curr(), taking the lock. Linux: resched_cpu().
  void resched_cpu(CpuId cpu);
  void update_rq_clock(Rq& rq);
  /// Charges the running task for the time since it was last charged (se.exec_start,
  /// sum_exec_runtime, utime); returns the time. For the classes' update_curr().
  u64 update_curr_common(Rq& rq);
  /// `p` became runnable on `rq`: reschedules where it should go first. Linux: wakeup_preempt().
  void wakeup_preempt(Rq& rq, Task& p, int flags);
  /// p->sched_class->{put_prev,set_next}_task outside of schedule().
  void put_prev_task(Rq& rq, Task& p) { p.klass->put_prev_task(rq, p, nullptr); }
  void set_next_task(Rq& rq, Task& p) { p.klass->set_next_task(rq, p, false); }
  void enqueue_task(Rq& rq, Task& p, int flags);
  bool dequeue_task(Rq& rq, Task& p, int flags);
  /// Moves a queued task; `rq`'s lock is given up and the new runqueue's returned held.
  Rq& move_queued_task(Rq& rq, Task& p, CpuId new_cpu);
  Rq& task_rq(const Task& p) { return rq(p.cpu); }
  bool task_current(Rq& rq, const Task& p) const { return rq.current() == &p; }
  /// An allowed CPU where the preferred one is not. Linux: select_fallback_rq().
  CpuId select_fallback_rq(CpuId cpu, Task& p);
  void activate_task(Rq& rq, Task& p, int flags);
  void deactivate_task(Rq& rq, Task& p, int flags);
  /// p->on_rq must be MIGRATING or p off every queue; both the fields and the trace.
  void set_task_cpu(Task& p, CpuId cpu);
  void set_cpus_allowed_common(Task& p, const abi::cpumask* new_mask);
  bool is_cpu_allowed(const Task& p, CpuId cpu) const;
  /// Takes p's pi_lock and its runqueue's lock. Linux: task_rq_lock().
  Rq& task_rq_lock(Task& p);
  /// The runqueue's lock only, pi_lock being held. Linux: __task_rq_lock().
  Rq& task_rq_lock_pi_held(Task& p);
  void task_rq_unlock(Rq& rq, Task& p);
  /// Changes something about a task that is queued or running: dequeues and puts it, runs `change`,
  /// and sets it back. Linux: sched_change_begin/end (the guard(sched_change) scope).
  void sched_change(Task& p, int dequeue_flags, const std::function<void()>& change);
  /// The same in two halves; `flags` may gain ENQUEUE_HEAD in between.
  struct SchedChange {
    Task* p = nullptr;
    SchedClass* klass = nullptr;
    int flags = 0;
    int prio = 0;
    bool queued = false;
    bool running = false;
  };
  SchedChange sched_change_begin(Task& p, int dequeue_flags);
  void sched_change_end(const SchedChange& change);
  SchedClass& class_for(const Task& p, int policy, int prio);
  SchedClass& fair_class() { return *fair_; }
  SchedClass& rt_class() { return *rt_; }
  SchedClass& dl_class() { return *dl_; }
  SchedClass& idle_class() { return *idle_; }
  SchedClass& stop_class() { return *stop_; }
  /// p's, who runs on `r`, stops running or is about to. An idle task, which is in no cache when a
  /// CPU turns to it, is known by its address.
  SchedClass& class_of(const Rq& r, const Task& p) { return &p == r.idle ? *idle_ : *p.klass; }
  SchedClass& ext_class();

  // --- bpf::Host
  // -----------------------------------------------------------------------------------
  u64 ktime_ns() override { return now().ns; }
  u32 this_cpu() override { return static_cast<u32>(this_cpu_); }
  u32 nr_cpu_ids() override { return nr_cpus(); }
  u64 current_task() override { return current().address(); }
  u64 current_pid_tgid() override;
  u32 this_node() override;
  u32 prandom_u32() override;
  std::string_view current_comm() override;
  HeldLocks& held_locks() override { return held(); }
  void trace_printk(std::string_view text) override;
  void kernel_log(std::string_view text) override;
  void timer_start(bpf::HostTimer& timer, u64 expires_ns, bool absolute, CpuId pinned_cpu) override;
  bool timer_cancel(bpf::HostTimer& timer) override;
  bool is_task(u64 task) override;
  bool is_cgroup(u64 cgroup) override;
  void program_fault(const bpf::Program& prog, std::string_view text) override;
  void charge_instructions(u64 count) override;
  bool may_sleep() override;

  struct Private;  // private.h: the parts of the core know each other

  // --- numbers
  // --------------------------------------------------------------------------------------
  u64 nr_switches = 0;
  u64 nr_migrations = 0;
  u64 nr_forks = 0;
  u64 nr_exits = 0;

 private:
  friend class KernelInternals;
  KernelConfig config_;
  Machine& machine_;
  const Topology& topology_;
  const Costs& costs_;
  const u32 nr_cpus_;
  Random random_;
  Tracepoints trace_;
  std::unique_ptr<bpf::AddressWindow> window_;
  std::unique_ptr<bpf::Bpf> bpf_;
  std::vector<Rq*> rqs_;  // in the window
  abi::cpumask* possible_mask_ = nullptr;
  abi::cpumask* online_mask_ = nullptr;
  abi::cpumask* active_mask_ = nullptr;
  IntrusiveList<Task, &Task::all_node> tasks_;
  std::map<Pid, Task*> by_pid_;
  Pid next_pid_ = 1;
  /// Says which context runs, and so whose locks held() are. Null: interrupts and schedule().
  void set_context(CpuId cpu, Fiber* fiber) {
    this_cpu_ = cpu;
    fiber_ = fiber;
    held_ = fiber != nullptr ? &fiber->held : explored() ? this_rq().irq_held : &irq_held_;
  }
  CpuId this_cpu_ = 0;
  Fiber* fiber_ = nullptr;
  HeldLocks* held_ = &irq_held_;
  Explorer* explorer_ = nullptr;
  HeldLocks irq_held_;  // Rq::irq_held of all CPUs, in a plain run
  std::unique_ptr<SchedClass> fair_, rt_, dl_, idle_, stop_;
  std::unique_ptr<ext::Ext> ext_;
  std::vector<std::vector<CpuId>> llc_cpus_;
  std::unique_ptr<Cgroups> cgroups_;
  std::unique_ptr<Private> private_;
};

// ---- on every path: in line ---------------------------------------------------------------------

inline void Kernel::rq_lock(Rq& r, std::source_location where) {
  r.lock.lock(held(), where);
  r.clock_valid = false;
}

inline void Kernel::rq_unlock(Rq& r) {
  HeldLocks& mine = held();
  USCX_ASSERT(r.lock.held_by(mine));
  r.clock_valid = false;
  ext_->rq_unlocked(r);
  r.lock.unlock(mine);
}

inline SchedClass& Kernel::ext_class() {
  return ext_->sched_class();
}

/// Nothing runs there and nothing is about to. Linux: idle_cpu().
inline bool Kernel::idle_cpu(CpuId cpu) {
  const Rq& r = rq(cpu);
  return r.curr == r.idle && r.nr_running == 0 && r.ttwu_pending == 0;
}

inline CpuId Kernel::interrupt_cpu(CpuId cpu) const {
  return rqs_[static_cast<u32>(cpu)]->online ? cpu : first_online_cpu();
}

}  // namespace uscx::sched
