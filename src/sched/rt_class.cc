// SPDX-License-Identifier: GPL-2.0-only
// SCHED_FIFO and SCHED_RR: strict priorities, the running task at the head of its list.
#include "base/bitmap.h"
#include "sched/classes.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

class RtClass final : public SchedClass {
 public:
  explicit RtClass(Kernel& kernel) : k_(kernel), rr_slice_(kernel.config().hz / 10) {}
  std::string_view name() const override { return "rt_sched_class"; }
  int rank() const override { return 3; }

  void enqueue_task(Rq& rq, Task& p, int flags) override {
    auto& list = rq.rt->queue.at(static_cast<u32>(p.prio));
    if ((flags & ENQUEUE_HEAD) != 0) {
      list.push_front(p);
    } else {
      list.push_back(p);
    }
    bitmap::set(rq.rt->bits.data(), static_cast<u32>(p.prio));
    p.rt.on_rq = p.rt.on_list = 1;
    ++rq.nr_rt;
    ++rq.nr_running;
  }

  bool dequeue_task(Rq& rq, Task& p, int) override {
    if (k_.task_current(rq, p)) update_curr(rq);
    auto& list = rq.rt->queue.at(static_cast<u32>(p.prio));
    list.erase(p);
    if (list.empty()) bitmap::clear(rq.rt->bits.data(), static_cast<u32>(p.prio));
    p.rt.on_rq = p.rt.on_list = 0;
    --rq.nr_rt;
    --rq.nr_running;
    return true;
  }

  void yield_task(Rq& rq) override { requeue(rq, *rq.current()); }

  void wakeup_preempt(Rq& rq, Task& p, int) override {
    if (p.klass == this && p.prio < rq.current()->prio) k_.resched_curr(rq);
  }

  Pick pick_task(Rq& rq, Task&) override {
    if (rq.nr_rt == 0) return {};
    const u32 prio = bitmap::first(rq.rt->bits.data(), MAX_RT_PRIO);
    return {.task = rq.rt->queue[prio].front()};
  }

  void put_prev_task(Rq& rq, Task&, Task*) override { update_curr(rq); }
  void set_next_task(Rq& rq, Task& p, bool) override { p.se.exec_start = rq.clock_task; }

  CpuId select_task_rq(Task& p, CpuId prev_cpu, int) override {
    const Task& running = *k_.rq(prev_cpu).current();
    if (k_.is_cpu_allowed(p, prev_cpu) && running.klass != this) return prev_cpu;
    // Where it would run at once: an idle CPU, or else the one running the least urgent task.
    CpuId best = prev_cpu;
    int best_prio = p.prio;
    for (u32 i = 0; i < k_.nr_cpus(); ++i) {
      const CpuId cpu = static_cast<CpuId>(i);
      if (!k_.is_cpu_allowed(p, cpu)) continue;
      const int prio = k_.idle_cpu(cpu) ? MAX_PRIO : k_.rq(cpu).current()->prio;
      if (prio > best_prio) {
        best = cpu;
        best_prio = prio;
      }
    }
    return best;
  }

  void set_cpus_allowed(Task& p, const abi::cpumask* mask) override {
    k_.set_cpus_allowed_common(p, mask);
  }

  void task_tick(Rq& rq, Task& p, bool) override {
    update_curr(rq);
    if (p.policy != static_cast<u32>(SCHED_RR) || --p.rt.time_slice > 0) return;
    p.rt.time_slice = rr_slice_;
    if (rq.rt->queue.at(static_cast<u32>(p.prio)).size() == 1) return;
    requeue(rq, p);
    k_.resched_curr(rq);
  }

  void switched_to(Rq& rq, Task& p) override {
    if (p.on_rq_queued() && !k_.task_current(rq, p) && p.prio < rq.current()->prio) {
      k_.resched_curr(rq);
    }
  }

  void prio_changed(Rq& rq, Task& p, int old_prio) override {
    if (!p.on_rq_queued() || p.prio == old_prio) return;
    if (k_.task_current(rq, p)) {
      const u32 highest = bitmap::first(rq.rt->bits.data(), MAX_RT_PRIO);
      if (static_cast<int>(highest) < p.prio) k_.resched_curr(rq);
    } else if (p.prio < rq.current()->prio) {
      k_.resched_curr(rq);
    }
  }

  void update_curr(Rq& rq) override { k_.update_curr_common(rq); }

 private:
  void requeue(Rq& rq, Task& p) {
    auto& list = rq.rt->queue.at(static_cast<u32>(p.prio));
    list.erase(p);
    list.push_back(p);
  }

  Kernel& k_;
  u32 rr_slice_;  // ticks; 100 ms
};

}  // namespace

std::unique_ptr<SchedClass> make_rt_class(Kernel& kernel) {
  return std::make_unique<RtClass>(kernel);
}

}  // namespace uscx::sched
