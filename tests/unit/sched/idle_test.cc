// SPDX-License-Identifier: GPL-2.0-only
// Which idle CPU a task is given: one row a situation, with the rule that decides it.
#include "sched/ext/idle.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/bitmap.h"

namespace uscx::sched::ext {
namespace {

using Cpus = std::vector<u32>;

constexpr btf::KernelVersion k7_2{7, 2};
constexpr btf::KernelVersion k7_3{7, 3};

/// nodes x LLCs per node x cores per LLC x threads, numbered as x86 does: the first threads of all
/// cores, then the second ones.
Topology make_topology(u32 nodes, u32 llcs, u32 cores, u32 threads) {
  Topology t;
  t.nr_nodes = nodes;
  t.nr_llcs = nodes * llcs;
  t.nr_cores = nodes * llcs * cores;
  for (u32 thread = 0; thread < threads; ++thread) {
    for (u32 core = 0; core < t.nr_cores; ++core) {
      t.cpus.push_back({.node = static_cast<NodeId>(core / (llcs * cores)),
                        .llc = core / cores,
                        .core = core,
                        .thread = thread});
    }
  }
  t.distances.assign(nodes, std::vector<u32>(nodes, 20));
  for (u32 n = 0; n < nodes; ++n) t.distances[n][n] = 10;
  return t;
}

abi::cpumask make_mask(const Cpus& cpus) {
  abi::cpumask mask{};
  for (u32 cpu : cpus) bitmap::set(mask.bits, cpu);
  return mask;
}

Cpus cpus_of(const abi::cpumask& mask, u32 nr_cpus) {
  Cpus cpus;
  for (u32 cpu = bitmap::first(mask.bits, nr_cpus); cpu < nr_cpus;
       cpu = bitmap::next(mask.bits, nr_cpus, cpu + 1)) {
    cpus.push_back(cpu);
  }
  return cpus;
}

Cpus all_cpus(const Topology& t) {
  Cpus cpus;
  for (u32 cpu = 0; cpu < t.nr_cpus(); ++cpu) cpus.push_back(cpu);
  return cpus;
}

/// A machine with an idle tracker that is on.
struct Machine {
  explicit Machine(Topology t, btf::KernelVersion version = k7_3, bool per_node = false,
                   const Cpus& offline = {})
      : topology(std::move(t)), online(make_mask(all_cpus(topology))) {
    window = std::move(*bpf::AddressWindow::create());
    window->activate();
    for (u32 cpu : offline) bitmap::clear(online.bits, cpu);
    idle = std::make_unique<IdleTracker>(*window, topology, online, version);
    idle->enable(true, per_node);
    idle->update_topology(per_node);
  }
  ~Machine() {
    window->activate();
    idle.reset();
  }
  void set_idle(const Cpus& cpus) {
    for (u32 cpu : cpus) idle->set_idle(static_cast<CpuId>(cpu), true);
  }
  s32 pick(const Cpus& allowed, NodeId node = kNoNode, u64 flags = 0, CpuId this_cpu = 0) {
    const abi::cpumask mask = make_mask(allowed);
    return idle->pick(this_cpu, mask, node, flags);
  }

  Topology topology;
  abi::cpumask online;
  std::unique_ptr<bpf::AddressWindow> window;
  std::unique_ptr<IdleTracker> idle;
};

// ---- the policy
// -----------------------------------------------------------------------------------

/// nodes, LLCs per node, cores per LLC, threads per core.
using Shape = std::array<u32, 4>;
constexpr Shape kSmt{1, 1, 4, 2};       // cores {0,4} {1,5} {2,6} {3,7}, one LLC
constexpr Shape kFlat{1, 1, 4, 1};      // 0-3
constexpr Shape kTwoLlcs{1, 2, 2, 1};   // LLCs {0,1} {2,3}
constexpr Shape kNodes{2, 2, 2, 1};     // nodes {0-3} {4-7}, LLCs of two
constexpr Shape kSmtLlcs{1, 2, 2, 2};   // cores {0,4} {1,5} | {2,6} {3,7}
constexpr Shape kSmtNodes{2, 1, 2, 2};  // nodes with cores {0,4} {1,5} | {2,6} {3,7}

struct Situation {
  const char* name;
  Shape shape;
  Cpus idle;
  s32 prev_cpu;
  s32 expected;
  const char* why;
  Cpus affinity = {};  // of the task; empty: anywhere
  Cpus mask = {};      // scx_bpf_select_cpu_and(); empty: none given
  u64 flags = 0;
  u64 wake_flags = 0;
  CpuId waker = 0;
  bool waker_exiting = false;
  bool waker_busy = false;  // tasks wait in the waker's local DSQ
  bool per_node = false;
};

constexpr u64 kSync = abi::SCX_WAKE_SYNC;
constexpr u64 kCore = abi::SCX_PICK_IDLE_CORE;
constexpr u64 kInNode = abi::SCX_PICK_IDLE_IN_NODE;

const Situation kSituations[] = {
    // SMT: whole cores first.
    {"smt_all_idle", kSmt, {0, 1, 2, 3, 4, 5, 6, 7}, 2, 2, "prev_cpu is on a wholly idle core"},
    {"smt_prev_half_idle", kSmt, {2, 1, 5}, 2, 1, "a wholly idle core beats half idle prev_cpu"},
    {"smt_only_prev", kSmt, {2}, 2, 2, "no idle core: prev_cpu if idle"},
    {"smt_prev_before_other", kSmt, {1, 6, 3}, 6, 6, "no idle core: prev_cpu before others"},
    {"smt_sibling", kSmt, {1, 6}, 2, 6, "prev_cpu busy: its idle sibling before others"},
    {"smt_any", kSmt, {1}, 2, 1, "nothing nearby is idle: any CPU"},
    {"smt_none", kSmt, {}, 2, -EBUSY, "no idle CPU"},
    {"smt_core_only", kSmt, {1, 6}, 2, -EBUSY, "PICK_IDLE_CORE: no half cores", {}, {}, kCore},
    {"smt_core_prev", kSmt, {2, 6, 1, 5}, 6, 6, "PICK_IDLE_CORE: prev_cpu's core", {}, {}, kCore},
    {"smt_first_skips_0", kSmt, {0, 4, 3, 7}, 1, 3, "the first CPU given out is after CPU 0"},
    {"smt_half_core_not_whole",
     kSmt,
     {0, 4, 1},
     1,
     4,
     "prev_cpu's core is not whole; of {0,4} CPU 4 is the first after 0"},

    // Affinity and masks.
    {"affinity_core", kSmt, {0, 1, 2, 3, 4, 5, 6, 7}, 0, 3, "prev_cpu not allowed", {3, 7}},
    {"affinity_two", kSmt, {5, 6}, 5, 5, "prev_cpu is idle and allowed", {5, 6}},
    {"mask_moves", kSmt, {0, 1, 2, 3, 4, 5, 6, 7}, 2, 3, "only the mask's CPU", {}, {3}},
    {"mask_disjoint",
     kSmt,
     {0, 1, 6, 7},
     6,
     -EBUSY,
     "mask and affinity share none",
     {6, 7},
     {0, 1}},
    {"mask_and_affinity", kSmt, {1, 2, 3}, 0, 2, "the one CPU in both", {1, 2}, {2, 3}},
    {"mask_sibling_excluded", kSmt, {6, 3}, 2, 3, "idle sibling 6 is outside of it", {}, {2, 3}},
    {"mask_prev_excluded", kFlat, {0, 3}, 0, 3, "prev_cpu is idle but outside of it", {}, {1, 3}},

    // Synchronous wakeups.
    {"sync_prev",
     kSmt,
     {2, 1, 5},
     2,
     2,
     "shares the waker's cache and is idle",
     {},
     {},
     0,
     kSync,
     3},
    {"sync_waker", kSmt, {7}, 2, 1, "the waker's CPU: some CPU is idle", {}, {}, 0, kSync, 1},
    {"sync_waker_beats_core", kSmt, {3, 7}, 2, 1, "even an idle core", {}, {}, 0, kSync, 1},
    {"sync_queued",
     kSmt,
     {7},
     2,
     7,
     "tasks wait for the waker's CPU",
     {},
     {},
     0,
     kSync,
     1,
     false,
     true},
    {"sync_exiting", kSmt, {7}, 2, 7, "an exiting waker gives no CPU", {}, {}, 0, kSync, 1, true},
    {"sync_saturated", kSmt, {}, 2, -EBUSY, "no idle CPU anywhere", {}, {}, 0, kSync, 1},
    {"sync_not_allowed",
     kSmt,
     {7},
     2,
     7,
     "the waker's CPU is not allowed",
     {2, 3, 6, 7},
     {},
     0,
     kSync,
     1},
    {"sync_other_llc", kTwoLlcs, {3}, 3, 0, "prev_cpu is not in its LLC", {}, {}, 0, kSync, 0},
    {"sync_other_llc_queued",
     kTwoLlcs,
     {3, 1},
     3,
     3,
     "then the ordinary rules: prev_cpu",
     {},
     {},
     0,
     kSync,
     0,
     false,
     true},
    {"sync_waker_is_prev", kFlat, {2}, 1, 1, "waker on prev_cpu", {}, {}, 0, kSync, 1},

    // LLCs.
    {"llc_first", kTwoLlcs, {1, 2}, 3, 2, "the LLC of prev_cpu before CPU 1"},
    {"llc_empty", kTwoLlcs, {1}, 3, 1, "nothing idle in the LLC"},
    {"llc_affinity", kTwoLlcs, {1, 2}, 3, 1, "of the LLC only CPU 3 is allowed", {1, 3}},
    {"llc_affinity_elsewhere", kTwoLlcs, {0, 2}, 3, 0, "none of the LLC is allowed", {0, 1}},
    {"llc_off_one_llc", kFlat, {1, 3}, 2, 1, "one LLC: the first after CPU 0"},
    {"llc_core_first", kSmtLlcs, {1, 5, 3, 7}, 2, 3, "idle core of the LLC before one elsewhere"},
    {"llc_core_elsewhere", kSmtLlcs, {1, 5, 3}, 2, 1, "an idle core elsewhere before half of one"},
    {"llc_half", kSmtLlcs, {1, 3}, 2, 3, "no core: the LLC before elsewhere"},
    {"llc_sibling", kSmtLlcs, {6, 3}, 2, 6, "the sibling before the LLC"},

    // Nodes.
    {"node_after_llc", kNodes, {1, 7}, 5, 7, "nothing in the LLC {4,5}: the node {4-7}"},
    {"node_llc_first", kNodes, {1, 6, 4}, 5, 4, "the LLC before the node"},
    {"node_empty", kNodes, {1}, 5, 1, "nothing in the node"},
    {"node_affinity", kNodes, {1, 7}, 5, 1, "of the node only CPU 5 is allowed", {1, 5}},
    {"node_same_as_llc", kSmtNodes, {1, 7}, 2, 7, "nodes and LLCs are the same sets"},

    // SCX_OPS_BUILTIN_IDLE_PER_NODE.
    {"per_node_own",
     kNodes,
     {1, 7},
     5,
     7,
     "prev_cpu's node is searched first",
     {},
     {},
     0,
     0,
     0,
     false,
     false,
     true},
    {"per_node_other", kNodes, {1}, 5, 1, "then the others", {}, {}, 0, 0, 0, false, false, true},
    {"per_node_strict",
     kNodes,
     {1},
     5,
     -EBUSY,
     "IN_NODE: not the others",
     {},
     {},
     kInNode,
     0,
     0,
     false,
     false,
     true},
    {"per_node_sync_strict",
     kNodes,
     {1, 7},
     5,
     7,
     "IN_NODE: not the waker's CPU of another node",
     {},
     {},
     kInNode,
     kSync,
     0,
     false,
     false,
     true},
    {"per_node_sync",
     kNodes,
     {7},
     5,
     7,
     "the waker's own node has no idle CPU",
     {},
     {},
     0,
     kSync,
     0,
     false,
     false,
     true},
};

class SelectCpu : public testing::TestWithParam<Situation> {};

TEST_P(SelectCpu, Picks) {
  const Situation& s = GetParam();
  Machine m(make_topology(s.shape[0], s.shape[1], s.shape[2], s.shape[3]), k7_3, s.per_node);
  m.set_idle(s.idle);
  const Cpus affinity = s.affinity.empty() ? all_cpus(m.topology) : s.affinity;
  const abi::cpumask cpus = make_mask(affinity);
  const abi::cpumask mask = make_mask(s.mask);
  const IdleRequest request{.cpus_ptr = &cpus,
                            .nr_cpus_allowed = static_cast<u32>(affinity.size()),
                            .this_cpu = s.waker,
                            .waker_exiting = s.waker_exiting,
                            .waker_local_dsq_empty = !s.waker_busy};
  const s32 cpu = m.idle->select_cpu(request, s.prev_cpu, s.wake_flags,
                                     s.mask.empty() ? nullptr : &mask, s.flags);
  EXPECT_EQ(cpu, s.expected) << s.why;
  if (cpu >= 0) {  // claimed: nobody else is given it
    const NodeId node = s.per_node ? m.idle->node_of(cpu) : kNoNode;
    EXPECT_FALSE(bitmap::test(m.idle->cpu_mask(node).bits, static_cast<u32>(cpu)));
    EXPECT_FALSE(bitmap::test(m.idle->smt_mask(node).bits, static_cast<u32>(cpu)));
  }
}

INSTANTIATE_TEST_SUITE_P(Situations, SelectCpu, testing::ValuesIn(kSituations),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- when LLCs and nodes count
// --------------------------------------------------------------------

TEST(IdleTopology, LlcsAndNodesCountWhereTheyDiffer) {
  const auto flags = [](u32 n, u32 l, u32 c, u32 t, bool per_node) {
    Machine m(make_topology(n, l, c, t), k7_3, per_node);
    return std::string(m.idle->llc_aware() ? "llc " : "") + (m.idle->numa_aware() ? "numa" : "");
  };
  EXPECT_EQ(flags(1, 1, 4, 2, false), "");          // one LLC
  EXPECT_EQ(flags(1, 2, 4, 2, false), "llc ");      // one node
  EXPECT_EQ(flags(2, 1, 4, 2, false), "llc ");      // nodes are the LLCs
  EXPECT_EQ(flags(2, 2, 4, 2, false), "llc numa");  // both
  EXPECT_EQ(flags(2, 2, 4, 2, true), "llc ");       // per-node masks do the nodes' part
  EXPECT_EQ(flags(1, 4, 1, 1, false), "");          // an LLC of one CPU is no domain
  EXPECT_EQ(flags(2, 2, 1, 1, false), "numa");      // so nodes and LLCs differ
  EXPECT_EQ(flags(1, 1, 1, 1, false), "");
}

TEST(IdleTopology, OfflineCpusChangeIt) {
  // The second LLC is offline: one LLC is left.
  Machine m(make_topology(1, 2, 2, 1), k7_3, false, {2, 3});
  EXPECT_FALSE(m.idle->llc_aware());
  // The second threads are offline: no SMT.
  Machine smt(make_topology(1, 1, 2, 2), k7_3, false, {2, 3});
  EXPECT_FALSE(smt.idle->smt_active());
}

// ---- the masks
// -----------------------------------------------------------------------------------

TEST(IdleMasks, StartAsEachKernelHasIt) {
  Machine now(make_topology(1, 1, 4, 2), k7_3);
  EXPECT_EQ(cpus_of(now.idle->cpu_mask(kNoNode), 8), Cpus{});
  EXPECT_EQ(cpus_of(now.idle->smt_mask(kNoNode), 8), Cpus{});
  Machine before(make_topology(1, 1, 2, 1), k7_2, false, {1});
  EXPECT_EQ(cpus_of(before.idle->cpu_mask(kNoNode), 2), Cpus{0});
  EXPECT_EQ(cpus_of(before.idle->smt_mask(kNoNode), 2), Cpus{0});
  Machine nodes(make_topology(2, 1, 2, 1), k7_2, true);
  EXPECT_EQ(cpus_of(nodes.idle->cpu_mask(0), 4), (Cpus{0, 1}));
  EXPECT_EQ(cpus_of(nodes.idle->cpu_mask(1), 4), (Cpus{2, 3}));
}

TEST(IdleMasks, ACoreIsIdleWhenAllItsThreadsAre) {
  Machine m(make_topology(1, 1, 2, 2));  // {0,2} {1,3}
  m.set_idle({0});
  EXPECT_EQ(cpus_of(m.idle->smt_mask(kNoNode), 4), Cpus{});
  m.set_idle({2});
  EXPECT_EQ(cpus_of(m.idle->smt_mask(kNoNode), 4), (Cpus{0, 2}));
  m.idle->set_idle(0, false);
  EXPECT_EQ(cpus_of(m.idle->smt_mask(kNoNode), 4), Cpus{});
  EXPECT_EQ(cpus_of(m.idle->cpu_mask(kNoNode), 4), Cpus{2});
}

TEST(IdleMasks, ClaimingTakesTheCoreWhetherOrNotItSucceeds) {
  Machine m(make_topology(1, 1, 2, 2));
  m.set_idle({0, 2, 1, 3});
  EXPECT_TRUE(m.idle->test_and_clear(2));
  EXPECT_EQ(cpus_of(m.idle->cpu_mask(kNoNode), 4), (Cpus{0, 1, 3}));
  EXPECT_EQ(cpus_of(m.idle->smt_mask(kNoNode), 4), (Cpus{1, 3}));
  EXPECT_FALSE(m.idle->test_and_clear(2));
}

TEST(IdleMasks, PicksGoRoundPerCpu) {
  Machine m(make_topology(1, 1, 4, 1));
  const Cpus all = all_cpus(m.topology);
  for (const s32 expected : {1, 2, 3, 0, 1}) {
    m.set_idle(all);
    EXPECT_EQ(m.pick(all), expected);
  }
  m.set_idle(all);
  EXPECT_EQ(m.pick(all, kNoNode, 0, 3), 1);  // another CPU has a place of its own
}

TEST(IdleMasks, NodesAreSearchedByDistance) {
  Topology t = make_topology(4, 1, 1, 1);
  t.distances = {{10, 30, 20, 30}, {30, 10, 20, 20}, {20, 20, 10, 20}, {30, 20, 20, 10}};
  Machine m(std::move(t), k7_3, true);
  const Cpus all = all_cpus(m.topology);
  m.set_idle({1, 2, 3});
  EXPECT_EQ(m.pick(all, 0), 2);
  EXPECT_EQ(m.pick(all, 0), 1);  // equally far: the lower number
  EXPECT_EQ(m.pick(all, 0, kInNode), -EBUSY);
  EXPECT_EQ(m.pick(all, 0), 3);
  EXPECT_EQ(m.pick(all, 0), -EBUSY);
}

}  // namespace
}  // namespace uscx::sched::ext
