// SPDX-License-Identifier: GPL-2.0-only
// The deadline class, which has no tasks of its own here: its servers run fair and ext ones.
#include "sched/deadline.h"

#include <algorithm>
#include <cerrno>

#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr s64 kDeferResolutionNs = 1'000'000;  // a defer timer is not put off by less

bool before(u64 a, u64 b) {
  return static_cast<s64>(a - b) < 0;
}

/// Whether what is left of the runtime is more than the reservation gives until the deadline.
bool overflows(const DlServer& s, u64 now_ns) {
  constexpr u32 kScale = 10;  // as Linux: a resolution of a microsecond
  const u64 left = (DlServer::kPeriodNs >> kScale) * static_cast<u64>(s.runtime_ns >> kScale);
  const u64 right = ((s.deadline_ns - now_ns) >> kScale) * (s.reserved_ns >> kScale);
  return before(right, left);
}

void new_period(DlServer& s, u64 now_ns) {
  s.deadline_ns = now_ns + DlServer::kPeriodNs;
  s.runtime_ns = static_cast<s64>(s.reserved_ns);
  if (!s.defer_running) s.throttled = s.defer_armed = true;
}

void dequeue_server(DlServer& s) {
  if (!s.queued) return;
  s.queued = false;
  std::erase(s.rq.dl->queue, &s);
}

class DeadlineClass final : public SchedClass {
 public:
  explicit DeadlineClass(Kernel& kernel) : k_(kernel) {}
  std::string_view name() const override { return "dl_sched_class"; }
  int rank() const override { return 4; }

  void enqueue_task(Rq&, Task&, int) override { USCX_ASSERT(!"no SCHED_DEADLINE tasks"); }
  bool dequeue_task(Rq&, Task&, int) override {
    USCX_ASSERT(!"no SCHED_DEADLINE tasks");
    __builtin_unreachable();
  }
  void wakeup_preempt(Rq&, Task&, int) override {}
  /// The task of the most urgent server that has one. It stays of its own class.
  Pick pick_task(Rq& rq, Task& prev) override {
    while (!rq.dl->queue.empty()) {
      DlServer& server = *rq.dl->queue.front();
      const Pick pick = server.klass.server_pick_task(rq, prev);
      if (pick.retry || pick.task != nullptr) return pick;
      KernelInternals::of(k_).dl_server_stop(server);
    }
    return {};
  }
  void put_prev_task(Rq&, Task&, Task*) override {}
  void set_next_task(Rq&, Task&, bool) override {}
  CpuId select_task_rq(Task& p, CpuId, int) override { return p.cpu; }
  void set_cpus_allowed(Task& p, const abi::cpumask* mask) override {
    k_.set_cpus_allowed_common(p, mask);
  }
  void task_tick(Rq&, Task&, bool) override {}
  void update_curr(Rq&) override {}

 private:
  Kernel& k_;
};

}  // namespace

/// False where the time has passed already.
bool Kernel::Private::dl_start_timer(DlServer& s) {
  const u64 at = s.defer_armed ? s.deadline_ns - static_cast<u64>(s.runtime_ns) : s.deadline_ns;
  if (at < k.now().ns) return false;
  if (!s.armed()) k.machine_.timer_start(s, Nanos{at}, s.rq.id);
  return true;
}

void Kernel::Private::dl_enqueue(DlServer& s, bool replenish) {
  USCX_ASSERT(!s.queued);
  const u64 now_ns = s.rq.clock;
  if (replenish) {
    dl_replenish(s);
  } else if (before(s.deadline_ns, now_ns) || overflows(s, now_ns)) {
    s.defer_running = false;
    new_period(s, now_ns);
  } else if (!s.defer_running) {
    s.defer_armed = s.throttled = true;
  }
  if (s.throttled && dl_start_timer(s)) return;
  if (s.throttled) {
    k.machine_.timer_cancel(s);
    s.defer_armed = s.throttled = false;
  }
  s.queued = true;
  auto& queue = s.rq.dl->queue;
  queue.insert(std::upper_bound(queue.begin(), queue.end(), &s,
                                [](const DlServer* a, const DlServer* b) {
                                  return before(a->deadline_ns, b->deadline_ns);
                                }),
               &s);
}

void Kernel::Private::dl_replenish(DlServer& s) {
  const u64 now_ns = s.rq.clock;
  if (s.deadline_ns == 0 || (s.defer_armed && overflows(s, now_ns))) {
    s.deadline_ns = now_ns + DlServer::kPeriodNs;
    s.runtime_ns = static_cast<s64>(s.reserved_ns);
  }
  while (s.runtime_ns <= 0) {
    s.deadline_ns += DlServer::kPeriodNs;
    s.runtime_ns += static_cast<s64>(s.reserved_ns);
  }
  if (before(s.deadline_ns, now_ns)) new_period(s, now_ns);
  s.throttled = false;
  if (s.defer_armed) {
    s.defer_armed = false;
    return;
  }
  if (s.defer_running || !before(now_ns, s.deadline_ns - static_cast<u64>(s.runtime_ns))) return;
  s.defer_armed = s.throttled = true;
  if (dl_start_timer(s)) return;
  k.machine_.timer_cancel(s);
  s.defer_armed = s.throttled = false;
}

void Kernel::Private::dl_server_start(DlServer& s) {
  s.defer_idle = false;
  if (s.active || !s.attached || s.reserved_ns == 0 || !s.rq.online) return;
  s.rq.current()->klass->update_curr(s.rq);
  s.active = true;
  dl_enqueue(s, false);
  if (s.queued) k.resched_curr(s.rq);
}

void Kernel::Private::dl_server_stop(DlServer& s) {
  if (!s.active) return;
  dequeue_server(s);
  k.machine_.timer_cancel(s);
  s.defer_armed = s.throttled = s.defer_idle = s.active = false;
}

/// Charges what ran of the server's class (or the idle time) to it.
void Kernel::Private::dl_server_update(DlServer& s, u64 delta_ns, bool idle) {
  if (!s.active || delta_ns == 0) return;
  s.runtime_ns -= static_cast<s64>(delta_ns);
  if (!idle) s.defer_idle = false;
  if (s.runtime_ns > 0) return;
  if (s.throttled) {
    if (s.defer_idle && idle) {
      s.runtime_ns = 0;  // the timer will find it idle and stop it
      return;
    }
    // It had its share without the server: that waits for another period.
    s.defer_running = false;
    k.machine_.timer_cancel(s);
    new_period(s, s.rq.clock);
    if (idle) s.defer_idle = true;
    dl_start_timer(s);
    return;
  }
  s.throttled = true;
  dequeue_server(s);
  if (!dl_start_timer(s)) {
    new_period(s, s.rq.clock);
    dl_start_timer(s);
  }
  k.resched_curr(s.rq);
}

void DlServer::fired(Kernel& kernel) {
  Kernel::Private& priv = KernelInternals::of(kernel);
  kernel.rq_lock(rq);
  if (throttled) {
    kernel.update_rq_clock(rq);
    rq.current()->klass->update_curr(rq);
    const u64 zero_laxity_ns = deadline_ns - static_cast<u64>(runtime_ns);
    if (!throttled) {
      // update_curr() has started another period.
    } else if (armed()) {
      // Likewise: its timer goes off later.
    } else if (defer_idle) {
      priv.dl_server_stop(*this);
    } else if (defer_armed &&
               before(rq.clock, zero_laxity_ns - static_cast<u64>(kDeferResolutionNs))) {
      kernel.machine().timer_start(*this, Nanos{zero_laxity_ns}, rq.id);
    } else {
      if (defer_armed) defer_running = true;
      priv.dl_enqueue(*this, true);
      if (queued) kernel.resched_curr(rq);
    }
  }
  kernel.rq_unlock(rq);
}

Result<void> DlServer::set_runtime(Kernel& kernel, u64 ns) {
  constexpr u64 kMostPercent = 95;  // sched_rt_runtime_us of sched_rt_period_us
  if (ns > kPeriodNs) return fail(EINVAL);
  if (!rq.online) return fail(EBUSY);
  u64 total = 0, cpus = 0;
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    const Rq& r = kernel.rq(static_cast<CpuId>(i));
    if (!r.online) continue;
    total += r.dl->total_bw();
    ++cpus;
  }
  const u64 wanted = (ns << 20) / kPeriodNs;
  if ((total - bandwidth() + wanted) * 100 > ((cpus << 20) * kMostPercent)) return fail(EBUSY);
  Kernel::Private& priv = KernelInternals::of(kernel);
  kernel.rq_lock(rq);
  kernel.update_rq_clock(rq);
  priv.dl_server_stop(*this);
  reserved_ns = ns;
  runtime_ns = 0;
  deadline_ns = 0;
  priv.dl_server_start(*this);
  kernel.rq_unlock(rq);
  return {};
}

void Kernel::Private::dl_server_attach(DlServer& s, u32 nr_running) {
  s.attached = true;
  if (nr_running > 0) dl_server_start(s);
}

void Kernel::Private::dl_server_detach(DlServer& s) {
  dl_server_stop(s);
  s.attached = false;
}

std::unique_ptr<SchedClass> make_deadline_class(Kernel& kernel) {
  return std::make_unique<DeadlineClass>(kernel);
}

}  // namespace uscx::sched
