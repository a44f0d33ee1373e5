// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <string>

#include "base/huge_heap.h"
#include "cli/run_command.h"
#include "cli/verify_command.h"

namespace {

bool is_verb(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : app.get_subcommands({})) {
    if (verb->check_name(name)) return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kBadUsage = 1;
  uscx::put_heap_into_huge_pages();
  CLI::App app{
      "uscx: Linux's sched_ext in user space. Runs unmodified compiled BPF schedulers on a "
      "simulated machine."};
  app.name("uscx");
  app.set_version_flag("--version", "uscx " USCX_VERSION);
  app.require_subcommand(1);
  int status = 0;
  uscx::cli::add_run_command(app, &status);
  uscx::cli::add_verify_command(app, &status);
  uscx::cli::add_table_commands(app, &status);
  uscx::cli::add_completion_command(app, &status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);  // --help, --version
  } catch (const CLI::RequiredError& missing) {
    // CLI11 says that a verb is missing where there is a wrong one, too.
    if (argc > 1 && argv[1][0] != '-' && !is_verb(app, argv[1])) {
      fmt::print(stderr, "uscx: no verb '{}'; see 'uscx --help'\n", argv[1]);
    } else {
      fmt::print(stderr, "uscx: {}; see 'uscx --help'\n", missing.what());
    }
    return kBadUsage;
  } catch (const CLI::ParseError& bad) {
    fmt::print(stderr, "uscx: {}; see 'uscx --help'\n", bad.what());
    return kBadUsage;
  } catch (const std::exception& unexpected) {
    fmt::print(stderr, "uscx: {}\n", unexpected.what());
    return kBadUsage;
  }
  return status;
}
