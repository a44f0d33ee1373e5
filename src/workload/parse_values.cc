// SPDX-License-Identifier: GPL-2.0-only
// The values of a workload file's keys.
#include <fmt/format.h>

#include "workload/expression.h"
#include "workload/parse_file.h"

namespace uscx::workload {
namespace {

constexpr s64 kMaxUsec = 1'000'000'000'000;  // 11 days
constexpr s64 kMaxLoop = 1'000'000'000'000;

}  // namespace

const json::Value* WorkloadFile::once(const Value& object, std::string_view key) {
  const Value* found = nullptr;
  for (const Member& m : object.members) {
    if (m.key != key) continue;
    if (found != nullptr) reader_.fail(m.at, fmt::format("key '{}' comes twice", key));
    found = &m.value;
  }
  return found;
}

std::string WorkloadFile::expression(const Value& value, std::string_view what) {
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
  sched::Topology smallest;
  smallest.cpus.resize(1);
  if (const auto v = evaluate(value.text, smallest); !v) {
    reader_.fail(value.at, fmt::format("{} {}", what, v.error()));
  }
  return value.text;
}

s64 WorkloadFile::loop(const Value& value) {
  const s64 n = reader_.integer(value, "'loop'", -1, kMaxLoop);
  if (n == 0) reader_.fail(value.at, "'loop' must be at least 1, or -1 for no end");
  return n;
}

Nanos WorkloadFile::usec(const Value& value, std::string_view what) {
  return Nanos::from_us(static_cast<u64>(reader_.integer(value, what, 0, kMaxUsec)));
}

Duration WorkloadFile::duration(const Value& value, const std::string& what) {
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

std::string WorkloadFile::reference(const Value& value, const std::string& what) {
  std::string ref = reader_.string(value, what);
  if (ref.empty()) reader_.fail(value.at, fmt::format("{} needs a name", what));
  return ref;
}

std::string WorkloadFile::member_reference(const Value& object, std::string_view key,
                                           const std::string& what) {
  const Value* v = object.find(key);
  if (v == nullptr) {
    reader_.fail(object.at, fmt::format("{} needs '{}'", what, key));
    return {};
  }
  return reference(*v, fmt::format("'{}'", key));
}

s64 WorkloadFile::required_integer(const Value& object, std::string_view key,
                                   const std::string& what, s64 min, s64 max) {
  const Value* v = object.find(key);
  if (v == nullptr) {
    reader_.fail(object.at, fmt::format("{} needs '{}'", what, key));
    return min;
  }
  return reader_.integer(*v, fmt::format("'{}'", key), min, max);
}

std::string WorkloadFile::one_word(const Value& value, const std::string& what,
                                   std::initializer_list<std::string_view> words) {
  std::string text = reader_.string(value, what);
  if (!one_of(text, words)) {
    std::string list;
    for (const std::string_view w : words) list += fmt::format(" {}", w);
    reader_.fail(value.at, fmt::format("{} must be one of{}", what, list));
  }
  return text;
}

std::vector<u32> WorkloadFile::cpus(const Value& list) {
  std::vector<u32> out;
  if (!reader_.expect(list, Kind::kArray, "'cpus'")) return out;
  if (list.items.empty()) reader_.fail(list.at, "'cpus' is empty");
  for (const Value& item : list.items) {
    out.push_back(static_cast<u32>(reader_.integer(item, "a CPU", 0, kMaxCpus - 1)));
  }
  return out;
}

int WorkloadFile::policy(const Value& value) {
  constexpr std::pair<std::string_view, int> kPolicies[] = {
      {"SCHED_OTHER", sched::SCHED_NORMAL},
      {"SCHED_BATCH", sched::SCHED_BATCH},
      {"SCHED_IDLE", sched::SCHED_IDLE},
      {"SCHED_FIFO", sched::SCHED_FIFO},
      {"SCHED_RR", sched::SCHED_RR},
      {"SCHED_EXT", sched::SCHED_EXT},
      {"SCHED_DEADLINE", sched::SCHED_DEADLINE}};
  const std::string name = reader_.string(value, "a policy");
  for (const auto& [known, number] : kPolicies) {
    if (name == known) return number;
  }
  reader_.fail(value.at, fmt::format("unknown policy '{}'", name));
  return 0;
}

bool WorkloadFile::reservation(const Member& m, Reservation& out) {
  std::optional<Nanos>* const field = m.key == "dl-runtime"    ? &out.runtime
                                      : m.key == "dl-period"   ? &out.period
                                      : m.key == "dl-deadline" ? &out.deadline
                                                               : nullptr;
  if (field == nullptr) return false;
  if (*field) reader_.fail(m.at, fmt::format("key '{}' comes twice", m.key));
  *field = usec(m.value, fmt::format("'{}'", m.key));
  return true;
}

void WorkloadFile::complete(Reservation& r, int policy, Position at) {
  if (policy != sched::SCHED_DEADLINE) {
    if (r.any()) reader_.fail(at, "'dl-runtime' and its like are of SCHED_DEADLINE");
    return;
  }
  if (!r.runtime) return reader_.fail(at, "SCHED_DEADLINE needs 'dl-runtime'");
  if (!r.period) r.period = r.runtime;
  if (!r.deadline) r.deadline = r.period;
}

}  // namespace uscx::workload
