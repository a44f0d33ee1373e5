// SPDX-License-Identifier: GPL-2.0-only
// The fair class: the task with the least weighted runtime runs. Simpler than Linux's EEVDF (no
// deadlines; groups are in fair_group.cc), close enough to be what a scheduler is compared with and
// falls back to.
#include <algorithm>
#include <vector>

#include "base/bitmap.h"
#include "sched/cgroup.h"
#include "sched/classes.h"
#include "sched/deadline.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr u64 kBaseSliceNs = 2'800'000;  // sysctl_sched_base_slice on 8 CPUs and more
constexpr u64 kWakeupGranularityNs = 1'000'000;

class FairClass final : public SchedClass {
 public:
  explicit FairClass(Kernel& kernel)
      : SchedClass(2), k_(kernel), waiting_((kernel.nr_cpus() + 63) / 64) {
    for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
      kernel.rq(static_cast<CpuId>(i)).fair->waiting = waiting_.data();
    }
  }
  std::string_view name() const override { return "fair_sched_class"; }

  void enqueue_task(Rq& rq, Task& p, int flags) override {
    if (rq.fair->curr) update_curr(rq);
    fair_group_enqueue(p);
    place(rq, p, flags);
    if (++rq.fair->nr_queued == 1) KernelInternals::of(k_).dl_server_start(rq.dl->fair);
    ++rq.nr_running;
    p.se.on_rq = 1;
    insert(rq, p);
  }

  bool dequeue_task(Rq& rq, Task& p, int) override {
    if (rq.fair->curr) update_curr(rq);
    if (p.throttled_in) {  // off the queue already
      fair_group_unthrottle(p);
      return true;
    }
    if (p.fair_queued) remove(rq, p);
    leave(rq, p);
    return true;
  }

  void yield_task(Rq& rq) override {
    FairRq& fair = *rq.fair;
    if (fair.tree.empty() || fair.curr == nullptr) return;
    k_.update_rq_clock(rq);
    update_curr(rq);
    // Behind everyone who waits now.
    fair.curr->vruntime_ns = std::max(fair.curr->vruntime_ns, (*fair.tree.rbegin())->vruntime_ns);
    fair.curr->fair_seq = ++fair.next_seq;
  }

  void wakeup_preempt(Rq& rq, Task& p, int) override {
    Task* curr = rq.fair->curr;
    if (p.klass != this || curr == nullptr || curr == &p) return;
    const bool p_idle = fair_task_idle(p);
    const bool curr_idle = fair_task_idle(*curr);
    if (curr_idle && !p_idle) return k_.resched_curr(rq);
    if (p_idle && !curr_idle) return;
    if (p.policy != static_cast<u32>(SCHED_NORMAL)) return;
    update_curr(rq);
    if (curr->vruntime_ns > p.vruntime_ns + weighted(kWakeupGranularityNs, p)) k_.resched_curr(rq);
  }

  Pick pick_task(Rq& rq, Task&) override {
    FairRq& fair = *rq.fair;
    if (fair.nr_queued == 0 && rq.active) {
      KernelInternals::of(k_).pull_fair_task(rq, 2);
      // The lock was dropped: besides what was pulled, anything may have woken here.
      if (fair.nr_queued != 0 || higher_class_came(rq)) return {.task = nullptr, .retry = true};
    }
    return best(rq);
  }
  /// Without balancing: while real-time tasks wait here nothing would come of it.
  Pick server_pick_task(Rq& rq, Task&) override { return best(rq); }

  Pick best(Rq& rq) {
    FairRq& fair = *rq.fair;
    if (fair.curr) update_curr(rq);
    Task* curr = fair.curr && fair.curr->se.on_rq ? fair.curr : nullptr;
    if (curr && throttle(rq, *curr)) curr = nullptr;
    while (!fair.tree.empty() && throttle(rq, **fair.tree.begin())) {
    }
    Task* first = fair.tree.empty() ? nullptr : *fair.tree.begin();
    if (curr == nullptr) return {.task = first};
    const bool stays = first == nullptr || FairRq::Earlier{}(curr, first);
    return {.task = stays ? curr : first};
  }

  void put_prev_task(Rq& rq, Task& p, Task*) override {
    update_curr(rq);
    rq.fair->curr = nullptr;
    if (p.se.on_rq) insert(rq, p);
  }

  void set_next_task(Rq& rq, Task& p, bool) override {
    if (p.fair_queued) remove(rq, p);
    rq.fair->curr = &p;
    p.se.exec_start = rq.clock_task;
    p.se.prev_sum_exec_runtime = p.se.sum_exec_runtime;
  }

  CpuId select_task_rq(Task& p, CpuId prev_cpu, int flags) override;

  void set_cpus_allowed(Task& p, const abi::cpumask* mask) override {
    k_.set_cpus_allowed_common(p, mask);
  }

  void task_tick(Rq& rq, Task& p, bool) override {
    update_curr(rq);
    const FairRq& fair = *rq.fair;
    if (fair.tree.empty()) return;
    if (p.se.sum_exec_runtime - p.se.prev_sum_exec_runtime < kBaseSliceNs) return;
    if (FairRq::Earlier{}(*fair.tree.begin(), &p)) k_.resched_curr(rq);
  }

  void switched_to(Rq& rq, Task& p) override {
    if (!p.on_rq_queued()) return;
    if (k_.task_current(rq, p)) {
      k_.resched_curr(rq);
    } else {
      k_.wakeup_preempt(rq, p, 0);
    }
  }

  void prio_changed(Rq& rq, Task& p, int old_prio) override {
    if (!p.on_rq_queued()) return;
    // Any change queues a task anew that had to wait for its group's time: its CPU may be idle.
    if (p.fair_queued && rank() > rq.next_klass->rank()) return k_.wakeup_preempt(rq, p, 0);
    if (p.prio == old_prio) return;
    if (!k_.task_current(rq, p)) {
      k_.wakeup_preempt(rq, p, 0);
    } else if (p.prio > old_prio) {
      k_.resched_curr(rq);
    }
  }

  void update_curr(Rq& rq) override {
    FairRq& fair = *rq.fair;
    Task* curr = fair.curr;
    if (curr == nullptr || rq.current() != curr) return;
    const u64 delta = k_.update_curr_common(rq);
    if (rq.dl->fair.active) KernelInternals::of(k_).dl_server_update(rq.dl->fair, delta, false);
    curr->vruntime_ns += weighted(delta, *curr);
    curr->se.vruntime = curr->vruntime_ns;
    fair_group_charge(k_, rq, *curr, delta);
    u64 least = curr->vruntime_ns;
    if (!fair.tree.empty()) least = std::min(least, (*fair.tree.begin())->vruntime_ns);
    fair.min_vruntime_ns = std::max(fair.min_vruntime_ns, least);
  }

 private:
  static bool higher_class_came(const Rq& rq) {
    return rq.nr_rt != 0 || rq.dl->nr_tasks != 0 ||
           (rq.stop != nullptr && Task::from(rq.stop)->on_rq_queued());
  }
  static u64 weighted(u64 ns, const Task& p) { return ns * (1024 << 10) / fair_task_weight(p); }

  /// `p`, in no tree, is not runnable here any more.
  void leave(Rq& rq, Task& p) {
    // Relative from here on: the next runqueue's clock is another.
    p.se.vlag = static_cast<s64>(p.vruntime_ns - rq.fair->min_vruntime_ns);
    p.se.on_rq = 0;
    fair_group_dequeue(p);
    --rq.fair->nr_queued;
    --rq.nr_running;
  }

  /// Takes a task off whose group has used up its time. False where it may run.
  bool throttle(Rq& rq, Task& p) {
    TaskGroup* group = fair_throttled_group(p);
    if (group == nullptr) return false;
    if (p.fair_queued) remove(rq, p);
    leave(rq, p);
    fair_group_throttle(*group, p);
    return true;
  }

  void insert(Rq& rq, Task& p) {
    USCX_ASSERT(!p.fair_queued);
    p.fair_seq = ++rq.fair->next_seq;
    p.fair_queued = true;
    rq.fair->tree.insert(&p);
    bitmap::set(waiting_.data(), static_cast<u32>(rq.id));
    ++KernelInternals::of(k_).nr_fair_waiting;
  }

  void remove(Rq& rq, Task& p) {
    p.fair_queued = false;
    const std::size_t erased = rq.fair->tree.erase(&p);
    USCX_ASSERT(erased == 1);
    if (rq.fair->tree.empty()) bitmap::clear(waiting_.data(), static_cast<u32>(rq.id));
    --KernelInternals::of(k_).nr_fair_waiting;
  }

  /// Gives `p` its place among those that run here: where it was relative to them, except that
  /// sleeping earns no more than half a slice, and a new task begins half a slice late. What the
  /// others did while it slept is how far their base has come, not how long it slept: a CPU that is
  /// full of short sleepers would otherwise never get to anybody else.
  void place(Rq& rq, Task& p, int flags) {
    const u64 base = rq.fair->min_vruntime_ns;
    const u64 half_slice = weighted(kBaseSliceNs / 2, p);
    s64 lag = p.se.vlag;
    if ((flags & ENQUEUE_INITIAL) != 0) {
      lag = static_cast<s64>(half_slice);
    } else if ((flags & ENQUEUE_WAKEUP) != 0) {
      if (p.ran_on == rq.id) lag = static_cast<s64>(p.vruntime_ns - base);
      lag = std::clamp(lag, -static_cast<s64>(half_slice), 4 * static_cast<s64>(half_slice));
    }
    const u64 behind = static_cast<u64>(lag < 0 ? -lag : 0);
    p.vruntime_ns = lag >= 0 ? base + static_cast<u64>(lag) : base - std::min(base, behind);
    p.se.vruntime = p.vruntime_ns;
  }

  CpuId idle_in_llc(const Task& p, CpuId around) const;
  CpuId idlest_llc(CpuId around) const;

  Kernel& k_;
  std::vector<unsigned long> waiting_;
};

/// An idle CPU that shares the last cache with `around`: one of an idle core first.
CpuId FairClass::idle_in_llc(const Task& p, CpuId around) const {
  const auto& cpus = k_.topology().cpus;
  const auto& llc = k_.llc_cpus(cpus[static_cast<u32>(around)].llc);
  CpuId any = kNoCpu;
  for (CpuId cpu : llc) {
    if (!k_.is_cpu_allowed(p, cpu) || !k_.idle_cpu(cpu)) continue;
    if (any == kNoCpu) any = cpu;
    const bool core_idle = std::all_of(llc.begin(), llc.end(), [&](CpuId other) {
      return cpus[static_cast<u32>(other)].core != cpus[static_cast<u32>(cpu)].core ||
             k_.idle_cpu(other);
    });
    if (core_idle) return cpu;
  }
  return any;
}

/// A CPU of the LLC that has the most idle ones, the one of `around` where none has more: where new
/// tasks go. Linux: sched_balance_find_dst_group() of groups that have spare CPUs.
CpuId FairClass::idlest_llc(CpuId around) const {
  const auto& cpus = k_.topology().cpus;
  std::vector<u32> nr_idle(k_.topology().nr_llcs);
  for (u32 i = 0; i < k_.nr_cpus(); ++i) {
    if (k_.idle_cpu(static_cast<CpuId>(i))) ++nr_idle[cpus[i].llc];
  }
  const u32 local = cpus[static_cast<u32>(around)].llc;
  const auto most = std::max_element(nr_idle.begin(), nr_idle.end());
  if (*most <= nr_idle[local]) return around;
  return k_.llc_cpus(static_cast<u32>(most - nr_idle.begin())).front();
}

CpuId FairClass::select_task_rq(Task& p, CpuId prev_cpu, int flags) {
  const bool wakeup = (flags & WF_TTWU) != 0;
  if (wakeup && k_.is_cpu_allowed(p, prev_cpu) && k_.idle_cpu(prev_cpu)) return prev_cpu;
  if (!wakeup) {
    if (const CpuId cpu = idle_in_llc(p, idlest_llc(prev_cpu)); cpu != kNoCpu) return cpu;
  }
  if (const CpuId cpu = idle_in_llc(p, prev_cpu); cpu != kNoCpu) return cpu;
  const CpuId here = k_.cpu();
  if (!k_.cpus_share_cache(here, prev_cpu)) {
    if (const CpuId cpu = idle_in_llc(p, here); cpu != kNoCpu) return cpu;
  }
  if (wakeup && k_.is_cpu_allowed(p, prev_cpu)) return prev_cpu;
  // A new task goes to the least loaded CPU of the machine.
  CpuId best = kNoCpu;
  u32 best_nr = ~0U;
  for (u32 i = 0; i < k_.nr_cpus(); ++i) {
    const CpuId cpu = static_cast<CpuId>(i);
    if (!k_.is_cpu_allowed(p, cpu)) continue;
    const u32 nr = k_.rq(cpu).nr_running;
    if (nr < best_nr) {
      best = cpu;
      best_nr = nr;
    }
  }
  return best == kNoCpu ? prev_cpu : best;
}

}  // namespace

std::unique_ptr<SchedClass> make_fair_class(Kernel& kernel) {
  return std::make_unique<FairClass>(kernel);
}

}  // namespace uscx::sched
