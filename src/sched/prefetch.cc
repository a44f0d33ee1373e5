// SPDX-License-Identifier: GPL-2.0-only
#include "sched/prefetch.h"

#include "sched/ext/internal.h"
#include "sched/rq.h"
#include "sched/task.h"

namespace uscx::sched {

namespace {

constexpr std::size_t kLine = 64;

template <class... Members>
void fetch(const Members&... members) {
  (__builtin_prefetch(&members), ...);
}

void fetch_lines(const void* object, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += kLine) {
    __builtin_prefetch(static_cast<const char*>(object) + at);
  }
}

}  // namespace

void prefetch_rq(const Rq& rq) {
  fetch(rq.curr, rq.scx.local_dsq, rq.scx.flags, rq.scx.kick_sync, rq.clock, rq.id, rq.lock,
        rq.next_klass, rq.ext, rq.cpustat, rq.preempted_at_ns);
  fetch_lines(&rq.irq_held, 3 * kLine);  // as deep as locks nest
}

void prefetch_rq_parts(const Rq& rq) {
  const ext::ExtRq* ext = rq.ext.get();
  fetch_lines(ext, 2 * kLine);
  fetch(ext->locked_rq);
}

void prefetch_task(const Task* p) {
  fetch(p->__state, p->wake_cpu, p->se.exec_start, p->scx.dsq, p->scx.flags, p->scx.slice,
        p->sched_task_group, p->nr_cpus_allowed, p->migration_disabled, p->pid, p->utime, p->klass,
        p->wake_node, p->on_rq_state, p->behaviour, p->step_valid, p->deferred_valid,
        p->woken_at_ns, p->scx_dsq_node);
}

void prefetch_behaviour(const Task& p) {
  fetch_lines(p.behaviour.get(), 4 * kLine);
}

}  // namespace uscx::sched
