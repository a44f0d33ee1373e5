// SPDX-License-Identifier: GPL-2.0-only
#include "sched/tally.h"

#include <fmt/format.h>

#include "sched/invariants.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

void equal(Kernel& kernel, u64 is, u64 counted, std::string_view what) {
  if (is == counted) return;
  invariant_broken(kernel, fmt::format("{} {}, {} counted", is, what, counted), "the kernel");
}

}  // namespace

Tally::Tally(Kernel& kernel) : kernel_(kernel), counted_(kernels()), ext_(kernel) {
  Tracepoints& trace = kernel.trace();
  trace.sched_switch.subscribe([this](Nanos, CpuId cpu, const Task&, u32, const Task&) {
    ++counted_.switches;
    ++counted_.switches_by_cpu[static_cast<u32>(cpu)];
  });
  trace.sched_migrate_task.subscribe(
      [this](Nanos, const Task&, CpuId, CpuId) { ++counted_.migrations; });
  trace.sched_process_fork.subscribe([this](Nanos, const Task&, const Task&) { ++counted_.forks; });
  trace.sched_process_exit.subscribe([this](Nanos, const Task&) { ++counted_.exits; });
}

Tally::Counts Tally::kernels() const {
  Counts counts{kernel_.nr_switches, kernel_.nr_migrations, kernel_.nr_forks, kernel_.nr_exits, {}};
  for (u32 i = 0; i < kernel_.nr_cpus(); ++i) {
    counts.switches_by_cpu.push_back(kernel_.rq(static_cast<CpuId>(i)).nr_switches);
  }
  return counts;
}

void Tally::check() const {
  const Counts is = kernels();
  equal(kernel_, is.switches, counted_.switches, "switches");
  equal(kernel_, is.migrations, counted_.migrations, "migrations");
  equal(kernel_, is.forks, counted_.forks, "forks");
  equal(kernel_, is.exits, counted_.exits, "exits");
  for (u32 i = 0; i < kernel_.nr_cpus(); ++i) {
    equal(kernel_, is.switches_by_cpu[i], counted_.switches_by_cpu[i],
          fmt::format("switches of CPU {}", i));
  }
  check_tasks();
  ext_.check();
}

/// Whoever was forked has exited, or is on the list; zombies have, and are.
void Tally::check_tasks() const {
  u64 listed = 0, zombies = 0;
  auto& tasks = kernel_.tasks();
  for (const Task* p = tasks.front(); p != nullptr; p = tasks.next(*p)) {
    ++listed;
    if (p->exit_state != 0) ++zombies;
  }
  equal(kernel_, listed, kernel_.nr_forks - kernel_.nr_exits + zombies, "tasks on the list");
}

}  // namespace uscx::sched
