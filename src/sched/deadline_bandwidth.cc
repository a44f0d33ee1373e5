// SPDX-License-Identifier: GPL-2.0-only
// Admission to SCHED_DEADLINE: what tasks and servers reserve together is at most what the
// active CPUs have, so that everybody gets what was promised.
#include <algorithm>

#include "sched/deadline.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

constexpr u64 kWholeCpu = 1 << 20;  // sched_rt_runtime_us is the whole of sched_rt_period_us
constexpr u64 kFullCapacity = 1024;

}  // namespace

DlBandwidth Kernel::Private::dl_bw_of(const Rq& rq) const {
  if (!rq.active) return {};
  return {.servers = rq.dl->total_bw(),
          .capacity = k.machine_.topology().cpus[static_cast<u32>(rq.id)].capacity,
          .nr_cpus = 1};
}

bool Kernel::Private::dl_bw_overflows(u64 old_bw, u64 new_bw) {
  const u64 total = dl_tasks_bw + dl_bw.servers;
  return kWholeCpu * dl_bw.capacity / kFullCapacity < total - old_bw + new_bw;
}

bool Kernel::Private::dl_bw_needs(CpuId cpu) {
  DlBandwidth others = dl_bw;
  others -= dl_bw_of(k.rq(cpu));
  return others.nr_cpus == 0 ||
         kWholeCpu * others.capacity / kFullCapacity < others.servers + dl_tasks_bw;
}

Result<void> Kernel::Private::dl_set_parameters(Task& p, int policy,
                                                const DlParameters& parameters) {
  const bool was = dl_policy(static_cast<int>(p.policy));
  if (!dl_policy(policy)) return {};  // dl_release() gives it back at the right time
  if (!p.dl) p.dl = std::make_shared<DlTask>(p);
  DlTask& s = *p.dl;
  const u64 bandwidth = dl_bandwidth(parameters.period_ns, parameters.runtime_ns);
  if (!was || bandwidth != s.bandwidth) {
    if (dl_bw_overflows(was ? s.bandwidth : 0, bandwidth)) return fail(EBUSY);
    dl_tasks_bw += bandwidth - s.bandwidth;  // of one that has not been released yet, too
    k.machine_.timer_cancel(s.inactive);
  }
  s.bandwidth = bandwidth;
  s.parameters = parameters;
  return {};
}

void Kernel::Private::dl_release(Task& p) {
  DlTask& s = *p.dl;
  k.machine_.timer_cancel(s);
  s.throttled = s.yielded = false;
  if (s.bandwidth == 0 || s.inactive.armed()) return;
  // 0-lag: what it has left would be due by then at its rate.
  const s64 ahead_ns = s.runtime_ns <= 0
                           ? 0
                           : static_cast<s64>(static_cast<u64>(s.runtime_ns) *
                                              s.parameters.period_ns / s.parameters.runtime_ns);
  const u64 zero_lag_ns = s.deadline_ns - static_cast<u64>(ahead_ns);
  if (s.deadline_ns == 0 || !dl_before(k.now().ns, zero_lag_ns)) {
    dl_tasks_bw -= s.bandwidth;
    s.bandwidth = 0;
    return;
  }
  dl_inactive.push_back(p.dl);
  k.machine_.timer_start(s.inactive, Nanos{zero_lag_ns}, p.cpu);
}

void Kernel::Private::dl_cancel_timers() {
  for (Rq* rq : k.rqs_) {
    for (Timer* t : std::initializer_list<Timer*>{&rq->dl->fair, &rq->dl->ext, &rq->dl->hrtick}) {
      k.machine_.timer_cancel(*t);
    }
  }
  for (Task* p = all_tasks.front(); p != nullptr; p = all_tasks.next(*p)) {
    if (!p->dl) continue;
    k.machine_.timer_cancel(*p->dl);
    k.machine_.timer_cancel(p->dl->inactive);
  }
  for (const std::shared_ptr<DlTask>& s : dl_inactive) k.machine_.timer_cancel(s->inactive);
  dl_inactive.clear();
}

void DlTask::InactiveTimer::fired(Kernel& kernel) {
  Kernel::Private& priv = KernelInternals::of(kernel);
  priv.dl_tasks_bw -= owner.bandwidth;
  owner.bandwidth = owner.deadline_ns = 0;
  // Where the task is gone, nobody else holds it, and this goes with it.
  auto& list = priv.dl_inactive;
  list.erase(std::ranges::find(list, &owner, &std::shared_ptr<DlTask>::get));
}

}  // namespace uscx::sched
