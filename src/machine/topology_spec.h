// SPDX-License-Identifier: GPL-2.0-only
// Machines as people write them: `1n2l4c2t`, or a JSON file (docs/machines.md).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "sched/costs.h"
#include "sched/topology.h"

namespace uscx::machine {

struct MachineSpec {
  std::string name;  // as the user called it
  sched::Topology topology;
  sched::Costs costs;
};

/// How many of each a regular machine has: LLCs in each node, cores in each LLC, threads in each
/// core.
struct Shape {
  u32 nodes = 1;
  u32 llcs = 1;
  u32 cores = 1;
  u32 threads = 1;
};

inline constexpr std::string_view kDefaultMachine = "1n2l4c2t";

/// A compact word, or the path of a JSON file (it ends in .json or contains a slash).
/// Errors: one line; for a file with line and column.
OrError<MachineSpec> load_machine(const std::string& spec);
/// `1n2l4c2t`. Errors: another form, a count of 0, more than kMaxCpus CPUs.
OrError<Shape> parse_shape(std::string_view word);
/// A machine file that has been read.
OrError<MachineSpec> parse_machine(const json::Document& document);

/// CPUs numbered as x86 Linux does: the first thread of every core, then the second threads.
sched::Topology make_topology(const Shape& shape);
/// Sets a cost by its name; null where there is none of that name.
u64* find_cost(sched::Costs& costs, std::string_view name);

}  // namespace uscx::machine
