// SPDX-License-Identifier: GPL-2.0-only
// sched_ext, as the rest of the kernel sees it. Linux: kernel/sched/ext/ext.h.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "sched/rq.h"
#include "sched/sched_class.h"

namespace uscx::sched {
class Kernel;
struct Rq;
struct Task;
struct Cgroup;
struct TaskGroup;
}  // namespace uscx::sched

namespace uscx::sched::ext {

struct Sched;

/// How the last scheduler ended; what ops.exit() was told.
struct ExitRecord {
  s32 kind = 0;  // SCX_EXIT_*; 0: none has ended
  s64 code = 0;
  std::string reason;
  std::string msg;
  std::string dump;
  std::string sched_name;
  Pid stalled_pid = 0;  // kind ERROR_STALL
};

/// The sched_ext part of a kernel: the class, the struct_ops type, the kfuncs. Owned by Kernel,
/// which calls the hooks below where Linux's core does.
class Ext {
 public:
  explicit Ext(Kernel& kernel);
  ~Ext();

  SchedClass& sched_class() const { return *klass_; }
  /// Registers struct_ops types, kfunc sets and filters with kernel.bpf(); once, at boot.
  void register_bpf();
  /// Runqueues exist: sets up each one's ext part and its local DSQ.
  void init_rqs();

  // Hooks of the core, as Linux's.
  bool enabled() const { return enabled_; }            // scx_enabled()
  bool switched_all() const { return switched_all_; }  // scx_switched_all()
  bool task_should_scx(int policy) const;
  int check_setscheduler(Task& p, int policy);  // 0 or positive errno
  void init_task_entity(Task& p);               // init_scx_entity()
  // fork: all four on the parent's fiber, may sleep.
  void pre_fork(Task& p);
  int fork(Task& p);  // 0 or positive errno
  void post_fork(Task& p);
  void cancel_fork(Task& p);
  void task_dead(Task& p);  // sched_ext_dead()
  void tick(Rq& rq);        // scx_tick(), from every tick
  // The kernel's watchdogs, in interrupt context without locks: scx_softlockup(), of the CPU that
  // was stuck, on it; scx_rcu_cpu_stall(), of the CPUs that a grace period waits for.
  void softlockup(Rq& rq, u64 seconds);
  void hardlockup(Rq& rq);
  void rcu_cpu_stall(const abi::cpumask& stalled);
  // CPU hotplug, on the CPU's own thread, with the hotplug lock held by whoever asked.
  void rq_activate(Rq& rq);    // scx_rq_activate()
  void rq_deactivate(Rq& rq);  // scx_rq_deactivate()
  void cpus_write_lock();
  void cpus_write_unlock();
  void cpus_read_lock();  // on a fiber: no CPU comes or goes
  void cpus_read_unlock();
  /// `idle` is what the CPU becomes. From the idle class's set_next and put_prev.
  /// scx_update_idle().
  void update_idle(Rq& rq, bool idle, bool do_notify) {
    if (enabled_) tell_idle(rq, idle, do_notify);
  }
  /// One CPU of both masks, another one each time. The position is this CPU's, whoever asks.
  /// nr_cpu_ids: none. Linux: cpumask_any_and_distribute().
  u32 any_and_distribute(const abi::cpumask& a, const abi::cpumask& b);
  bool allow_ttwu_queue(const Task& p) const;
  /// schedule() is over on this CPU and its lock dropped. Explored runs only.
  void schedule_done(Rq& rq);
  // Control groups. With cgroup_mutex: 0 or a positive errno. scx_tg_online(), scx_tg_offline().
  int tg_online(TaskGroup& tg);
  void tg_offline(TaskGroup& tg);
  /// With cgroup_mutex, before tasks move to `to`; the one place that may refuse.
  /// scx_cgroup_can_attach().
  int cgroup_can_attach(std::span<Task* const> tasks, Cgroup& to);
  /// With p's runqueue locked and p off it: it is in its new group. scx_cgroup_move_task().
  void cgroup_move_task(Task& p);
  // On a fiber, without cgroup_mutex. scx_group_set_weight() and so on.
  void group_set_weight(TaskGroup& tg, u32 weight);
  void group_set_idle(TaskGroup& tg, bool idle);
  void group_set_bandwidth(TaskGroup& tg, u64 period_us, u64 quota_us, u64 burst_us);
  bool can_stop_tick(Rq& rq);
  /// scx_rq_clock_update()
  void rq_clock_updated(Rq& rq) {
    if (!enabled_) return;
    rq.scx.clock = rq.clock;
    rq.scx.flags |= abi::SCX_RQ_CLK_VALID;
  }
  /// scx_rq_clock_invalidate()
  void rq_unlocked(Rq& rq) {
    if (enabled_) rq.scx.flags &= ~static_cast<u32>(abi::SCX_RQ_CLK_VALID);
  }

  // For observers and the command.
  const char* state() const;  // "disabled", ...
  u64 enable_seq() const;
  u64 hotplug_seq() const;
  u64 nr_rejected() const;
  std::string root_ops_name() const;  // empty: none
  std::vector<std::pair<std::string, s64>> events() const;
  const ExitRecord& last_exit() const;
  u64 nr_callbacks() const;
  /// Which queue a task waits in, for people: "local DSQ of CPU 3", "DSQ 0x1", "the BPF scheduler".
  std::string where_queued(const Task& p) const;
  /// A program broke a rule the verifier would have held it to: ejects its scheduler.
  void program_fault(std::string_view text);

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  friend struct Impl;
  void tell_idle(Rq& rq, bool idle, bool do_notify);
  // Static keys in Linux: looked at on every path of the core.
  bool enabled_ = false;       // __scx_enabled
  bool switched_all_ = false;  // __scx_switched_all
  SchedClass* klass_;          // impl_'s
  std::unique_ptr<Impl> impl_;
};

}  // namespace uscx::sched::ext
