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

template <Near near>
void fetch(const void* at) {
  constexpr int kFirst = 3, kSecond = 2;  // __builtin_prefetch's localities
  __builtin_prefetch(at, 0, near == Near::kFirstCache ? kFirst : kSecond);
}

/// The lines from the one that has byte `from` of `object`, which begins one, to that of byte `to`.
template <Near near, u64 from, u64 to>
[[gnu::always_inline]] inline void fetch_lines(const void* object) {
  const char* at = static_cast<const char*>(object);
  [&]<std::size_t... line>(std::index_sequence<line...>) {
    (fetch<near>(at + (from / kLine + line) * kLine), ...);
  }(std::make_index_sequence<to / kLine - from / kLine + 1>{});
}

}  // namespace

template <Near near>
void prefetch_rq(const Rq& rq) {
  fetch_lines<near, offsetof(Rq, scx.local_dsq.nr), offsetof(Rq, preempted_count)>(&rq);
}

template <Near near>
void prefetch_rq_parts(const Rq& rq) {
  fetch<near>(rq.ext);
  fetch<near>(&rq.dl->ext);
  const Task* p = rq.current();
  fetch<near>(&rq.idle_task()->se.nr_migrations);
  if (p != rq.idle_task()) prefetch_task<near>(p);
}

template <Near near>
void prefetch_dispatch(const Rq& rq) {
  fetch_lines<near, offsetof(ext::Dsq, nr), offsetof(ext::Dsq, cursors)>(rq.ext->local_dsq);
  if (ext::Sched* root = ext::impl_of(rq.ext->kernel).root) fetch<near>(&root->cpu(rq.id));
}

const Task* next_on_local_dsq(const Rq& rq) {
  return rq.ext->local_dsq->tasks.front();
}

template <Near near>
void prefetch_wakeup_target(const Rq& rq) {
  fetch<near>(rq.ext);
  fetch<near>(&rq.dl->ext);
}

template <Near near>
void prefetch_task(const Task* p) {
  fetch_lines<near, offsetof(Task, se.nr_migrations), offsetof(Task, scx.dsq_vtime)>(p);
  fetch_lines<near, offsetof(Task, cpus_ptr), offsetof(Task, deferred)>(p);
}

template <Near near>
void prefetch_behaviour(const Task& p) {
  fetch_lines<near, 0, 2 * kLine - 1>(p.behaviour.get());
}

template void prefetch_rq<Near::kFirstCache>(const Rq&);
template void prefetch_rq<Near::kSecondCache>(const Rq&);
template void prefetch_rq_parts<Near::kFirstCache>(const Rq&);
template void prefetch_rq_parts<Near::kSecondCache>(const Rq&);
template void prefetch_dispatch<Near::kFirstCache>(const Rq&);
template void prefetch_wakeup_target<Near::kFirstCache>(const Rq&);
template void prefetch_task<Near::kFirstCache>(const Task*);
template void prefetch_task<Near::kSecondCache>(const Task*);
template void prefetch_behaviour<Near::kFirstCache>(const Task&);
template void prefetch_behaviour<Near::kSecondCache>(const Task&);

}  // namespace uscx::sched
