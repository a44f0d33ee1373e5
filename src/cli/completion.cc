// SPDX-License-Identifier: GPL-2.0-only
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/run_command.h"

namespace uscx::cli {

namespace {

/// Options of all verbs, as the parser knows them, so that the script never falls behind.
std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* verb : app.get_subcommands({})) {
    words += verb->get_name() + " ";
    for (const CLI::Option* option : verb->get_options()) {
      for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
    }
  }
  return words;
}

std::string bash_script(const std::string& words) {
  return "_uscx() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  case $before in\n"
         "    --machine) COMPREPLY=($(compgen -W '1n1l4c1t 1n2l4c2t 2n4l8c2t' -- \"$word\") "
         "$(compgen -f -X '!*.json' -- \"$word\"));;\n"
         "    --workload) COMPREPLY=($(compgen -W 'spin-sleep hackbench schbench' -- \"$word\") "
         "$(compgen -f -X '!*.json' -- \"$word\"));;\n"
         "    --kernel) COMPREPLY=($(compgen -W '7.2 7.3' -- \"$word\"));;\n"
         "    --json) COMPREPLY=($(compgen -f -- \"$word\"));;\n"
         "    *) COMPREPLY=($(compgen -W '" +
         words +
         "' -- \"$word\") $(compgen -o plusdirs -f -X '!*.bpf.o' -- \"$word\"));;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _uscx uscx\n";
}

}  // namespace

void add_completion_command(CLI::App& app, int* status) {
  auto* verb = app.add_subcommand(
      "completion", "Print a shell completion script: source <(uscx completion bash)");
  auto shell = std::make_shared<std::string>("bash");
  verb->add_option("shell", *shell, "bash, or zsh (through bashcompinit)")
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->capture_default_str();
  verb->callback([&app, shell, status] {
    std::string script = bash_script(words_of(app));
    if (*shell == "zsh") script = "autoload -U +X bashcompinit && bashcompinit\n" + script;
    std::fputs(script.c_str(), stdout);
    *status = 0;
  });
}

}  // namespace uscx::cli
