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
  fetch_lines(rq.scx.local_dsq.nr, rq.preempted_count);
}

void prefetch_rq_parts(const Rq& rq) {
  __builtin_prefetch(rq.ext);
  __builtin_prefetch(&rq.dl->ext);
}

void prefetch_local_dsq(const Rq& rq) {
  const ext::Dsq* local = rq.ext->local_dsq;
  fetch_lines(local->nr, local->cursors);
}

void prefetch_task(const Task* p) {
  fetch_lines(p->se.nr_migrations, p->scx.dsq_vtime);
  fetch_lines(p->cpus_ptr, p->deferred);
}

void prefetch_current(const Rq& rq) {
  const Task* p = rq.current();
  __builtin_prefetch(&p->se.nr_migrations);
  if (p != rq.idle_task()) prefetch_task(p);
}

void prefetch_behaviour(const Task& p) {
  constexpr std::size_t kAsMuch = 2 * kLine;
  fetch_lines(*p.behaviour, *(reinterpret_cast<const char*>(p.behaviour.get()) + kAsMuch - 1));
}

}  // namespace uscx::sched
