// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "abi/abi.h"
#include "base/types.h"

namespace uscx::sched {

class Kernel;
struct Rq;
struct Task;

/// A scheduling class. The core asks them in order of rank: stop, dl, rt, fair, ext, idle. Unless
/// said otherwise every call has the runqueue's lock held. Linux: struct sched_class (of 7.3).
class SchedClass {
 public:
  explicit SchedClass(int rank) : rank_(rank) {}
  virtual ~SchedClass() = default;
  /// What p->sched_class of its tasks holds.
  abi::sched_class* address = nullptr;
  virtual std::string_view name() const = 0;  // "ext_sched_class"
  /// Higher runs first: idle 0, ext 1, fair 2, rt 3, dl 4, stop 5.
  int rank() const { return rank_; }

  virtual void enqueue_task(Rq& rq, Task& p, int flags) = 0;
  virtual bool dequeue_task(Rq& rq, Task& p, int flags) = 0;
  virtual void yield_task(Rq&) {}
  virtual bool yield_to_task(Rq&, Task&) { return false; }
  /// `p` became runnable while a task of this class runs: resched_curr() where p should go first.
  virtual void wakeup_preempt(Rq& rq, Task& p, int flags) = 0;
  /// What picking gives: a task, nothing here, or that the lock was dropped and a task of a higher
  /// class may have come: pick again (RETRY_TASK).
  struct Pick {
    Task* task = nullptr;
    bool retry = false;
  };
  /// The best task of this class, or none; does not change who runs. May drop and retake the lock.
  virtual Pick pick_task(Rq& rq, Task& prev) = 0;
  /// The same for the class's deadline server, which runs it whatever waits above.
  virtual Pick server_pick_task(Rq& rq, Task& prev) { return pick_task(rq, prev); }
  virtual void put_prev_task(Rq& rq, Task& p, Task* next) = 0;
  virtual void set_next_task(Rq& rq, Task& p, bool first) = 0;
  /// Which CPU `p` should wake on. pi_lock held, no rq lock.
  virtual CpuId select_task_rq(Task& p, CpuId prev_cpu, int flags) = 0;
  virtual void task_woken(Rq&, Task&) {}
  /// The affinity changes to `new_mask`; p is not queued and not running. Must end in
  /// Kernel::set_cpus_allowed_common().
  virtual void set_cpus_allowed(Task& p, const abi::cpumask* new_mask) = 0;
  virtual void rq_online(Rq&) {}
  virtual void rq_offline(Rq&) {}
  virtual void task_tick(Rq& rq, Task& p, bool queued) = 0;
  virtual void task_fork(Task&) {}
  virtual void task_dead(Task&) {}
  virtual void switching_from(Rq&, Task&) {}
  virtual void switched_from(Rq&, Task&) {}
  virtual void switching_to(Rq&, Task&) {}
  virtual void switched_to(Rq&, Task&) {}
  virtual void reweight_task(Rq&, Task&, u32 weight) { static_cast<void>(weight); }
  virtual void prio_changed(Rq&, Task&, int old_prio) { static_cast<void>(old_prio); }
  virtual void update_curr(Rq& rq) = 0;

 private:
  const int rank_;
};

}  // namespace uscx::sched
