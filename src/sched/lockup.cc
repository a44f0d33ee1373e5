// SPDX-License-Identifier: GPL-2.0-only
// What the kernel's watchdogs see of a CPU that stays in one entry, such as a callback, for
// seconds: soft lockups, RCU stalls, and hard lockups where there are performance counters.
#include "base/bitmap.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr Nanos kSamplePeriod = Nanos::from_s(4);  // kernel/watchdog.c: set_sample_period()
constexpr u64 kSoftlockupThreshold = 2 * 10;       // get_softlockup_thresh(), of watchdog_seconds()
constexpr Nanos kStallTimeout = Nanos::from_s(21);  // CONFIG_RCU_CPU_STALL_TIMEOUT
constexpr u64 kOthersWaitJiffies = 2;               // RCU_STALL_RAT_DELAY

/// The watchdog's seconds. Linux: get_timestamp().
u64 watchdog_seconds(u64 ns) {
  return ns >> 30;
}

}  // namespace

/// Its watchdog timer, which last went off before the entry, does so again when interrupts are on.
struct Kernel::Private::LongEntry final : Timer {
  explicit LongEntry(Rq& r) : rq(r) {}
  void fired(Kernel& kernel) override {
    const u64 touched_ns = rq.stuck_from_ns - rq.stuck_from_ns % kSamplePeriod.ns;
    const u64 stuck = watchdog_seconds(kernel.now().ns) - watchdog_seconds(touched_ns);
    if (stuck >= kSoftlockupThreshold * 3 / 4) kernel.ext().softlockup(rq, stuck);
    KernelInternals::of(kernel).rcu_quiescent(rq.id);  // it may be idle, without a tick
  }
  Rq& rq;
};

[[gnu::cold]] void Kernel::Private::end_special_entry(Rq& rq) {
  if (rq.entry_charged_ns >= kLongEntryNs) note_long_entry(rq);
  // Where others run meanwhile, an idle CPU's interrupt is a reader that grace periods wait for.
  if (k.explored() && rq.current()->is_idle()) rcu_quiescent(k.this_cpu_);
}

void Kernel::Private::note_long_entry(Rq& rq) {
  const u64 now = k.now().ns;
  rq.stuck_from_ns = now;
  rq.stuck_until_ns = now + rq.entry_charged_ns;
  auto& entry = long_entries[rq.id];
  if (!entry) entry = std::make_shared<LongEntry>(rq);
  k.machine_.timer_start(*entry, Nanos{rq.stuck_until_ns}, rq.id);
  if (k.machine_.topology().pmu) count_long_entry(rq);
}

/// Linux: hrtimer_interrupts.
u64 Kernel::Private::watchdog_interrupts(const Rq& rq) const {
  const u64 now = k.now().ns;
  return (now < rq.stuck_until_ns ? rq.stuck_from_ns : now) / kSamplePeriod.ns;
}

void Kernel::Private::rcu_watch_stalls() {
  rcu.stall_at_ns = k.now().ns + kStallTimeout.ns;
}

/// From the tick of a CPU that is not stuck itself. Linux: check_cpu_stall().
void Kernel::Private::rcu_check_stall() {
  const u64 now = k.now().ns;
  const u64 jiffy_ns = 1'000'000'000 / k.config().hz;
  if (now < rcu.stall_at_ns + kOthersWaitJiffies * jiffy_ns) return;
  rcu.stall_at_ns = now + 3 * kStallTimeout.ns + 3 * jiffy_ns;
  abi::cpumask stalled{};
  for (u32 cpu = 0; cpu < k.nr_cpus(); ++cpu) {
    if (rcu.cpu_pending[cpu]) bitmap::set(stalled.bits, cpu);
  }
  k.ext().rcu_cpu_stall(stalled);
}

}  // namespace uscx::sched
