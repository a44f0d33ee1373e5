// SPDX-License-Identifier: GPL-2.0-only
#include "cli/explore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/session.h"
#include "machine/explored/explored_machine.h"

namespace uscx::cli {

namespace {

machine::Exploration exploration_of(const RunOptions& options) {
  machine::Exploration exploration = machine::Exploration::of_seed(options.explore_seed);
  if (options.explore_depth >= 0) exploration.depth = static_cast<u32>(options.explore_depth);
  return exploration;
}

/// What is wrong with how a run ended, or nothing.
std::string verdict(const observe::RunReport& report) {
  switch (report.outcome) {
    case observe::Outcome::kCompleted:
    case observe::Outcome::kUnregistered:
      return {};
    case observe::Outcome::kRefused:
      return "refused: " + report.message;
    case observe::Outcome::kError:
    case observe::Outcome::kStall:
      break;
  }
  return report.exit->reason + ": " + report.exit->msg;
}

std::string run_seed(const RunPlan& plan, const machine::MachineSpec& spec) {
  auto workload = workload::Workload::load(plan.options.workload);
  if (!workload) return workload.error().message;
  Session session(plan, spec, std::move(*workload));
  const auto report = session.run();
  if (report) return verdict(*report);
  // Tasks are in the middle of system calls: the simulation cannot be taken down.
  fmt::print(stderr, "{}\n", report.error().message);
  std::fflush(stderr);
  std::_Exit(1);
}

std::string first_lines(std::string_view text) {
  constexpr std::size_t kMostLines = 12;
  std::string out;
  for (std::size_t n = 0; n < kMostLines && !text.empty(); ++n) {
    const std::size_t end = text.find('\n');
    out += fmt::format("  {}\n", text.substr(0, end));
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  return out;
}

std::string replay_of(const RunOptions& options, u64 seed) {
  RunOptions again = options;
  again.explore_seeds = 0;
  again.explore_seed = seed;
  return replay_command(again);
}

u64 count_of(const machine::SeedsRun& run, const std::string& kind) {
  return static_cast<u64>(std::count_if(
      run.failures.begin(), run.failures.end(),
      [&](const machine::SeedFailure& f) { return machine::failure_kind(f.what) == kind; }));
}

}  // namespace

std::unique_ptr<machine::SimulatedMachine> make_machine(const RunOptions& options,
                                                        const machine::MachineSpec& spec) {
  if (options.explore_seed == 0) return std::make_unique<machine::SimulatedMachine>(spec);
  return std::make_unique<machine::ExploredMachine>(spec, exploration_of(options));
}

machine::SeedsRun explore(const RunPlan& plan, const machine::MachineSpec& spec) {
  return machine::run_seeds({.first = 1, .count = plan.options.explore_seeds}, [&](u64 seed) {
    RunPlan one = plan;
    one.options.explore_seed = seed;
    one.options.quiet = true;
    return run_seed(one, spec);
  });
}

std::string explored_text(const RunOptions& options, const machine::SeedsRun& run) {
  std::string out;
  for (const machine::SeedFailure& f : run.failures) {
    out += fmt::format("seed {}:\n{}  replay: {}\n", f.seed, first_lines(f.what),
                       replay_of(options, f.seed));
  }
  const std::vector<std::string> kinds = run.kinds();
  out += fmt::format("explored {} seed{}: {} failure{}, {} distinct\n", run.seeds,
                     run.seeds == 1 ? "" : "s", run.failures.size(),
                     run.failures.size() == 1 ? "" : "s", kinds.size());
  for (const std::string& kind : kinds)
    out += fmt::format("  {} x {}\n", count_of(run, kind), kind);
  return out;
}

std::string explored_json(const RunOptions& options, const machine::SeedsRun& run) {
  nlohmann::ordered_json j = {{"seeds", run.seeds}};
  j["failures"] = nlohmann::ordered_json::array();
  for (const machine::SeedFailure& f : run.failures) {
    j["failures"].push_back(
        {{"seed", f.seed}, {"what", f.what}, {"replay", replay_of(options, f.seed)}});
  }
  j["kinds"] = nlohmann::ordered_json::array();
  for (const std::string& kind : run.kinds()) {
    j["kinds"].push_back({{"what", kind}, {"count", count_of(run, kind)}});
  }
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace uscx::cli
