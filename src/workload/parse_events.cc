// SPDX-License-Identifier: GPL-2.0-only
// The events of a phase.
#include <fmt/format.h>

#include <array>

#include "workload/parse_file.h"

namespace uscx::workload {
namespace {

constexpr s64 kMaxIndexedLoop = 4096;  // of a phase whose names hold %l

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
    EventName{"migrate_disable", OpKind::kMigrateDisable},
    EventName{"migrate_enable", OpKind::kMigrateEnable},
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

/// An event's key may carry a number, so that keys differ: run0, run1.
std::string_view without_number(std::string_view key) {
  while (!key.empty() && key.back() >= '0' && key.back() <= '9') key.remove_suffix(1);
  return key;
}

}  // namespace

/// Parts of rt-app's grammar that change what runs, and that nothing here models.
bool unserved(std::string_view key) {
  return one_of(key, {"mem", "iorun", "util_min", "util_max", "membind_nodes", "nodes_membind",
                      "numa_mem_bind"});
}

void WorkloadFile::event(const Member& m, Phase& phase, ThreadSpec& t) {
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

void WorkloadFile::operands(const Member& m, Op& op, const ThreadSpec& t) {
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
    case OpKind::kMigrateDisable:
    case OpKind::kMigrateEnable:
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

void WorkloadFile::timer(const Value& value, const std::string& what, Op& op) {
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

void WorkloadFile::condition(const Value& value, const std::string& what, Op& op) {
  if (!reader_.expect(value, Kind::kObject, what)) return;
  reader_.only(value, what, {"ref", "mutex"});
  op.ref = member_reference(value, "ref", what);
  op.mutex = member_reference(value, "mutex", what);
}

void WorkloadFile::counted(const Value& value, const std::string& what, std::string_view key,
                           u64 max, Op& op) {
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

void WorkloadFile::sync(const Member& m, Phase& phase) {
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

void WorkloadFile::check_indexed(const Op& op, const Phase& phase) {
  if (op.ref.find("%l") == std::string::npos && op.mutex.find("%l") == std::string::npos) return;
  if (phase.loop < 1 || phase.loop > kMaxIndexedLoop) {
    reader_.fail(op.at, fmt::format("a name with %l needs a phase with a 'loop' of 1 to {}",
                                    kMaxIndexedLoop));
  }
}

}  // namespace uscx::workload
