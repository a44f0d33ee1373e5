// SPDX-License-Identifier: GPL-2.0-only
// Kicking CPUs: collected per CPU, done from interrupt work, where other runqueues can be locked.
#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

/// An interrupt is of no use: it does not idle, and is not in the middle of deciding to.
bool can_skip_idle_kick(const Rq& rq) {
  return !rq.current()->is_idle() && !(rq.scx.flags & abi::SCX_RQ_IN_DISPATCH);
}

bool cpu_usable(Kernel& kernel, const Rq& rq) {
  return rq.online || rq.id == kernel.cpu();
}

/// True where the caller's CPU must wait for this one to go through a scheduling point.
bool kick_one_cpu(Sched& sch, CpuId cpu, SchedCpu& pcpu, Rq& this_rq) {
  Kernel& kernel = sch.kernel;
  Rq& rq = kernel.rq(cpu);
  bool should_wait = false;
  kernel.rq_lock(rq);
  const SchedClass& klass = *rq.current()->klass;
  const bool ext = &klass == &kernel.ext_class();
  if (cpu_usable(kernel, rq) && klass.rank() <= kernel.ext_class().rank()) {
    if (pcpu.cpus_to_preempt.test(cpu) && ext && !set_task_slice(*rq.current(), 0)) {
      add_event(sch, &abi::scx_event_stats::SCX_EV_SLICE_DENIED, 1);
    }
    if (pcpu.cpus_to_wait.test(cpu) && ext) {
      ExtRq& here = ext_rq(this_rq);
      if (here.kick_syncs.empty()) here.kick_syncs.resize(kernel.nr_cpus());
      here.cpus_to_sync.set(cpu);
      here.kick_syncs[static_cast<u32>(cpu)] = rq.scx.kick_sync;
      should_wait = true;
    }
    kernel.resched_curr(rq);
  }
  pcpu.cpus_to_preempt.clear(cpu);
  pcpu.cpus_to_wait.clear(cpu);
  kernel.rq_unlock(rq);
  return should_wait;
}

void kick_one_cpu_if_idle(Sched& sch, CpuId cpu) {
  Kernel& kernel = sch.kernel;
  Rq& rq = kernel.rq(cpu);
  if (kernel.planted(PlantedBug::kKickLost) && rq.lock.held()) return;
  kernel.rq_lock(rq);
  if (!can_skip_idle_kick(rq) && cpu_usable(kernel, rq)) kernel.resched_curr(rq);
  kernel.rq_unlock(rq);
}

}  // namespace

void kick_cpu(Sched& sch, CpuId cpu, u64 flags) {
  Kernel& kernel = sch.kernel;
  // The list of kicks is guarded by nothing but interrupts that are off.
  if (kernel.in_nmi() && kernel.config().version >= btf::KernelVersion{7, 3}) {
    error(sch, "scx_bpf_kick_cpu() called from NMI");
    return;
  }
  Rq& this_rq = kernel.this_rq();
  SchedCpu& pcpu = sch.cpu(this_rq.id);
  // While bypassing, nothing of the scheduler's is listened to; kicks could starve the transition.
  if (bypassing(sch, this_rq.id)) return;

  if (flags & abi::SCX_KICK_IDLE) {
    if (flags & (abi::SCX_KICK_PREEMPT | abi::SCX_KICK_WAIT)) {
      error(sch, "PREEMPT/WAIT cannot be used with SCX_KICK_IDLE");
    }
    // Linux asks with a trylock: a runqueue that is locked (by this very CPU) is kicked anyway.
    const Rq& target = kernel.rq(cpu);
    kernel.sync_point("rq flags");
    if (!target.lock.held() && can_skip_idle_kick(target)) return;
    pcpu.cpus_to_kick_if_idle.set(cpu);
  } else {
    pcpu.cpus_to_kick.set(cpu);
    if (flags & abi::SCX_KICK_PREEMPT) pcpu.cpus_to_preempt.set(cpu);
    if (flags & abi::SCX_KICK_WAIT) pcpu.cpus_to_wait.set(cpu);
  }
  if (!pcpu.to_kick_linked) {
    pcpu.to_kick_linked = true;
    ext_rq(this_rq).sched_pcpus_to_kick.push_back(&sch);
  }
  kernel.machine().queue_irq_work(*ext_rq(this_rq).kick_work, this_rq.id);
}

void kick_cpus_irq_work(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  Rq& this_rq = kernel.this_rq();
  bool should_wait = false;
  for (Sched* sch : std::exchange(ext_rq(this_rq).sched_pcpus_to_kick, {})) {
    SchedCpu& pcpu = sch->cpu(this_rq.id);
    pcpu.to_kick_linked = false;
    const u32 nr = kernel.nr_cpus();
    for (u32 i = 0; (i = bitmap::next(pcpu.cpus_to_kick.words.data(), nr, i)) < nr; ++i) {
      const auto cpu = static_cast<CpuId>(i);
      should_wait |= kick_one_cpu(*sch, cpu, pcpu, this_rq);
      pcpu.cpus_to_kick.clear(cpu);
      pcpu.cpus_to_kick_if_idle.clear(cpu);
    }
    for (u32 i = 0; (i = bitmap::next(pcpu.cpus_to_kick_if_idle.words.data(), nr, i)) < nr; ++i) {
      const auto cpu = static_cast<CpuId>(i);
      kick_one_cpu_if_idle(*sch, cpu);
      pcpu.cpus_to_kick_if_idle.clear(cpu);
    }
  }
  if (should_wait) {
    kernel.rq_lock(this_rq);
    this_rq.scx.kick_sync_pending = true;
    kernel.resched_curr(this_rq);
    kernel.rq_unlock(this_rq);
  }
}

}  // namespace uscx::sched::ext
