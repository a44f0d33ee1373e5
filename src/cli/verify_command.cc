// SPDX-License-Identifier: GPL-2.0-only
#include "cli/verify_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "btf/btf.h"
#include "cli/advice.h"
#include "cli/verify.h"

namespace uscx::cli {

namespace {

constexpr int kBadUsage = 1;
constexpr int kRefused = 2;
constexpr std::size_t kLogEnd = 24;  // lines of a refusal's log that are shown

struct Options {
  std::vector<std::string> objects;
  std::string kernel = "7.3";
  std::string program;
  std::string btf;
  std::vector<std::string> settings;
  u32 log_level = 0;
};

OrError<VerifyPlan> plan_verify(const Options& options) {
  VerifyPlan plan;
  const auto version = btf::parse_version(options.kernel);
  if (!version) return std::unexpected(version.error());
  if (btf::builtin_btf(*version).empty()) {
    std::string known;
    for (const btf::KernelVersion v : btf::known_versions()) known += " " + v.to_string();
    return error(fmt::format("kernel {}: no such profile; there are{}", options.kernel, known));
  }
  plan.kernel = *version;
  plan.log_level = options.log_level;
  plan.program = options.program;
  for (const std::string& text : options.settings) {
    auto setting = parse_setting(text);
    if (!setting) return std::unexpected(setting.error());
    plan.settings.push_back(std::move(*setting));
  }
  if (!options.btf.empty()) {
    std::ifstream file(options.btf, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    plan.vmlinux.resize(bytes.size());
    std::memcpy(plan.vmlinux.data(), bytes.data(), bytes.size());
    const auto parsed = btf::Btf::parse(plan.vmlinux);
    if (!parsed) return error(fmt::format("{}: {}", options.btf, parsed.error().message));
  }
  return plan;
}

std::string number(const ProgramVerdict& v, u64 value) {
  return v.has_statistics ? fmt::format("{}", value) : "-";
}

void print_table(const std::vector<ProgramVerdict>& verdicts) {
  std::size_t file = 4, program = 7;
  for (const ProgramVerdict& v : verdicts) {
    file = std::max(file, v.file.size());
    program = std::max(program, v.program.size());
  }
  const auto row = [&](auto&&... cells) {
    fmt::print("{:{}}  {:{}}  {:7}  {:>13}  {:>8}  {:>8}  {:>12}\n", cells...);
  };
  row("File", file, "Program", program, "Verdict", "Duration (us)", "Insns", "States",
      "Program size");
  row(std::string(file, '-'), file, std::string(program, '-'), program, std::string(7, '-'),
      std::string(13, '-'), std::string(8, '-'), std::string(8, '-'), std::string(12, '-'));
  for (const ProgramVerdict& v : verdicts) {
    row(v.file, file, v.program, program, v.accepted ? "success" : "failure",
        number(v, v.duration_us), number(v, v.insns), number(v, v.states), v.size);
  }
}

/// The last lines of a log, without its statistics.
std::string end_of(const std::string& log) {
  std::vector<std::string_view> lines;
  std::string_view rest = log;
  while (!rest.empty()) {
    const auto eol = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, eol);
    rest.remove_prefix(std::min(eol + 1, rest.size()));
    const bool statistics = line.starts_with("verification time ") ||
                            line.starts_with("stack depth ") ||
                            line.find(" insns_self ") != line.npos;
    if (statistics) continue;
    lines.push_back(line);
  }
  const std::size_t skipped = lines.size() > kLogEnd ? lines.size() - kLogEnd : 0;
  std::string out = skipped ? fmt::format("  ({} lines before)\n", skipped) : "";
  for (std::size_t i = skipped; i < lines.size(); ++i) out += fmt::format("  {}\n", lines[i]);
  return out;
}

void explain(const ProgramVerdict& v) {
  fmt::print("\n{}: {} is refused ({})\n{}", v.file, v.program, std::strerror(v.errnum),
             end_of(v.log));
  if (const auto advice = advice_for(v.log)) {
    fmt::print("What went wrong: {}\nWhat to do: {}\n", advice->meaning, advice->remedy);
  }
}

int verify(const Options& options) {
  const auto complain = [](const std::string& message) {
    fmt::print(stderr, "uscx: {}\n", message);
    return kBadUsage;
  };
  const auto plan = plan_verify(options);
  if (!plan) return complain(plan.error().message);
  std::vector<ProgramVerdict> all;
  for (const std::string& path : options.objects) {
    auto verdicts = verify_object(path, *plan);
    if (!verdicts) return complain(verdicts.error().message);
    std::move(verdicts->begin(), verdicts->end(), std::back_inserter(all));
  }
  if (options.log_level) {
    for (const ProgramVerdict& v : all) fmt::print("{} {}:\n{}\n", v.file, v.program, v.log);
  }
  print_table(all);
  std::size_t refused = 0;
  for (const ProgramVerdict& v : all) {
    if (v.accepted) continue;
    ++refused;
    explain(v);
  }
  fmt::print("\n{} program{} verified as Linux {} would: {} accepted, {} refused\n", all.size(),
             all.size() == 1 ? "" : "s", options.kernel, all.size() - refused, refused);
  return refused ? kRefused : 0;
}

constexpr const char* kExamples = R"(Examples:
  uscx verify build/examples/fifo.bpf.o
  uscx verify --kernel 7.2 scx_simple.bpf.o scx_qmap.bpf.o
  uscx verify --program qmap_dispatch --log-level 1 scx_qmap.bpf.o
  uscx verify --set nr_cpu_ids=8 scx_central.bpf.o
  uscx verify --btf /sys/kernel/btf/vmlinux mine.bpf.o

Each program is loaded by itself. Exit status: 0 all accepted, 1 bad usage or
input, 2 some refused.)";

}  // namespace

void add_verify_command(CLI::App& app, int* status) {
  auto* verb = app.add_subcommand(
      "verify", "Ask the verifier about every program of compiled objects, and explain refusals");
  auto o = std::make_shared<Options>();
  verb->add_option("objects", o->objects, "Compiled BPF objects (FILE.bpf.o)")->required();
  verb->add_option("--kernel", o->kernel, "Kernel version to be: 7.2 or 7.3")
      ->capture_default_str();
  verb->add_option("--program", o->program, "Only the program of this name");
  verb->add_option("--log-level", o->log_level,
                   "Print each program's log: 1 instructions and states, 2 every state, 4 "
                   "statistics; added together")
      ->check(CLI::Range(0, 7));
  verb->add_option("--set", o->settings,
                   "Set a variable before load: name=value; name[N] resizes an array")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--btf", o->btf, "Verify against these kernel types (a BTF file)");
  verb->footer(kExamples);
  verb->callback([o, status] { *status = verify(*o); });
}

}  // namespace uscx::cli
