// SPDX-License-Identifier: GPL-2.0-only
// Control groups and the events that act on them.
#include <fmt/format.h>

#include <set>

#include "workload/parse_file.h"

namespace uscx::workload {

void WorkloadFile::cgroups(const Value& object) {
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

std::string WorkloadFile::cgroup_path(Position at, std::string path) {
  const bool bad = path.empty() || path.front() != '/' || path.find("//") != std::string::npos ||
                   (path.size() > 1 && path.back() == '/');
  if (bad) reader_.fail(at, fmt::format("a cgroup's path is like \"/a/b\", not \"{}\"", path));
  return path;
}

CgroupSettings WorkloadFile::cgroup_settings(const Value& object) {
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

void WorkloadFile::cgroup_max(const Value& value, CgroupSettings& out) {
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

void WorkloadFile::cgroup_event(const Value& value, const std::string& what, Op& op,
                                const ThreadSpec&) {
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

}  // namespace uscx::workload
