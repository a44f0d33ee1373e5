// SPDX-License-Identifier: GPL-2.0-only
// The JSON form of a machine; docs/machines.md describes it.
#include <fmt/format.h>

#include <map>
#include <set>

#include "machine/topology_spec.h"

namespace uscx::machine {
namespace {

using json::Reader;
using json::Value;
using sched::CpuInfo;
using sched::Topology;
using Kind = json::Value::Kind;

constexpr u64 kMaxCost = 10'000'000'000;  // 10 s: above, it is surely a mistake
constexpr u32 kMaxDistance = 254;         // ACPI's SLIT; 255 means unreachable

class MachineFile {
 public:
  explicit MachineFile(const json::Document& document) : document_(document), reader_(document) {}

  OrError<MachineSpec> read() {
    const Value& root = document_.root;
    spec_.name = document_.name;
    if (reader_.expect(root, Kind::kObject, "a machine")) {
      reader_.only(root, "a machine",
                   {"description", "nodes", "llcs", "cores", "threads", "cpus", "distances",
                    "costs", "nohz_full", "pmu"});
      shape(root);
      if (const Value* v = root.find("nohz_full")) nohz_full(*v);
      if (const Value* v = root.find("pmu")) spec_.topology.pmu = reader_.boolean(*v, "'pmu'");
      if (const Value* v = root.find("distances")) distances(*v);
      if (const Value* v = root.find("costs")) costs(*v);
      if (const Value* v = root.find("description")) {
        spec_.topology.description = reader_.string(*v, "'description'");
      }
    }
    if (reader_.failed()) return std::unexpected(reader_.error());
    return std::move(spec_);
  }

 private:
  void shape(const Value& root) {
    const Value* list = root.find("cpus");
    Shape shape;
    const std::pair<const char*, u32*> counts[] = {{"nodes", &shape.nodes},
                                                   {"llcs", &shape.llcs},
                                                   {"cores", &shape.cores},
                                                   {"threads", &shape.threads}};
    u64 cpus = 1;
    bool any = false;
    for (const auto& [key, count] : counts) {
      const Value* v = root.find(key);
      if (v == nullptr) continue;
      any = true;
      if (list != nullptr) reader_.fail(v->at, fmt::format("'{}' beside 'cpus': give one", key));
      *count = static_cast<u32>(reader_.integer(*v, fmt::format("'{}'", key), 1, kMaxCpus));
      cpus *= *count;
      if (cpus > kMaxCpus) {
        reader_.fail(v->at, fmt::format("more than {} CPUs", kMaxCpus));
        cpus = 1;
      }
    }
    if (list != nullptr) return cpu_list(*list);
    if (!any)
      reader_.fail(root.at, "a machine needs 'nodes', 'llcs', 'cores', 'threads' or 'cpus'");
    if (!reader_.failed()) spec_.topology = make_topology(shape);
  }

  void cpu_list(const Value& list) {
    if (!reader_.expect(list, Kind::kArray, "'cpus'")) return;
    if (list.items.empty()) return reader_.fail(list.at, "'cpus' is empty");
    if (list.items.size() > kMaxCpus) {
      return reader_.fail(list.at, fmt::format("more than {} CPUs", kMaxCpus));
    }
    Topology& t = spec_.topology;
    std::map<u32, u32> threads_of_core;
    for (const Value& item : list.items) {
      if (!reader_.expect(item, Kind::kObject, "a CPU")) return;
      reader_.only(item, "a CPU", {"node", "llc", "core", "capacity", "online"});
      CpuInfo cpu;
      cpu.node = static_cast<NodeId>(number(item, "node", 0, 0, kMaxCpus - 1));
      cpu.llc = number(item, "llc", 0, 0, kMaxCpus - 1);
      cpu.core = number(item, "core", t.nr_cpus(), 0, kMaxCpus - 1);
      cpu.capacity = number(item, "capacity", 1024, 1, 1024);
      if (const Value* v = item.find("online")) cpu.online = reader_.boolean(*v, "'online'");
      cpu.thread = threads_of_core[cpu.core]++;
      t.cpus.push_back(cpu);
    }
    if (!reader_.failed()) check_nesting(list);
    t.description =
        fmt::format("{}: {} CPUs, {} nodes, {} LLCs, {} cores", document_.name, t.nr_cpus(),
                    t.nr_nodes - t.absent_nodes.size(), t.nr_llcs, t.nr_cores);
  }

  /// A core lies in one LLC, an LLC in one node; numbers have no gaps, but those of nodes; CPU 0,
  /// which boots, is on.
  void check_nesting(const Value& list) {
    Topology& t = spec_.topology;
    std::map<u32, u32> llc_of_core;
    std::map<u32, u32> node_of_llc;
    std::set<u32> nodes;
    for (u32 i = 0; i < t.nr_cpus(); ++i) {
      const CpuInfo& cpu = t.cpus[i];
      const u32 node = static_cast<u32>(cpu.node);
      if (llc_of_core.emplace(cpu.core, cpu.llc).first->second != cpu.llc) {
        reader_.fail(list.items[i].at, fmt::format("core {} is in two LLCs", cpu.core));
      }
      if (node_of_llc.emplace(cpu.llc, node).first->second != node) {
        reader_.fail(list.items[i].at, fmt::format("LLC {} is in two nodes", cpu.llc));
      }
      nodes.insert(node);
    }
    t.nr_cores = static_cast<u32>(llc_of_core.size());
    t.nr_llcs = static_cast<u32>(node_of_llc.size());
    t.nr_nodes = *nodes.rbegin() + 1;
    for (u32 node = 0; node < t.nr_nodes; ++node) {
      if (!nodes.contains(node)) t.absent_nodes.push_back(node);
    }
    no_gap(list, "core", llc_of_core.rbegin()->first, t.nr_cores);
    no_gap(list, "LLC", node_of_llc.rbegin()->first, t.nr_llcs);
    if (!t.cpus[0].online) reader_.fail(list.items[0].at, "CPU 0 must be online");
    t.distances = make_topology({.nodes = t.nr_nodes}).distances;
  }

  void no_gap(const Value& list, std::string_view what, u32 largest, u32 count) {
    if (largest + 1 == count) return;
    reader_.fail(list.at, fmt::format("{} numbers must be 0 to {} without a gap: there are {} and "
                                      "the largest is {}",
                                      what, count - 1, count, largest));
  }

  u32 number(const Value& object, const char* key, u32 fallback, u32 min, u32 max) {
    const Value* v = object.find(key);
    if (v == nullptr) return fallback;
    return static_cast<u32>(reader_.integer(*v, fmt::format("'{}'", key), min, max));
  }

  /// As the kernel's parameter: the CPUs that may run without a tick.
  void nohz_full(const Value& list) {
    if (!reader_.expect(list, Kind::kArray, "'nohz_full'")) return;
    Topology& t = spec_.topology;
    for (const Value& item : list.items) {
      const s64 cpu = reader_.integer(item, "a CPU of 'nohz_full'", 0, kMaxCpus - 1);
      if (reader_.failed()) return;
      if (cpu == 0 || cpu >= t.nr_cpus()) {
        return reader_.fail(item.at, cpu == 0 ? "CPU 0 keeps the time: it cannot be 'nohz_full'"
                                              : fmt::format("there is no CPU {}", cpu));
      }
      t.cpus[static_cast<u32>(cpu)].nohz_full = true;
    }
  }

  void distances(const Value& rows) {
    if (!reader_.expect(rows, Kind::kArray, "'distances'")) return;
    const u32 n = spec_.topology.nr_nodes;
    if (rows.items.size() != n) {
      return reader_.fail(rows.at, fmt::format("'distances' needs {} rows, one a node", n));
    }
    for (u32 a = 0; a < n && !reader_.failed(); ++a) {
      const Value& row = rows.items[a];
      if (!reader_.expect(row, Kind::kArray, "a row of 'distances'")) return;
      if (row.items.size() != n) {
        return reader_.fail(row.at, fmt::format("a row of 'distances' needs {} numbers", n));
      }
      for (u32 b = 0; b < n; ++b) {
        const s64 d = reader_.integer(row.items[b], "a distance", 10, kMaxDistance);
        if ((a == b) != (d == 10)) {
          reader_.fail(row.items[b].at, "a distance is 10 from a node to itself, and only there");
        }
        spec_.topology.distances[a][b] = static_cast<u32>(d);
      }
    }
  }

  void costs(const Value& object) {
    if (!reader_.expect(object, Kind::kObject, "'costs'")) return;
    std::set<std::string> seen;
    for (const json::Member& m : object.members) {
      u64* cost = find_cost(spec_.costs, m.key);
      if (cost == nullptr) return reader_.fail(m.at, fmt::format("there is no cost '{}'", m.key));
      if (!seen.insert(m.key).second) {
        return reader_.fail(m.at, fmt::format("key '{}' comes twice in 'costs'", m.key));
      }
      *cost = static_cast<u64>(reader_.integer(m.value, fmt::format("'{}'", m.key), 0, kMaxCost));
    }
  }

  const json::Document& document_;
  Reader reader_;
  MachineSpec spec_;
};

}  // namespace

OrError<MachineSpec> parse_machine(const json::Document& document) {
  return MachineFile(document).read();
}

}  // namespace uscx::machine
