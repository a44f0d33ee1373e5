// SPDX-License-Identifier: GPL-2.0-only
// `uscx ops` and `uscx kfuncs`: what a scheduler may implement and call.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/run_command.h"
#include "sched/ext/op_table.h"

namespace uscx::cli {

namespace {

struct Options {
  std::string kernel = "7.3";
  bool markdown = false;
  bool graph = false;
};

btf::KernelVersion version_of(const Options& options) {
  return options.kernel == "7.2" ? btf::KernelVersion{7, 2} : btf::KernelVersion{7, 3};
}

void print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

CLI::App* add_verb(CLI::App& app, const char* name, const char* what, Options& options) {
  CLI::App* verb = app.add_subcommand(name, what);
  verb->add_option("--kernel", options.kernel, "Which kernel's: 7.2 or 7.3")
      ->check(CLI::IsMember({"7.2", "7.3"}))
      ->capture_default_str();
  return verb;
}

}  // namespace

void add_table_commands(CLI::App& app, int* status) {
  auto ops = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "ops", "Print the callbacks of a scheduler, and their locks", *ops);
  verb->add_flag("--markdown", ops->markdown, "All that is known of each, as docs/ops.md has it");
  verb->callback([ops, status] {
    const btf::KernelVersion version = version_of(*ops);
    print(ops->markdown ? sched::ext::ops_markdown(version) : sched::ext::ops_text(version));
    *status = 0;
  });
  auto kfuncs = std::make_shared<Options>();
  verb = add_verb(app, "kfuncs", "Print the kfuncs of sched_ext, and who may call them", *kfuncs);
  verb->add_flag("--graph", kfuncs->graph,
                 "Which kfunc, called from which callback, calls which callback at once");
  verb->callback([kfuncs, status] {
    const btf::KernelVersion version = version_of(*kfuncs);
    print(kfuncs->graph ? sched::ext::kfunc_graph(version) : sched::ext::kfuncs_text(version));
    *status = 0;
  });
}

}  // namespace uscx::cli
