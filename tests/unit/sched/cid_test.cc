// SPDX-License-Identifier: GPL-2.0-only
// The cids that Linux 7.3 gives on a machine of two nodes, each an LLC of two cores of two threads
// with neighbouring numbers (QEMU's -smp 8,sockets=2,cores=2,threads=2), by its own kfuncs.
#include "sched/ext/cid.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/bitmap.h"

namespace uscx::sched::ext {
namespace {

using Row = std::vector<s32>;

Topology two_nodes() {
  Topology t;
  t.nr_nodes = t.nr_llcs = 2;
  t.nr_cores = 4;
  for (u32 cpu = 0; cpu < 8; ++cpu) {
    t.cpus.push_back(
        {.node = static_cast<NodeId>(cpu / 4), .llc = cpu / 4, .core = cpu / 2, .thread = cpu % 2});
  }
  return t;
}

abi::cpumask all_but(s32 off) {
  abi::cpumask mask{};
  for (u32 cpu = 0; cpu < 8; ++cpu) {
    if (static_cast<s32>(cpu) != off) bitmap::set(mask.bits, cpu);
  }
  return mask;
}

Row cids(const CidTables& tables) {
  Row row;
  for (CpuId cpu = 0; cpu < 8; ++cpu) row.push_back(tables.cid_of(cpu));
  return row;
}

Row topo(const CidTables& tables, s32 abi::scx_cid_topo::* member) {
  Row row;
  for (s32 cid = 0; cid < 8; ++cid) row.push_back(tables.topo(cid).*member);
  return row;
}

using T = abi::scx_cid_topo;

TEST(Cid, OnlineCpusInOrderOfTopology) {
  const Topology topology = two_nodes();
  const CidTables t(topology, all_but(-1), 0);
  EXPECT_EQ(cids(t), (Row{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(topo(t, &T::core_cid), (Row{0, 0, 2, 2, 4, 4, 6, 6}));
  EXPECT_EQ(topo(t, &T::core_idx), (Row{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(topo(t, &T::llc_cid), (Row{0, 0, 0, 0, 4, 4, 4, 4}));
  EXPECT_EQ(topo(t, &T::llc_idx), (Row{0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(topo(t, &T::node_cid), (Row{0, 0, 0, 0, 4, 4, 4, 4}));
  EXPECT_EQ(topo(t, &T::node_idx), (Row{0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(topo(t, &T::shard_cid), (Row{0, 0, 0, 0, 4, 4, 4, 4}));
  EXPECT_EQ(topo(t, &T::shard_idx), (Row{0, 0, 0, 0, 1, 1, 1, 1}));
}

TEST(Cid, ShardsOfThreeTakeWholeCores) {
  const Topology topology = two_nodes();
  const CidTables t(topology, all_but(-1), 3);
  EXPECT_EQ(topo(t, &T::shard_cid), (Row{0, 0, 2, 2, 4, 4, 6, 6}));
  EXPECT_EQ(topo(t, &T::shard_idx), (Row{0, 0, 1, 1, 2, 2, 3, 3}));
}

TEST(Cid, CpusThatAreOffComeLastWithoutTopology) {
  const Topology topology = two_nodes();
  const CidTables t(topology, all_but(3), 3);
  EXPECT_EQ(cids(t), (Row{0, 1, 2, 7, 3, 4, 5, 6}));
  for (CpuId cpu = 0; cpu < 8; ++cpu) EXPECT_EQ(t.cpu_of(t.cid_of(cpu)), cpu);
  EXPECT_EQ(topo(t, &T::core_cid), (Row{0, 0, 2, 3, 3, 5, 5, -1}));
  EXPECT_EQ(topo(t, &T::core_idx), (Row{0, 0, 1, 2, 2, 3, 3, -1}));
  EXPECT_EQ(topo(t, &T::llc_cid), (Row{0, 0, 0, 3, 3, 3, 3, -1}));
  EXPECT_EQ(topo(t, &T::node_idx), (Row{0, 0, 0, 1, 1, 1, 1, -1}));
  EXPECT_EQ(topo(t, &T::shard_cid), (Row{0, 0, 0, 3, 3, 5, 5, 7}));
  EXPECT_EQ(topo(t, &T::shard_idx), (Row{0, 0, 0, 1, 1, 2, 2, 3}));
}

/// An override says nothing of the topology. Linux 7.2: scx_bpf_cid_override().
TEST(Cid, AnOverrideForgetsTheTopology) {
  const Topology topology = two_nodes();
  CidTables t(topology, all_but(-1), 0);
  for (CpuId cpu = 0; cpu < 8; ++cpu) t.assign(cpu, 7 - cpu);
  t.forget_topology();
  EXPECT_EQ(cids(t), (Row{7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(topo(t, &T::core_cid), Row(8, -1));
  EXPECT_EQ(topo(t, &T::llc_idx), Row(8, -1));
  EXPECT_TRUE(t.has_topology());
  t.retire_topology();
  EXPECT_FALSE(t.has_topology());
  EXPECT_EQ(t.cid_of(0), 7);
}

}  // namespace
}  // namespace uscx::sched::ext
