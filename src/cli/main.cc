// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "cli/run_command.h"

int main(int argc, char** argv) {
  constexpr int kBadUsage = 1;
  CLI::App app{
      "uscx: Linux's sched_ext in user space. Runs unmodified compiled BPF schedulers on a "
      "simulated machine."};
  app.name("uscx");
  app.set_version_flag("--version", "uscx " USCX_VERSION);
  app.require_subcommand(1);
  int status = 0;
  uscx::cli::add_run_command(app, &status);
  uscx::cli::add_completion_command(app, &status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);  // --help, --version
  } catch (const CLI::ParseError& bad) {
    fmt::print(stderr, "uscx: {}; see 'uscx --help'\n", bad.what());
    return kBadUsage;
  } catch (const std::exception& unexpected) {
    fmt::print(stderr, "uscx: {}\n", unexpected.what());
    return kBadUsage;
  }
  return status;
}
