// SPDX-License-Identifier: GPL-2.0-only
// Topological CPU numbers (cids): CPUs that share a core, an LLC or a node have consecutive ones.
// Kfuncs of both forms of a scheduler use them. Linux: kernel/sched/ext/cid.c.
#pragma once

#include <vector>

#include "abi/abi.h"
#include "base/types.h"
#include "btf/profile.h"
#include "sched/topology.h"

namespace uscx::sched::ext {

/// The numbers of one enabled scheduler. Linux: struct scx_cid_tables.
class CidTables {
 public:
  /// CPUs that are online come first, in topological order; the others follow, without topology.
  /// `shard_size`: how many cids a shard is to have, 0 for the default. Linux: scx_cid_init().
  CidTables(const Topology& topology, const abi::cpumask& online, u32 shard_size);

  bool valid(s32 cid) const { return cid >= 0 && static_cast<u32>(cid) < nr_cids(); }
  u32 nr_cids() const { return static_cast<u32>(cpu_of_.size()); }
  CpuId cpu_of(s32 cid) const { return cpu_of_[static_cast<u32>(cid)]; }
  s32 cid_of(CpuId cpu) const { return cid_of_[static_cast<u32>(cpu)]; }
  const abi::scx_cid_topo& topo(s32 cid) const { return topo_[static_cast<u32>(cid)]; }
  /// False once retire_topology() was called: every cid's is unknown.
  bool has_topology() const { return !topo_.empty(); }

  /// One pair of an override (7.2), which takes effect at once.
  void assign(CpuId cpu, s32 cid);
  /// After an override: nothing is known of the cores, LLCs and nodes of any cid.
  void forget_topology();
  /// The scheduler is gone; 7.2 keeps the numbers themselves.
  void retire_topology() { topo_.clear(); }

 private:
  void number_online(const Topology& topology, const abi::cpumask& online, u32 shard_size);
  void number_others(u32 shard_size);

  std::vector<CpuId> cpu_of_;  // by cid
  std::vector<s32> cid_of_;    // by CpuId; kNone while the tables are built
  std::vector<abi::scx_cid_topo> topo_;
  s32 next_cid_ = 0;
  s32 next_shard_ = 0;
};

/// sizeof(struct scx_cid_topo) in a kernel version.
u64 cid_topo_size(btf::KernelVersion version);

}  // namespace uscx::sched::ext
