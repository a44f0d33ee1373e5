// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace CLI {
class App;
}

namespace uscx::cli {

/// Adds `run` to the command line. When it is the chosen verb, `*status` gets the exit status.
void add_run_command(CLI::App& app, int* status);

/// Adds `ops` and `kfuncs`, which print what schedulers may implement and call.
void add_table_commands(CLI::App& app, int* status);

/// Adds `completion`, which prints a completion script for bash, zsh or fish.
void add_completion_command(CLI::App& app, int* status);

}  // namespace uscx::cli
