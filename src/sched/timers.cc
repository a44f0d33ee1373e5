// SPDX-License-Identifier: GPL-2.0-only
// Sleeping for a time, and the BPF machine's timers.
#include <algorithm>
#include <limits>

#include "sched/private.h"

namespace uscx::sched {

namespace {

/// On the sleeper's fiber: gone with it, however the sleep ends.
struct SleepTimer final : Timer {
  SleepTimer(Kernel& k, Task& p) : kernel(k), task(p) {}
  ~SleepTimer() override { kernel.machine().timer_cancel(*this); }
  void fired(Kernel& k) override {
    done = true;
    k.wake_up(task);
  }
  Kernel& kernel;
  Task& task;
  bool done = false;
};

}  // namespace

void Kernel::sleep_ns(Nanos duration) {
  SleepTimer timer(*this, current());
  machine_.timer_start(timer, now() + duration, this_cpu_);
  while (!timer.done) block();
}

void HostTimerLink::fired(Kernel& kernel) {
  bpf::HostTimer& t = timer;
  t.armed = false;
  t.host_data = nullptr;
  KernelInternals::of(kernel).host_timers.erase(*this);
  delete this;
  t.fire();
}

void Kernel::timer_start(bpf::HostTimer& timer, u64 expires_ns, bool absolute, CpuId pinned_cpu) {
  timer_cancel(timer);
  auto* link = new HostTimerLink(timer);
  private_->host_timers.push_back(*link);
  timer.armed = true;
  timer.host_data = link;
  // No clock event device can be set nearer (nor does one that is always at once stop the clock),
  // and none further than ktime_t reaches.
  constexpr u64 kNearestNs = 1'000;
  constexpr u64 kFurthestNs = static_cast<u64>(std::numeric_limits<s64>::max());
  const u64 now_ns = now().ns;
  u64 at_ns = std::min(expires_ns, kFurthestNs - (absolute ? 0 : now_ns));
  if (!absolute) at_ns += now_ns;
  at_ns = std::max(at_ns, now_ns + kNearestNs);
  machine_.timer_start(*link, Nanos{at_ns}, pinned_cpu == kNoCpu ? this_cpu_ : pinned_cpu);
}

bool Kernel::timer_cancel(bpf::HostTimer& timer) {
  if (!timer.armed) return false;
  auto* link = static_cast<HostTimerLink*>(timer.host_data);
  machine_.timer_cancel(*link);
  private_->host_timers.erase(*link);
  delete link;
  timer.armed = false;
  timer.host_data = nullptr;
  return true;
}

}  // namespace uscx::sched
