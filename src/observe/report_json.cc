// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "observe/report.h"

namespace uscx::observe {

namespace {

using Json = nlohmann::ordered_json;

Json latency(const Histogram& h) {
  Json j = {{"count", h.count()}};
  if (h.count() == 0) {
    // "Not measured" is null, never 0.
    for (const char* key : {"p50", "p90", "p99", "p99_9", "max"}) j[key] = nullptr;
    return j;
  }
  j["p50"] = h.percentile(5000);
  j["p90"] = h.percentile(9000);
  j["p99"] = h.percentile(9900);
  j["p99_9"] = h.percentile(9990);
  j["max"] = h.max();
  return j;
}

void add_metrics(Json& j, const Metrics& m) {
  j["switches"] = m.switches();
  j["wakeups"] = m.wakeups();
  j["migrations"] = m.migrations();
  j["forks"] = m.forks();
  j["exits"] = m.exits();
  j["callbacks"] = m.callbacks();
  j["idle_while_waiting_ns"] = m.idle_while_waiting_ns();
  j["wakeup_latency_ns"] = latency(m.wakeup_latency());
  Json cpus = Json::array();
  for (const Metrics::Cpu& cpu : m.cpus())
    cpus.push_back({{"busy_ns", cpu.busy_ns}, {"tasks_run", cpu.tasks_run}});
  j["cpus"] = std::move(cpus);
  Json groups = Json::object();
  for (const auto& [name, group] : m.groups())
    groups[name] = {{"tasks", group.tasks}, {"cpu_ns", group.cpu_ns}};
  j["groups"] = std::move(groups);
  if (const auto paths = m.cgroups(); !paths.empty()) {
    Json cgroups = Json::object();
    for (const auto& [path, c] : paths)
      cgroups[path] = {{"cpu_ns", c.cpu_ns}, {"self_ns", c.self_ns}};
    j["cgroups"] = std::move(cgroups);
  }
}

void add_exit(Json& j, const RunReport& r) {
  if (r.exit) {
    j["exit"] = {{"kind", r.exit->kind},
                 {"code", r.exit->code},
                 {"reason", r.exit->reason},
                 {"msg", r.exit->msg}};
  } else {
    j["exit"] = nullptr;
  }
  if (r.stall) {
    j["stall"] = {{"pid", r.stall->pid},
                  {"comm", r.stall->comm},
                  {"where_queued", r.stall->where_queued},
                  {"last_events", r.stall->last_events}};
  }
  if (!r.message.empty()) j["message"] = r.message;
  if (!r.dump.empty()) j["dump"] = r.dump;
}

}  // namespace

std::string format_json(const RunReport& r) {
  Json j;
  j["outcome"] = to_string(r.outcome);
  add_exit(j, r);
  j["scheduler"] = r.scheduler;
  j["file"] = r.file;
  j["machine"] = r.machine;
  j["workload"] = r.workload;
  j["kernel"] = r.kernel;
  j["seed"] = r.seed;
  j["replay"] = r.replay;
  if (r.metrics) {
    j["fingerprint"] = fmt::format("{:016x}", r.fingerprint);
  } else {
    j["fingerprint"] = nullptr;
  }
  j["virtual_ns"] = r.virtual_ns;
  j["wall_ns"] = r.wall_ns;
  j["events"] = r.events;
  if (r.metrics) add_metrics(j, *r.metrics);
  if (!r.variables.empty()) {
    Json variables = Json::object();
    for (const auto& [name, value] : r.variables) variables[name] = Json::parse(value);
    j["variables"] = std::move(variables);
  }
  Json counters = Json::object();
  for (const auto& [name, value] : r.scx_events) counters[name] = value;
  j["scx_events"] = std::move(counters);
  Json unserved = Json::object();
  for (const auto& [name, count] : r.unserved) unserved[name] = count;
  j["unserved"] = std::move(unserved);
  j["faults_to_zero"] = r.faults_to_zero;
  j["failed"] = {{"forks", r.forks_failed}, {"calls", r.calls_failed}};
  // A program's strings are any bytes: what is not UTF-8 is replaced.
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace uscx::observe
