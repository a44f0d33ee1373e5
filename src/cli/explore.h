// SPDX-License-Identifier: GPL-2.0-only
// `uscx run --explore`: the run, once for each seed of CPU interleavings.
#pragma once

#include <memory>
#include <string>

#include "cli/run_options.h"
#include "machine/explored/seeds.h"
#include "machine/simulated/simulated_machine.h"

namespace uscx::cli {

/// The machine a run asks for: a plain one, or with --explore-seed one that explores.
std::unique_ptr<machine::SimulatedMachine> make_machine(const RunOptions& options,
                                                        const machine::MachineSpec& spec);

/// Runs seeds 1 to --explore. A seed fails where its scheduler is ejected or refused, or the
/// process dies of an invariant, a deadlock or an assertion.
machine::SeedsRun explore(const RunPlan& plan, const machine::MachineSpec& spec);

/// Each failure with the command that replays it, and how many of which kind.
std::string explored_text(const RunOptions& options, const machine::SeedsRun& run);
std::string explored_json(const RunOptions& options, const machine::SeedsRun& run);

}  // namespace uscx::cli
