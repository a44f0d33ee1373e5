// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "bpf/exec/engine_kind.h"
#include "btf/profile.h"
#include "cli/variables.h"

namespace uscx::cli {

/// `uscx run`, as the command line has it.
struct RunOptions {
  std::string scheduler;
  std::string machine = "1n2l4c2t";
  std::string workload = "spin-sleep";
  std::string duration = "2s";
  u64 seed = 1;
  std::string kernel = "7.3";
  std::string engine;  // empty: the fastest there is
  std::vector<std::string> settings;
  std::vector<std::string> wanted;  // --get
  std::vector<std::string> filled;  // --fill: arrays of maps
  std::string ops;                  // which struct_ops map, where an object has several
  std::vector<std::string> calls;   // --call: SYSCALL programs to run once it is attached
  std::string json_path;
  std::string trace_path;
  bool trace_callbacks = false;
  bool printk = false;
  bool dmesg = false;
  bool verbose = false;
  bool quiet = false;      // no progress bar
  bool check = false;      // invariants
  u64 explore_seeds = 0;   // --explore: how many; 0: do not
  u64 explore_seed = 0;    // --explore-seed: this one; 0: a plain run
  s64 explore_depth = -1;  // PCT's change points; 0: random walk; -1: by the seed
};

/// The options that have been looked at.
struct RunPlan {
  RunOptions options;
  Nanos duration;
  btf::KernelVersion kernel;
  bpf::EngineKind engine;
  std::vector<VariableSetting> settings;
};

/// "2s", "500ms", "250us", "1m", "1.5s"; at least 1 us, at most 24 h.
OrError<Nanos> parse_duration(std::string_view text);
OrError<RunPlan> plan_run(RunOptions options);
/// The one command that repeats the run.
std::string replay_command(const RunOptions& options);

}  // namespace uscx::cli
