// SPDX-License-Identifier: GPL-2.0-only
// rt-app's JSON grammar and the extensions of docs/workloads.md: a file, its tasks, their phases
// and attributes. Strict: a key that has no effect here is either known to have none (logging,
// calibration) or an error.
#include <fmt/format.h>

#include <set>

#include "workload/parse_file.h"

namespace uscx::workload {
namespace {

constexpr s64 kMaxSeconds = 1'000'000;  // 11 days
constexpr int kDefaultRtPriority = 10;  // rt-app's

}  // namespace

OrError<WorkloadSpec> WorkloadFile::read() {
  const Value& root = spec_.source.root;
  spec_.name = spec_.source.name;
  if (reader_.expect(root, Kind::kObject, "a workload")) {
    reader_.only(root, "a workload", {"description", "global", "resources", "cgroups", "tasks"});
    if (const Value* v = root.find("description")) {
      spec_.description = reader_.string(*v, "'description'");
    }
    if (const Value* v = root.find("global")) global(*v);
    if (const Value* v = root.find("cgroups")) cgroups(*v);
    if (const Value* v = root.find("tasks")) {
      threads(*v);
    } else {
      reader_.fail(root.at, "a workload needs 'tasks'");
    }
  }
  if (reader_.failed()) return std::unexpected(reader_.error());
  return std::move(spec_);
}

void WorkloadFile::global(const Value& object) {
  if (!reader_.expect(object, Kind::kObject, "'global'")) return;
  reader_.only(object, "'global'",
               {"duration", "default_policy", "calibration", "pi_enabled", "lock_pages", "logdir",
                "log_basename", "log_size", "ftrace", "gnuplot", "io_device", "mem_buffer_size",
                "cumulative_slack"});
  if (const Value* v = object.find("duration")) {
    const s64 seconds = reader_.integer(*v, "'duration'", -1, kMaxSeconds);
    if (seconds == 0) reader_.fail(v->at, "'duration' must be in seconds, or -1 for no end");
    if (seconds > 0) spec_.duration = Nanos::from_s(static_cast<u64>(seconds));
  }
  if (const Value* v = object.find("default_policy")) default_policy_ = policy(*v);
  if (const Value* v = object.find("pi_enabled"); v && reader_.boolean(*v, "'pi_enabled'")) {
    reader_.fail(v->at, "not served: 'pi_enabled'");
  }
}

void WorkloadFile::threads(const Value& object) {
  if (!reader_.expect(object, Kind::kObject, "'tasks'")) return;
  std::set<std::string> names;
  for (const Member& m : object.members) {
    if (!names.insert(m.key).second) reader_.fail(m.at, fmt::format("two tasks '{}'", m.key));
    thread(m);
    if (reader_.failed()) return;
  }
  if (object.members.empty()) reader_.fail(object.at, "'tasks' is empty");
  for (const auto& [name, at] : forked_) {
    if (!names.contains(name)) reader_.fail(at, fmt::format("there is no task '{}'", name));
  }
}

void WorkloadFile::thread(const Member& member) {
  const Value& object = member.value;
  if (!reader_.expect(object, Kind::kObject, fmt::format("task '{}'", member.key))) return;
  ThreadSpec& t = spec_.threads.emplace_back();
  t.name = member.key;
  t.at = t.instances_at = t.groups_at = member.at;
  if (member.key.empty()) reader_.fail(member.at, "a task needs a name");
  const Value* phases = once(object, "phases");
  Phase only_phase{.name = member.key};
  for (const Member& m : object.members) {
    if (reader_.failed()) return;
    if (m.key == "instance") {
      t.instances = expression(m.value, "'instance'");
      t.instances_at = m.value.at;
    } else if (m.key == "groups") {
      t.groups = expression(m.value, "'groups'");
      t.groups_at = m.value.at;
    } else if (m.key == "delay") {
      t.delay = usec(m.value, "'delay'");
    } else if (m.key == "loop") {
      t.loop = loop(m.value);
    } else if (m.key == "comm") {
      t.comm = reference(m.value, "'comm'");
      if (t.comm.size() > 15) reader_.fail(m.value.at, "'comm' has more than 15 characters");
    } else if (m.key == "inherit") {
      t.inherit = reader_.boolean(m.value, "'inherit'");
    } else if (m.key != "phases" && !attribute(m, t.attributes)) {
      if (phases != nullptr) {
        reader_.fail(m.at, unserved(m.key)
                               ? fmt::format("not served: '{}'", m.key)
                               : fmt::format("unknown key '{}' in task '{}'", m.key, t.name));
      }
      event(m, only_phase, t);
    }
  }
  check_attributes(t.attributes, default_policy_, member.at);
  if (!t.attributes.policy) t.attributes.policy = default_policy_;
  complete(t.attributes.deadline, *t.attributes.policy, member.at);
  if (phases != nullptr) {
    read_phases(*phases, t);
  } else {
    t.phases.push_back(std::move(only_phase));
  }
  check_endless(t, member.at);
}

void WorkloadFile::read_phases(const Value& object, ThreadSpec& t) {
  if (!reader_.expect(object, Kind::kObject, "'phases'")) return;
  if (object.members.empty()) reader_.fail(object.at, "'phases' is empty");
  for (const Member& member : object.members) {
    if (!reader_.expect(member.value, Kind::kObject, fmt::format("phase '{}'", member.key))) {
      return;
    }
    Phase phase{.name = member.key};
    // The loop first: names with %l depend on it.
    if (const Value* v = once(member.value, "loop")) phase.loop = loop(*v);
    for (const Member& m : member.value.members) {
      if (reader_.failed()) return;
      if (m.key != "loop" && !attribute(m, phase.attributes)) event(m, phase, t);
    }
    Attributes& own = phase.attributes;
    check_attributes(own, *t.attributes.policy, member.at);
    if (own.policy || own.deadline.any()) {
      complete(own.deadline, own.policy.value_or(*t.attributes.policy), member.at);
    }
    t.phases.push_back(std::move(phase));
  }
}

bool WorkloadFile::attribute(const Member& m, Attributes& out) {
  const auto again = [&](bool given) {
    if (given) reader_.fail(m.at, fmt::format("key '{}' comes twice", m.key));
  };
  if (m.key == "cpus") {
    again(out.cpus.has_value());
    out.cpus = cpus(m.value);
  } else if (m.key == "policy") {
    again(out.policy.has_value());
    out.policy = policy(m.value);
  } else if (m.key == "priority") {
    again(out.priority.has_value());
    out.priority = static_cast<int>(reader_.integer(m.value, "'priority'", -20, 99));
  } else if (m.key == "cgroup" || m.key == "taskgroup") {  // rt-app has the second
    again(out.cgroup.has_value());
    out.cgroup = cgroup_path(m.value.at, reader_.string(m.value, fmt::format("'{}'", m.key)));
  } else {
    return reservation(m, out.deadline);
  }
  return true;
}

void WorkloadFile::check_attributes(Attributes& a, int inherited_policy, Position at) {
  const int policy = a.policy.value_or(inherited_policy);
  const bool realtime = policy == sched::SCHED_FIFO || policy == sched::SCHED_RR;
  if (realtime && a.policy && !a.priority) a.priority = kDefaultRtPriority;
  if (!a.priority) return;
  if (realtime && *a.priority < 1) reader_.fail(at, "a realtime 'priority' must be 1 to 99");
  if (!realtime && *a.priority > 19) {
    reader_.fail(at, "'priority' is the nice value here and must be -20 to 19");
  }
}

void WorkloadFile::check_endless(const ThreadSpec& t, Position at) {
  bool any = false;
  for (const Phase& p : t.phases) {
    any = any || !p.ops.empty();
    if (p.loop == kForever && p.ops.empty()) {
      reader_.fail(at, fmt::format("phase '{}' loops forever and does nothing", p.name));
    }
  }
  if (!any && t.loop == kForever) {
    reader_.fail(at, fmt::format("task '{}' loops forever and does nothing", t.name));
  }
}

OrError<WorkloadSpec> parse_workload(json::Document document) {
  return WorkloadFile(std::move(document)).read();
}

}  // namespace uscx::workload
