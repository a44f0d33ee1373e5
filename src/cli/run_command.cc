// SPDX-License-Identifier: GPL-2.0-only
#include "cli/run_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "cli/explore.h"
#include "cli/session.h"

namespace uscx::cli {

namespace {

constexpr int kBadUsage = 1;

int fail_with(const std::string& message) {
  fmt::print(stderr, "uscx: {}\n", message);
  return kBadUsage;
}

bool write_file(const std::string& path, const std::string& text) {
  if (path == "-") return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (!file) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return (std::fclose(file) == 0) && written;
}

int explore_seeds(const RunPlan& plan, const machine::MachineSpec& machine) {
  constexpr int kFailuresFound = 3;
  const RunOptions& options = plan.options;
  const machine::SeedsRun run = explore(plan, machine);
  if (options.json_path != "-") std::fputs(explored_text(options, run).c_str(), stdout);
  if (!options.json_path.empty() && !write_file(options.json_path, explored_json(options, run))) {
    return fail_with(
        fmt::format("{}: cannot be written: {}", options.json_path, std::strerror(errno)));
  }
  return run.failures.empty() ? 0 : kFailuresFound;
}

int run(const RunOptions& options) {
  const auto plan = plan_run(options);
  if (!plan) return fail_with(plan.error().message);
  auto machine = machine::load_machine(options.machine);
  if (!machine) return fail_with(machine.error().message);
  auto workload = workload::Workload::load(options.workload);
  if (!workload) return fail_with(workload.error().message);
  if (options.explore_seeds != 0) return explore_seeds(*plan, *machine);

  Session session(*plan, std::move(*machine), std::move(*workload));
  if (const auto r = session.open_trace(); !r) return fail_with(r.error().message);
  const auto report = session.run();
  const auto traced = session.close_trace();
  if (!report) {
    fail_with(report.error().message);
    // Tasks are in the middle of system calls: the simulation cannot be taken down.
    if (report.error().kind == LoadError::Kind::kStuck) std::_Exit(kBadUsage);
    return kBadUsage;
  }
  if (options.json_path != "-") std::fputs(observe::format_text(*report).c_str(), stdout);
  if (!options.json_path.empty() && !write_file(options.json_path, observe::format_json(*report))) {
    return fail_with(
        fmt::format("{}: cannot be written: {}", options.json_path, std::strerror(errno)));
  }
  if (!traced) return fail_with(traced.error().message);
  std::fflush(stdout);
  const std::string line = observe::status_line(*report);
  if (!line.empty()) fmt::print(stderr, "{}\n", line);
  return observe::exit_status(report->outcome);
}

constexpr const char* kExamples = R"(Examples:
  uscx run build/examples/fifo.bpf.o
  uscx run scx_simple.bpf.o --machine 2n4l8c2t --workload schbench --duration 10s
  uscx run scx_central.bpf.o --machine 1n1l4c1t --set nr_cpu_ids=4 --set 'cpu_gimme_task[4]' --set 'cpu_started_at[4]'
  uscx run scx_simple.bpf.o --set simple_ops.timeout_ms=1000 --set 'simple_ops.flags=SCX_OPS_ENQ_LAST|SCX_OPS_ENQ_EXITING'
  uscx run mine.bpf.o --set limit=8 --get nr_dispatched --get uei.msg
  uscx run mine.bpf.o --workload mine.json --seed 7 --printk --dmesg --json out.json
  uscx run mine.bpf.o --machine 1n1l4c1t --explore 1000
  uscx run mine.bpf.o --trace out.pftrace --trace-callbacks

Exit status: 0 ran to the end, 1 bad usage or input, 2 refused at load,
3 ejected by an error, 4 ejected by a stall.)";

}  // namespace

void add_run_command(CLI::App& app, int* status) {
  auto* verb = app.add_subcommand(
      "run",
      "Load a compiled scheduler, run a workload under it on a simulated machine, and report");
  auto o = std::make_shared<RunOptions>();
  verb->add_option("scheduler", o->scheduler, "Compiled scheduler (SCHED.bpf.o)")->required();
  verb->add_option(
          "--machine", o->machine,
          "Machine: nodes, LLCs a node, cores an LLC, threads a core (1n2l4c2t), or FILE.json")
      ->capture_default_str();
  verb->add_option("--workload", o->workload,
                   "Workload: spin-sleep, hackbench, schbench, or an rt-app FILE.json")
      ->capture_default_str();
  auto* duration = verb->add_option("--duration", o->duration,
                                    "Virtual time to run for, from the scheduler's attachment")
                       ->capture_default_str();
  verb->add_option("--seed", o->seed, "Seed of everything random")->capture_default_str();
  verb->add_option("--kernel", o->kernel, "Kernel version to be: 7.2 or 7.3")
      ->capture_default_str();
  verb->add_option("--engine", o->engine,
                   "How programs run: jit (the default where there is one), checking-jit, which "
                   "checks accesses that the verifier proved as well, or interpreter; the run is "
                   "the same");
  verb->add_option("--set", o->settings,
                   "Set a variable, or a member of the ops (ops.flags=...), before load: "
                   "name=value; name[N] resizes an array, or a map")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--fill", o->filled,
                   "Put a new map of the declared kind into each element of this array of maps, "
                   "before the scheduler is attached")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--get", o->wanted,
                   "Report a variable's value after the run: name, or a path as a.b[2]")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--ops", o->ops,
                   "Which scheduler of an object that has several: its struct's name");
  verb->add_option(
          "--call", o->calls,
          "Run a SYSCALL program of the object once the scheduler is attached, as its user "
          "half would: name, name=NUMBER or name=self (the caller's pid) as its context; "
          "reported as name()")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_option("--json", o->json_path,
                   "Write the report as JSON to this file (- for standard output)");
  auto* trace = verb->add_option(
      "--trace", o->trace_path,
      "Write what happens to this file, for Perfetto (https://ui.perfetto.dev), as it happens");
  verb->add_flag("--trace-callbacks", o->trace_callbacks,
                 "With a slice for each callback of the scheduler")
      ->needs(trace);
  verb->add_flag("--printk", o->printk, "Show bpf_printk output");
  verb->add_flag("--dmesg", o->dmesg, "Show the kernel log");
  verb->add_flag("-v,--verbose", o->verbose,
                 "Show event counters, unserved requests and the debug dump");
  verb->add_flag("-q,--quiet", o->quiet, "No progress bar");
  verb->add_flag("--check", o->check, "Check the kernel's invariants after every event");
  auto* many =
      verb->add_option("--explore", o->explore_seeds,
                       "Run once for each of so many seeds of CPU interleavings, and print "
                       "what fails (--duration is 100ms then, if not given)");
  verb->add_option("--explore-seed", o->explore_seed, "Run with the interleavings of one seed")
      ->excludes(many);
  verb->add_option("--explore-depth", o->explore_depth,
                   "Interleavings: 0 a random walk, N so many change points (by the seed)")
      ->check(CLI::Range(0, 1000));
  verb->footer(kExamples);
  verb->callback([o, status, duration, many] {
    if (many->count() != 0 && duration->count() == 0) o->duration = "100ms";
    *status = run(*o);
  });
}

}  // namespace uscx::cli
