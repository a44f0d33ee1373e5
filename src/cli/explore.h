// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>

#include "cli/run_options.h"
#include "machine/simulated/simulated_machine.h"

namespace uscx::cli {

/// The machine a run asks for: a plain one, or one that explores with --explore-seed.
std::unique_ptr<machine::SimulatedMachine> make_machine(const RunOptions& options,
                                                        const machine::MachineSpec& spec);

/// `uscx run --explore`: the run, once for each seed, and what failed with the command that replays
/// it. Returns the command's exit status: 0 where nothing failed.
int explore(const RunOptions& options);

}  // namespace uscx::cli
