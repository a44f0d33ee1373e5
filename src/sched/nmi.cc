// SPDX-License-Identifier: GPL-2.0-only
// Non-maskable interrupts: a CPU has one where the hard lockup detector's counter overflows, and
// where SysRq-l asks for its backtrace. Here they come between kernel entries, as interrupts do.
#include <fmt/format.h>

#include <memory>

#include "base/bitmap.h"
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

namespace {

// Where programs see the handlers: kernel text that nobody can read, but tell one from the other.
constexpr u64 kPerfEventNmiHandler = 0xffffffff'81000000;
constexpr u64 kNmiCpuBacktraceHandler = 0xffffffff'81000100;

constexpr Nanos kBacktracePoll = Nanos::from_ms(1);
constexpr u32 kMaxBacktracePolls = 10 * 1000;  // NMI_BT_TIMEOUT_SEC

}  // namespace

/// What SysRq-l sends to one CPU.
struct Kernel::Private::BacktraceNmi final : Timer {
  explicit BacktraceNmi(Rq& r) : rq(r) {}
  void fired(Kernel& kernel) override {
    auto& priv = KernelInternals::of(kernel);
    if (rq.online) return priv.handle_nmi(rq, nullptr);
    // It went off meanwhile; Linux holds that up, since nobody is preempted who sends NMIs.
    bitmap::clear(priv.backtrace_mask.bits, static_cast<u32>(rq.id));
  }
  Rq& rq;
};

void Kernel::Private::handle_nmi(Rq& rq, const std::function<void()>& counter_overflow) {
  USCX_ASSERT(rq.id == k.this_cpu_ && !rq.in_nmi);
  constexpr s64 kDelta = 0;  // a handler takes no time
  rq.in_nmi = true;
  if (k.machine_.topology().pmu) {
    if (counter_overflow) counter_overflow();
    trace_programs(k, "nmi_handler", kPerfEventNmiHandler, kDelta, counter_overflow != nullptr);
  }
  trace_programs(k, "nmi_handler", kNmiCpuBacktraceHandler, kDelta, cpu_backtrace(rq));
  rq.in_nmi = false;
}

/// True where this CPU was asked for it. Linux: nmi_cpu_backtrace().
bool Kernel::Private::cpu_backtrace(Rq& rq) {
  if (!bitmap::test(backtrace_mask.bits, static_cast<u32>(rq.id))) return false;
  k.kernel_log(fmt::format("NMI backtrace for cpu {}", rq.id));
  bitmap::clear(backtrace_mask.bits, static_cast<u32>(rq.id));
  return true;
}

/// Linux: nmi_trigger_cpumask_backtrace().
void Kernel::Private::trigger_all_cpu_backtrace() {
  if (backtrace_in_progress) return;
  backtrace_in_progress = true;
  Rq& rq = k.this_rq();
  ++rq.preempt_count;
  backtrace_mask = *k.online_mask_;
  cpu_backtrace(rq);
  const u32 nr_cpus = k.nr_cpus();
  u32 cpu = bitmap::first(backtrace_mask.bits, nr_cpus);
  if (cpu < nr_cpus) {
    k.kernel_log(fmt::format("Sending NMI from CPU {} to CPUs {}:", rq.id,
                             bitmap::list(backtrace_mask.bits, nr_cpus)));
  }
  for (; cpu < nr_cpus; cpu = bitmap::next(backtrace_mask.bits, nr_cpus, cpu + 1)) {
    auto& nmi = backtrace_nmis[static_cast<CpuId>(cpu)];
    if (!nmi) nmi = std::make_shared<BacktraceNmi>(k.rq(static_cast<CpuId>(cpu)));
    k.machine_.timer_start(*nmi, k.now() + Nanos{k.costs().ipi_ns}, static_cast<CpuId>(cpu));
  }
  for (u32 polls = 0; polls < kMaxBacktracePolls; ++polls) {
    if (bitmap::weight(backtrace_mask.bits, nr_cpus) == 0) break;
    k.consume(kBacktracePoll);
  }
  // Nothing keeps an NMI from its CPU.
  USCX_ASSERT(bitmap::weight(backtrace_mask.bits, nr_cpus) == 0);
  --rq.preempt_count;
  backtrace_in_progress = false;
  k.cond_resched();
}

void Kernel::sysrq_showallcpus() {
  kernel_log("sysrq: Show backtrace of all active CPUs");
  private_->trigger_all_cpu_backtrace();
}

}  // namespace uscx::sched
