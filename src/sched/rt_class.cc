// SPDX-License-Identifier: GPL-2.0-only
// SCHED_FIFO and SCHED_RR: strict priorities, the running task at the head of its list.
#include "base/bitmap.h"
#include "sched/classes.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

class RtClass final : public SchedClass {
 public:
  explicit RtClass(Kernel& kernel)
      : SchedClass(3), k_(kernel), rr_slice_(kernel.config().hz / 10) {}
  std::string_view name() const override { return "rt_sched_class"; }

  void enqueue_task(Rq& rq, Task& p, int flags) override {
    auto& list = rq.rt->queue.at(static_cast<u32>(p.prio));
    if ((flags & ENQUEUE_HEAD) != 0) {
      list.push_front(p);
    } else {
      list.push_back(p);
    }
    bitmap::set(rq.rt->bits.data(), static_cast<u32>(p.prio));
    p.rt.on_rq = p.rt.on_list = 1;
    if (++rq.nr_rt == 2) ++nr_overloaded_;
    ++rq.nr_running;
  }

  bool dequeue_task(Rq& rq, Task& p, int) override {
    if (k_.task_current(rq, p)) update_curr(rq);
    auto& list = rq.rt->queue.at(static_cast<u32>(p.prio));
    list.erase(p);
    if (list.empty()) bitmap::clear(rq.rt->bits.data(), static_cast<u32>(p.prio));
    p.rt.on_rq = p.rt.on_list = 0;
    if (--rq.nr_rt == 1) --nr_overloaded_;
    --rq.nr_running;
    return true;
  }

  void yield_task(Rq& rq) override { requeue(rq, *rq.current()); }

  void wakeup_preempt(Rq& rq, Task& p, int) override {
    if (p.klass == this && p.prio < rq.current()->prio) k_.resched_curr(rq);
  }

  Pick pick_task(Rq& rq, Task& prev) override {
    u32 prio = MAX_RT_PRIO;
    if (rq.nr_rt != 0) prio = bitmap::first(rq.rt->bits.data(), MAX_RT_PRIO);
    // Something less urgent than before is about to run here: whoever waits elsewhere may come.
    if (nr_overloaded_ != 0 && prev.klass == this && static_cast<int>(prio) > prev.prio) pull(rq);
    return {.task = prio == MAX_RT_PRIO ? nullptr : rq.rt->queue[prio].front()};
  }

  void put_prev_task(Rq& rq, Task&, Task*) override { update_curr(rq); }
  void set_next_task(Rq& rq, Task& p, bool first) override {
    p.se.exec_start = rq.clock_task;
    if (first && rq.nr_rt > 1) queue_push(rq);
  }

  /// It woke where it cannot run at once: it may run elsewhere. Linux: task_woken_rt().
  void task_woken(Rq& rq, Task& p) override {
    const Task& curr = *rq.current();
    if (&curr != &p && !rq.need_resched && p.nr_cpus_allowed > 1 && curr.klass == this &&
        (curr.nr_cpus_allowed < 2 || curr.prio <= p.prio)) {
      queue_push(rq);
    }
  }

  CpuId select_task_rq(Task& p, CpuId prev_cpu, int) override {
    const Task& running = *k_.rq(prev_cpu).current();
    if (k_.is_cpu_allowed(p, prev_cpu) && running.klass != this) return prev_cpu;
    return find_lowest(p, prev_cpu);
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
  struct PushWork final : IrqWork {
    PushWork(RtClass& c, CpuId where) : klass(c), cpu(where) {}
    void run(Kernel& kernel) override { klass.push(kernel.rq(cpu)); }
    RtClass& klass;
    CpuId cpu;
  };

  /// Where `p` would run at once: an idle CPU, or else the one running the least urgent task;
  /// `otherwise` where there is none. Linux: find_lowest_rq().
  CpuId find_lowest(const Task& p, CpuId otherwise) {
    CpuId best = otherwise;
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

  /// Pushing drops the runqueue's lock, so it is done once the caller is through (Linux: balance
  /// callbacks).
  void queue_push(Rq& rq) {
    auto& work = rq.rt->push_work;
    if (!work) work = std::make_unique<PushWork>(*this, rq.id);
    k_.machine().queue_irq_work(*work, rq.id);
  }

  /// Asks every CPU where one of ours waits to push it. Linux: pull_rt_task() with RT_PUSH_IPI.
  void pull(Rq& here) {
    for (u32 i = 0; i < k_.nr_cpus(); ++i) {
      Rq& other = k_.rq(static_cast<CpuId>(i));
      if (&other != &here && other.nr_rt > 1) queue_push(other);
    }
  }

  /// The most urgent task that waits here and may go elsewhere.
  Task* pushable(Rq& rq) {
    for (u32 prio = 0; (prio = bitmap::next(rq.rt->bits.data(), MAX_RT_PRIO, prio)) < MAX_RT_PRIO;
         ++prio) {
      auto& list = rq.rt->queue[prio];
      for (Task* p = list.front(); p != nullptr; p = list.next(*p)) {
        if (!k_.task_current(rq, *p) && p->nr_cpus_allowed > 1 && p->migration_disabled == 0) {
          return p;
        }
      }
    }
    return nullptr;
  }

  /// In interrupt context, without locks. Linux: push_rt_tasks().
  void push(Rq& rq) {
    k_.rq_lock(rq);
    k_.update_rq_clock(rq);
    while (rq.nr_rt > 1) {
      Task* p = pushable(rq);
      if (p == nullptr) break;
      if (p->prio < rq.current()->prio) {
        k_.resched_curr(rq);
        break;
      }
      const CpuId to = find_lowest(*p, rq.id);
      if (to == rq.id) break;
      Rq& there = k_.move_queued_task(rq, *p, to);
      k_.rq_unlock(there);
      k_.rq_lock(rq);
      k_.update_rq_clock(rq);
    }
    k_.rq_unlock(rq);
  }

  void requeue(Rq& rq, Task& p) {
    auto& list = rq.rt->queue.at(static_cast<u32>(p.prio));
    list.erase(p);
    list.push_back(p);
  }

  Kernel& k_;
  u32 rr_slice_;           // ticks; 100 ms
  u32 nr_overloaded_ = 0;  // runqueues with a task of ours that waits
};

}  // namespace

std::unique_ptr<SchedClass> make_rt_class(Kernel& kernel) {
  return std::make_unique<RtClass>(kernel);
}

}  // namespace uscx::sched
