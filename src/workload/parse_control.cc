// SPDX-License-Identifier: GPL-2.0-only
// Events by which a task acts on others, on the machine and on the scheduler.
#include <fmt/format.h>

#include <csignal>

#include "workload/parse_file.h"

namespace uscx::workload {
namespace {

constexpr int kDefaultRtPriority = 10;  // rt-app's

}  // namespace

void WorkloadFile::control(const Value& value, const std::string& what, Op& op) {
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
    op.ref = one_word(value, what, {"S", "D", "l"});
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

void WorkloadFile::task_control(const Value& value, const std::string& what, Op& op) {
  switch (op.kind) {
    case OpKind::kSetAffinity: {
      reader_.only(value, what, {"task", "cpus"});
      const Value* v = value.find("cpus");
      if (v == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'cpus'", what));
      op.cpus = cpus(*v);
      break;
    }
    case OpKind::kSetScheduler:
      set_scheduler(value, what, op);
      break;
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

void WorkloadFile::set_scheduler(const Value& value, const std::string& what, Op& op) {
  reader_.only(value, what,
               {"task", "policy", "priority", "dl-runtime", "dl-period", "dl-deadline"});
  const Value* v = value.find("policy");
  if (v == nullptr) return reader_.fail(value.at, fmt::format("{} needs 'policy'", what));
  op.number = policy(*v);
  const bool rt = op.number == sched::SCHED_FIFO || op.number == sched::SCHED_RR;
  if (rt) op.priority = kDefaultRtPriority;
  if (const Value* p = value.find("priority")) {
    op.priority = static_cast<int>(reader_.integer(*p, "'priority'", rt ? 1 : 0, rt ? 99 : 0));
  }
  for (const Member& m : value.members) reservation(m, op.deadline);
  complete(op.deadline, op.number, value.at);
}

}  // namespace uscx::workload
