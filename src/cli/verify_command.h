// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace CLI {
class App;
}

namespace uscx::cli {

/// Adds `verify` to the command line. When it is the chosen verb, `*status` gets the exit status.
void add_verify_command(CLI::App& app, int* status);

}  // namespace uscx::cli
