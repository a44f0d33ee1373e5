// SPDX-License-Identifier: GPL-2.0-only
// SCHED_DEADLINE: the task whose deadline is first, each in its reservation. The class's queue has
// the servers of other classes, too.
#include <algorithm>

#include "sched/deadline.h"
#include "sched/private.h"

namespace uscx::sched {

void DlRq::insert(DlEntity& entity) {
  entity.queued = true;
  const auto earlier = [](const DlEntity* a, const DlEntity* b) {
    return dl_before(a->deadline_ns, b->deadline_ns);
  };
  queue.insert(std::upper_bound(queue.begin(), queue.end(), &entity, earlier), &entity);
  ++fair.rq.nr_dl;
}

void DlRq::erase(DlEntity& entity) {
  entity.queued = false;
  std::erase(queue, &entity);
  --fair.rq.nr_dl;
}

namespace {

constexpr s64 kLeastHrtickNs = 10'000;

class DeadlineClass final : public SchedClass {
 public:
  explicit DeadlineClass(Kernel& kernel) : SchedClass(4), k_(kernel) {}
  std::string_view name() const override { return "dl_sched_class"; }

  void enqueue_task(Rq& rq, Task& p, int flags) override {
    DlTask& s = *p.dl;
    if (!s.throttled && !s.implicit()) check_constrained(rq, s);
    // Its timer will bring it back.
    if (s.throttled && (flags & ENQUEUE_REPLENISH) == 0) return;
    if ((flags & ENQUEUE_REPLENISH) != 0) {
      replenish(s, rq.clock);
    } else if ((flags & ENQUEUE_WAKEUP) != 0) {
      update_at_wakeup(s, rq.clock);
    } else if ((flags & ENQUEUE_MOVE) != 0 && dl_before(s.deadline_ns, rq.clock)) {
      new_period(s, rq.clock);
    }
    insert(rq, s);
  }

  bool dequeue_task(Rq& rq, Task& p, int) override {
    if (k_.task_current(rq, p)) update_curr(rq);
    if (p.dl->queued) remove(rq, *p.dl);
    return true;
  }

  /// Off the CPU until its next period. Linux: yield_task_dl().
  void yield_task(Rq& rq) override {
    rq.current()->dl->yielded = true;
    k_.update_rq_clock(rq);
    update_curr(rq);
  }

  void wakeup_preempt(Rq& rq, Task& p, int) override {
    const Task& curr = *rq.current();
    if (p.klass != this || curr.klass != this) return;
    if (earlier(p, curr)) return k_.resched_curr(rq);
    const bool equal = p.dl->deadline_ns == curr.dl->deadline_ns;
    // Of two equals the one that can go elsewhere goes.
    if (equal && !rq.need_resched && find_later(curr) != kNoCpu && find_later(p) == kNoCpu) {
      k_.resched_curr(rq);
    }
  }

  /// The most urgent: a task, or that of a server that has one, which stays of its own class.
  Pick pick_task(Rq& rq, Task& prev) override {
    if (nr_overloaded_ != 0 && prev.klass == this && !prev.dl->queued) pull(rq);
    while (DlEntity* first = rq.dl->first()) {
      if (first->task != nullptr) return {.task = first->task};
      auto& server = static_cast<DlServer&>(*first);
      const Pick pick = server.klass.server_pick_task(rq, prev);
      if (pick.retry || pick.task != nullptr) return pick;
      KernelInternals::of(k_).dl_server_stop(server);
    }
    return {};
  }

  void put_prev_task(Rq& rq, Task&, Task*) override {
    update_curr(rq);
    k_.machine().timer_cancel(rq.dl->hrtick);
  }

  void set_next_task(Rq& rq, Task& p, bool first) override {
    p.se.exec_start = rq.clock_task;
    if (!first) return;
    if (rq.dl->nr_tasks > 1) queue_push(rq);
    start_hrtick(rq, *p.dl);
  }

  void task_tick(Rq& rq, Task& p, bool queued) override {
    update_curr(rq);
    const DlTask& s = *p.dl;
    if (queued && s.runtime_ns > 0 && rq.dl->first() == &s) start_hrtick(rq, s);
  }

  /// Where it would not run at once it may go elsewhere. Linux: select_task_rq_dl().
  CpuId select_task_rq(Task& p, CpuId prev_cpu, int flags) override {
    if ((flags & WF_TTWU) == 0) return prev_cpu;
    const Task& curr = *k_.rq(prev_cpu).current();
    if (curr.klass != this || p.nr_cpus_allowed < 2) return prev_cpu;
    if (curr.nr_cpus_allowed >= 2 && earlier(p, curr)) return prev_cpu;
    const CpuId to = find_later(p);
    return to != kNoCpu && is_earliest(p, k_.rq(to)) ? to : prev_cpu;
  }

  /// Linux: task_woken_dl().
  void task_woken(Rq& rq, Task& p) override {
    const Task& curr = *rq.current();
    if (&curr != &p && !rq.need_resched && p.nr_cpus_allowed > 1 && curr.klass == this &&
        (curr.nr_cpus_allowed < 2 || !earlier(p, curr))) {
      queue_push(rq);
    }
  }

  void set_cpus_allowed(Task& p, const abi::cpumask* mask) override {
    k_.set_cpus_allowed_common(p, mask);
  }

  void switched_from(Rq& rq, Task& p) override {
    if (k_.task_current(rq, p)) k_.machine().timer_cancel(rq.dl->hrtick);
    KernelInternals::of(k_).dl_release(p);
    if (p.on_rq_queued() && rq.dl->nr_tasks == 0 && nr_overloaded_ != 0) pull(rq);
  }

  void switched_to(Rq& rq, Task& p) override {
    k_.machine().timer_cancel(p.dl->inactive);
    std::erase(KernelInternals::of(k_).dl_inactive, p.dl);
    if (!p.on_rq_queued() || k_.task_current(rq, p)) return;
    if (p.nr_cpus_allowed > 1 && rq.dl->nr_tasks > 1) queue_push(rq);
    if (rq.current()->klass == this) {
      wakeup_preempt(rq, p, 0);
    } else {
      k_.resched_curr(rq);
    }
  }

  void task_dead(Task& p) override { KernelInternals::of(k_).dl_release(p); }

  /// Throttles the running task where its runtime is used up. Linux: update_curr_dl().
  void update_curr(Rq& rq) override {
    Task& p = *rq.current();
    if (p.klass != this || !p.dl->queued) return;
    DlTask& s = *p.dl;
    const u64 delta_ns = k_.update_curr_common(rq);
    const u64 capacity = k_.machine().topology().cpus[static_cast<u32>(rq.id)].capacity;
    s.runtime_ns -= static_cast<s64>(delta_ns * capacity / 1024);
    if (s.runtime_ns > 0 && !s.yielded) return;
    s.throttled = true;
    remove(rq, s);
    if (!start_timer(rq, s)) enqueue_task(rq, p, ENQUEUE_REPLENISH);
    if (rq.dl->first() != &s) k_.resched_curr(rq);
  }

  /// The replenishment timer. Linux: dl_task_timer().
  void replenish_timer(DlTask& s) {
    Task& p = *s.task;
    Rq* rq = &k_.task_rq_lock(p);
    if (p.klass != this || !s.throttled) return k_.task_rq_unlock(*rq, p);
    k_.update_rq_clock(*rq);
    if (!p.on_rq_queued()) {
      // It sleeps: its wakeup queues it.
      replenish(s, rq->clock);
      return k_.task_rq_unlock(*rq, p);
    }
    if (!rq->active && !k_.task_current(*rq, p)) rq = &leave_offline(*rq, p);
    enqueue_task(*rq, p, ENQUEUE_REPLENISH);
    if (rq->current()->klass == this) {
      wakeup_preempt(*rq, p, 0);
    } else {
      k_.resched_curr(*rq);
    }
    if (rq->dl->nr_tasks > 1) queue_push(*rq);
    k_.task_rq_unlock(*rq, p);
  }

 private:
  struct PushWork final : IrqWork {
    PushWork(DeadlineClass& c, CpuId where) : klass(c), cpu(where) {}
    void run(Kernel& kernel) override { klass.push(kernel.rq(cpu)); }
    DeadlineClass& klass;
    CpuId cpu;
  };

  static bool earlier(const Task& a, const Task& b) {
    return dl_before(a.dl->deadline_ns, b.dl->deadline_ns);
  }

  // --- the queue, with the runqueue's lock

  void insert(Rq& rq, DlTask& s) {
    rq.dl->insert(s);
    if (++rq.dl->nr_tasks == 2) ++nr_overloaded_;
    ++rq.nr_running;
  }

  void remove(Rq& rq, DlTask& s) {
    rq.dl->erase(s);
    if (--rq.dl->nr_tasks == 1) --nr_overloaded_;
    --rq.nr_running;
  }

  // --- a constant bandwidth server's rules

  static void new_period(DlTask& s, u64 now_ns) {
    s.deadline_ns = now_ns + s.parameters.deadline_ns;
    s.runtime_ns = static_cast<s64>(s.parameters.runtime_ns);
  }

  static void replenish(DlTask& s, u64 now_ns) {
    if (s.yielded && s.runtime_ns > 0) s.runtime_ns = 0;
    while (s.runtime_ns <= 0) {
      s.deadline_ns += s.parameters.period_ns;
      s.runtime_ns += static_cast<s64>(s.parameters.runtime_ns);
    }
    if (dl_before(s.deadline_ns, now_ns)) new_period(s, now_ns);
    s.yielded = s.throttled = false;
  }

  /// Linux: update_dl_entity(), and update_dl_revised_wakeup() where the deadline is before the
  /// period's end.
  static void update_at_wakeup(DlTask& s, u64 now_ns) {
    const bool past = dl_before(s.deadline_ns, now_ns);
    const DlParameters& par = s.parameters;
    if (!past && !dl_overflows(s, now_ns, par.deadline_ns, par.runtime_ns)) return;
    if (past || s.implicit()) return new_period(s, now_ns);
    const u64 density = dl_bandwidth(par.deadline_ns, par.runtime_ns);
    s.runtime_ns = static_cast<s64>((density * (s.deadline_ns - now_ns)) >> 20);
  }

  /// One with a deadline before its period's end that wakes between the two waits for the next
  /// period. Linux: dl_check_constrained_dl().
  void check_constrained(Rq& rq, DlTask& s) {
    if (!dl_before(s.deadline_ns, rq.clock) || !dl_before(rq.clock, s.next_period_ns())) return;
    if (!start_timer(rq, s)) return;
    s.throttled = true;
    if (s.runtime_ns > 0) s.runtime_ns = 0;
  }

  /// False where the next period has begun.
  bool start_timer(Rq& rq, DlTask& s) {
    const u64 at = s.next_period_ns();
    if (dl_before(at, k_.now().ns)) return false;
    if (!s.armed()) k_.machine().timer_start(s, Nanos{at}, rq.id);
    return true;
  }

  void start_hrtick(Rq& rq, const DlTask& s) {
    const s64 in_ns = std::max(s.runtime_ns, kLeastHrtickNs);
    k_.machine().timer_start(rq.dl->hrtick, k_.now() + Nanos{static_cast<u64>(in_ns)}, rq.id);
  }

  // --- where tasks go

  /// Whether `p` would be the first of the deadline tasks there.
  bool is_earliest(const Task& p, const Rq& rq) const {
    for (const DlEntity* e : rq.dl->queue) {
      if (e->task != nullptr) return dl_before(p.dl->deadline_ns, e->deadline_ns);
    }
    return true;
  }

  /// A CPU without deadline tasks, its own before others; or else the one whose first is the
  /// latest, where that is later than `p`; kNoCpu: none. Linux: find_later_rq(), cpudl_find().
  CpuId find_later(const Task& p) {
    if (p.nr_cpus_allowed < 2) return kNoCpu;
    CpuId best = kNoCpu;
    u64 best_ns = p.dl->deadline_ns;
    bool free = false;
    for (u32 i = 0; i < k_.nr_cpus(); ++i) {
      const CpuId cpu = static_cast<CpuId>(i);
      const Rq& rq = k_.rq(cpu);
      if (!k_.is_cpu_allowed(p, cpu)) continue;
      if (rq.dl->nr_tasks == 0) {
        if (!free || cpu == p.cpu) best = cpu;
        free = true;
      } else if (!free && rq.current()->klass == this &&
                 dl_before(best_ns, rq.current()->dl->deadline_ns)) {
        best = cpu;
        best_ns = rq.current()->dl->deadline_ns;
      }
    }
    return best;
  }

  /// Pushing drops the runqueue's lock, so it is done once the caller is through (Linux: balance
  /// callbacks).
  void queue_push(Rq& rq) {
    auto& work = rq.dl->push_work;
    if (!work) work = std::make_unique<PushWork>(*this, rq.id);
    k_.machine().queue_irq_work(*work, rq.id);
  }

  void pull(Rq& here) {
    for (u32 i = 0; i < k_.nr_cpus(); ++i) {
      Rq& other = k_.rq(static_cast<CpuId>(i));
      if (&other != &here && other.dl->nr_tasks > 1) queue_push(other);
    }
  }

  /// The first that waits here and may go elsewhere.
  Task* pushable(Rq& rq) {
    for (const DlEntity* e : rq.dl->queue) {
      Task* p = e->task;
      if (p == nullptr || k_.task_current(rq, *p)) continue;
      if (p->nr_cpus_allowed > 1 && p->migration_disabled == 0) return p;
    }
    return nullptr;
  }

  /// In interrupt context, without locks. Linux: push_dl_tasks().
  void push(Rq& rq) {
    k_.rq_lock(rq);
    k_.update_rq_clock(rq);
    while (rq.dl->nr_tasks > 1) {
      Task* p = pushable(rq);
      if (p == nullptr) break;
      const Task& curr = *rq.current();
      if (curr.klass == this && earlier(*p, curr) && curr.nr_cpus_allowed > 1) {
        k_.resched_curr(rq);
        break;
      }
      const CpuId to = find_later(*p);
      if (to == kNoCpu || to == rq.id || !is_earliest(*p, k_.rq(to))) break;
      Rq& there = k_.move_queued_task(rq, *p, to);
      k_.rq_unlock(there);
      k_.rq_lock(rq);
      k_.update_rq_clock(rq);
    }
    k_.rq_unlock(rq);
  }

  /// With both locks of `p`; returns its new runqueue, locked. Linux: dl_task_offline_migration().
  Rq& leave_offline(Rq& rq, Task& p) {
    CpuId to = find_later(p);
    if (to == kNoCpu) to = k_.select_fallback_rq(rq.id, p);
    return k_.move_queued_task(rq, p, to);
  }

  Kernel& k_;
  u32 nr_overloaded_ = 0;  // runqueues with a task of ours that waits
};

}  // namespace

void DlTask::fired(Kernel& kernel) {
  static_cast<DeadlineClass&>(kernel.dl_class()).replenish_timer(*this);
}

void DlRq::Hrtick::fired(Kernel& kernel) {
  kernel.rq_lock(rq);
  kernel.update_rq_clock(rq);
  rq.current()->klass->task_tick(rq, *rq.current(), true);
  kernel.rq_unlock(rq);
}

std::unique_ptr<SchedClass> make_deadline_class(Kernel& kernel) {
  return std::make_unique<DeadlineClass>(kernel);
}

}  // namespace uscx::sched
