// SPDX-License-Identifier: GPL-2.0-only
// Deadline servers: how fair and ext tasks get their share beside real-time ones.
#include "sched/deadline.h"

#include <algorithm>
#include <cerrno>

#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr s64 kDeferResolutionNs = 1'000'000;  // a defer timer is not put off by less

void new_period(DlServer& s, u64 now_ns) {
  s.deadline_ns = now_ns + DlServer::kPeriodNs;
  s.runtime_ns = static_cast<s64>(s.reserved_ns);
  if (!s.defer_running) s.throttled = s.defer_armed = true;
}

void dequeue_server(DlServer& s) {
  if (!s.queued) return;
  s.rq.dl->erase(s);
}

}  // namespace

DlRq::DlRq(Rq& rq, SchedClass& fair_class, SchedClass& ext_class)
    : fair(rq, fair_class, rq.fair_server_active),
      ext(rq, ext_class, rq.ext_server_active),
      hrtick(rq) {}

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
  } else if (dl_before(s.deadline_ns, now_ns) ||
             dl_overflows(s, now_ns, DlServer::kPeriodNs, s.reserved_ns)) {
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
  s.rq.dl->insert(s);
}

void Kernel::Private::dl_replenish(DlServer& s) {
  const u64 now_ns = s.rq.clock;
  if (s.deadline_ns == 0 ||
      (s.defer_armed && dl_overflows(s, now_ns, DlServer::kPeriodNs, s.reserved_ns))) {
    s.deadline_ns = now_ns + DlServer::kPeriodNs;
    s.runtime_ns = static_cast<s64>(s.reserved_ns);
  }
  while (s.runtime_ns <= 0) {
    s.deadline_ns += DlServer::kPeriodNs;
    s.runtime_ns += static_cast<s64>(s.reserved_ns);
  }
  if (dl_before(s.deadline_ns, now_ns)) new_period(s, now_ns);
  s.throttled = false;
  if (s.defer_armed) {
    s.defer_armed = false;
    return;
  }
  if (s.defer_running || !dl_before(now_ns, s.deadline_ns - static_cast<u64>(s.runtime_ns))) return;
  s.defer_armed = s.throttled = true;
  if (dl_start_timer(s)) return;
  k.machine_.timer_cancel(s);
  s.defer_armed = s.throttled = false;
}

void Kernel::Private::dl_server_start(DlServer& s) {
  s.defer_idle = false;
  if (s.active || !s.attached || s.reserved_ns == 0 || !s.rq.online) return;
  k.class_of(s.rq, *s.rq.current()).update_curr(s.rq);
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
               dl_before(rq.clock, zero_laxity_ns - static_cast<u64>(kDeferResolutionNs))) {
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
  Kernel::Private& priv = KernelInternals::of(kernel);
  if (ns > kPeriodNs) return fail(EINVAL);
  if (!rq.online) return fail(EBUSY);
  if (priv.dl_bw_overflows(bandwidth(), dl_bandwidth(kPeriodNs, ns))) return fail(EBUSY);
  kernel.rq_lock(rq);
  kernel.update_rq_clock(rq);
  priv.dl_server_stop(*this);
  priv.dl_bw_change(rq, [&] { reserved_ns = ns; });
  runtime_ns = 0;
  deadline_ns = 0;
  priv.dl_server_start(*this);
  kernel.rq_unlock(rq);
  return {};
}

bool Kernel::Private::dl_server_attach(DlServer& s, u32 nr_running) {
  if (s.attached) return true;
  const u64 wanted = dl_bandwidth(DlServer::kPeriodNs, s.reserved_ns);
  if (s.rq.active && dl_bw_overflows(0, wanted)) return false;
  dl_bw_change(s.rq, [&] { s.attached = true; });
  if (nr_running > 0) dl_server_start(s);
  return true;
}

void Kernel::Private::dl_server_detach(DlServer& s) {
  dl_server_stop(s);
  dl_bw_change(s.rq, [&] { s.attached = false; });
}

}  // namespace uscx::sched
