// SPDX-License-Identifier: GPL-2.0-only
#include "sched/prefetch.h"

#include <cstddef>
#include <utility>

#include "sched/deadline.h"
#include "sched/ext/internal.h"
#include "sched/rq.h"
#include "sched/task.h"

// All compilers that uscx knows lay out classes with bases so that this has an answer.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace uscx::sched {

namespace {

constexpr u64 kLine = 64;

void fetch(const void* at) {
  __builtin_prefetch(at);
}

/// The lines from the one that has byte `from` of `object`, which begins one, to that of byte `to`.
template <u64 from, u64 to>
[[gnu::always_inline]] inline void fetch_lines(const void* object) {
  const char* at = static_cast<const char*>(object);
  [&]<std::size_t... line>(std::index_sequence<line...>) {
    (fetch(at + (from / kLine + line) * kLine), ...);
  }(std::make_index_sequence<to / kLine - from / kLine + 1>{});
}

}  // namespace

void prefetch_rq(const Rq& rq) {
  fetch_lines<offsetof(Rq, scx.local_dsq.nr), offsetof(Rq, preempted_count)>(&rq);
}

void prefetch_rq_parts(const Rq& rq) {
  fetch(rq.ext);
  fetch(&rq.dl->ext);
  const Task* p = rq.current();
  fetch(&rq.idle_task()->se.nr_migrations);
  if (p != rq.idle_task()) prefetch_task(p);
}

void prefetch_dispatch(const Rq& rq) {
  fetch_lines<offsetof(ext::Dsq, nr), offsetof(ext::Dsq, cursors)>(rq.ext->local_dsq);
  if (ext::Sched* root = ext::impl_of(rq.ext->kernel).root) fetch(&root->cpu(rq.id));
}

const Task* next_on_local_dsq(const Rq& rq) {
  return rq.ext->local_dsq->tasks.front();
}

void prefetch_wakeup_target(const Rq& rq) {
  fetch(rq.ext);
  fetch(&rq.dl->ext);
}

void prefetch_task(const Task* p) {
  fetch_lines<offsetof(Task, se.nr_migrations), offsetof(Task, scx.dsq_vtime)>(p);
  fetch_lines<offsetof(Task, cpus_ptr), offsetof(Task, deferred)>(p);
}

void prefetch_behaviour(const Task& p) {
  fetch_lines<0, 2 * kLine - 1>(p.behaviour.get());
}

}  // namespace uscx::sched
