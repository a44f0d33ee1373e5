// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "observe/metrics.h"

namespace uscx::observe {

/// How a run ended, as the exit status has it.
enum class Outcome : u8 { kCompleted, kUnregistered, kRefused, kError, kStall };
/// "completed", "unregistered" (the scheduler left by itself), "refused", "error", "stall".
std::string_view to_string(Outcome outcome);
/// 0 completed or unregistered, 2 refused, 3 error, 4 stall.
int exit_status(Outcome outcome);

struct ExitReport {
  s32 kind = 0;
  s64 code = 0;
  std::string reason;
  std::string msg;
};

struct StallReport {
  Pid pid = 0;
  std::string comm;
  std::string where_queued;
  std::vector<std::string> last_events;
};

/// Everything a run has to say. `metrics` is null where the scheduler was refused.
struct RunReport {
  std::string scheduler;  // ops name, or the file where it has none yet
  std::string file;
  std::string machine;  // Topology::description
  std::string workload;
  std::string kernel;  // "7.3"
  u64 seed = 0;
  std::string replay;  // the one command that repeats the run
  Outcome outcome = Outcome::kCompleted;
  std::string message;  // of a refusal
  std::optional<ExitReport> exit;
  std::optional<StallReport> stall;
  std::string dump;  // the kernel's debug dump
  u64 fingerprint = 0;
  u64 virtual_ns = 0;  // that the scheduler was measured for
  u64 wall_ns = 0;     // real time the run took
  u64 events = 0;      // of the machine, in all
  const Metrics* metrics = nullptr;
  std::vector<std::pair<std::string, std::string>> variables;  // asked for, with values as JSON
  std::vector<std::pair<std::string, s64>> scx_events;         // SCX_EV_*
  std::vector<std::pair<std::string, u64>> unserved;  // requests nobody serves, with counts
  u64 faults_to_zero = 0;
  u64 forks_failed = 0;  // of the workload's tasks
  u64 calls_failed = 0;
  bool verbose = false;
};

std::string format_text(const RunReport& report);
/// Keys as docs/report.md lists them; ends with a newline.
std::string format_json(const RunReport& report);
/// The one stable line for stderr, without newline; empty for an uneventful end.
std::string status_line(const RunReport& report);

}  // namespace uscx::observe
