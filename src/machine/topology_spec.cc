// SPDX-License-Identifier: GPL-2.0-only
#include "machine/topology_spec.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/assert.h"

namespace uscx::machine {
namespace {

using sched::CpuInfo;
using sched::Topology;

// Linux's LOCAL_DISTANCE and REMOTE_DISTANCE.
constexpr u32 kLocalDistance = 10;
constexpr u32 kRemoteDistance = 20;

std::string plural(u32 n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

}  // namespace

u64* find_cost(sched::Costs& costs, std::string_view name) {
  const std::pair<std::string_view, u64*> known[] = {
      {"context_switch_ns", &costs.context_switch_ns},
      {"idle_exit_ns", &costs.idle_exit_ns},
      {"ipi_ns", &costs.ipi_ns},
      {"tick_ns", &costs.tick_ns},
      {"syscall_ns", &costs.syscall_ns},
      {"wakeup_ns", &costs.wakeup_ns},
      {"fork_ns", &costs.fork_ns},
      {"exit_ns", &costs.exit_ns},
      {"migrate_llc_ns", &costs.migrate_llc_ns},
      {"migrate_node_ns", &costs.migrate_node_ns},
      {"bpf_insn_ps", &costs.bpf_insn_ps},
      {"bpf_callback_ns", &costs.bpf_callback_ns},
      {"rcu_grace_period_ns", &costs.rcu_grace_period_ns},
      {"task_iter_ns", &costs.task_iter_ns},
  };
  static_assert(std::size(known) * sizeof(u64) == sizeof(sched::Costs), "a cost has no name here");
  for (const auto& [cost, value] : known) {
    if (cost == name) return value;
  }
  return nullptr;
}

OrError<Shape> parse_shape(std::string_view word) {
  Shape shape;
  const std::pair<char, u32*> fields[] = {
      {'n', &shape.nodes}, {'l', &shape.llcs}, {'c', &shape.cores}, {'t', &shape.threads}};
  std::string_view rest = word;
  const auto refuse = [&](std::string_view why) {
    return error(fmt::format("machine '{}': {}", word, why));
  };
  constexpr std::string_view kForm =
      "expected nodes, LLCs, cores and threads as in 1n2l4c2t, or a FILE.json";
  u64 cpus = 1;
  for (const auto& [unit, count] : fields) {
    u64 n = 0;
    std::size_t digits = 0;
    for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits) {
      if (n <= kMaxCpus) n = n * 10 + static_cast<u64>(rest[digits] - '0');
    }
    if (digits == 0 || digits == rest.size() || rest[digits] != unit) return refuse(kForm);
    if (n == 0) return refuse(fmt::format("0{} leaves no CPU", unit));
    if (n > kMaxCpus || (cpus *= n) > kMaxCpus) {
      return refuse(fmt::format("more than {} CPUs", kMaxCpus));
    }
    *count = static_cast<u32>(n);
    rest.remove_prefix(digits + 1);
  }
  if (!rest.empty()) return refuse(kForm);
  return shape;
}

Topology make_topology(const Shape& shape) {
  Topology t;
  t.nr_nodes = shape.nodes;
  t.nr_llcs = shape.nodes * shape.llcs;
  t.nr_cores = t.nr_llcs * shape.cores;
  for (u32 thread = 0; thread < shape.threads; ++thread) {
    for (u32 core = 0; core < t.nr_cores; ++core) {
      const u32 llc = core / shape.cores;
      t.cpus.push_back({.node = static_cast<NodeId>(llc / shape.llcs),
                        .llc = llc,
                        .core = core,
                        .thread = thread});
    }
  }
  for (u32 a = 0; a < t.nr_nodes; ++a) {
    auto& row = t.distances.emplace_back(t.nr_nodes, kRemoteDistance);
    row[a] = kLocalDistance;
  }
  t.description = fmt::format("{}, {}, {}, {}, {} each", plural(t.nr_cpus(), "CPU"),
                              plural(t.nr_nodes, "node"), plural(t.nr_llcs, "LLC"),
                              plural(t.nr_cores, "core"), plural(shape.threads, "thread"));
  USCX_ASSERT(t.nr_cpus() >= 1 && t.nr_cpus() <= kMaxCpus);
  return t;
}

OrError<MachineSpec> load_machine(const std::string& spec) {
  if (spec.ends_with(".json") || spec.find('/') != std::string::npos) {
    auto document = json::load(spec);
    if (!document) return std::unexpected(document.error());
    return parse_machine(*document);
  }
  const auto shape = parse_shape(spec);
  if (!shape) return std::unexpected(shape.error());
  MachineSpec machine{.name = spec, .topology = make_topology(*shape), .costs = {}};
  machine.topology.description = fmt::format("{}: {}", spec, machine.topology.description);
  return machine;
}

}  // namespace uscx::machine
