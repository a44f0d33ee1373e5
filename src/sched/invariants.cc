// SPDX-License-Identifier: GPL-2.0-only
#include "sched/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "sched/cgroup_invariants.h"
#include "sched/classes.h"
#include "sched/deadline.h"
#include "sched/ext/invariants.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

std::string about(const Rq& rq) {
  return fmt::format("runqueue of CPU {}", rq.id);
}
std::string about(const Task& p) {
  return fmt::format("{}[{}] of CPU {}, {}", p.comm, p.pid, p.cpu, p.klass->name());
}

#define USCX_HOLDS(cond, object) \
  (static_cast<bool>(cond) ? static_cast<void>(0) : invariant_broken(kernel_, #cond, about(object)))

}  // namespace

void invariant_broken(Kernel& kernel, std::string_view what, std::string_view about) {
  fmt::print(stderr, "invariant broken: {} ({}) at {} ns\n", what, about, kernel.now().ns);
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    const Rq& rq = kernel.rq(static_cast<CpuId>(i));
    fmt::print(stderr, "  CPU {}: runs {}[{}], nr_running {}, {}{}\n", i, rq.current()->comm,
               rq.current()->pid, u32{rq.nr_running}, rq.in_entry ? "in an entry" : "out",
               rq.lock.held() ? ", locked" : "");
  }
  std::fflush(stderr);
  std::abort();
}

Invariants::Invariants(Kernel& kernel) : kernel_(kernel), tally_(kernel) {
  Tracepoints& trace = kernel.trace();
  trace.sched_switch.subscribe([this](Nanos, CpuId, const Task& prev, u32, const Task& next) {
    touch(prev);
    touch(next);
  });
  trace.sched_wakeup.subscribe([this](Nanos, CpuId, const Task& p, CpuId) { touch(p); });
  trace.sched_wakeup_new.subscribe([this](Nanos, CpuId, const Task& p, CpuId) { touch(p); });
  trace.sched_migrate_task.subscribe([this](Nanos, const Task& p, CpuId, CpuId) { touch(p); });
  trace.scx_dsq.subscribe([this](Nanos, const Task& p, u64, bool, u32) { touch(p); });
  trace.sched_process_free.subscribe([this](const Task& p) { std::erase(touched_, &p); });
}

void Invariants::touch(const Task& p) {
  if (std::find(touched_.begin(), touched_.end(), &p) == touched_.end()) touched_.push_back(&p);
}

bool Invariants::quiet() const {
  for (u32 i = 0; i < kernel_.nr_cpus(); ++i) {
    if (kernel_.rq(static_cast<CpuId>(i)).in_entry) return false;
  }
  return true;
}

void Invariants::after_event() {
  if (++events_ % kEventsPerFullCheck == 0) {
    check_all();
    return;
  }
  for (const Task* p : touched_) {
    check_task(*p);
    check_rq(kernel_.task_rq(*p));
  }
  touched_.clear();
  ext::check_state(kernel_);
}

void Invariants::check_all() {
  touched_.clear();
  auto& tasks = kernel_.tasks();
  for (Task* p = tasks.front(); p != nullptr; p = tasks.next(*p)) check_task(*p);
  for (u32 i = 0; i < kernel_.nr_cpus(); ++i) check_rq(kernel_.rq(static_cast<CpuId>(i)));
  if (quiet()) {
    check_counts();
    check_groups(kernel_);
    tally_.check();
  }
  ext::check_state(kernel_);
  ext::check_queues(kernel_);
}

void Invariants::check_task(const Task& p) {
  if (p.is_idle()) return;
  const Rq& rq = kernel_.task_rq(p);
  // In somebody's hands.
  if (rq.lock.held() || p.pi_lock.held() || p.on_rq_migrating()) return;

  const bool current = kernel_.task_current(kernel_.task_rq(p), p);
  USCX_HOLDS((p.on_cpu != 0) == current, p);
  USCX_HOLDS(p.on_rq == p.on_rq_state, p);
  const bool rt_queued = p.rq_node.linked();
  USCX_HOLDS(!p.fair_queued || p.klass == &kernel_.fair_class(), p);
  USCX_HOLDS(!rt_queued || p.klass == &kernel_.rt_class(), p);
  if (p.on_rq_queued()) {
    // The rt class keeps the running one on its queue, the fair class does not.
    // One whose group has used up its cpu.max is on its list instead.
    const bool throttled = p.throttled_in != nullptr;
    if (p.klass == &kernel_.fair_class()) {
      USCX_HOLDS(p.fair_queued + current + throttled == 1, p);
      USCX_HOLDS(throttled == (p.fair_load == 0), p);
    }
    if (p.klass == &kernel_.rt_class()) USCX_HOLDS(rt_queued, p);
    // Who has used up its reservation waits for its timer.
    if (p.klass == &kernel_.dl_class()) USCX_HOLDS(p.dl->queued != p.dl->throttled, p);
    if (p.klass == &kernel_.dl_class()) USCX_HOLDS(p.dl->queued || p.dl->armed(), p);
  } else {
    USCX_HOLDS(!p.fair_queued && !rt_queued, p);
    // Off its runqueue, it is asleep, dead, on its way to a wakeup, or new.
    USCX_HOLDS(p.__state != TASK_RUNNING, p);
  }
  if (p.__state == TASK_WAKING) {
    USCX_HOLDS(p.wake_node.linked(), p);
  }
  ext::check_task(kernel_, p);
}

void Invariants::check_rq(Rq& rq) {
  if (rq.lock.held()) return;
  Task& curr = *rq.current();
  USCX_HOLDS(curr.on_cpu != 0 && curr.cpu == rq.id, rq);
  // A running task that has left its queue to sleep is the class's current one until it is put.
  const Task* fair_curr = rq.fair->curr;
  const u64 fair_running = fair_curr != nullptr && fair_curr->on_rq_queued() ? 1 : 0;
  USCX_HOLDS(rq.fair->nr_queued == rq.fair->tree.size() + fair_running, rq);
  USCX_HOLDS(rq.fair->curr == nullptr || rq.fair->curr == &curr, rq);
  const bool stop_queued = rq.stop != nullptr && Task::from(rq.stop)->on_rq_queued();
  USCX_HOLDS(rq.nr_running == rq.fair->nr_queued + rq.nr_rt + rq.dl->nr_tasks +
                                  u32{rq.scx.nr_running} + (stop_queued ? 1U : 0U),
             rq);
  const auto is_task = [](const DlEntity* e) { return e->task != nullptr; };
  USCX_HOLDS(rq.dl->nr_tasks == std::ranges::count_if(rq.dl->queue, is_task), rq);
  if (!rq.in_entry && curr.is_idle() && !rq.need_resched) {
    USCX_HOLDS(rq.fair->nr_queued == 0 && rq.nr_rt == 0 && !stop_queued, rq);
  }
  USCX_HOLDS(rq.in_entry || !rq.need_resched || rq.resched_sent || rq.preempt_count != 0, rq);
  for (const DlServer* s : {&rq.dl->fair, &rq.dl->ext}) {
    const auto& queue = rq.dl->queue;
    USCX_HOLDS(s->queued == (std::find(queue.begin(), queue.end(), s) != queue.end()), rq);
    USCX_HOLDS(!s->queued || (s->active && !s->throttled), rq);
    USCX_HOLDS(!s->active || s->attached, rq);
  }
  ext::check_rq(kernel_, rq);
}

void Invariants::check_counts() {
  const u32 nr_cpus = kernel_.nr_cpus();
  const Kernel::Private& priv = KernelInternals::of(kernel_);
  DlBandwidth counted;
  for (u32 i = 0; i < nr_cpus; ++i) counted += priv.dl_bw_of(kernel_.rq(static_cast<CpuId>(i)));
  USCX_HOLDS(counted == priv.dl_bw, kernel_.rq(0));
  std::vector<u32> fair(nr_cpus), rt(nr_cpus), scx(nr_cpus);
  // All there are: one that has told its parent of its end runs for a little longer, off the list.
  auto& tasks = KernelInternals::of(kernel_).all_tasks;
  for (Task* p = tasks.front(); p != nullptr; p = tasks.next(*p)) {
    if (!p->on_rq_queued()) continue;
    const auto cpu = static_cast<std::size_t>(p->cpu);
    if (p->klass == &kernel_.fair_class() && !p->throttled_in) ++fair[cpu];
    if (p->klass == &kernel_.rt_class()) ++rt[cpu];
    if (p->klass == &kernel_.ext_class()) ++scx[cpu];
  }
  for (u32 i = 0; i < nr_cpus; ++i) {
    const Rq& rq = kernel_.rq(static_cast<CpuId>(i));
    USCX_HOLDS(rq.fair->nr_queued == fair[i], rq);
    USCX_HOLDS(rq.nr_rt == rt[i], rq);
    USCX_HOLDS(rq.scx.nr_running == scx[i], rq);
  }
}

}  // namespace uscx::sched
