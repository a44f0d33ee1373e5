// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "observe/report.h"

namespace uscx::observe {

namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kNsPerSec = 1e9;

void append(std::string& out, const std::string& line) {
  out += line + "\n";
}

void format_head(std::string& out, const RunReport& r) {
  append(out, fmt::format("scheduler  {} ({})", r.scheduler, r.file));
  append(out, fmt::format("machine    {}", r.machine));
  append(out, fmt::format("workload   {}", r.workload));
  append(out, fmt::format("kernel     {}, seed {}", r.kernel, r.seed));
}

void format_stall(std::string& out, const StallReport& stall) {
  append(out, fmt::format("  stalled task   {}[{}], waiting in {}", stall.comm, stall.pid,
                          stall.where_queued));
  append(out, "  its last events:");
  if (stall.last_events.empty()) append(out, "    none was recorded");
  for (const std::string& line : stall.last_events) append(out, "    " + line);
}

void format_outcome(std::string& out, const RunReport& r) {
  append(out, fmt::format("\noutcome    {}", to_string(r.outcome)));
  if (!r.message.empty()) append(out, "  " + r.message);
  if (r.exit) {
    append(out,
           fmt::format(
               "  exit kind      {} ({}){}", r.exit->kind, r.exit->reason,
               r.exit->code ? fmt::format(", code {:#x}", static_cast<u64>(r.exit->code)) : ""));
    if (!r.exit->msg.empty()) append(out, fmt::format("  message        {}", r.exit->msg));
  }
  if (r.stall) format_stall(out, *r.stall);
  if (!r.dump.empty() && r.verbose) append(out, "\nDEBUG DUMP\n" + r.dump);
}

// The layout of schbench's report.
void format_latency(std::string& out, const Metrics& m) {
  const Histogram& h = m.wakeup_latency();
  append(out, fmt::format("\nWakeup Latencies percentiles (usec) runtime {} (s) ({} total samples)",
                          m.duration_ns() / 1'000'000'000, h.count()));
  if (h.count() == 0) {
    append(out, "\t  not measured: no task was woken");
    return;
  }
  struct Row {
    const char* label;
    u32 per_10000;
  };
  static constexpr std::array<Row, 4> kRows = {
      {{"  50.0th", 5000}, {"  90.0th", 9000}, {"* 99.0th", 9900}, {"  99.9th", 9990}}};
  u64 before = 0;
  for (const Row& row : kRows) {
    const u64 to = h.count_to(row.per_10000);
    append(out, fmt::format("\t{}: {:<10.1f} ({} samples)", row.label,
                            static_cast<double>(h.percentile(row.per_10000)) / 1000, to - before));
    before = to;
  }
  append(out, fmt::format("\t  min={:.1f}, max={:.1f}", static_cast<double>(h.min()) / 1000,
                          static_cast<double>(h.max()) / 1000));
}

void format_groups(std::string& out, const Metrics& m) {
  u64 total_ns = 0;
  for (const auto& [name, group] : m.groups()) total_ns += group.cpu_ns;
  append(out, "\nCPU time per task group");
  append(out, fmt::format("  {:<24} {:>7} {:>14} {:>7}", "group", "tasks", "CPU ms", "share"));
  for (const auto& [name, group] : m.groups()) {
    const double share =
        total_ns ? 100.0 * static_cast<double>(group.cpu_ns) / static_cast<double>(total_ns) : 0;
    append(out, fmt::format("  {:<24} {:>7} {:>14.3f} {:>6.2f}%", name, group.tasks,
                            static_cast<double>(group.cpu_ns) / kNsPerMs, share));
  }
}

void format_cgroups(std::string& out, const Metrics& m) {
  const auto cgroups = m.cgroups();
  if (cgroups.empty()) return;
  append(out, "\nCPU time per cgroup, with what is below it");
  append(out, fmt::format("  {:<32} {:>14} {:>9}", "cgroup", "CPU ms", "of parent"));
  for (const auto& [path, c] : cgroups) {
    const std::size_t slash = path.rfind('/');
    const u64 all_ns = cgroups.at(slash == 0 ? "/" : path.substr(0, slash)).cpu_ns;
    append(out,
           fmt::format(
               "  {:<32} {:>14.3f} {:>8.2f}%", path, static_cast<double>(c.cpu_ns) / kNsPerMs,
               all_ns ? 100.0 * static_cast<double>(c.cpu_ns) / static_cast<double>(all_ns) : 0));
  }
}

void format_machine_use(std::string& out, const RunReport& r, const Metrics& m) {
  u64 busy_ns = 0, least = ~0ULL, most = 0, idle_cpus = 0;
  for (const Metrics::Cpu& cpu : m.cpus()) {
    busy_ns += cpu.busy_ns;
    least = std::min(least, cpu.busy_ns);
    most = std::max(most, cpu.busy_ns);
    idle_cpus += cpu.tasks_run == 0;
  }
  const double span_ns = static_cast<double>(std::max<u64>(m.duration_ns(), 1));
  const double all_ns = span_ns * static_cast<double>(m.cpus().size());
  append(out,
         fmt::format("\nutilisation      {:.2f} % of {} CPUs (busiest {:.2f} %, idlest {:.2f} %)",
                     100.0 * static_cast<double>(busy_ns) / all_ns, m.cpus().size(),
                     100.0 * static_cast<double>(most) / span_ns,
                     100.0 * static_cast<double>(least) / span_ns));
  if (idle_cpus) append(out, fmt::format("                 {} CPUs never ran a task", idle_cpus));
  append(out, fmt::format("wasted           {:.3f} ms of CPU time idle while runnable tasks waited",
                          static_cast<double>(m.idle_while_waiting_ns()) / kNsPerMs));
  append(out,
         fmt::format("switches         {}    wakeups {}    migrations {}    forks {}    exits {}",
                     m.switches(), m.wakeups(), m.migrations(), m.forks(), m.exits()));
  append(out, fmt::format("callbacks        {}", m.callbacks()));
  if (r.forks_failed + r.calls_failed > 0) {
    append(out, fmt::format("refused          {} forks and {} system calls of the workload's tasks",
                            r.forks_failed, r.calls_failed));
  }
  const double wall_s = static_cast<double>(std::max<u64>(r.wall_ns, 1)) / kNsPerSec;
  append(out, fmt::format("simulated        {:.3f} s in {:.3f} s ({:.1f}x real time), {} events "
                          "({:.2f} M events/s)",
                          static_cast<double>(r.virtual_ns) / kNsPerSec, wall_s,
                          static_cast<double>(r.virtual_ns) / kNsPerSec / wall_s, r.events,
                          static_cast<double>(r.events) / wall_s / 1e6));
}

void format_variables(std::string& out, const RunReport& r) {
  if (r.variables.empty()) return;
  append(out, "\nvariables of the scheduler");
  for (const auto& [name, value] : r.variables)
    append(out, fmt::format("  {:<34} {}", name, value));
}

void format_details(std::string& out, const RunReport& r) {
  if (!r.scx_events.empty()) append(out, "\nsched_ext event counters");
  for (const auto& [name, value] : r.scx_events)
    append(out, fmt::format("  {:<34} {:>14}", name, value));
  append(out, "\nrequests that nobody serves here (each got the errno Linux gives)");
  if (r.unserved.empty()) append(out, "  none");
  for (const auto& [name, count] : r.unserved)
    append(out, fmt::format("  {:<50} {:>8}", name, count));
  append(out, fmt::format("\nloads through bad pointers that read as 0: {}", r.faults_to_zero));
}

}  // namespace

std::string format_text(const RunReport& report) {
  std::string out;
  format_head(out, report);
  format_outcome(out, report);
  if (report.metrics) {
    format_latency(out, *report.metrics);
    format_groups(out, *report.metrics);
    format_cgroups(out, *report.metrics);
    format_machine_use(out, report, *report.metrics);
  }
  format_variables(out, report);
  if (report.verbose) format_details(out, report);
  if (report.metrics) append(out, fmt::format("fingerprint      {:016x}", report.fingerprint));
  append(out, fmt::format("replay           {}", report.replay));
  return out;
}

}  // namespace uscx::observe
