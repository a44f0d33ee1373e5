// SPDX-License-Identifier: GPL-2.0-only
// The reader of workload files; its parts by concern are parse*.cc.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sched/flags.h"
#include "workload/spec.h"

namespace uscx::workload {

inline bool one_of(std::string_view key, std::initializer_list<std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Parts of rt-app's grammar that change what runs, and that nothing here models.
bool unserved(std::string_view key);

/// One file being read. A reader that has failed stays so: the first error is the file's.
class WorkloadFile {
 public:
  explicit WorkloadFile(json::Document document) : reader_(spec_.source) {
    spec_.source = std::move(document);
  }
  OrError<WorkloadSpec> read();

 private:
  using Member = json::Member;
  using Position = json::Position;
  using Value = json::Value;
  using Kind = json::Value::Kind;

  // parse.cc: a file, its tasks, their phases and attributes
  void global(const Value& object);
  void threads(const Value& object);
  void thread(const Member& member);
  void read_phases(const Value& object, ThreadSpec& t);
  /// True where `m` is an attribute of a thread or phase.
  bool attribute(const Member& m, Attributes& out);
  void check_attributes(Attributes& a, int inherited_policy, Position at);
  /// What loops forever must do something.
  void check_endless(const ThreadSpec& t, Position at);

  // parse_values.cc: the values of keys
  /// A member that may come once, or null.
  const Value* once(const Value& object, std::string_view key);
  std::string expression(const Value& value, std::string_view what);
  s64 loop(const Value& value);
  Nanos usec(const Value& value, std::string_view what);
  /// Microseconds, or {"min": .., "max": ..}.
  Duration duration(const Value& value, const std::string& what);
  std::string reference(const Value& value, const std::string& what);
  std::string member_reference(const Value& object, std::string_view key, const std::string& what);
  s64 required_integer(const Value& object, std::string_view key, const std::string& what, s64 min,
                       s64 max);
  std::string one_word(const Value& value, const std::string& what,
                       std::initializer_list<std::string_view> words);
  std::vector<u32> cpus(const Value& list);
  int policy(const Value& value);
  /// True where `m` is a part of a reservation.
  bool reservation(const Member& m, Reservation& out);
  /// With rt-app's values for what is not given. An error where it does not fit the policy.
  void complete(Reservation& r, int policy, Position at);

  // parse_events.cc: the events of a phase
  void event(const Member& m, Phase& phase, ThreadSpec& t);
  void operands(const Member& m, Op& op, const ThreadSpec& t);
  void timer(const Value& value, const std::string& what, Op& op);
  void condition(const Value& value, const std::string& what, Op& op);
  /// A name, or {"ref": name, KEY: number}.
  void counted(const Value& value, const std::string& what, std::string_view key, u64 max, Op& op);
  /// rt-app's sync: wakes one that waits, and waits itself.
  void sync(const Member& m, Phase& phase);
  void check_indexed(const Op& op, const Phase& phase);

  // parse_control.cc: events that act on other tasks and on the machine
  /// What acts on another task, or on the machine.
  void control(const Value& value, const std::string& what, Op& op);
  void task_control(const Value& value, const std::string& what, Op& op);
  void set_scheduler(const Value& value, const std::string& what, Op& op);

  // parse_cgroups.cc: control groups
  void cgroups(const Value& object);
  std::string cgroup_path(Position at, std::string path);
  /// The files of the cpu controller without their "cpu.".
  CgroupSettings cgroup_settings(const Value& object);
  /// As cpu.max is written: "max", "QUOTA" or "QUOTA PERIOD" in us.
  void cgroup_max(const Value& value, CgroupSettings& out);
  void cgroup_event(const Value& value, const std::string& what, Op& op, const ThreadSpec&);

  WorkloadSpec spec_;
  json::Reader reader_;
  int default_policy_ = sched::SCHED_NORMAL;
  bool detached_ = false;  // an event before this one detaches the scheduler
  std::vector<std::pair<std::string, Position>> forked_;  // tasks that events name, and where
};

}  // namespace uscx::workload
