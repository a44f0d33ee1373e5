// SPDX-License-Identifier: GPL-2.0-only
// Built-in idle tracking: which CPUs are idle, and the default choice among them.
// Linux: kernel/sched/ext/idle.c.
#pragma once

#include <span>
#include <vector>

#include "abi/abi.h"
#include "base/types.h"
#include "bpf/window.h"
#include "btf/profile.h"
#include "sched/topology.h"

namespace uscx::sched::ext {

inline constexpr NodeId kNoNode = -1;  // NUMA_NO_NODE

/// Cpumasks of the kernel: programs read them through the pointers that kfuncs give out.
inline constexpr bpf::ObjectType kKernelCpumaskObject{"cpumask"};

/// The task an idle CPU is looked for, and where it is done.
struct IdleRequest {
  const abi::cpumask* cpus_ptr = nullptr;  // p->cpus_ptr
  u32 nr_cpus_allowed = 0;                 // p->nr_cpus_allowed
  CpuId this_cpu = 0;                      // smp_processor_id(): the waker's
  bool waker_exiting = false;              // current->flags & PF_EXITING
  bool waker_local_dsq_empty = false;      // this CPU's local DSQ
};

/// The idle masks of one kernel. All calls are cheap and take no lock, as in Linux; callers put a
/// sync point before those that claim a CPU.
class IdleTracker {
 public:
  /// `online` and the topology must outlive the tracker. Allocates its masks in the window.
  IdleTracker(bpf::AddressWindow& window, const Topology& topology, const abi::cpumask& online,
              btf::KernelVersion version);
  ~IdleTracker();
  IdleTracker(const IdleTracker&) = delete;
  IdleTracker& operator=(const IdleTracker&) = delete;

  /// A scheduler is being enabled. `builtin`: no ops.update_idle(), or SCX_OPS_KEEP_BUILTIN_IDLE;
  /// `per_node`: SCX_OPS_BUILTIN_IDLE_PER_NODE. Resets the masks. Linux: scx_idle_enable().
  void enable(bool builtin, bool per_node);
  /// Linux: scx_idle_disable().
  void disable();
  /// Decides whether the default choice looks at LLCs and nodes; at enable and after a CPU went on
  /// or off. Linux: scx_idle_update_selcpu_topology().
  void update_topology(bool per_node);

  bool enabled() const { return enabled_; }
  bool per_node() const { return per_node_; }
  bool llc_aware() const { return llc_aware_; }
  bool numa_aware() const { return numa_aware_; }
  bool smt_active() const { return smt_active_; }  // some core has two CPUs online
  u32 nr_node_ids() const { return topology_.nr_nodes; }
  NodeId node_of(CpuId cpu) const { return topology_.cpus[static_cast<u32>(cpu)].node; }

  /// `cpu` becomes idle or busy. Linux: update_builtin_idle().
  void set_idle(CpuId cpu, bool idle);
  /// Claims `cpu`: true where it was idle; its core is not wholly idle any more either way.
  bool test_and_clear(CpuId cpu);
  /// Picks and claims an idle CPU of `allowed`, from `node` (kNoNode: the global masks) outwards.
  /// -EBUSY where there is none. Linux: scx_pick_idle_cpu().
  s32 pick(CpuId this_cpu, const abi::cpumask& allowed, NodeId node, u64 flags) {
    return pick(this_cpu, Place{&allowed}, node, flags);
  }
  /// The built-in policy: the CPU it claimed, or -EBUSY. `allowed` null: the task's own mask.
  /// Linux: scx_select_cpu_dfl().
  s32 select_cpu(const IdleRequest& request, CpuId prev_cpu, u64 wake_flags,
                 const abi::cpumask* allowed, u64 flags);
  /// The next CPU of `mask` (and of `also`) after the one this CPU was given last, round and
  /// round; nr_cpu_ids where there is none. Linux: cpumask_any_and_distribute().
  u32 any_distribute(CpuId this_cpu, const abi::cpumask& mask, const abi::cpumask* also = nullptr) {
    return any_distribute(this_cpu, mask, also, kAllWords);
  }

  /// Masks as programs get them. `node` kNoNode: the global ones.
  const abi::cpumask& cpu_mask(NodeId node) const { return *masks(node).cpu; }
  const abi::cpumask& smt_mask(NodeId node) const { return *masks(node).smt; }
  const abi::cpumask& empty_mask() const { return *empty_; }
  /// The online CPUs of a node.
  const abi::cpumask& node_span(NodeId node) const { return nodes_[static_cast<u32>(node)].span; }
  bool share_cache(CpuId a, CpuId b) const;

 private:
  // Of a mask, its words that are not 0, by bit: a machine has at most 64 of them, and looking for
  // a CPU passes over the others.
  static constexpr u64 kAllWords = ~0ULL;
  static_assert(kMaxCpus <= 64 * 64);
  struct Masks {
    abi::cpumask* cpu = nullptr;
    abi::cpumask* smt = nullptr;
    u64 cpu_words = 0, smt_words = 0;
  };
  struct Domain {
    abi::cpumask span{};
    u64 words = 0;
    u32 weight = 0;
  };
  /// Where to look: some mask, and which words may be other than 0.
  struct Place {
    const abi::cpumask* mask = nullptr;
    u64 words = kAllWords;
  };
  struct PerCpu {
    CpuId sibling = kNoCpu;      // the other one of a core of two; else kNoCpu
    u32 last_distributed = 0;    // what any_distribute() gave it
    u32 core_first, core_count;  // its core's CPUs, of core_cpus_
  };
  PerCpu& per_cpu(CpuId cpu) { return per_cpu_[static_cast<u32>(cpu)]; }
  const PerCpu& per_cpu(CpuId cpu) const { return per_cpu_[static_cast<u32>(cpu)]; }
  /// The CPUs of `cpu`'s core, itself included; ascending.
  std::span<const CpuId> siblings(CpuId cpu) const {
    const PerCpu& c = per_cpu(cpu);
    return {&core_cpus_[c.core_first], c.core_count};
  }

  static void set_bit(abi::cpumask& mask, u64& words, u32 bit) {
    mask.bits[bit / 64] |= 1UL << (bit % 64);
    words |= 1ULL << (bit / 64);
  }
  static void clear_bit(abi::cpumask& mask, u64& words, u32 bit) {
    unsigned long& word = mask.bits[bit / 64];
    word &= ~(1UL << (bit % 64));
    if (word == 0) words &= ~(1ULL << (bit / 64));
  }

  Masks& masks(NodeId node) { return masks_[static_cast<u32>(node + 1)]; }
  const Masks& masks(NodeId node) const { return masks_[static_cast<u32>(node + 1)]; }
  /// The node whose masks hold `cpu`: kNoNode where they are global.
  NodeId tracking_node(CpuId cpu) const { return per_node_ ? node_of(cpu) : kNoNode; }
  const CpuInfo& info(CpuId cpu) const { return topology_.cpus[static_cast<u32>(cpu)]; }
  bool is_online(CpuId cpu) const;
  bool core_is_idle(const Masks& m, CpuId cpu) const;
  bool core_is_marked(const Masks& m, CpuId cpu) const;
  void mark_core(Masks& m, CpuId cpu);
  void unmark_core(Masks& m, CpuId cpu);
  void compute_domains();
  /// null where Linux has no such scheduling domain: an LLC of one CPU, a machine of one node.
  const Domain* llc_domain(CpuId cpu) const;
  const Domain* numa_domain(CpuId cpu) const;
  bool llc_numa_mismatch() const;
  u32 any_distribute(CpuId this_cpu, const abi::cpumask& mask, const abi::cpumask* also, u64 words);
  s32 pick(CpuId this_cpu, const Place& allowed, NodeId node, u64 flags);
  s32 pick_in_node(CpuId this_cpu, const Place& allowed, NodeId node, u64 flags);
  s32 pick_from_other_nodes(CpuId this_cpu, const Place& allowed, NodeId node, u64 flags);

  struct Choice;
  s32 choose(const Choice& choice);
  bool choose_for_sync_wakeup(const Choice& choice, s32& cpu);
  bool choose_idle_core(const Choice& choice, s32& cpu);
  bool choose_nearby(const Choice& choice, s32& cpu);

  bpf::AddressWindow& window_;
  const Topology& topology_;
  const abi::cpumask& online_;
  btf::KernelVersion version_;
  u32 nr_cpus_;
  std::vector<Masks> masks_;  // [0] global, [1 + node]
  abi::cpumask* empty_ = nullptr;
  std::vector<Domain> llcs_;
  std::vector<Domain> nodes_;
  std::vector<PerCpu> per_cpu_;
  std::vector<CpuId> core_cpus_;  // core by core
  abi::cpumask all_{};            // the possible CPUs: the mask of a task that may run anywhere
  u32 nr_populated_nodes_ = 0;    // with CPUs on line
  abi::cpumask both_{}, llc_local_{}, numa_local_{};  // of the choice in progress; else of no use
  bool enabled_ = false;
  bool per_node_ = false;
  bool llc_aware_ = false;
  bool numa_aware_ = false;
  bool smt_active_ = false;
};

}  // namespace uscx::sched::ext
