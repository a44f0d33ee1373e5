// SPDX-License-Identifier: GPL-2.0-only
#include "observe/run_observers.h"

namespace uscx::observe {

using sched::Task;

// Everything in line, but the history's last step, which all events share; and what is rare ends in
// a call too, so that no register has to outlive one.

[[gnu::always_inline]] inline void RunObservers::on_switch(Nanos now, CpuId cpu, const Task& prev,
                                                           u32 state, const Task& next) {
  if (!metrics.knows(next)) [[unlikely]]
    return meet_on_switch(now, cpu, prev, state, next);
  metrics.count_switch(now, cpu, prev, state, next);
  fingerprint.on_switch(now, cpu, prev, state, next);
  history.on_switch(now, cpu, prev, state, next);
}

[[gnu::cold]] void RunObservers::meet_on_switch(Nanos now, CpuId cpu, const Task& prev, u32 state,
                                                const Task& next) {
  metrics.meet(next);
  on_switch(now, cpu, prev, state, next);
}

[[gnu::always_inline]] inline void RunObservers::on_wakeup(Nanos now, CpuId cpu, const Task& p,
                                                           CpuId to) {
  if (!metrics.knows(p)) [[unlikely]]
    return meet_on_wakeup(now, cpu, p, to);
  metrics.count_wakeup(now, p);
  fingerprint.on_wakeup(now, cpu, p, to);
  history.on_wakeup(now, cpu, p, to);
}

[[gnu::cold]] void RunObservers::meet_on_wakeup(Nanos now, CpuId cpu, const Task& p, CpuId to) {
  metrics.meet(p);
  on_wakeup(now, cpu, p, to);
}

inline void RunObservers::on_migrate(Nanos now, const Task& p, CpuId from, CpuId to) {
  metrics.on_migrate(now, p, from, to);
  fingerprint.on_migrate(now, p, from, to);
  history.on_migrate(now, p, from, to);
}

inline void RunObservers::on_callback(Nanos now, CpuId cpu, sched::ext::Op op, const Task* p,
                                      u64 result) {
  metrics.on_callback(now, cpu, op, p, result);
  fingerprint.on_callback(now, cpu, op, p, result);
  history.on_callback(now, cpu, op, p, result);
}

RunObservers::RunObservers(sched::Tracepoints& trace, u32 nr_cpus)
    : history(trace, Steps::kTold),
      fingerprint(trace, Steps::kTold),
      metrics(trace, nr_cpus, Steps::kTold) {
  subscribe_steps(trace, *this);
  trace.task_comes.subscribe<&RunObservers::on_comes>(*this);
}

}  // namespace uscx::observe
