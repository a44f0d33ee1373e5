// SPDX-License-Identifier: GPL-2.0-only
// A run as a Perfetto trace: what CPUs and tasks do as ftrace's scheduler events, which Perfetto
// knows; depths of dispatch queues as counters; what sched_ext says of itself, and printk, as
// instants. See docs/traces.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "observe/perfetto_writer.h"

namespace uscx::sched {
class Kernel;
struct Task;
}  // namespace uscx::sched

namespace uscx::observe {

class PerfettoTrace {
 public:
  struct Options {
    std::string path;
    bool callbacks = false;  // a slice for each ops callback
  };
  /// Begins the file and listens from now on. The kernel must outlive it. Errors: the file.
  static OrError<std::unique_ptr<PerfettoTrace>> create(sched::Kernel& kernel, Options options);
  PerfettoTrace(const PerfettoTrace&) = delete;
  PerfettoTrace& operator=(const PerfettoTrace&) = delete;

  /// An instant on the run's own track, "measurement begins" for example.
  void mark(Nanos now, std::string_view text);
  /// Writes what is still buffered. Errors: anything could not be written, now or before.
  OrError<void> finish();

  // Tracks of our own; others are numbered behind them (perfetto.cc).
  static constexpr u64 kRunTrack = 1, kSchedExtTrack = 2, kPrintkTrack = 3, kLogTrack = 4;
  /// A thread's track, on which an instant of this name says that a woken task's own code goes on:
  /// the end of the report's wakeup latency.
  static constexpr u64 thread_track(Pid pid) { return (1ULL << 32) + static_cast<u32>(pid); }
  static constexpr std::string_view kExecutes = "executes";

 private:
  PerfettoTrace(sched::Kernel& kernel, Options options, std::unique_ptr<PerfettoWriter> writer);

  void subscribe_tasks();
  void subscribe_sched_ext();
  void begin();
  void on_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 prev_state,
                 const sched::Task& next);
  void on_wakeup(Nanos now, CpuId cpu, const sched::Task& p, CpuId target, pb::FtraceEvent kind);
  void on_executes(Nanos now, const sched::Task& p);
  void on_dsq(Nanos now, const sched::Task& p, u64 dsq_id, u32 nr);
  void on_callback(Nanos now, CpuId cpu, std::string_view op, u64 cost_ns);
  void new_task(Nanos now, const sched::Task& p);
  void task_gone(const sched::Task& p);
  Pid running_on(CpuId cpu);

  sched::Kernel& kernel_;
  Options options_;
  std::unique_ptr<PerfettoWriter> writer_;
  /// Whether a wakeup ended a sleep, as the metrics see it, and its code has not run since.
  struct TaskState {
    bool asleep = true;
    bool woken = false;
  };
  TaskState& state_of(const sched::Task& p);

  std::vector<TaskState> tasks_;      // by slot
  std::vector<u64> callback_end_ns_;  // by CPU
};

}  // namespace uscx::observe
