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
#include "observe/message_log.h"
#include "observe/perfetto.h"
#include "observe/report.h"
#include "observe/run_observers.h"
#include "sched/invariants.h"
#include "sched/kernel.h"
#include "workload/workload.h"

namespace uscx::cli {

/// One run: a machine, its kernel, a workload, and a loader that brings a scheduler up, waits and
/// takes it down again. The loader is a task of the machine.
class Session {
 public:
  Session(const RunPlan& plan, machine::MachineSpec machine, workload::Workload workload);

  /// Begins the trace that the options ask for, if any; before anything else. Errors: the file.
  OrError<void> open_trace();
  /// Ends it. Errors: it could not be written.
  OrError<void> close_trace();

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
  /// Counted from boot on: events of the machine, callbacks of the scheduler, context switches.
  u64 events() const { return machine_->events(); }
  u64 callbacks() const;
  u64 switches() const { return kernel_.nr_switches; }
  /// The scheduler is up, and what happens is being counted.
  bool measuring() const { return measuring_; }

 private:
  void loader_main();
  /// Sleeps through the duration, and stops counting at its end.
  void measure();
  void begin_measurement(Nanos now);
  void end_measurement(Nanos now);
  /// Of a refusal, the kernel's log says why: what it said last is in the message.
  std::expected<void, LoadError> attach_scheduler();
  void call_programs();
  void read_variables();
  /// What a task of the workload asks of the user half, on its fiber.
  OrError<void> control_scheduler(std::string_view action);
  OrError<void> control(std::string_view action);
  void note_exit(s32 kind);
  observe::RunReport report();
  void add_exit(observe::RunReport& report);

  const RunPlan& plan_;
  std::string machine_name_;
  std::unique_ptr<machine::SimulatedMachine> machine_;
  workload::Workload workload_;
  sched::Kernel kernel_;
  observe::RunObservers observers_;
  observe::MessageLog messages_;
  std::optional<sched::Invariants> invariants_;  // --check, --explore
  std::unique_ptr<observe::PerfettoTrace> trace_;
  UserHalf user_half_;
  Progress progress_;
  Loader loader_;
  std::optional<LoadError> load_error_;
  std::string kernel_said_;                                     // the last line of the kernel's log
  std::vector<std::pair<std::string, std::string>> variables_;  // --get
  std::optional<observe::StallReport> stall_;
  /// Ends the measurement on time, whenever the loader itself gets a CPU.
  struct EndOfMeasurement final : sched::Timer {
    explicit EndOfMeasurement(Session& s) : session(s) {}
    void fired(sched::Kernel& kernel) override { session.end_measurement(kernel.now()); }
    Session& session;
  };
  EndOfMeasurement end_{*this};
  u64 wall_ns_ = 0;
  bool measuring_ = false;
  u32 controlling_ = 0;  // tasks that attach, detach ... the scheduler now
  bool done_ = false;
};

}  // namespace uscx::cli
