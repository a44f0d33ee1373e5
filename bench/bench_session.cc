// SPDX-License-Identifier: GPL-2.0-only
#include "bench/bench_session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

namespace uscx::bench {

namespace {

[[noreturn]] void die(const std::string& why) {
  fmt::print(stderr, "bench: {}\n", why);
  std::exit(1);
}

cli::RunPlan plan_of(const std::string& scheduler, const char* machine, const std::string& workload,
                     const std::string& trace) {
  cli::RunOptions options;
  options.scheduler = scheduler;
  options.machine = machine;
  options.workload = workload;
  options.duration = "24h";  // longer than anybody measures
  options.quiet = true;
  options.trace_path = trace;
  auto plan = cli::plan_run(std::move(options));
  if (!plan) die(plan.error().message);
  return std::move(*plan);
}

}  // namespace

std::string simple_scheduler() {
  if (const char* named = std::getenv("USCX_BENCH_SCHEDULER")) return named;
  const std::string kernels_own = USCX_BENCH_BUILD "/kernel/7.3/scx_simple.bpf.o";
  return access(kernels_own.c_str(), R_OK) == 0 ? kernels_own : std::string();
}

std::string workload_path(const char* name) {
  return std::string(USCX_BENCH_SOURCE "/") + name;
}

BenchSession::BenchSession(const std::string& scheduler, const char* machine,
                           const std::string& workload, const std::string& trace)
    : plan_(plan_of(scheduler, machine, workload, trace)) {
  auto m = machine::load_machine(machine);
  if (!m) die(m.error().message);
  auto w = workload::Workload::load(workload);
  if (!w) die(w.error().message);
  session_ = std::make_unique<cli::Session>(plan_, std::move(*m), std::move(*w));
}

BenchSession::~BenchSession() = default;

void BenchSession::settle(Nanos warm_up) {
  if (const auto r = session_->open_trace(); !r) die(r.error().message);
  if (const auto r = session_->start(); !r) die(r.error().message);
  started_ = true;
  while (!session_->measuring()) advance(Nanos::from_ms(1));
  if (warm_up.ns > 0) advance(warm_up);
}

void BenchSession::advance(Nanos by) {
  const auto over = session_->advance(session_->now() + by);
  if (!over) die(over.error().message);
  if (*over) die("the run ended early: the scheduler did not load, or was ejected");
}

}  // namespace uscx::bench
