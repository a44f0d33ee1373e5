// SPDX-License-Identifier: GPL-2.0-only
// The masks: who is idle, claiming, and picking any idle CPU. The policy is in idle_select.cc.
#include "sched/ext/idle.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/assert.h"
#include "base/bitmap.h"

namespace uscx::sched::ext {

namespace {

abi::cpumask* make_mask(bpf::AddressWindow& window) {
  return static_cast<abi::cpumask*>(window.allocate(sizeof(abi::cpumask), kKernelCpumaskObject));
}

}  // namespace

IdleTracker::IdleTracker(bpf::AddressWindow& window, const Topology& topology,
                         const abi::cpumask& online, btf::KernelVersion version)
    : window_(window),
      topology_(topology),
      online_(online),
      version_(version),
      nr_cpus_(topology.nr_cpus()),
      masks_(topology.nr_nodes + 1),
      core_of_(topology.nr_cpus()),
      last_distributed_(topology.nr_cpus(), 0) {
  for (Masks& m : masks_) {
    m.cpu = make_mask(window_);
    m.smt = make_mask(window_);
  }
  empty_ = make_mask(window_);
  std::vector<std::vector<CpuId>> cores(topology.nr_cores);
  for (u32 cpu = 0; cpu < nr_cpus_; ++cpu) {
    USCX_ASSERT(topology_.cpus[cpu].core < topology_.nr_cores);
    cores[topology_.cpus[cpu].core].push_back(static_cast<CpuId>(cpu));
    bitmap::set(all_.bits, cpu);
  }
  for (const std::vector<CpuId>& core : cores) {
    const Core place{static_cast<u32>(core_cpus_.size()), static_cast<u32>(core.size())};
    for (CpuId cpu : core) core_of_[static_cast<u32>(cpu)] = place;
    core_cpus_.insert(core_cpus_.end(), core.begin(), core.end());
  }
  compute_domains();
}

IdleTracker::~IdleTracker() {
  for (Masks& m : masks_) {
    window_.free(m.cpu);
    window_.free(m.smt);
  }
  window_.free(empty_);
}

bool IdleTracker::is_online(CpuId cpu) const {
  return bitmap::test(online_.bits, static_cast<u32>(cpu));
}

void IdleTracker::enable(bool builtin, bool per_node) {
  enabled_ = builtin;
  per_node_ = per_node;
  // Until 7.3 every online CPU counts as idle until the masks have seen it; from then on they start
  // empty and each idle CPU reports itself when bypass ends.
  const bool start_empty = version_ >= btf::KernelVersion{7, 3};
  for (NodeId node = per_node ? 0 : kNoNode; node < static_cast<NodeId>(masks_.size()) - 1;
       ++node) {
    const Masks& m = masks(node);
    const abi::cpumask& initial =
        start_empty ? *empty_ : (node == kNoNode ? online_ : node_span(node));
    std::memcpy(m.cpu, &initial, sizeof(abi::cpumask));
    std::memcpy(m.smt, &initial, sizeof(abi::cpumask));
    if (!per_node) break;
  }
}

void IdleTracker::disable() {
  enabled_ = false;
  per_node_ = false;
}

void IdleTracker::set_idle(CpuId cpu, bool idle) {
  const Masks& m = masks(tracking_node(cpu));
  const u32 bit = static_cast<u32>(cpu);
  idle ? bitmap::set(m.cpu->bits, bit) : bitmap::clear(m.cpu->bits, bit);
  // A CPU that is offline is nobody's sibling.
  if (!smt_active() || !is_online(cpu)) return;

  const auto busy = [&](CpuId s) {
    return is_online(s) && !bitmap::test(m.cpu->bits, static_cast<u32>(s));
  };
  if (idle && std::ranges::any_of(siblings(cpu), busy)) return;
  for (CpuId s : siblings(cpu)) {
    if (!is_online(s)) continue;
    idle ? bitmap::set(m.smt->bits, static_cast<u32>(s))
         : bitmap::clear(m.smt->bits, static_cast<u32>(s));
  }
}

bool IdleTracker::test_and_clear(CpuId cpu) {
  const Masks& m = masks(tracking_node(cpu));
  const u32 bit = static_cast<u32>(cpu);
  if (smt_active()) {
    // The core is not wholly idle whether or not the CPU can be claimed. An offline CPU has no
    // siblings, itself not being one: it is cleared by itself, or picking would find it again and
    // again.
    const bool online = is_online(cpu);
    for (CpuId s : siblings(cpu)) {
      if (s == cpu || (online && is_online(s))) {
        bitmap::clear(m.smt->bits, static_cast<u32>(s));
      }
    }
  }
  if (!bitmap::test(m.cpu->bits, bit)) return false;
  bitmap::clear(m.cpu->bits, bit);
  return true;
}

u32 IdleTracker::any_distribute(CpuId this_cpu, const abi::cpumask& mask,
                                const abi::cpumask* also) {
  u32& last = last_distributed_[static_cast<u32>(this_cpu)];
  const auto next_from = [&](u32 from) {
    if (from >= nr_cpus_) return nr_cpus_;
    u32 word = from / 64;
    unsigned long bits = mask.bits[word] & (~0UL << (from % 64));
    for (;;) {
      if (also) bits &= also->bits[word];
      if (bits != 0)
        return std::min(word * 64 + static_cast<u32>(std::countr_zero(bits)), nr_cpus_);
      if (++word * 64 >= nr_cpus_) return nr_cpus_;
      bits = mask.bits[word];
    }
  };
  u32 found = next_from(last + 1);
  if (found >= nr_cpus_) found = next_from(0);
  if (found < nr_cpus_) last = found;
  return found;
}

s32 IdleTracker::pick_in_node(CpuId this_cpu, const abi::cpumask& allowed, NodeId node, u64 flags) {
  const Masks& m = masks(node);
  const bool smt = smt_active();
  for (;;) {
    u32 cpu = nr_cpus_;
    if (smt) {
      cpu = any_distribute(this_cpu, *m.smt, &allowed);
      if (cpu >= nr_cpus_ && (flags & abi::SCX_PICK_IDLE_CORE)) return -EBUSY;
    }
    if (cpu >= nr_cpus_) cpu = any_distribute(this_cpu, *m.cpu, &allowed);
    if (cpu >= nr_cpus_) return -EBUSY;
    // Another CPU may have claimed it in between; the masks have less in them each round.
    if (test_and_clear(static_cast<CpuId>(cpu))) return static_cast<s32>(cpu);
  }
}

s32 IdleTracker::pick_from_other_nodes(CpuId this_cpu, const abi::cpumask& allowed, NodeId node,
                                       u64 flags) {
  std::vector<bool> visited(topology_.nr_nodes, false);
  visited[static_cast<u32>(node)] = true;
  for (;;) {
    NodeId nearest = kNoNode;
    u32 nearest_distance = UINT_MAX;
    for (u32 n = 0; n < topology_.nr_nodes; ++n) {
      const u32 distance = topology_.distances[static_cast<u32>(node)][n];
      if (!visited[n] && distance < nearest_distance) {
        nearest = static_cast<NodeId>(n);
        nearest_distance = distance;
      }
    }
    if (nearest == kNoNode) return -EBUSY;
    visited[static_cast<u32>(nearest)] = true;
    const s32 cpu = pick_in_node(this_cpu, allowed, nearest, flags);
    if (cpu >= 0) return cpu;
  }
}

s32 IdleTracker::pick(CpuId this_cpu, const abi::cpumask& allowed, NodeId node, u64 flags) {
  const s32 cpu = pick_in_node(this_cpu, allowed, node, flags);
  if (cpu >= 0) return cpu;
  if (node == kNoNode || (flags & abi::SCX_PICK_IDLE_IN_NODE)) return -EBUSY;
  return pick_from_other_nodes(this_cpu, allowed, node, flags);
}

}  // namespace uscx::sched::ext
