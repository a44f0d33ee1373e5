// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "observe/fingerprint.h"
#include "observe/metrics.h"
#include "observe/steps.h"
#include "observe/task_history.h"

namespace uscx::observe {

/// What every run is observed by. Must outlive the kernel's use of its tracepoints.
class RunObservers {
 public:
  RunObservers(sched::Tracepoints& trace, u32 nr_cpus);
  RunObservers(const RunObservers&) = delete;

  TaskHistory history;
  Fingerprint fingerprint;
  Metrics metrics;

  // See steps.h.
  void on_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 state, const sched::Task& next);
  void on_wakeup(Nanos now, CpuId cpu, const sched::Task& p, CpuId to);
  void on_migrate(Nanos now, const sched::Task& p, CpuId from, CpuId to);
  void on_comes(u32 slot) {
    history.prefetch(slot);
    metrics.prefetch(slot);
  }
  void on_callback(Nanos now, CpuId cpu, sched::ext::Op op, const sched::Task* p, u64 result);

 private:
  void meet_on_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 state,
                      const sched::Task& next);
  void meet_on_wakeup(Nanos now, CpuId cpu, const sched::Task& p, CpuId to);
};

}  // namespace uscx::observe
