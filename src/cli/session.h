// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/loader.h"
#include "cli/progress.h"
#include "cli/run_options.h"
#include "cli/user_half.h"
#include "machine/simulated/simulated_machine.h"
#include "machine/topology_spec.h"
#include "observe/fingerprint.h"
#include "observe/message_log.h"
#include "observe/metrics.h"
#include "observe/report.h"
#include "observe/task_history.h"
#include "sched/invariants.h"
#include "sched/kernel.h"
#include "workload/workload.h"

namespace uscx::cli {

/// One run: a machine, its kernel, a workload, and a loader that brings a scheduler up, waits and
/// takes it down again. The loader is a task of the machine.
class Session {
 public:
  Session(const RunPlan& plan, machine::MachineSpec machine, workload::Workload workload);

  /// Simulates from boot to the end. A LoadError of kind kInput is the caller's to print; a refusal
  /// is a report.
  std::expected<observe::RunReport, LoadError> run();

  /// The same in parts, for several sessions in one process: start() once, advance() until it is
  /// true, finish().
  std::expected<void, LoadError> start();
  /// Simulates up to `deadline`; true where the run is over.
  std::expected<bool, LoadError> advance(Nanos deadline);
  std::expected<observe::RunReport, LoadError> finish();
  Nanos now() const { return machine_->now(); }

 private:
  void loader_main();
  /// Sleeps through the duration, and stops counting at its end.
  void measure();
  void read_variables();
  void note_exit(s32 kind);
  observe::RunReport report();
  void add_exit(observe::RunReport& report);

  const RunPlan& plan_;
  std::string machine_name_;
  std::unique_ptr<machine::SimulatedMachine> machine_;
  workload::Workload workload_;
  sched::Kernel kernel_;
  observe::Fingerprint fingerprint_;
  observe::Metrics metrics_;
  observe::TaskHistory history_;
  observe::MessageLog messages_;
  std::optional<sched::Invariants> invariants_;  // --check, --explore
  UserHalf user_half_;
  Progress progress_;
  Loader loader_;
  std::optional<LoadError> load_error_;
  std::vector<std::pair<std::string, std::string>> variables_;  // --get
  std::optional<observe::StallReport> stall_;
  /// Ends the measurement on time, whenever the loader itself gets a CPU.
  struct EndOfMeasurement final : sched::Timer {
    explicit EndOfMeasurement(observe::Metrics& metrics) : metrics(metrics) {}
    void fired(sched::Kernel& kernel) override { metrics.end(kernel.now()); }
    observe::Metrics& metrics;
  };
  EndOfMeasurement end_{metrics_};
  u64 wall_ns_ = 0;
  bool done_ = false;
};

}  // namespace uscx::cli
