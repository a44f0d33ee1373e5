// SPDX-License-Identifier: GPL-2.0-only
// rt-app's JSON grammar and the extensions of docs/workloads.md. Strict: a key that has no effect
// here is either known to have none (logging, calibration) or an error.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <set>

#include "sched/flags.h"
#include "workload/expression.h"
#include "workload/spec.h"

namespace uscx::workload {
namespace {

using json::Member;
using json::Position;
using json::Reader;
using json::Value;
using Kind = json::Value::Kind;

constexpr s64 kMaxUsec = 1'000'000'000'000;  // 11 days
constexpr s64 kMaxLoop = 1'000'000'000'000;
constexpr s64 kMaxIndexedLoop = 4096;   // of a phase whose names hold %l
constexpr int kDefaultRtPriority = 10;  // rt-app's

bool one_of(std::string_view key, std::initializer_list<std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

struct EventName {
  std::string_view name;
  OpKind kind;
};
constexpr std::array kEvents = {
    EventName{"run", OpKind::kRun},
    EventName{"runtime", OpKind::kRuntime},
    EventName{"sleep", OpKind::kSleep},
    EventName{"timer", OpKind::kTimer},
    EventName{"yield", OpKind::kYield},
    EventName{"fork", OpKind::kFork},
    EventName{"lock", OpKind::kLock},
    EventName{"unlock", OpKind::kUnlock},
    EventName{"wait", OpKind::kWait},
    EventName{"signal", OpKind::kSignal},
    EventName{"broad", OpKind::kBroadcast},
    EventName{"barrier", OpKind::kBarrier},
    EventName{"suspend", OpKind::kSuspend},
    EventName{"resume", OpKind::kResume},
    EventName{"pipe_write", OpKind::kPipeWrite},
    EventName{"pipe_read", OpKind::kPipeRead},
    EventName{"futex_wait", OpKind::kFutexWait},
    EventName{"futex_wake", OpKind::kFutexWake},
    EventName{"cgroup_create", OpKind::kCgroupCreate},
    EventName{"cgroup_set", OpKind::kCgroupSet},
    EventName{"cgroup_remove", OpKind::kCgroupRemove},
    EventName{"cgroup_move", OpKind::kCgroupMove},
    EventName{"spin", OpKind::kSpin},
    EventName{"set", OpKind::kSet},
    EventName{"await", OpKind::kAwait},
    EventName{"await_state", OpKind::kAwaitState},
    EventName{"setaffinity", OpKind::kSetAffinity},
    EventName{"setscheduler", OpKind::kSetScheduler},
    EventName{"setpriority", OpKind::kSetPriority},
    EventName{"kill", OpKind::kKill},
    EventName{"waitpid", OpKind::kWaitPid},
    EventName{"exec", OpKind::kExec},
    EventName{"hotplug", OpKind::kHotplug},
    EventName{"scheduler", OpKind::kScheduler},
    EventName{"await_scheduler", OpKind::kAwaitScheduler},
    EventName{"sysrq", OpKind::kSysRq},
};

/// Parts of rt-app's grammar that change what runs, and that nothing here models.
bool unserved(std::string_view key) {
  return one_of(key, {"mem", "iorun", "util_min", "util_max", "membind_nodes", "nodes_membind",
                      "numa_mem_bind", "dl-runtime", "dl-period", "dl-deadline"});
}

/// An event's key may carry a number, so that keys differ: run0, run1.
std::string_view without_number(std::string_view key) {
  while (!key.empty() && key.back() >= '0' && key.back() <= '9') key.remove_suffix(1);
  return key;
}

class WorkloadFile {
 public:
  explicit WorkloadFile(json::Document document) : reader_(spec_.source) {
    spec_.source = std::move(document);
  }

  OrError<WorkloadSpec> read() {
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

 private:
  void global(const Value& object) {
    if (!reader_.expect(object, Kind::kObject, "'global'")) return;
    reader_.only(object, "'global'",
                 {"duration", "default_policy", "calibration", "pi_enabled", "lock_pages", "logdir",
                  "log_basename", "log_size", "ftrace", "gnuplot", "io_device", "mem_buffer_size",
                  "cumulative_slack"});
    if (const Value* v = object.find("duration")) {
      const s64 seconds = reader_.integer(*v, "'duration'", -1, kMaxUsec / 1'000'000);
      if (seconds == 0) reader_.fail(v->at, "'duration' must be in seconds, or -1 for no end");
      if (seconds > 0) spec_.duration = Nanos::from_s(static_cast<u64>(seconds));
    }
    if (const Value* v = object.find("default_policy")) default_policy_ = policy(*v);
    if (const Value* v = object.find("pi_enabled"); v && reader_.boolean(*v, "'pi_enabled'")) {
      reader_.fail(v->at, "not served: 'pi_enabled'");
    }
  }

  // ---- cgroups

  std::string cgroup_path(Position at, std::string path) {
    const bool bad = path.empty() || path.front() != '/' || path.find("//") != std::string::npos ||
                     (path.size() > 1 && path.back() == '/');
    if (bad) reader_.fail(at, fmt::format("a cgroup's path is like \"/a/b\", not \"{}\"", path));
    return path;
  }

  void cgroups(const Value& object) {
    if (!reader_.expect(object, Kind::kObject, "'cgroups'")) return;
    std::set<std::string> paths;
    for (const Member& m : object.members) {
      if (!paths.insert(m.key).second) reader_.fail(m.at, fmt::format("two cgroups '{}'", m.key));
      if (m.key == "/") reader_.fail(m.at, "the root cgroup has no settings");
      CgroupSpec& cgroup = spec_.cgroups.emplace_back();
      cgroup.path = cgroup_path(m.at, m.key);
      if (!reader_.expect(m.value, Kind::kObject, fmt::format("cgroup '{}'", m.key))) return;
      reader_.only(m.value, fmt::format("cgroup '{}'", m.key),
                   {"weight", "weight.nice", "idle", "max", "max.burst"});
      cgroup.settings = cgroup_settings(m.value);
      if (reader_.failed()) return;
    }
  }

  /// The files of the cpu controller without their "cpu.".
  CgroupSettings cgroup_settings(const Value& object) {
    constexpr s64 kMaxRuntimeUs = (1LL << 44) - 1;
    CgroupSettings out;
    if (const Value* v = object.find("weight")) {
      out.weight = static_cast<u64>(reader_.integer(*v, "'weight'", 1, 10'000));
    }
    if (const Value* v = object.find("weight.nice")) {
      out.nice = static_cast<int>(reader_.integer(*v, "'weight.nice'", -20, 19));
    }
    if (const Value* v = object.find("idle")) {
      out.idle = reader_.integer(*v, "'idle'", 0, 1) == 1;
    }
    if (const Value* v = object.find("max")) cgroup_max(*v, out);
    if (const Value* v = object.find("max.burst")) {
      out.burst_us = static_cast<u64>(reader_.integer(*v, "'max.burst'", 0, kMaxRuntimeUs));
    }
    return out;
  }

  /// As cpu.max is written: "max", "QUOTA" or "QUOTA PERIOD" in us.
  void cgroup_max(const Value& value, CgroupSettings& out) {
    const std::string text = reader_.string(value, "'max'");
    const std::size_t space = text.find(' ');
    const std::string quota = text.substr(0, space);
    const auto number = [&](const std::string& digits) -> u64 {
      const bool good =
          !digits.empty() && digits.size() <= 15 &&
          std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (good) return std::stoull(digits);
      reader_.fail(value.at, "'max' must be \"max\", \"QUOTA\" or \"QUOTA PERIOD\" in us");
      return 0;
    };
    out.quota_us = quota == "max" ? ~0ULL : number(quota);
    if (space != std::string::npos) out.period_us = number(text.substr(space + 1));
  }

  void cgroup_event(const Value& value, const std::string& what, Op& op, const ThreadSpec&) {
    if (value.is(Kind::kString)) {
      op.ref = cgroup_path(value.at, reader_.string(value, what));
      if (op.kind == OpKind::kCgroupSet) {
        reader_.fail(value.at, fmt::format("{} needs an object with settings", what));
      }
      return;
    }
    if (!reader_.expect(value, Kind::kObject, what)) return;
    switch (op.kind) {
      case OpKind::kCgroupMove:
        reader_.only(value, what, {"ref", "task"});
        if (const Value* v = value.find("task")) {
          op.task = reference(*v, "'task'");
          forked_.emplace_back(op.task, v->at);
        }
        break;
      case OpKind::kCgroupRemove:
        reader_.only(value, what, {"ref"});
        break;
      default:
        reader_.only(value, what, {"ref", "weight", "weight.nice", "idle", "max", "max.burst"});
        op.cgroup = cgroup_settings(value);
        break;
    }
    op.ref = cgroup_path(value.at, member_reference(value, "ref", what));
  }

  int policy(const Value& value) {
    constexpr std::pair<std::string_view, int> kPolicies[] = {
        {"SCHED_OTHER", sched::SCHED_NORMAL}, {"SCHED_BATCH", sched::SCHED_BATCH},
        {"SCHED_IDLE", sched::SCHED_IDLE},    {"SCHED_FIFO", sched::SCHED_FIFO},
        {"SCHED_RR", sched::SCHED_RR},        {"SCHED_EXT", sched::SCHED_EXT}};
    const std::string name = reader_.string(value, "a policy");
    for (const auto& [known, number] : kPolicies) {
      if (name == known) return number;
    }
    reader_.fail(value.at, name == "SCHED_DEADLINE" ? std::string("not served: 'SCHED_DEADLINE'")
                                                    : fmt::format("unknown policy '{}'", name));
    return 0;
  }

  void threads(const Value& object) {
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

  void thread(const Member& member) {
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
    if (phases != nullptr) {
      read_phases(*phases, t);
    } else {
      t.phases.push_back(std::move(only_phase));
    }
    check_endless(t, member.at);
  }

  void read_phases(const Value& object, ThreadSpec& t) {
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
      check_attributes(phase.attributes, *t.attributes.policy, member.at);
      t.phases.push_back(std::move(phase));
    }
  }

  /// A member that may come once, or null.
  const Value* once(const Value& object, std::string_view key) {
    const Value* found = nullptr;
    for (const Member& m : object.members) {
      if (m.key != key) continue;
      if (found != nullptr) reader_.fail(m.at, fmt::format("key '{}' comes twice", key));
      found = &m.value;
    }
    return found;
  }

  std::string expression(const Value& value, std::string_view what) {
    if (value.is(Kind::kInteger)) {
      return std::to_string(reader_.integer(value, what, 0, 1'000'000));
    }
    if (!value.is(Kind::kString)) {
      reader_.fail(value.at, fmt::format("{} must be a whole number or an expression over cpus, "
                                         "cores, llcs, nodes",
                                         what));
      return "0";
    }
    // Whether the syntax is right does not depend on the machine.
    const sched::Topology smallest{.cpus = {{}}, .distances = {}, .description = {}};
    if (const auto v = evaluate(value.text, smallest); !v) {
      reader_.fail(value.at, fmt::format("{} {}", what, v.error()));
    }
    return value.text;
  }

  s64 loop(const Value& value) {
    const s64 n = reader_.integer(value, "'loop'", -1, kMaxLoop);
    if (n == 0) reader_.fail(value.at, "'loop' must be at least 1, or -1 for no end");
    return n;
  }

  Nanos usec(const Value& value, std::string_view what) {
    return Nanos::from_us(static_cast<u64>(reader_.integer(value, what, 0, kMaxUsec)));
  }

  /// True where `m` is an attribute of a thread or phase.
  bool attribute(const Member& m, Attributes& out) {
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
      return false;
    }
    return true;
  }

  std::vector<u32> cpus(const Value& list) {
    std::vector<u32> out;
    if (!reader_.expect(list, Kind::kArray, "'cpus'")) return out;
    if (list.items.empty()) reader_.fail(list.at, "'cpus' is empty");
    for (const Value& item : list.items) {
      out.push_back(static_cast<u32>(reader_.integer(item, "a CPU", 0, kMaxCpus - 1)));
    }
    return out;
  }

  void check_attributes(Attributes& a, int inherited_policy, Position at) {
    const int policy = a.policy.value_or(inherited_policy);
    const bool realtime = policy == sched::SCHED_FIFO || policy == sched::SCHED_RR;
    if (realtime && a.policy && !a.priority) a.priority = kDefaultRtPriority;
    if (!a.priority) return;
    if (realtime && *a.priority < 1) reader_.fail(at, "a realtime 'priority' must be 1 to 99");
    if (!realtime && *a.priority > 19) {
      reader_.fail(at, "'priority' is the nice value here and must be -20 to 19");
    }
  }

  void event(const Member& m, Phase& phase, ThreadSpec& t) {
    if (reader_.failed()) return;
    if (unserved(m.key)) return reader_.fail(m.at, fmt::format("not served: '{}'", m.key));
    const std::string_view name = without_number(m.key);
    if (name == "sync") return sync(m, phase);
    const auto known = std::find_if(kEvents.begin(), kEvents.end(),
                                    [&](const EventName& e) { return e.name == name; });
    if (known == kEvents.end()) {
      if (unserved(name)) return reader_.fail(m.at, fmt::format("not served: '{}'", m.key));
      return reader_.fail(m.at, fmt::format("unknown key '{}' in task '{}'", m.key, t.name));
    }
    Op op{.kind = known->kind, .at = m.at};
    operands(m, op, t);
    check_indexed(op, phase);
    phase.ops.push_back(std::move(op));
  }

  void operands(const Member& m, Op& op, const ThreadSpec& t) {
    const std::string what = fmt::format("'{}'", m.key);
    switch (op.kind) {
      case OpKind::kRun:
      case OpKind::kRuntime:
      case OpKind::kSleep:
        op.duration = duration(m.value, what);
        break;
      case OpKind::kTimer:
        timer(m.value, what, op);
        break;
      case OpKind::kYield:
      case OpKind::kExec:
        reader_.string(m.value, what);
        break;
      case OpKind::kAwaitState:
      case OpKind::kSetAffinity:
      case OpKind::kSetScheduler:
      case OpKind::kSetPriority:
      case OpKind::kKill:
      case OpKind::kHotplug:
      case OpKind::kScheduler:
      case OpKind::kAwaitScheduler:
      case OpKind::kSysRq:
        control(m.value, what, op);
        break;
      case OpKind::kWait:
        condition(m.value, what, op);
        break;
      case OpKind::kSuspend:
        op.ref = reader_.string(m.value, what);
        if (op.ref.empty()) op.ref = t.name;
        break;
      case OpKind::kPipeWrite:
      case OpKind::kPipeRead:
        counted(m.value, what, "bytes", kPipeMessageMax, op);
        break;
      case OpKind::kFutexWake:
        counted(m.value, what, "count", 1'000'000, op);
        break;
      case OpKind::kCgroupCreate:
      case OpKind::kCgroupSet:
      case OpKind::kCgroupRemove:
      case OpKind::kCgroupMove:
        cgroup_event(m.value, what, op, t);
        break;
      default:
        op.ref = reference(m.value, what);
        if (op.kind == OpKind::kFork || op.kind == OpKind::kWaitPid)
          forked_.emplace_back(op.ref, m.value.at);
        break;
    }
  }

  /// Microseconds, or {"min": .., "max": ..}.
  Duration duration(const Value& value, const std::string& what) {
    if (!value.is(Kind::kObject)) {
      const Nanos fixed = usec(value, what);
      return {fixed, fixed};
    }
    reader_.only(value, what, {"min", "max"});
    const Value* min = value.find("min");
    const Value* max = value.find("max");
    if (min == nullptr || max == nullptr) {
      reader_.fail(value.at, fmt::format("{} needs 'min' and 'max'", what));
      return {};
    }
    const Duration d{usec(*min, "'min'"), usec(*max, "'max'")};
    if (d.max < d.min) reader_.fail(max->at, "'max' is less than 'min'");
    return d;
  }

  std::string reference(const Value& value, const std::string& what) {
    std::string ref = reader_.string(value, what);
    if (ref.empty()) reader_.fail(value.at, fmt::format("{} needs a name", what));
    return ref;
  }

  /// What acts on another task, or on the machine.
  void control(const Value& value, const std::string& what, Op& op) {
    if (op.kind == OpKind::kScheduler) {
      op.ref = reader_.string(value, what);
      const bool sets = op.ref.starts_with("set ") && op.ref.find('=') != std::string::npos;
      if (!sets && !op.ref.starts_with("call ") && !one_of(op.ref, {"attach", "detach"})) {
        reader_.fail(value.at, fmt::format("{} must be attach, detach, set NAME=VALUE or call "
                                           "PROGRAM[=NUMBER]",
                                           what));
      }
      spec_.attaches = spec_.attaches || (op.ref == "attach" && !detached_);
      detached_ = detached_ || op.ref == "detach";
      return;
    }
    if (op.kind == OpKind::kSysRq) {
      op.ref = one_word(value, what, {"S", "D"});
      return;
    }
    if (op.kind == OpKind::kAwaitScheduler) {
      op.ref = one_word(value, what, {"enabled", "disabled"});
      return;
    }
    if (!reader_.expect(value, Kind::kObject, what)) return;
    if (op.kind == OpKind::kHotplug) {
      reader_.only(value, what, {"cpu", "online"});
      op.number = static_cast<int>(required_integer(value, "cpu", what, 0, kMaxCpus - 1));
      const Value* on = value.find("online");
      if (on == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'online'", what));
      op.on = reader_.boolean(*on, "'online'");
      return;
    }
    if (const Value* v = value.find("task")) {
      op.ref = reader_.string(*v, "'task'");
      if (!op.ref.empty()) forked_.emplace_back(op.ref, v->at);
    }
    task_control(value, what, op);
  }

  void task_control(const Value& value, const std::string& what, Op& op) {
    switch (op.kind) {
      case OpKind::kSetAffinity: {
        reader_.only(value, what, {"task", "cpus"});
        const Value* v = value.find("cpus");
        if (v == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'cpus'", what));
        op.cpus = cpus(*v);
        break;
      }
      case OpKind::kSetScheduler: {
        reader_.only(value, what, {"task", "policy", "priority"});
        const Value* v = value.find("policy");
        if (v == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'policy'", what));
        op.number = policy(*v);
        const bool rt = op.number == sched::SCHED_FIFO || op.number == sched::SCHED_RR;
        if (rt) op.priority = kDefaultRtPriority;
        if (const Value* p = value.find("priority")) {
          op.priority =
              static_cast<int>(reader_.integer(*p, "'priority'", rt ? 1 : 0, rt ? 99 : 0));
        }
        break;
      }
      case OpKind::kSetPriority:
        reader_.only(value, what, {"task", "nice"});
        op.priority = static_cast<int>(required_integer(value, "nice", what, -20, 19));
        break;
      case OpKind::kKill: {
        reader_.only(value, what, {"task", "signal"});
        const Value* v = value.find("signal");
        if (v == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'signal'", what));
        const std::string name = one_word(*v, "'signal'", {"SIGKILL", "SIGSTOP", "SIGCONT"});
        op.number = name == "SIGKILL" ? SIGKILL : name == "SIGSTOP" ? SIGSTOP : SIGCONT;
        break;
      }
      default: {
        reader_.only(value, what, {"task", "state"});
        const Value* v = value.find("state");
        if (v == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'state'", what));
        const std::string name = one_word(*v, "'state'", {"sleeping", "stopped", "running"});
        op.number = static_cast<int>(name == "sleeping"  ? TaskState::kSleeping
                                     : name == "stopped" ? TaskState::kStopped
                                                         : TaskState::kRunning);
        if (op.ref.empty()) reader_.fail(value.at, fmt::format("{} needs 'task'", what));
      }
    }
  }

  std::string one_word(const Value& value, const std::string& what,
                       std::initializer_list<std::string_view> words) {
    std::string text = reader_.string(value, what);
    if (!one_of(text, words)) {
      std::string list;
      for (const std::string_view w : words) list += fmt::format(" {}", w);
      reader_.fail(value.at, fmt::format("{} must be one of{}", what, list));
    }
    return text;
  }

  s64 required_integer(const Value& object, std::string_view key, const std::string& what, s64 min,
                       s64 max) {
    const Value* v = object.find(key);
    if (v == nullptr) {
      reader_.fail(object.at, fmt::format("{} needs '{}'", what, key));
      return min;
    }
    return reader_.integer(*v, fmt::format("'{}'", key), min, max);
  }

  std::string member_reference(const Value& object, std::string_view key, const std::string& what) {
    const Value* v = object.find(key);
    if (v == nullptr) {
      reader_.fail(object.at, fmt::format("{} needs '{}'", what, key));
      return {};
    }
    return reference(*v, fmt::format("'{}'", key));
  }

  void timer(const Value& value, const std::string& what, Op& op) {
    if (!reader_.expect(value, Kind::kObject, what)) return;
    reader_.only(value, what, {"ref", "period", "mode"});
    op.ref = member_reference(value, "ref", what);
    const Value* period = value.find("period");
    if (period == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'period'", what));
    op.duration = duration(*period, "'period'");
    if (const Value* v = value.find("mode")) {
      const std::string mode = reader_.string(*v, "'mode'");
      op.absolute = mode == "absolute";
      if (!op.absolute && mode != "relative") {
        reader_.fail(v->at, "'mode' must be \"relative\" or \"absolute\"");
      }
    }
  }

  void condition(const Value& value, const std::string& what, Op& op) {
    if (!reader_.expect(value, Kind::kObject, what)) return;
    reader_.only(value, what, {"ref", "mutex"});
    op.ref = member_reference(value, "ref", what);
    op.mutex = member_reference(value, "mutex", what);
  }

  /// A name, or {"ref": name, KEY: number}.
  void counted(const Value& value, const std::string& what, std::string_view key, u64 max, Op& op) {
    op.count = 1;
    if (value.is(Kind::kString)) {
      op.ref = reference(value, what);
      return;
    }
    if (!reader_.expect(value, Kind::kObject, what)) return;
    reader_.only(value, what, {"ref", key});
    op.ref = member_reference(value, "ref", what);
    if (const Value* v = value.find(key)) {
      op.count =
          static_cast<u64>(reader_.integer(*v, fmt::format("'{}'", key), 1, static_cast<s64>(max)));
    }
  }

  /// rt-app's sync: wakes one that waits, and waits itself.
  void sync(const Member& m, Phase& phase) {
    Op wait{.kind = OpKind::kWait, .at = m.at};
    condition(m.value, fmt::format("'{}'", m.key), wait);
    const auto push = [&](OpKind kind, const std::string& ref) {
      Op op{.kind = kind, .ref = ref, .at = m.at};
      check_indexed(op, phase);
      phase.ops.push_back(std::move(op));
    };
    push(OpKind::kLock, wait.mutex);
    push(OpKind::kSignal, wait.ref);
    check_indexed(wait, phase);
    phase.ops.push_back(wait);
    push(OpKind::kUnlock, wait.mutex);
  }

  void check_indexed(const Op& op, const Phase& phase) {
    if (op.ref.find("%l") == std::string::npos && op.mutex.find("%l") == std::string::npos) return;
    if (phase.loop < 1 || phase.loop > kMaxIndexedLoop) {
      reader_.fail(op.at, fmt::format("a name with %l needs a phase with a 'loop' of 1 to {}",
                                      kMaxIndexedLoop));
    }
  }

  /// What loops forever must do something.
  void check_endless(const ThreadSpec& t, Position at) {
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

  WorkloadSpec spec_;
  Reader reader_;
  int default_policy_ = sched::SCHED_NORMAL;
  bool detached_ = false;  // an event before this one detaches the scheduler
  std::vector<std::pair<std::string, Position>> forked_;
};

}  // namespace

OrError<WorkloadSpec> parse_workload(json::Document document) {
  return WorkloadFile(std::move(document)).read();
}

}  // namespace uscx::workload
