// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>

#include "abi/abi.h"
#include "base/intrusive_list.h"
#include "base/lock.h"
#include "base/types.h"
#include "sched/machine.h"
#include "sched/task.h"
#include "sched/wait.h"

namespace uscx::sched {

namespace ext {
struct ExtRq;
}
struct DlRq;
struct FairRq;
struct RtRq;

extern const bpf::ObjectType kRqObject;

/// What a CPU has spent its time on, on its way to the per-CPU kernel_cpustat that programs see.
/// There it arrives with the tick, as in Linux, and where 4 ms have come together without one.
/// Under the runqueue's lock.
class CpuTimes {
 public:
  void publish_in(abi::kernel_cpustat* stat) { stat_ = stat; }
  void add(abi::cpu_usage_stat what, u64 ns) {
    unpublished_ns_[what <= abi::CPUTIME_SYSTEM ? u32{what} : kIdle] += ns;
    sum_ns_ += ns;
    if (sum_ns_ >= kLongestNs) [[unlikely]]
      publish();
  }
  void publish();

 private:
  static constexpr u32 kIdle = abi::CPUTIME_SYSTEM + 1;
  static constexpr u64 kLongestNs = 4'000'000;
  abi::kernel_cpustat* stat_ = nullptr;
  u64 sum_ns_ = 0;
  u64 unpublished_ns_[kIdle + 1] = {};
};

/// A CPU's runqueue: the struct that programs see, and what the core keeps behind it. It is the
/// per-CPU variable `runqueues`. Linux: struct rq.
struct Rq : abi::rq {
  explicit Rq(CpuId id);
  ~Rq();

  // What every entry touches comes first, line by line; see Task.
  CpuId id;
  bool online = true;         // cpu_online(): interrupts and per-CPU kernel threads are served
  bool active = true;         // cpu_active(): tasks may be placed here
  bool balance_push = false;  // going down: whoever else comes to run here is moved off
  bool need_resched = false;  // TIF_NEED_RESCHED of the current task
  bool resched_sent = false;  // an IPI is under way
  bool clock_valid = false;   // the clock was updated since the lock was taken
  bool tick_on = false;
  bool in_entry = false;   // this CPU is in a kernel entry: others see it in an explored run only
  bool in_nmi = false;     // an NMI is being handled here: in_nmi()
  bool nohz_full = false;  // its tick may stop while one task runs that needs none
  bool fair_server_active = false;  // DlServer::active of `dl`
  bool ext_server_active = false;
  u32 preempt_count = 0;  // of what runs here; schedule() waits for 0
  u32 nr_pinned = 0;      // tasks that have their migration disabled here
  // For who only wants to know whether there are any:
  u32 nr_rt = 0;    // tasks in `rt`
  u32 nr_dl = 0;    // tasks and servers in the queue of `dl`
  RankedLock lock;  // protects all of it; two are taken in the order of their CPUs

  HeldLocks* irq_held = nullptr;  // locks of this CPU's interrupt and schedule() paths; in a plain
                                  // run, in which none is left in the middle, all CPUs have one
  u64 entry_charged_ns = 0;       // what the entry in progress, or the last one, has cost this CPU
  SchedClass* next_klass = nullptr;  // rq->next_class: the highest class known to be runnable here
  ext::ExtRq* ext = nullptr;
  DlRq* dl = nullptr;
  u64 busy_ns = 0;         // running something other than idle, up to the last switch
  u64 switched_at_ns = 0;  // when `curr` was switched in
  u64 nr_schedules = 0;

  u64 preempted_at_ns = 0;  // the last instant at which an interrupt ended in schedule(),
  u32 preempted_count = 0;  // and how often it has
  CpuTimes times;

  IntrusiveList<Task, &Task::wake_node> wake_list;  // wakeups queued to this CPU (ttwu wakelist)
  u64 stuck_from_ns = 0;                            // an entry of many seconds began there
  u64 stuck_until_ns = 0;                           // and is not over before: see lockup.cc
  std::unique_ptr<HeldLocks> own_irq_held;
  std::shared_ptr<ext::ExtRq> ext_owner;  // shared only so that these types may be incomplete here
  std::shared_ptr<DlRq> dl_owner;
  std::shared_ptr<FairRq> fair;
  std::shared_ptr<RtRq> rt;
  std::unique_ptr<IrqWork> wake_work;  // runs wake_list
  WaitQueue hotplug_wait;              // who waits for the last task to leave

  Task* current() const { return Task::from(curr); }
  Task* idle_task() const { return Task::from(idle); }
};
static_assert(offsetof(abi::rq, nr_running) % 64 == 0 && sizeof(abi::rq) % 64 == 0);

}  // namespace uscx::sched
