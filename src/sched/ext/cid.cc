// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/cid.h"

#include <algorithm>
#include <cstddef>
#include <map>

#include "base/bitmap.h"

namespace uscx::sched::ext {

namespace {

constexpr s32 kNone = -1;
constexpr u32 kShardSizeDefault = 24;  // SCX_CID_SHARD_SIZE_DFL
constexpr u32 kShardMaxCpus = 512;     // SCX_CID_SHARD_MAX_CPUS

abi::scx_cid_topo unknown_topo() {
  return {.core_cid = kNone,
          .core_idx = kNone,
          .llc_cid = kNone,
          .llc_idx = kNone,
          .node_cid = kNone,
          .node_idx = kNone,
          .shard_cid = kNone,
          .shard_idx = kNone};
}

/// An online CPU with the first CPUs of its node, of its LLC's part in that node, and of its core's
/// in that: their order is that of the cids.
struct Place {
  CpuId node_first, llc_first, core_first, cpu;
  auto operator<=>(const Place&) const = default;
};

std::vector<Place> places(const Topology& topology, const abi::cpumask& online) {
  std::map<std::vector<s64>, CpuId> first;
  std::vector<Place> found;
  for (u32 i = 0; i < topology.nr_cpus(); ++i) {
    if (!bitmap::test(online.bits, i)) continue;
    const CpuInfo& info = topology.cpus[i];
    const CpuId cpu = static_cast<CpuId>(i);
    const auto first_of = [&](std::vector<s64> key) {
      return first.try_emplace(std::move(key), cpu).first->second;  // CPUs come in rising order
    };
    found.push_back({first_of({info.node}), first_of({info.node, info.llc}),
                     first_of({info.node, info.llc, info.core}), cpu});
  }
  std::ranges::sort(found);
  return found;
}

/// How the cores of an LLC are spread over its shards: evenly, and no shard larger than allowed.
class ShardLayout {
 public:
  ShardLayout(u32 nr_cores, u32 nr_cpus, u32 shard_size)
      : max_cids_(std::min(shard_size, kShardMaxCpus)) {
    const auto shards = [nr_cpus](u32 size) { return (nr_cpus + size - 1) / size; };
    const u32 nr = std::max({1U, shards(shard_size), shards(kShardMaxCpus)});
    cores_each_ = nr_cores / nr;
    nr_larger_ = nr_cores % nr;
  }
  /// True where a core of so many CPUs begins another shard than the one before it.
  bool next_core(u32 nr_cpus) {
    const u32 max_cores = cores_each_ + (shard_ < nr_larger_ ? 1 : 0);
    const bool full = cores_ != 0 && (cores_ >= max_cores || cids_ + nr_cpus > max_cids_);
    if (full) {
      ++shard_;
      cores_ = cids_ = 0;
    }
    ++cores_;
    cids_ += nr_cpus;
    return full;
  }

 private:
  u32 max_cids_;
  u32 cores_each_ = 0, nr_larger_ = 0;
  u32 shard_ = 0, cores_ = 0, cids_ = 0;
};

}  // namespace

u64 cid_topo_size(btf::KernelVersion version) {
  return version < btf::KernelVersion{7, 3} ? offsetof(abi::scx_cid_topo, shard_cid)
                                            : sizeof(abi::scx_cid_topo);
}

CidTables::CidTables(const Topology& topology, const abi::cpumask& online, u32 shard_size)
    : cpu_of_(topology.nr_cpus()),
      cid_of_(topology.nr_cpus(), kNone),
      topo_(topology.nr_cpus(), unknown_topo()) {
  if (shard_size == 0) shard_size = kShardSizeDefault;
  number_online(topology, online, shard_size);
  number_others(shard_size);
}

void CidTables::number_online(const Topology& topology, const abi::cpumask& online,
                              u32 shard_size) {
  const std::vector<Place> order = places(topology, online);
  abi::scx_cid_topo at = unknown_topo();
  ShardLayout layout(0, 0, shard_size);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Place& place = order[i];
    const Place* before = i == 0 ? nullptr : &order[i - 1];
    const auto rest =
        std::ranges::subrange(order.begin() + static_cast<std::ptrdiff_t>(i), order.end());
    if (!before || before->node_first != place.node_first) {
      at.node_cid = next_cid_;
      ++at.node_idx;
    }
    bool new_shard = false;
    if (!before || before->llc_first != place.llc_first) {
      at.llc_cid = next_cid_;
      ++at.llc_idx;
      u32 nr_cores = 0, nr_cpus = 0;
      for (const Place& p : rest) {
        if (p.llc_first != place.llc_first || p.node_first != place.node_first) break;
        ++nr_cpus;
        if (p.core_first == p.cpu) ++nr_cores;
      }
      layout = ShardLayout(nr_cores, nr_cpus, shard_size);
      new_shard = true;
    }
    if (!before || before->core_first != place.core_first) {
      at.core_cid = next_cid_;
      ++at.core_idx;
      const auto core = std::ranges::find_if(
          rest, [&](const Place& p) { return p.core_first != place.core_first; });
      if (layout.next_core(static_cast<u32>(core - rest.begin()))) new_shard = true;
    }
    if (new_shard) {
      at.shard_cid = next_cid_;
      at.shard_idx = next_shard_++;
    }
    topo_[static_cast<u32>(next_cid_)] = at;
    assign(place.cpu, next_cid_++);
  }
}

void CidTables::number_others(u32 shard_size) {
  const u32 max_cids = std::min(shard_size, kShardMaxCpus);
  abi::scx_cid_topo at = unknown_topo();
  u32 in_shard = max_cids;
  for (u32 cpu = 0; cpu < cid_of_.size(); ++cpu) {
    if (cid_of_[cpu] != kNone) continue;
    if (in_shard == max_cids) {
      at.shard_cid = next_cid_;
      at.shard_idx = next_shard_++;
      in_shard = 0;
    }
    ++in_shard;
    topo_[static_cast<u32>(next_cid_)] = at;
    assign(static_cast<CpuId>(cpu), next_cid_++);
  }
}

void CidTables::assign(CpuId cpu, s32 cid) {
  cpu_of_[static_cast<u32>(cid)] = cpu;
  cid_of_[static_cast<u32>(cpu)] = cid;
}

void CidTables::forget_topology() {
  std::ranges::fill(topo_, unknown_topo());
}

}  // namespace uscx::sched::ext
