// SPDX-License-Identifier: GPL-2.0-only
// What the parts of the core share and nobody else sees.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/intrusive_list.h"
#include "bpf/host.h"
#include "sched/cgroup.h"
#include "sched/deadline.h"
#include "sched/ext/ext.h"
#include "sched/identity.h"
#include "sched/kernel.h"

namespace uscx::sched {

struct DlParameters;
struct DlServer;
struct DlTask;

/// Linux's SM_NONE, SM_PREEMPT, SM_IDLE.
enum class ScheduleMode : u8 { kNone, kPreempt, kIdle };

/// Why a fiber gave the stack back.
enum class Suspend : u8 { kBlocked, kComputing, kPreempted };

/// Grace periods. Readers are never preempted here (a reader is code that runs to completion), so
/// what is waited for is that each busy CPU passes a tick or a context switch.
struct Rcu {
  struct GpTimer final : Timer {
    void fired(Kernel& kernel) override;
  };
  GpTimer timer;
  bool in_progress = false;
  bool time_passed = false;
  std::vector<bool> cpu_pending;  // by CpuId: not seen quiescent since the period began
  u32 nr_pending = 0;
  u64 stall_at_ns = 0;                               // a period that lasts until then is a stall
  std::vector<std::function<void()>> current, next;  // what this period and the next one run
};

struct AffinityPending;

/// A piece of work for a CPU's stopper, in task context there and without locks. It calls
/// Private::stop_work_done() last. Linux: struct cpu_stop_work.
struct StopWork {
  using Fn = void (*)(Kernel::Private& priv, CpuId cpu, StopWork& work);
  ListNode node;
  Fn fn = nullptr;                     // null: migration_stop()
  Task* task = nullptr;                // referenced; null where `fn` does not need one
  CpuId dest = kNoCpu;                 // where it goes
  AffinityPending* pending = nullptr;  // what this is part of, if anything
  bool done = false;
  bool waited_for = false;  // lives on a fiber that waits; else frees itself
  WaitQueue waiters;
};

/// A CPU's stopper thread and its queue, made when first needed.
struct Stopper {
  Task* thread = nullptr;
  IntrusiveList<StopWork, &StopWork::node> works;
};

/// Carries a bpf::HostTimer on a machine timer, while it is armed.
struct HostTimerLink final : Timer {
  explicit HostTimerLink(bpf::HostTimer& t) : timer(t) {}
  void fired(Kernel& kernel) override;
  bpf::HostTimer& timer;
  ListNode node;
};

struct Kernel::Private {
  explicit Private(Kernel& kernel) : k(kernel) {}

  Kernel& k;
  bool in_entry = false;  // the machine called; need_resched is looked at before returning to it
  Suspend suspend_reason = Suspend::kBlocked;
  std::vector<std::unique_ptr<Fiber>> fiber_pool;
  IntrusiveList<Task, &Task::life_node> all_tasks;
  std::vector<u32> free_slots;  // of tasks that are gone, last in first out
  u32 nr_slots = 0;
  IntrusiveList<HostTimerLink, &HostTimerLink::node> host_timers;
  std::vector<Stopper> stoppers;  // by CpuId
  struct HotplugThread;
  std::vector<std::shared_ptr<HotplugThread>> hotplug_threads;  // by CpuId, made when needed
  Rcu rcu;
  struct LongEntry;
  std::map<CpuId, std::shared_ptr<LongEntry>> long_entries;
  struct CycleCounter;
  std::map<CpuId, std::shared_ptr<CycleCounter>> cycle_counters;
  struct BacktraceNmi;
  std::map<CpuId, std::shared_ptr<BacktraceNmi>> backtrace_nmis;  // made when first sent
  abi::cpumask backtrace_mask{};  // whose backtrace is asked for, until they answer
  bool backtrace_in_progress = false;
  std::unique_ptr<Identities> identities;
  std::vector<abi::cpumask*> cpumasks_of;  // by CpuId, made when needed
  // Of all active CPUs. Kept, since each of thousands of CPUs asks when its server is attached.
  DlBandwidth dl_bw;
  u64 dl_tasks_bw = 0;  // what SCHED_DEADLINE tasks have reserved, in 1/2^20 of a CPU
  std::vector<std::shared_ptr<DlTask>> dl_inactive;  // of tasks that are gone, until the 0-lag time
  u64 untold_charge_ns = 0;                          // of the entry in progress
  u64 insn_ps = 0;          // what charged instructions have not yet made a nanosecond
  u32 nr_fair_waiting = 0;  // over all CPUs: queued fair tasks that are not running

  // kernel.cc
  void make_runqueues();
  void make_idle_tasks();
  void name_classes();
  void register_ksyms();  // percpu_variables.cc
  void make_kfuncs_sync_points();
  Task& allocate_task(std::string comm);
  void free_task(Task& p);

  // schedule.cc
  /// True where another task runs now. Context: no locks, no fiber.
  bool schedule(CpuId cpu, ScheduleMode mode);
  SchedClass& next_to_ask(const SchedClass* klass, const Rq& rq, const Task& prev);
  Task& ask_classes(Rq& rq, Task& prev);
  Task& pick_next_task(Rq& rq, Task& prev);
  void context_switch(Rq& rq, Task& prev, Task& next, u32 prev_state, bool voluntary);
  /// The last of it: it is off its CPU. Linux: the end of finish_task_switch().
  void task_is_dead(Task& prev);
  void set_tick(Rq& rq, bool on);
  bool can_stop_tick(Rq& rq);
  void update_tick_dependency(Rq& rq);
  /// What the return from an interrupt does.
  void irq_exit(Rq& rq) {
    if (rq.need_resched && rq.preempt_count == 0) preempt_schedule_irq(rq);
  }
  void preempt_schedule_irq(Rq& rq);

  // run.cc
  void run(Rq& rq, CpuId cpu);
  void take_step(Task& p);
  bool run_deferred(CpuId cpu, Task& p);
  bool run_system_call(CpuId cpu, Task& p);
  bool attend_to_signals(CpuId cpu, Task& p);
  bool resume_fiber(CpuId cpu, Task& p);
  void suspend(Suspend reason);

  // fork.cc, exit.cc
  Result<Task*> fork(Task* parent, TaskSpec spec);
  Result<Task*> copy_process(Task* parent, TaskSpec& spec);
  void sched_fork(Task& p, const TaskSpec& spec);
  void wake_up_new_task(Task& p);
  /// The first half of do_exit(): the task may still be preempted, and moves between groups.
  void exit_begin(Task& p);
  /// Tells the parent, who may preempt it once more; then comes its last schedule().
  void exit_notify(Task& p);
  void release_task(Task& p);
  void reap(Task& p);
  Task* init_task();

  // signal.cc
  /// What the return to user mode does. False where another task runs now.
  bool deliver_signals(CpuId cpu, Task& p);
  /// Cuts short what the current task computes, so that it gets to deliver_signals().
  void interrupt_user_mode(Rq& rq);

  // hotplug.cc
  HotplugThread& hotplug_thread(CpuId cpu);
  void set_cpu_online(CpuId cpu, bool online);
  void set_cpu_active(CpuId cpu, bool active);
  void balance_push(Rq& rq);
  void sched_cpu_deactivate(CpuId cpu);
  void sched_cpu_activate(CpuId cpu);
  void set_rq_online(Rq& rq);
  void set_rq_offline(Rq& rq);

  // prio.cc
  Result<void> setscheduler(Task& p, int policy, int rt_priority, const DlParameters& parameters);
  static bool has_policy(const Task& p, int policy, int rt_priority,
                         const DlParameters& parameters);
  Result<void> check_setscheduler(Task& p, int policy, const DlParameters& parameters);

  // wakeup.cc
  CpuId select_task_rq(Task& p, CpuId cpu, int* wake_flags);
  bool ttwu_runnable(Task& p, int wake_flags);
  void ttwu_do_activate(Rq& rq, Task& p, int wake_flags);
  void ttwu_do_wakeup(Task& p);
  bool ttwu_current(Task& p, u32 state);
  bool ttwu_queue_cond(const Task& p, CpuId cpu);
  void ttwu_queue(Rq& rq, Task& p, int wake_flags);
  void run_wake_list(Rq& rq);

  // migrate_disable.cc
  void migrate_disable_switch(Task& prev);
  bool is_cpumask_of(const abi::cpumask* mask, CpuId cpu) const {
    return !cpumasks_of.empty() && mask == cpumasks_of[static_cast<u32>(cpu)];
  }

  // affinity.cc
  void affine_move_task(Rq& rq, Task& p, CpuId dest, bool enabling);
  void complete_pending(AffinityPending& pending);
  void put_pending(AffinityPending& pending);
  Task& stopper_thread(CpuId cpu);
  void queue_stop_work(CpuId cpu, StopWork& work);
  void migration_stop(CpuId cpu, StopWork& work);
  void stop_work_done(StopWork& work);
  /// On a fiber: until `work` is done. Linux: stop_one_cpu().
  void stop_one_cpu(CpuId cpu, StopWork& work);
  void run_stop_works(CpuId cpu);

  // deadline_server.cc: all with the runqueue's lock held
  void dl_server_start(DlServer& server);
  void dl_server_stop(DlServer& server);
  void dl_server_update(DlServer& server, u64 delta_ns, bool idle);
  /// Its class may have tasks (has `nr_running`) from now on; may have none any more. False: tasks
  /// and other servers have the bandwidth.
  bool dl_server_attach(DlServer& server, u32 nr_running);
  void dl_server_detach(DlServer& server);
  void dl_enqueue(DlServer& server, bool replenish);
  void dl_replenish(DlServer& server);
  bool dl_start_timer(DlServer& server);

  // deadline_bandwidth.cc
  /// What a runqueue's CPU adds to `dl_bw`. `change` makes it another.
  DlBandwidth dl_bw_of(const Rq& rq) const;
  template <class Fn>
  void dl_bw_change(Rq& rq, Fn change) {
    dl_bw -= dl_bw_of(rq);
    change();
    dl_bw += dl_bw_of(rq);
  }
  /// Whether the active CPUs lack bandwidth for `new_bw` in place of `old_bw`. Linux:
  /// __dl_overflow().
  bool dl_bw_overflows(u64 old_bw, u64 new_bw);
  /// Whether the active CPUs but `cpu` lack what tasks have reserved. Linux: dl_bw_deactivate().
  bool dl_bw_needs(CpuId cpu);
  /// Admits, changes or lets go a task's reservation, as the policy it is about to have asks.
  /// EBUSY. Its runqueue's lock is held. Linux: sched_dl_overflow(), __setparam_dl().
  Result<void> dl_set_parameters(Task& p, int policy, const DlParameters& parameters);
  /// The task is not SCHED_DEADLINE any more, or dead. Linux: task_non_contending().
  void dl_release(Task& p);
  /// Those of servers and tasks: the kernel ends.
  void dl_cancel_timers();

  // fair_balance.cc
  /// Pulls one waiting fair task to `rq` from a CPU that has at least `margin` more; the lock is
  /// dropped and retaken. True where one came.
  bool pull_fair_task(Rq& rq, u32 margin);
  void periodic_balance(Rq& rq);

  // rcu.cc
  void rcu_start();
  void rcu_quiescent(CpuId cpu) {
    if (rcu.nr_pending != 0) report_quiescent(cpu);
  }
  void report_quiescent(CpuId cpu);
  void rcu_end();

  // lockup.cc
  /// Entries that cost a CPU this much are looked at when they end.
  static constexpr u64 kLongEntryNs = 5'000'000'000;
  /// What ends on `rq` is a long entry, or other CPUs may have run during it.
  void end_special_entry(Rq& rq);
  /// The entry that ends on `rq` keeps its CPU in the kernel for seconds to come.
  void note_long_entry(Rq& rq);
  /// How often the CPU's watchdog timer has gone off, which it does not in a long entry.
  u64 watchdog_interrupts(const Rq& rq) const;
  void rcu_watch_stalls();
  void rcu_check_stall();

  // nmi.cc
  /// An NMI on this CPU: each handler is asked, and traced. `counter_overflow` is what the counter
  /// of the machine's `pmu` does; null where it was not the counter's. Interrupt context, no locks.
  /// Linux: nmi_handle().
  void handle_nmi(Rq& rq, const std::function<void()>& counter_overflow);
  bool cpu_backtrace(Rq& rq);
  void trigger_all_cpu_backtrace();

  // nmi_watchdog.cc: of machines with performance counters
  /// From the tick, without locks: the detector's NMI, where it is time.
  void count_cycles(Rq& rq);
  /// The entry that ends is a long one, in which the detector's NMIs come all the same.
  void count_long_entry(Rq& rq);
  CycleCounter& cycle_counter(Rq& rq);

  void charge(u64 ns) {
    if (!in_entry || ns == 0) return;
    Kernel& kernel = k;
    kernel.this_rq().entry_charged_ns += ns;
    if (kernel.explored()) [[unlikely]]
      return kernel.machine_.charge(kernel.this_cpu_, Nanos{ns});
    untold_charge_ns += ns;
  }
  /// The same for what the runqueue's clock does not show. The machine hears the sum of an entry.
  void charge_unclocked(u64 ns) {
    if (in_entry && !k.explored()) {
      untold_charge_ns += ns;
    } else {
      k.machine_.charge(k.this_cpu_, Nanos{ns});
    }
  }
  /// Before the machine does what depends on it.
  void tell_charge() {
    if (untold_charge_ns != 0) tell_untold_charge();
  }
  void tell_untold_charge();
};

/// An entry from the machine: window, CPU, and need_resched handled by whoever opened it.
class KernelInternals {
 public:
  KernelInternals(Kernel& kernel, CpuId cpu)
      : kernel_(kernel), priv_(*kernel.private_), rq_(rq_of(kernel, cpu)) {
    USCX_ASSERT(!priv_.in_entry && kernel.fiber_ == nullptr);
    kernel.activate();
    priv_.in_entry = true;
    kernel.this_cpu_ = cpu;
    kernel.held_ = rq_.irq_held;
    USCX_ASSERT(!rq_.in_entry);
    rq_.in_entry = true;
    rq_.entry_charged_ns = 0;
  }
  [[gnu::always_inline]] ~KernelInternals() {
    USCX_ASSERT(kernel_.held_->empty() && kernel_.fiber_ == nullptr);
    priv_.tell_charge();
    priv_.in_entry = false;
    rq_.in_entry = false;
    if (rq_.entry_charged_ns >= Kernel::Private::kLongEntryNs || kernel_.explored()) [[unlikely]]
      priv_.end_special_entry(rq_);
  }
  KernelInternals(const KernelInternals&) = delete;
  KernelInternals& operator=(const KernelInternals&) = delete;
  Kernel::Private& priv() const { return priv_; }
  Rq& rq() const { return rq_; }
  /// For the classes: what the kernel keeps to itself.
  static Kernel::Private& of(Kernel& kernel) { return *kernel.private_; }

 private:
  static Rq& rq_of(Kernel& kernel, CpuId cpu) {
    USCX_ASSERT(static_cast<u32>(cpu) < kernel.nr_cpus());
    return kernel.rq(cpu);
  }

  Kernel& kernel_;
  Kernel::Private& priv_;
  Rq& rq_;
};

std::unique_ptr<SchedClass> make_fair_class(Kernel& kernel);
std::unique_ptr<SchedClass> make_rt_class(Kernel& kernel);
std::unique_ptr<SchedClass> make_idle_class(Kernel& kernel);
std::unique_ptr<SchedClass> make_deadline_class(Kernel& kernel);
std::unique_ptr<SchedClass> make_stop_class(Kernel& kernel);

/// Linux's sched_prio_to_weight, by static_prio - MAX_RT_PRIO.
u32 prio_to_weight(int index);
/// Sets se.load, through the class where it is to know. Linux: set_load_weight().
void set_load_weight(Kernel& kernel, Task& p, bool update_load);
int normal_prio(int policy, int rt_priority, int nice);
inline int task_nice(const Task& p) {
  return p.static_prio - DEFAULT_PRIO;
}
/// A kernel thread that belongs to one CPU; not one whose CPU went away (Cgroups::unbind_worker()).
/// Linux: kthread_is_per_cpu().
inline bool kthread_is_per_cpu(const Task& p) {
  return (p.flags & PF_KTHREAD) != 0 && (p.flags & PF_NO_SETAFFINITY) != 0 &&
         p.nr_cpus_allowed == 1;
}
inline bool rt_policy(int policy) {
  return policy == SCHED_FIFO || policy == SCHED_RR;
}
inline bool dl_policy(int policy) {
  return policy == SCHED_DEADLINE;
}
/// Of SCHED_DEADLINE tasks it is less than 0.
inline bool rt_prio(int prio) {
  return prio >= 0 && prio < MAX_RT_PRIO;
}
inline bool fair_policy(int policy) {
  return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE ||
         policy == SCHED_EXT;
}

}  // namespace uscx::sched
