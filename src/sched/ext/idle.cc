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
      per_cpu_(topology.nr_cpus()) {
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
    for (CpuId cpu : core) {
      per_cpu(cpu).core_first = static_cast<u32>(core_cpus_.size());
      per_cpu(cpu).core_count = static_cast<u32>(core.size());
      if (core.size() == 2) per_cpu(cpu).sibling = cpu == core[0] ? core[1] : core[0];
    }
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
    Masks& m = masks(node);
    const abi::cpumask& initial =
        start_empty ? *empty_ : (node == kNoNode ? online_ : node_span(node));
    std::memcpy(m.cpu, &initial, sizeof(abi::cpumask));
    std::memcpy(m.smt, &initial, sizeof(abi::cpumask));
    m.cpu_words = m.smt_words = kAllWords;  // not known: found out as they are cleared
    if (!per_node) break;
  }
}

void IdleTracker::disable() {
  enabled_ = false;
  per_node_ = false;
}

void IdleTracker::set_idle(CpuId cpu, bool idle) {
  Masks& m = masks(tracking_node(cpu));
  const u32 bit = static_cast<u32>(cpu);
  if (idle) {
    set_bit(*m.cpu, m.cpu_words, bit);
  } else {
    clear_bit(*m.cpu, m.cpu_words, bit);
  }
  // A CPU that is offline is nobody's sibling.
  if (!smt_active() || !is_online(cpu)) return;
  if (idle) {
    if (core_is_idle(m, cpu)) mark_core(m, cpu);
  } else if (core_is_marked(m, cpu)) {
    unmark_core(m, cpu);
  }
}

bool IdleTracker::test_and_clear(CpuId cpu) {
  Masks& m = masks(tracking_node(cpu));
  const u32 bit = static_cast<u32>(cpu);
  // The core is not wholly idle whether or not the CPU can be claimed.
  if (smt_active() && core_is_marked(m, cpu)) unmark_core(m, cpu);
  if (!bitmap::test(m.cpu->bits, bit)) return false;
  clear_bit(*m.cpu, m.cpu_words, bit);
  return true;
}

/// Are all other CPUs of the core that are online idle?
bool IdleTracker::core_is_idle(const Masks& m, CpuId cpu) const {
  const auto busy = [&](CpuId s) {
    return !bitmap::test(m.cpu->bits, static_cast<u32>(s)) && is_online(s);
  };
  const CpuId s = per_cpu(cpu).sibling;
  return s != kNoCpu ? !busy(s) : std::ranges::none_of(siblings(cpu), busy);
}

/// May the core's CPUs be in the mask of idle cores? In a core of more than two, no need to know.
bool IdleTracker::core_is_marked(const Masks& m, CpuId cpu) const {
  const CpuId s = per_cpu(cpu).sibling;
  return s == kNoCpu || bitmap::test(m.smt->bits, static_cast<u32>(cpu)) ||
         bitmap::test(m.smt->bits, static_cast<u32>(s));
}

/// `cpu` is online.
void IdleTracker::mark_core(Masks& m, CpuId cpu) {
  for (CpuId s : siblings(cpu)) {
    if (is_online(s)) set_bit(*m.smt, m.smt_words, static_cast<u32>(s));
  }
}

/// An offline CPU has no siblings, itself not being one: it is cleared by itself, or picking would
/// find it again and again.
void IdleTracker::unmark_core(Masks& m, CpuId cpu) {
  clear_bit(*m.smt, m.smt_words, static_cast<u32>(cpu));
  if (!is_online(cpu)) return;
  for (CpuId s : siblings(cpu)) {
    if (is_online(s)) clear_bit(*m.smt, m.smt_words, static_cast<u32>(s));
  }
}

u32 IdleTracker::any_distribute(CpuId this_cpu, const abi::cpumask& mask, const abi::cpumask* also,
                                u64 words) {
  if (words == 0) return nr_cpus_;
  u32& last = per_cpu(this_cpu).last_distributed;
  const auto next_from = [&](u32 from) {
    if (from >= nr_cpus_) return nr_cpus_;
    const u64 within = ~0ULL << (from % 64);  // of the first word
    const u32 first = from / 64;
    for (u64 left = words & (~0ULL << first); left != 0; left &= left - 1) {
      const u32 word = static_cast<u32>(std::countr_zero(left));
      if (word * 64 >= nr_cpus_) break;
      u64 bits = mask.bits[word];
      if (also) bits &= also->bits[word];
      if (word == first) bits &= within;
      if (bits != 0) {
        return std::min(word * 64 + static_cast<u32>(std::countr_zero(bits)), nr_cpus_);
      }
    }
    return nr_cpus_;
  };
  u32 found = next_from(last + 1);
  if (found >= nr_cpus_) found = next_from(0);
  if (found < nr_cpus_) last = found;
  return found;
}

s32 IdleTracker::pick_in_node(CpuId this_cpu, const Place& allowed, NodeId node, u64 flags) {
  const Masks& m = masks(node);
  const bool smt = smt_active();
  for (;;) {
    u32 cpu = nr_cpus_;
    if (smt) {
      cpu = any_distribute(this_cpu, *m.smt, allowed.mask, m.smt_words & allowed.words);
      if (cpu >= nr_cpus_ && (flags & abi::SCX_PICK_IDLE_CORE)) return -EBUSY;
    }
    if (cpu >= nr_cpus_) {
      cpu = any_distribute(this_cpu, *m.cpu, allowed.mask, m.cpu_words & allowed.words);
    }
    if (cpu >= nr_cpus_) return -EBUSY;
    // Another CPU may have claimed it in between; the masks have less in them each round.
    if (test_and_clear(static_cast<CpuId>(cpu))) return static_cast<s32>(cpu);
  }
}

s32 IdleTracker::pick_from_other_nodes(CpuId this_cpu, const Place& allowed, NodeId node,
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

s32 IdleTracker::pick(CpuId this_cpu, const Place& allowed, NodeId node, u64 flags) {
  const s32 cpu = pick_in_node(this_cpu, allowed, node, flags);
  if (cpu >= 0) return cpu;
  if (node == kNoNode || (flags & abi::SCX_PICK_IDLE_IN_NODE)) return -EBUSY;
  return pick_from_other_nodes(this_cpu, allowed, node, flags);
}

}  // namespace uscx::sched::ext
