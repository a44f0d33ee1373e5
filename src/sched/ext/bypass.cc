// SPDX-License-Identifier: GPL-2.0-only
// Bypass: the BPF scheduler is not asked; tasks go round robin through a queue per CPU. On while
// schedulers come and go, since a scheduler cannot be trusted to let that happen.
#include <algorithm>

#include "base/bitmap.h"
#include "sched/ext/queue.h"
#include "sched/ext/worker.h"
#include "sched/trace_programs.h"

namespace uscx::sched::ext {
namespace {

using Events = abi::scx_event_stats;

bool inc_bypass_depth(Sched& sch) {
  USCX_ASSERT(sch.bypass_depth >= 0);
  if (++sch.bypass_depth != 1) return false;
  sch.slice_dfl = sch.ext.slice_bypass_ns;
  sch.bypass_timestamp = sch.kernel.now().ns;
  add_event(sch, &Events::SCX_EV_BYPASS_ACTIVATE, 1);
  return true;
}

bool dec_bypass_depth(Sched& sch) {
  USCX_ASSERT(sch.bypass_depth > 0);
  if (--sch.bypass_depth != 0) return false;
  sch.slice_dfl = abi::SCX_SLICE_DFL;
  add_event(sch, &Events::SCX_EV_BYPASS_DURATION,
            static_cast<s64>(sch.kernel.now().ns - sch.bypass_timestamp));
  return true;
}

void arm_bypass_lb(Sched& sch) {
  const u64 intv_ns = sch.ext.bypass_lb_intv_us * 1000;
  if (intv_ns == 0) return;
  Kernel& kernel = sch.kernel;
  kernel.machine().timer_start(*sch.bypass_lb_timer, kernel.now() + Nanos{intv_ns}, kernel.cpu());
}

void enable_bypass_dsp(Sched& sch) {
  USCX_ASSERT(!sch.bypass_dsp_claim);
  sch.bypass_dsp_claim = true;
  ++sch.bypass_dsp_enable_depth;
  if (!sch.bypass_lb_timer->armed()) arm_bypass_lb(sch);
}

/// One CPU changes over: every runnable task goes through a dequeue and an enqueue, and so from the
/// scheduler's queues to ours or back.
void switch_cpu(Sched& sch, Rq& rq, bool on) {
  Kernel& kernel = sch.kernel;
  SchedCpu& cpu = sch.cpu(rq.id);
  const bool was = cpu.bypassing;
  cpu.bypassing = sch.bypass_depth != 0;
  sch.nr_bypassing += cpu.bypassing - was;
  if (was && !cpu.bypassing) rq.scx.flags |= abi::SCX_RQ_ROOT_IDLE_RENOTIFY;
  if (!sch.ext.enabled()) return;

  // From the tail: what is enqueued again goes behind, and is not met twice.
  auto& list = ext_rq(rq).runnable_list;
  for (Task *p = list.back(), *before; p != nullptr; p = before) {
    before = list.prev(*p);
    if (task_sched(*p) != &sch) continue;
    if (on && kernel.task_current(rq, *p)) task_slice_ended(rq, *p);
    kernel.sched_change(*p, DEQUEUE_SAVE | DEQUEUE_MOVE, [] {});
  }
  if (rq.online || rq.id == kernel.cpu()) kernel.resched_curr(rq);
}

u32 bypass_nr(Sched& sch, CpuId cpu) {
  return sch.cpu(cpu).bypass_dsq->nr;
}

/// A CPU of `donees` that `p` may go to, or kNoCpu. Linux distributes; the lowest is as good.
CpuId find_donee(const CpuSet& donees, const Task& p, u32 nr_cpus) {
  for (u32 i = 0; (i = bitmap::next(donees.words.data(), nr_cpus, i)) < nr_cpus; ++i) {
    if (bitmap::test(p.cpus_ptr->bits, i)) return static_cast<CpuId>(i);
  }
  return kNoCpu;
}

/// Moves tasks from a crowded CPU's bypass queue to those below the average; how many. Linux:
/// bypass_lb_cpu.
u32 balance_cpu(Sched& sch, CpuId donor, CpuSet& donees, CpuSet& resched, u32 nr_donor_target,
                u32 nr_donee_target) {
  Kernel& kernel = sch.kernel;
  Dsq& donor_dsq = *sch.cpu(donor).bypass_dsq;
  // Not worth it for less than a quarter of the interval's worth of slices.
  const u64 min_delta_us = sch.ext.bypass_lb_intv_us / abi::SCX_BYPASS_LB_MIN_DELTA_DIV;
  const u64 slice_us = sch.ext.slice_bypass_ns / 1000;
  const s64 delta = static_cast<s64>(donor_dsq.nr) - nr_donor_target;
  if (delta < static_cast<s64>((min_delta_us + slice_us - 1) / slice_us)) return 0;

  u32 moved = 0;
  Rq& donor_rq = kernel.rq(donor);
  kernel.rq_lock(donor_rq);
  for (Task *p = donor_dsq.tasks.front(), *next; p != nullptr; p = next) {
    next = donor_dsq.tasks.next(*p);
    if (donor_dsq.nr <= nr_donor_target || donees.empty()) break;
    if (p->cpu != donor) continue;
    const CpuId donee = find_donee(donees, *p, kernel.nr_cpus());
    if (donee == kNoCpu || !task_can_run_on_remote_rq(sch, *p, kernel.rq(donee), false)) continue;
    // Its runqueue stays the donor's; the donee's CPU fetches it when it consumes its queue.
    donor_dsq.guard.lock(kernel.held());
    dispatch_dequeue_locked(*p, donor_dsq);
    donor_dsq.guard.unlock(kernel.held());
    dispatch_enqueue(sch, kernel.rq(donee), *sch.cpu(donee).bypass_dsq, *p, 0, 0,
                     abi::SCX_ENQ_NESTED);
    resched.set(donee);
    ++moved;
    if (bypass_nr(sch, donee) >= nr_donee_target) donees.clear(donee);
  }
  kernel.rq_unlock(donor_rq);
  return moved;
}

/// The least and the most tasks on a bypass queue of `cpus`.
std::pair<u32, u32> bypass_nr_range(Sched& sch, const std::vector<CpuId>& cpus) {
  const auto nr = [&](CpuId cpu) { return bypass_nr(sch, cpu); };
  const auto [least, most] = std::ranges::minmax_element(cpus, {}, nr);
  return {nr(*least), nr(*most)};
}

void balance_node(Sched& sch, NodeId node) {
  Kernel& kernel = sch.kernel;
  const Topology& topology = kernel.topology();
  std::vector<CpuId> cpus;
  u32 nr_tasks = 0, nr_balanced = 0;
  for (u32 i = 0; i < topology.nr_cpus(); ++i) {
    const auto cpu = static_cast<CpuId>(i);
    if (topology.cpus[i].node != node || !kernel.rq(cpu).online) continue;
    cpus.push_back(cpu);
    nr_tasks += bypass_nr(sch, cpu);
  }
  if (cpus.empty()) return;
  const auto [before_min, before_max] = bypass_nr_range(sch, cpus);
  const u32 nr_cpus = static_cast<u32>(cpus.size());
  const u32 target = (nr_tasks + nr_cpus - 1) / nr_cpus;
  const u32 donor_target = (target * abi::SCX_BYPASS_LB_DONOR_PCT + 99) / 100;

  CpuSet donees, resched;
  donees.resize(kernel.nr_cpus());
  resched.resize(kernel.nr_cpus());
  for (CpuId cpu : cpus) {
    if (bypass_nr(sch, cpu) < target) donees.set(cpu);
  }
  for (CpuId cpu : cpus) {
    if (donees.empty()) break;
    if (donees.test(cpu) || bypass_nr(sch, cpu) <= donor_target) continue;
    nr_balanced += balance_cpu(sch, cpu, donees, resched, donor_target, target);
  }
  for (CpuId cpu : cpus) {
    if (resched.test(cpu)) kernel.resched_cpu(cpu);
  }
  const auto [after_min, after_max] = bypass_nr_range(sch, cpus);
  trace_programs(kernel, "sched_ext_bypass_lb", node, nr_cpus, nr_tasks, nr_balanced, before_min,
                 before_max, after_min, after_max);
}

}  // namespace

void bypass_lb_timerfn(Sched& sch) {
  if (!bypass_dsp_enabled(sch)) return;
  for (u32 node = 0; node < sch.kernel.topology().nr_nodes; ++node) {
    balance_node(sch, static_cast<NodeId>(node));
  }
  arm_bypass_lb(sch);
}

void disable_bypass_dsp(Sched& sch) {
  if (!sch.bypass_dsp_claim) return;
  sch.bypass_dsp_claim = false;
  --sch.bypass_dsp_enable_depth;
}

void bypass(Sched& sch, bool on) {
  Kernel& kernel = sch.kernel;
  LockGuard guard(sch.ext.bypass_lock, kernel.held());
  if (on) {
    if (!inc_bypass_depth(sch)) return;
    enable_bypass_dsp(sch);
  } else if (!dec_bypass_depth(sch)) {
    return;
  }
  kernel.trace().scx_state(kernel.now(), on ? "bypass on" : "bypass off");
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    kernel.rq_lock(rq);
    switch_cpu(sch, rq, on);
    kernel.rq_unlock(rq);
  }
  if (!on) disable_bypass_dsp(sch);
}

}  // namespace uscx::sched::ext
