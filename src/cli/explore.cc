// SPDX-License-Identifier: GPL-2.0-only
#include "cli/explore.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/session.h"
#include "machine/explored/explored_machine.h"
#include "machine/explored/seeds.h"

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
  return report ? verdict(*report) : report.error().message;
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

void print(const RunOptions& options, const machine::SeedsRun& run) {
  for (const machine::SeedFailure& f : run.failures) {
    RunOptions again = options;
    again.explore_seeds = 0;
    again.explore_seed = f.seed;
    fmt::print("seed {}:\n{}  replay: {}\n", f.seed, first_lines(f.what), replay_command(again));
  }
  fmt::print("explored {} seed{}: {} failure{}, {} distinct\n", run.seeds,
             run.seeds == 1 ? "" : "s", run.failures.size(), run.failures.size() == 1 ? "" : "s",
             run.kinds().size());
  for (const std::string& kind : run.kinds()) {
    const auto n = std::count_if(
        run.failures.begin(), run.failures.end(),
        [&](const machine::SeedFailure& f) { return machine::failure_kind(f.what) == kind; });
    fmt::print("  {} x {}\n", n, kind);
  }
}

}  // namespace

std::unique_ptr<machine::SimulatedMachine> make_machine(const RunOptions& options,
                                                        const machine::MachineSpec& spec) {
  if (options.explore_seed == 0) return std::make_unique<machine::SimulatedMachine>(spec);
  return std::make_unique<machine::ExploredMachine>(spec, exploration_of(options));
}

int explore(const RunOptions& options) {
  constexpr int kBadUsage = 1, kFailuresFound = 3;
  const auto plan = plan_run(options);
  const auto spec = machine::load_machine(options.machine);
  const auto workload = workload::Workload::load(options.workload);
  if (!plan || !spec || !workload) {
    fmt::print(stderr, "uscx: {}\n",
               !plan   ? plan.error().message
               : !spec ? spec.error().message
                       : workload.error().message);
    return kBadUsage;
  }
  const auto run = machine::run_seeds({.first = 1, .count = options.explore_seeds}, [&](u64 seed) {
    RunPlan one = *plan;
    one.options.explore_seed = seed;
    one.options.quiet = true;
    return run_seed(one, *spec);
  });
  print(options, run);
  return run.failures.empty() ? 0 : kFailuresFound;
}

}  // namespace uscx::cli
