// SPDX-License-Identifier: GPL-2.0-only
#include "sched/prefetch.h"

#include "sched/deadline.h"
#include "sched/ext/internal.h"
#include "sched/rq.h"
#include "sched/task.h"

namespace uscx::sched {

namespace {

constexpr std::size_t kLine = 64;

/// All lines from the one that `first` is in to that of `last`.
template <class First, class Last>
void fetch_lines(const First& first, const Last& last) {
  const auto* line = reinterpret_cast<const char*>(reinterpret_cast<u64>(&first) / kLine * kLine);
  for (; line <= reinterpret_cast<const char*>(&last); line += kLine) __builtin_prefetch(line);
}

}  // namespace

void prefetch_rq(const Rq& rq) {
  fetch_lines(rq.nr_running, rq.scx.local_dsq.nr);
  fetch_lines(rq.id, rq.preempted_count);
}

void prefetch_rq_parts(const Rq& rq) {
  const ext::ExtRq* ext = rq.ext.get();
  fetch_lines(*ext, ext->deferred_reenq_locals);
  fetch_lines(rq.dl->ext, rq.dl->ext.defer_idle);
  __builtin_prefetch(&rq.cpustat->cpustat);
}

void prefetch_local_dsq(const Rq& rq) {
  const ext::Dsq* local = rq.ext->local_dsq;
  fetch_lines(*local, local->cursors);
}

void prefetch_task(const Task* p, CpuId cpu) {
  fetch_lines(p->thread_info, p->se.nr_migrations);
  fetch_lines(p->scx.sched, p->scx.kf_tasks);
  __builtin_prefetch(&p->cpus_mask.bits[static_cast<u32>(cpu) / 64]);
  fetch_lines(p->klass, p->nr_migrations);
}

void prefetch_current(const Rq& rq) {
  prefetch_task(rq.current(), rq.id);
}

void prefetch_behaviour(const Task& p) {
  constexpr std::size_t kAsMuch = 2 * kLine;
  fetch_lines(*p.behaviour, *(reinterpret_cast<const char*>(p.behaviour.get()) + kAsMuch - 1));
}

}  // namespace uscx::sched
