// SPDX-License-Identifier: GPL-2.0-only
// How fast the event loop is: whole runs, as `uscx run` does them (locks ranked, watchdog on,
// metrics and fingerprint counted), tracing off but for trace_cost. Rates are per second of CPU
// time, of which a run uses one core. What an idle CPU does not do is no event.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/huge_heap.h"
#include "bench/bench_session.h"

namespace uscx::bench {
namespace {

bool something_was_not_run = false;

/// The scheduler to measure with, which the benchmark's line names; empty where there is none, and
/// the line says why.
std::string scheduler_of(benchmark::State& state) {
  std::string path = simple_scheduler();
  if (path.empty()) {
    something_was_not_run = true;
    state.SkipWithError(
        "not run: the kernel's scx_simple is not built (make kernel-schedulers); "
        "USCX_BENCH_SCHEDULER may name another scheduler");
  } else {
    state.SetLabel(path.substr(path.rfind('/') + 1));
  }
  return path;
}

/// Advances `session` by `step` of virtual time each iteration.
void advance(benchmark::State& state, BenchSession& session, Nanos step) {
  const Counts before = session.counts();
  for (auto _ : state) session.advance(step);
  const Counts done = session.counts() - before;
  const auto rate = [](u64 n) {
    return benchmark::Counter(static_cast<double>(n), benchmark::Counter::kIsRate);
  };
  state.counters["events/s"] = rate(done.events);
  state.counters["callbacks/s"] = rate(done.callbacks);
  state.counters["switches/s"] = rate(done.switches);
  state.counters["s_per_event"] = benchmark::Counter(
      static_cast<double>(done.events), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// scx_simple with 4 tasks a CPU that run and sleep.
/// `warm_up`: the tasks are forked one after the other, 20 of them a millisecond, and wait for the
/// last. Some 50 ms later they have forgotten that they began together.
void spin_sleep(benchmark::State& state, const char* machine, u64 warm_up_ms) {
  const std::string scheduler = scheduler_of(state);
  if (scheduler.empty()) return;
  BenchSession session(scheduler, machine, workload_path("spin-sleep-4.json"));
  session.settle(Nanos::from_ms(warm_up_ms));
  advance(state, session, Nanos::from_ms(1));
}
BENCHMARK_CAPTURE(spin_sleep, 1000_cpus, "5n10l10c2t", 250)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(spin_sleep, 16_cpus, "1n2l4c2t", 60)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(spin_sleep, 4096_cpus, "8n16l16c2t", 900)->Unit(benchmark::kMillisecond);

/// The CPU time that an event costs, of all that this was asked to advance.
class EventCost {
 public:
  explicit EventCost(BenchSession& session) : session_(session) {}
  void advance(Nanos by) {
    const u64 before = session_.counts().events;
    const std::clock_t start = std::clock();
    session_.advance(by);
    cpu_s_ += static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    events_ += session_.counts().events - before;
  }
  double s_per_event() const { return cpu_s_ / static_cast<double>(events_); }

 private:
  BenchSession& session_;
  double cpu_s_ = 0;
  u64 events_ = 0;
};

/// What an event costs with 4,096 CPUs and with 16: the two take turns of about a tenth of a
/// second, so that a machine whose speed changes does not change how they compare.
void size_cost(benchmark::State& state) {
  const std::string scheduler = scheduler_of(state);
  if (scheduler.empty()) return;
  BenchSession small(scheduler, "1n2l4c2t", workload_path("spin-sleep-4.json"));
  small.settle(Nanos::from_ms(60));
  BenchSession large(scheduler, "8n16l16c2t", workload_path("spin-sleep-4.json"));
  large.settle(Nanos::from_ms(900));
  EventCost small_cost(small), large_cost(large);
  for (auto _ : state) {
    small_cost.advance(Nanos::from_ms(400));
    large_cost.advance(Nanos::from_ms(1));
  }
  state.counters["16_cpus_s"] = small_cost.s_per_event();
  state.counters["4096_cpus_s"] = large_cost.s_per_event();
  state.counters["times"] = large_cost.s_per_event() / small_cost.s_per_event();
}
BENCHMARK(size_cost)->Unit(benchmark::kMillisecond);

/// What an event costs with a trace and without, in turns likewise. The trace is written to a file,
/// which is gone afterwards.
void trace_cost(benchmark::State& state) {
  const std::string scheduler = scheduler_of(state);
  if (scheduler.empty()) return;
  const std::string file = std::filesystem::temp_directory_path() / "uscx_bench.pftrace";
  BenchSession plain(scheduler, "1n2l4c2t", workload_path("spin-sleep-4.json"));
  plain.settle(Nanos::from_ms(60));
  BenchSession traced(scheduler, "1n2l4c2t", workload_path("spin-sleep-4.json"), file);
  traced.settle(Nanos::from_ms(60));
  std::filesystem::remove(file);  // it is written on, without a name
  EventCost plain_cost(plain), traced_cost(traced);
  for (auto _ : state) {
    plain_cost.advance(Nanos::from_ms(200));
    traced_cost.advance(Nanos::from_ms(200));
  }
  state.counters["plain_s"] = plain_cost.s_per_event();
  state.counters["traced_s"] = traced_cost.s_per_event();
  state.counters["times"] = traced_cost.s_per_event() / plain_cost.s_per_event();
}
BENCHMARK(trace_cost)->Unit(benchmark::kMillisecond);

/// Two tasks that never sleep, on four CPUs: how much faster than real time.
void two_spinners(benchmark::State& state) {
  const std::string scheduler = scheduler_of(state);
  if (scheduler.empty()) return;
  BenchSession session(scheduler, "1n1l4c1t", workload_path("two-spinners.json"));
  session.settle(Nanos::from_ms(20));
  const Nanos before = session.now();
  for (auto _ : state) session.advance(Nanos::from_s(1));
  state.counters["x_real_time"] = benchmark::Counter(
      static_cast<double>((session.now() - before).ns) / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK(two_spinners)->Unit(benchmark::kMicrosecond);

/// From nothing to the first event, the scheduler's object not opened yet.
void set_up(benchmark::State& state, const char* machine) {
  const std::string scheduler = scheduler_of(state);
  if (scheduler.empty()) return;
  for (auto _ : state) {
    BenchSession session(scheduler, machine, workload_path("two-spinners.json"));
    benchmark::DoNotOptimize(session.now());
  }
}
BENCHMARK_CAPTURE(set_up, 16_cpus, "1n2l4c2t")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(set_up, 4096_cpus, "8n16l16c2t")->Unit(benchmark::kMillisecond);

/// The same until the scheduler is up.
void load(benchmark::State& state, const char* machine) {
  const std::string scheduler = scheduler_of(state);
  if (scheduler.empty()) return;
  for (auto _ : state) {
    BenchSession session(scheduler, machine, workload_path("two-spinners.json"));
    session.settle(Nanos{});
  }
}
BENCHMARK_CAPTURE(load, 16_cpus, "1n2l4c2t")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, 4096_cpus, "8n16l16c2t")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace uscx::bench

int main(int argc, char** argv) {
  uscx::put_heap_into_huge_pages();
  // Two seconds each, unless whoever calls says otherwise: what is said last counts.
  char min_time[] = "--benchmark_min_time=2";
  std::vector<char*> args(argv, argv + argc);
  args.insert(args.begin() + 1, min_time);
  int nr_args = static_cast<int>(args.size());
  benchmark::Initialize(&nr_args, args.data());
  if (benchmark::ReportUnrecognizedArguments(nr_args, args.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return uscx::bench::something_was_not_run ? 1 : 0;
}
