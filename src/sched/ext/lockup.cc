// SPDX-License-Identifier: GPL-2.0-only
// The kernel's watchdogs found a CPU stuck: the scheduler is ended, in the hope that it was that.
#include "base/bitmap.h"
#include "sched/ext/internal.h"

namespace uscx::sched::ext {

namespace {

/// The scheduler that watchdogs may end, or null. Linux: handle_lockup().
Sched* suspect(Ext::Impl& ext) {
  const bool on = ext.state == abi::SCX_ENABLING || ext.state == abi::SCX_ENABLED;
  return on ? ext.root : nullptr;
}

}  // namespace

void Ext::softlockup(Rq& rq, u64 seconds) {
  Sched* sch = suspect(*impl_);
  if (!sch) return;
  if (!exit_sched(*sch, abi::SCX_EXIT_ERROR, 0, "soft lockup - CPU {} stuck for {}s", rq.id,
                  seconds)) {
    return;
  }
  impl_->kernel.kernel_log(fmt::format(
      "sched_ext: Soft lockup - CPU {} stuck for {}s, disabling BPF scheduler", rq.id, seconds));
}

void Ext::hardlockup(Rq& rq) {
  Sched* sch = suspect(*impl_);
  if (!sch || !exit_sched(*sch, abi::SCX_EXIT_ERROR, 0, "hard lockup - CPU {}", rq.id)) return;
  impl_->kernel.kernel_log(
      fmt::format("sched_ext: Hard lockup - CPU {}, disabling BPF scheduler", rq.id));
}

void Ext::rcu_cpu_stall(const abi::cpumask& stalled) {
  Sched* sch = suspect(*impl_);
  if (!sch) return;
  if (impl_->kernel.config().version < btf::KernelVersion{7, 3}) {
    vexit(*sch, abi::SCX_EXIT_ERROR, 0, kNoCpu, "RCU CPU stall detected!");
    return;
  }
  const u32 nr_cpus = impl_->kernel.nr_cpus();
  const u32 first = bitmap::first(stalled.bits, nr_cpus);
  vexit(*sch, abi::SCX_EXIT_ERROR, 0, first < nr_cpus ? static_cast<CpuId>(first) : kNoCpu,
        fmt::format("RCU CPU stall on CPUs ({})", bitmap::list(stalled.bits, nr_cpus)));
}

}  // namespace uscx::sched::ext
