// SPDX-License-Identifier: GPL-2.0-only
// The hard lockup detector, where a machine has performance counters: an NMI of each CPU for so
// many cycles that it is not idle. Linux: kernel/watchdog_perf.c, kernel/watchdog.c.
#include <memory>

#include "sched/private.h"

namespace uscx::sched {

namespace {
constexpr Nanos kPeriod = Nanos::from_s(10);  // watchdog_thresh, in cycles
}

/// The counter that counts a CPU's cycles. It is looked at in ticks, which a CPU that is not idle
/// has; a long entry has its overflows to the nanosecond.
struct Kernel::Private::CycleCounter final : Timer {
  explicit CycleCounter(Rq& r) : rq(r) {}

  void fired(Kernel& kernel) override {
    // A tick of this instant may have been first. Where it is idle that was entered, none is.
    const u64 counted_ns = since_overflow_ns(kernel.now().ns);
    if (!rq.current()->is_idle() && counted_ns < kPeriod.ns) {
      return start(kernel, kPeriod.ns - counted_ns);
    }
    overflow(KernelInternals::of(kernel));
    start(kernel, kPeriod.ns);
  }
  void start(Kernel& kernel, u64 after_ns) {
    const u64 at_ns = kernel.now().ns + after_ns;
    if (at_ns < rq.stuck_until_ns) kernel.machine().timer_start(*this, Nanos{at_ns}, rq.id);
  }
  /// Linux: watchdog_overflow_callback(), watchdog_hardlockup_check().
  void overflow(Private& priv) {
    overflowed_ns = cycles_ns(priv.k.now().ns);
    priv.handle_nmi(rq, [&] {
      const u64 interrupts = priv.watchdog_interrupts(rq);
      if (interrupts == saved_interrupts) priv.k.ext().hardlockup(rq);
      saved_interrupts = interrupts;
    });
  }
  u64 since_overflow_ns(u64 now_ns) const { return cycles_ns(now_ns) - overflowed_ns; }
  u64 cycles_ns(u64 now_ns) const {
    return rq.busy_ns + (rq.current()->is_idle() ? 0 : now_ns - rq.switched_at_ns);
  }

  Rq& rq;
  u64 overflowed_ns = 0;     // the count at which it did
  u64 saved_interrupts = 0;  // of the watchdog's timer, at that time
};

Kernel::Private::CycleCounter& Kernel::Private::cycle_counter(Rq& rq) {
  auto& counter = cycle_counters[rq.id];
  if (!counter) counter = std::make_shared<CycleCounter>(rq);
  return *counter;
}

void Kernel::Private::count_cycles(Rq& rq) {
  CycleCounter& counter = cycle_counter(rq);
  if (counter.since_overflow_ns(k.now().ns) >= kPeriod.ns) counter.overflow(*this);
}

void Kernel::Private::count_long_entry(Rq& rq) {
  CycleCounter& counter = cycle_counter(rq);
  const u64 counted_ns = counter.since_overflow_ns(k.now().ns);
  counter.start(k, counted_ns < kPeriod.ns ? kPeriod.ns - counted_ns : 0);
}

}  // namespace uscx::sched
