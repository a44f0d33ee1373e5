// SPDX-License-Identifier: GPL-2.0-only
// The idle class (what runs when nothing does) and the stop class (what nothing can preempt).
#include "sched/deadline.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

class IdleClass final : public SchedClass {
 public:
  explicit IdleClass(Kernel& kernel) : SchedClass(0), k_(kernel) {}
  std::string_view name() const override { return "idle_sched_class"; }

  void enqueue_task(Rq&, Task&, int) override { USCX_ASSERT(!"an idle task is never queued"); }
  bool dequeue_task(Rq&, Task&, int) override {
    USCX_ASSERT(!"an idle task never sleeps");
    __builtin_unreachable();
  }
  void wakeup_preempt(Rq& rq, Task&, int) override { k_.resched_curr(rq); }
  Pick pick_task(Rq& rq, Task&) override {
    // Only idle to idle: set_next_task() reports the real transitions.
    if (k_.ext().enabled() && rq.current()->is_idle()) k_.ext().update_idle(rq, true, false);
    return {.task = rq.idle_task()};
  }
  void put_prev_task(Rq& rq, Task&, Task*) override {
    update_curr(rq);
    k_.ext().update_idle(rq, false, true);
  }
  void set_next_task(Rq& rq, Task& next, bool) override {
    k_.ext().update_idle(rq, true, true);
    next.se.exec_start = rq.clock_task;
  }
  CpuId select_task_rq(Task& p, CpuId, int) override { return p.cpu; }
  void set_cpus_allowed(Task& p, const abi::cpumask* mask) override {
    k_.set_cpus_allowed_common(p, mask);
  }
  void task_tick(Rq& rq, Task&, bool) override { update_curr(rq); }
  /// Idle time is time that the servers' classes could have had. Linux: update_curr_idle().
  void update_curr(Rq& rq) override {
    abi::u64& since = rq.idle_task()->se.exec_start;
    if (rq.clock_task <= since) return;
    const u64 delta_ns = rq.clock_task - since;
    since = rq.clock_task;
    Kernel::Private& priv = KernelInternals::of(k_);
    if (rq.fair_server_active) priv.dl_server_update(rq.dl->fair, delta_ns, true);
    if (rq.ext_server_active) priv.dl_server_update(rq.dl->ext, delta_ns, true);
  }

 private:
  Kernel& k_;
};

class StopClass final : public SchedClass {
 public:
  explicit StopClass(Kernel& kernel) : SchedClass(5), k_(kernel) {}
  std::string_view name() const override { return "stop_sched_class"; }

  void enqueue_task(Rq& rq, Task&, int) override { ++rq.nr_running; }
  bool dequeue_task(Rq& rq, Task&, int) override {
    --rq.nr_running;
    return true;
  }
  void wakeup_preempt(Rq&, Task&, int) override {}
  Pick pick_task(Rq& rq, Task&) override {
    Task* stop = rq.stop ? Task::from(rq.stop) : nullptr;
    return {.task = stop && stop->on_rq_queued() ? stop : nullptr};
  }
  void put_prev_task(Rq& rq, Task&, Task*) override { update_curr(rq); }
  void set_next_task(Rq& rq, Task& p, bool) override { p.se.exec_start = rq.clock_task; }
  CpuId select_task_rq(Task& p, CpuId, int) override { return p.cpu; }
  void set_cpus_allowed(Task& p, const abi::cpumask* mask) override {
    k_.set_cpus_allowed_common(p, mask);
  }
  void task_tick(Rq&, Task&, bool) override {}
  void update_curr(Rq& rq) override { k_.update_curr_common(rq); }

 private:
  Kernel& k_;
};

}  // namespace

std::unique_ptr<SchedClass> make_idle_class(Kernel& kernel) {
  return std::make_unique<IdleClass>(kernel);
}

std::unique_ptr<SchedClass> make_stop_class(Kernel& kernel) {
  return std::make_unique<StopClass>(kernel);
}

}  // namespace uscx::sched
