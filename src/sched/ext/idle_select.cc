// SPDX-License-Identifier: GPL-2.0-only
// The built-in policy: which idle CPU a waking task is given, and when LLCs and nodes count.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bitmap.h"
#include "sched/ext/idle.h"

namespace uscx::sched::ext {

// ---- domains ------------------------------------------------------------------------------------

void IdleTracker::compute_domains() {
  llcs_.assign(topology_.nr_llcs, Domain{});
  nodes_.assign(topology_.nr_nodes, Domain{});
  for (u32 cpu = 0; cpu < nr_cpus_; ++cpu) {
    if (!is_online(static_cast<CpuId>(cpu))) continue;
    const CpuInfo& c = topology_.cpus[cpu];
    for (Domain* d : {&llcs_[c.llc], &nodes_[static_cast<u32>(c.node)]}) {
      set_bit(d->span, d->words, cpu);
      ++d->weight;
    }
  }
  nr_populated_nodes_ =
      static_cast<u32>(std::ranges::count_if(nodes_, [](const Domain& d) { return d.weight > 0; }));
  smt_active_ = false;
  for (u32 cpu = 0; cpu < nr_cpus_; ++cpu) {
    const auto online = [this](CpuId s) { return is_online(s); };
    if (std::ranges::count_if(siblings(static_cast<CpuId>(cpu)), online) > 1) smt_active_ = true;
  }
}

const IdleTracker::Domain* IdleTracker::llc_domain(CpuId cpu) const {
  // A domain of a single CPU degenerates and is not attached.
  const Domain& d = llcs_[info(cpu).llc];
  return is_online(cpu) && d.weight > 1 ? &d : nullptr;
}

const IdleTracker::Domain* IdleTracker::numa_domain(CpuId cpu) const {
  // The lowest NUMA domain spans several nodes; its first group is the CPU's own node. With one
  // populated node there is no such domain.
  if (!is_online(cpu)) return nullptr;
  return nr_populated_nodes_ > 1 ? &nodes_[static_cast<u32>(info(cpu).node)] : nullptr;
}

bool IdleTracker::llc_numa_mismatch() const {
  for (u32 cpu = 0; cpu < nr_cpus_; ++cpu) {
    const CpuId id = static_cast<CpuId>(cpu);
    if (!is_online(id)) continue;
    const Domain* llc = llc_domain(id);
    const Domain* numa = numa_domain(id);
    if ((llc ? llc->weight : 0) != (numa ? numa->weight : 0)) return true;
  }
  return false;
}

void IdleTracker::update_topology(bool per_node) {
  compute_domains();
  const u32 nr_online = bitmap::weight(online_.bits, nr_cpus_);
  const CpuId first = static_cast<CpuId>(bitmap::first(online_.bits, nr_cpus_));
  // The first online CPU speaks for all: its LLC holds either every CPU or there are several.
  const Domain* llc = llc_domain(first);
  llc_aware_ = llc && llc->weight < nr_online;
  // With per-node masks the search starts in the node anyway; where nodes and LLCs are the same
  // sets, looking at both would look twice.
  const Domain* numa = per_node ? nullptr : numa_domain(first);
  numa_aware_ = numa && numa->weight < nr_online && llc_numa_mismatch();
}

bool IdleTracker::share_cache(CpuId a, CpuId b) const {
  return a == b || (is_online(a) && is_online(b) && info(a).llc == info(b).llc);
}

// ---- the policy
// -----------------------------------------------------------------------------------

/// What the steps of one choice have in common.
struct IdleTracker::Choice {
  const IdleRequest& request;
  CpuId prev_cpu;
  u64 wake_flags;
  u64 flags;
  NodeId node;  // whose masks come first
  Place allowed;
  bool prev_allowed;
  Place llc;   // CPUs of prev_cpu's LLC to prefer, or null
  Place numa;  // of its node
};

namespace {

/// out = a & b; true where any CPU is left.
bool intersect(abi::cpumask& out, const abi::cpumask& a, const abi::cpumask& b, u32 nr_cpus) {
  bool any = false;
  for (u32 w = 0; w * 64 < nr_cpus; ++w) {
    out.bits[w] = a.bits[w] & b.bits[w];
    any |= out.bits[w] != 0;
  }
  return any;
}

}  // namespace

s32 IdleTracker::select_cpu(const IdleRequest& request, CpuId prev_cpu, u64 wake_flags,
                            const abi::cpumask* cpus_allowed, u64 flags) {
  const abi::cpumask* allowed = cpus_allowed ? cpus_allowed : request.cpus_ptr;
  const bool anywhere = request.nr_cpus_allowed >= nr_cpus_;
  const bool own_mask = allowed == request.cpus_ptr;
  if (own_mask && anywhere) {
    allowed = &all_;  // as good as its own, which is in no cache
  } else if (!own_mask && !anywhere) {
    if (!intersect(both_, *allowed, *request.cpus_ptr, nr_cpus_)) return -EBUSY;
    allowed = &both_;
  }
  // A task that may run anywhere uses a domain's span as it is; otherwise what it may use of it,
  // and nothing where that is empty.
  const auto usable = [&](const Domain* d, abi::cpumask& local) -> Place {
    if (!d) return {};
    if (own_mask && anywhere) return {&d->span, d->words};
    return {intersect(local, *allowed, d->span, nr_cpus_) ? &local : nullptr, d->words};
  };
  return choose(Choice{
      .request = request,
      .prev_cpu = prev_cpu,
      .wake_flags = wake_flags,
      .flags = flags,
      .node = tracking_node(prev_cpu),
      .allowed = {allowed},
      .prev_allowed = bitmap::test(allowed->bits, static_cast<u32>(prev_cpu)),
      .llc = llc_aware_ ? usable(llc_domain(prev_cpu), llc_local_) : Place{},
      .numa = numa_aware_ ? usable(numa_domain(prev_cpu), numa_local_) : Place{},
  });
}

s32 IdleTracker::choose(const Choice& c) {
  s32 cpu = -EBUSY;
  if ((c.wake_flags & abi::SCX_WAKE_SYNC) && choose_for_sync_wakeup(c, cpu)) return cpu;
  if (smt_active()) {
    if (choose_idle_core(c, cpu)) return cpu;
    if (c.flags & abi::SCX_PICK_IDLE_CORE) return -EBUSY;
  }
  if (choose_nearby(c, cpu)) return cpu;
  return pick(c.request.this_cpu, c.allowed, c.node, c.flags);
}

bool IdleTracker::choose_for_sync_wakeup(const Choice& c, s32& cpu) {
  const CpuId waker = c.request.this_cpu;
  if (c.prev_allowed && share_cache(waker, c.prev_cpu) && test_and_clear(c.prev_cpu)) {
    cpu = c.prev_cpu;
    return true;
  }
  // The waker is about to sleep: its CPU is as good as idle where nothing else waits for it, and
  // some idle CPU somewhere shows that the machine is not saturated.
  const NodeId waker_node = tracking_node(waker);
  if (c.request.waker_exiting || !c.request.waker_local_dsq_empty) return false;
  if ((c.flags & abi::SCX_PICK_IDLE_IN_NODE) && waker_node != c.node) return false;
  if (bitmap::first(masks(waker_node).cpu->bits, nr_cpus_) >= nr_cpus_) return false;
  if (!bitmap::test(c.allowed.mask->bits, static_cast<u32>(waker))) return false;
  test_and_clear(waker);
  cpu = waker;
  return true;
}

bool IdleTracker::choose_idle_core(const Choice& c, s32& cpu) {
  if (c.node == kNoNode && masks(c.node).smt_words == 0) return false;
  if (c.prev_allowed && bitmap::test(masks(c.node).smt->bits, static_cast<u32>(c.prev_cpu)) &&
      test_and_clear(c.prev_cpu)) {
    cpu = c.prev_cpu;
    return true;
  }
  for (const Place* domain : {&c.llc, &c.numa}) {
    if (!domain->mask) continue;
    cpu = pick_in_node(c.request.this_cpu, *domain, c.node, abi::SCX_PICK_IDLE_CORE);
    if (cpu >= 0) return true;
  }
  cpu = pick(c.request.this_cpu, c.allowed, c.node, c.flags | abi::SCX_PICK_IDLE_CORE);
  return cpu >= 0;
}

bool IdleTracker::choose_nearby(const Choice& c, s32& cpu) {
  if (c.prev_allowed && test_and_clear(c.prev_cpu)) {
    cpu = c.prev_cpu;
    return true;
  }
  if (smt_active() && is_online(c.prev_cpu)) {
    for (CpuId s : siblings(c.prev_cpu)) {
      if (s == c.prev_cpu || !is_online(s)) continue;
      if (bitmap::test(c.allowed.mask->bits, static_cast<u32>(s)) && test_and_clear(s)) {
        cpu = s;
        return true;
      }
    }
  }
  for (const Place* domain : {&c.llc, &c.numa}) {
    if (!domain->mask) continue;
    cpu = pick_in_node(c.request.this_cpu, *domain, c.node, 0);
    if (cpu >= 0) return true;
  }
  return false;
}

}  // namespace uscx::sched::ext
