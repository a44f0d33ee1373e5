// SPDX-License-Identifier: GPL-2.0-only
// The shape of a machine: which CPUs share a core, an LLC, a node, and how fast each is.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/types.h"

namespace uscx::sched {

struct CpuInfo {
  NodeId node = 0;
  u32 llc = 0;          // machine-wide LLC number
  u32 core = 0;         // machine-wide core number
  u32 thread = 0;       // 0 for the first hardware thread of its core
  u32 capacity = 1024;  // arch_scale_cpu_capacity(): 1024 is the fastest
  bool online = true;
  bool nohz_full = false;  // no tick while it runs one task that needs none
};

/// Immutable after the machine is built. CPUs are numbered as x86 Linux does by default: first the
/// first thread of every core, then the second threads.
struct Topology {
  std::vector<CpuInfo> cpus;      // by CpuId; 1 .. kMaxCpus
  u32 nr_nodes = 1;               // numbers of nodes: 0 to nr_nodes - 1 (nr_node_ids)
  std::vector<u32> absent_nodes;  // those of them that no CPU has: not node_possible()
  u32 nr_llcs = 1;
  u32 nr_cores = 1;
  bool pmu = false;  // performance counters, so that the hard lockup detector has its NMIs
  std::vector<std::vector<u32>> distances;  // node x node, 10 = local
  std::string description;  // "1n2l4c2t: 16 CPUs, 1 node, 2 LLCs, 8 cores, 2 threads each"

  bool node_possible(u32 node) const {
    return node < nr_nodes && !std::ranges::binary_search(absent_nodes, node);
  }
  u32 nr_cpus() const { return static_cast<u32>(cpus.size()); }
};

}  // namespace uscx::sched
