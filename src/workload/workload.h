// SPDX-License-Identifier: GPL-2.0-only
// What the rest of uscx sees of workloads: load one, start it on a kernel, stop it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sched/kernel.h"
#include "workload/run.h"
#include "workload/spec.h"

namespace uscx::workload {

inline constexpr std::string_view kDefaultWorkload = "spin-sleep";

/// One of the workloads that are part of the command.
struct Builtin {
  std::string_view name;
  std::string_view json;
};
/// All of them, by name.
std::span<const Builtin> builtins();

class Workload {
 public:
  /// By the name of a built-in one, or the path of an rt-app file (it ends in .json or contains a
  /// slash). Errors: one line, with line and column where a file is wrong.
  static OrError<Workload> load(const std::string& name_or_path);
  /// From the text of a file called `name`.
  static OrError<Workload> parse(std::string name, std::string_view text);

  Workload(Workload&&) = default;
  Workload& operator=(Workload&&) = default;
  ~Workload();

  const std::string& name() const { return spec_->name; }
  const std::string& description() const { return spec_->description; }
  /// How long the file wants to run; none where it does not say.
  std::optional<Nanos> duration() const { return spec_->duration; }
  /// Its tasks attach the scheduler themselves, when they want it.
  bool attaches() const { return spec_->attaches; }
  /// Who does what its tasks ask of the scheduler's user half. Before start().
  void set_scheduler_control(Run::SchedulerControl control) { control_ = std::move(control); }

  /// Starts the task that forks all others, in virtual time. Before the simulation runs, or on a
  /// fiber where a scheduler is attached already (it may refuse the task). Once; the kernel's
  /// machine must outlive this object. Errors: what the machine cannot have, a refused launcher.
  OrError<void> start(sched::Kernel& kernel);
  /// From now on every task exits when its step is over; those that sleep are woken for it.
  /// Any context. run_until finished() to see them go.
  void stop();
  /// All tasks have begun their exit; false before start().
  bool finished() const;

  u64 tasks_started() const { return run_ ? run_->started() : 0; }
  u64 tasks_running() const { return run_ ? run_->running() : 0; }
  Troubles troubles() const { return run_ ? run_->troubles() : Troubles{}; }

 private:
  explicit Workload(WorkloadSpec spec)
      : spec_(std::make_shared<const WorkloadSpec>(std::move(spec))) {}

  std::shared_ptr<const WorkloadSpec> spec_;
  std::shared_ptr<Run> run_;
  Run::SchedulerControl control_;
};

}  // namespace uscx::workload
