// SPDX-License-Identifier: GPL-2.0-only
// What each type of map asks of its attributes.
#include <algorithm>
#include <bit>

#include "bpf/maps/arena.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

namespace {

using namespace uapi;

constexpr u64 kPageSize = 4096;
constexpr u64 kKmallocMax = 4ULL << 20;      // KMALLOC_MAX_SIZE of x86-64
constexpr u64 kPercpuUnitMin = 32ULL << 10;  // PCPU_MIN_UNIT_SIZE
constexpr u64 kHashElementBytes = 48;        // sizeof(struct htab_elem)
constexpr u64 kLocalStorageMax = 65504;      // BPF_LOCAL_STORAGE_MAX_VALUE_SIZE is bound by U16_MAX
constexpr u32 kMaxStack = 512;               // MAX_BPF_STACK
constexpr u32 kMaxStackDepth = 127;          // sysctl_perf_event_max_stack
constexpr u32 kBuildIdBytes = 32;            // sizeof(struct bpf_stack_build_id)
constexpr u32 kUserAccess = kRdonly | kWronly;
constexpr u32 kAccess = kUserAccess | kRdonlyProg | kWronlyProg;
constexpr u32 kProgAccess = kRdonlyProg | kWronlyProg;
constexpr u32 kStackBuildId = 1u << 5;  // BPF_F_STACK_BUILD_ID
constexpr u32 kRbOverwrite = 1u << 19;  // BPF_F_RB_OVERWRITE

bool access_flags_ok(u32 flags) {
  return (flags & kProgAccess) != kProgAccess;
}

bool only(u32 flags, u32 allowed) {
  return !(flags & ~allowed) && access_flags_ok(flags);
}

/// A size of value that is one of two.
bool is_one_of(u32 size, u32 a, u32 b) {
  return size == a || size == b;
}

int check_array(const MapSpec& s, bool numa) {
  const bool percpu = s.type == kMapPercpuArray;
  if (s.max_entries == 0 || s.key_size != 4 || s.value_size == 0 ||
      !only(s.flags, kNumaNode | kMmapable | kAccess | kPreserveElems | kInnerMap) ||
      (percpu && numa)) {
    return EINVAL;
  }
  if (s.type != kMapArray && (s.flags & (kMmapable | kInnerMap))) return EINVAL;
  if (s.type != kMapPerfEventArray && (s.flags & kPreserveElems)) return EINVAL;
  if (s.value_size > 0x7fffffffu) return E2BIG;
  if (percpu && round_up8(s.value_size) > kPercpuUnitMin) return E2BIG;
  return 0;
}

/// Arrays of what user space names by fd.
int check_fd_array(const MapSpec& s, bool numa) {
  if (s.value_size != 4 || (s.flags & kProgAccess)) return EINVAL;
  return check_array(s, numa);
}

int check_hash(const MapSpec& s, bool numa) {
  const bool percpu = s.type == kMapPercpuHash || s.type == kMapLruPercpuHash;
  const bool lru = s.type == kMapLruHash || s.type == kMapLruPercpuHash;
  const bool percpu_lru = s.flags & kNoCommonLru;
  if (!only(s.flags, kNoPrealloc | kNoCommonLru | kNumaNode | kAccess | kZeroSeed)) return EINVAL;
  if (!lru && percpu_lru) return EINVAL;
  if (lru && (s.flags & kNoPrealloc)) return kEnotsupp;
  if (numa && (percpu || percpu_lru)) return EINVAL;
  if (s.max_entries == 0 || s.key_size == 0 || s.value_size == 0) return EINVAL;
  if (u64{s.key_size} + s.value_size >= kKmallocMax - kHashElementBytes) return E2BIG;
  if (percpu && round_up8(s.value_size) > kPercpuUnitMin) return E2BIG;
  return 0;
}

int check_rhash(const MapSpec& s, bool numa) {
  if (!(s.flags & kNoPrealloc) || (s.flags & kZeroSeed)) return EINVAL;
  if (s.key_size > 0xffff) return E2BIG;
  if (s.extra >> 32) return EINVAL;
  if (s.extra > 0xffff) return E2BIG;
  if (s.extra > s.max_entries) return EINVAL;
  return check_hash(s, numa);
}

int check_queue(const MapSpec& s) {
  if (s.max_entries == 0 || s.key_size != 0 || s.value_size == 0 ||
      !only(s.flags, kNumaNode | kAccess)) {
    return EINVAL;
  }
  return s.value_size > kKmallocMax ? E2BIG : 0;
}

int check_local_storage(const MapSpec& s) {
  if ((s.flags & ~(kNoPrealloc | kClone)) || !(s.flags & kNoPrealloc) || s.max_entries ||
      s.key_size != 4 || s.value_size == 0 || !s.btf_key_type_id || !s.btf_value_type_id) {
    return EINVAL;
  }
  return s.value_size > kLocalStorageMax ? E2BIG : 0;
}

/// The deprecated storage of programs that are attached to cgroups.
int check_cgroup_storage(const MapSpec& s) {
  if (!is_one_of(s.key_size, 16, 8) || s.value_size == 0) return EINVAL;
  const u64 limit = s.type == kMapPercpuCgroupStorage ? kPercpuUnitMin : kLocalStorageMax;
  if (s.value_size > limit) return E2BIG;
  return !only(s.flags, kNumaNode | kAccess) || s.max_entries ? EINVAL : 0;
}

int check_ring_buffer(const MapSpec& s) {
  if (s.flags & ~(kNumaNode | kRbOverwrite)) return EINVAL;
  if ((s.flags & kRbOverwrite) && s.type != kMapRingbuf) return EINVAL;
  const bool size_ok = std::has_single_bit(s.max_entries) && s.max_entries % kPageSize == 0;
  return s.key_size || s.value_size || !size_ok ? EINVAL : 0;
}

int check_stack_trace(const MapSpec& s) {
  if (s.flags & ~(kNumaNode | kUserAccess | kStackBuildId)) return EINVAL;
  if (s.max_entries == 0 || s.key_size != 4 || s.value_size < 8 || s.value_size % 8) return EINVAL;
  const u32 entry = s.flags & kStackBuildId ? kBuildIdBytes : 8;
  if (s.value_size % entry || s.value_size / entry > kMaxStackDepth) return EINVAL;
  return s.max_entries > 1u << 31 ? E2BIG : 0;
}

int check_lpm_trie(const MapSpec& s) {
  constexpr u32 kMin = 4 + 1, kMax = 4 + 256;  // prefix length, then data
  constexpr u64 kNode = 40;                    // sizeof(struct lpm_trie_node)
  const bool ok = s.max_entries && (s.flags & kNoPrealloc) &&
                  only(s.flags, kNoPrealloc | kNumaNode | kAccess) && s.key_size >= kMin &&
                  s.key_size <= kMax && s.value_size && s.value_size <= kKmallocMax - kMax - kNode;
  return ok ? 0 : EINVAL;
}

int check_bloom_filter(const MapSpec& s) {
  if (s.value_size > kKmallocMax) return E2BIG;
  const bool ok = s.key_size == 0 && s.value_size && s.max_entries &&
                  only(s.flags, kNumaNode | kZeroSeed | kAccess) && !(s.extra & ~0xfULL);
  return ok ? 0 : EINVAL;
}

int check_device_map(const MapSpec& s) {
  const bool ok = s.max_entries && s.key_size == 4 && is_one_of(s.value_size, 4, 8) &&
                  !(s.flags & ~(kNumaNode | kUserAccess));
  if (!ok) return EINVAL;
  return s.type == kMapDevmapHash && s.max_entries > 1u << 31 ? EINVAL : 0;
}

int check_cpu_map(const MapSpec& s) {
  if (!s.max_entries || s.key_size != 4 || !is_one_of(s.value_size, 4, 8) ||
      (s.flags & ~kNumaNode)) {
    return EINVAL;
  }
  return s.max_entries > kMaxCpus * 2 ? E2BIG : 0;  // NR_CPUS of Debian's kernel
}

int check_xsk_map(const MapSpec& s) {
  const bool ok = s.max_entries && s.key_size == 4 && s.value_size == 4 &&
                  !(s.flags & ~(kNumaNode | kUserAccess));
  return ok ? 0 : EINVAL;
}

int check_sock_map(const MapSpec& s) {
  const bool hash = s.type == kMapSockhash;
  const bool ok = s.max_entries && (hash ? s.key_size != 0 : s.key_size == 4) &&
                  (hash || s.max_entries <= 0x7fffffffu) && is_one_of(s.value_size, 4, 8) &&
                  !(s.flags & ~(kNumaNode | kUserAccess));
  if (!ok) return EINVAL;
  return hash && s.key_size > kMaxStack ? E2BIG : 0;
}

int check_insn_array(const MapSpec& s) {
  return s.max_entries && s.key_size == 4 && s.value_size == 16 && !s.flags ? 0 : EINVAL;
}

}  // namespace

int check_map_spec(const MapSpec& spec, bool has_numa_node) {
  switch (spec.type) {
    case kMapArray:
    case kMapPercpuArray:
      return check_array(spec, has_numa_node);
    case kMapProgArray:
    case kMapPerfEventArray:
    case kMapCgroupArray:
    case kMapArrayOfMaps:
      return check_fd_array(spec, has_numa_node);
    case kMapReuseportSockarray:
      return is_one_of(spec.value_size, 4, 8) ? check_array(spec, has_numa_node) : EINVAL;
    case kMapHash:
    case kMapPercpuHash:
    case kMapLruHash:
    case kMapLruPercpuHash:
      return check_hash(spec, has_numa_node);
    case kMapHashOfMaps:
      return spec.value_size == 4 ? check_hash(spec, has_numa_node) : EINVAL;
    case kMapRhash:
      return check_rhash(spec, has_numa_node);
    case kMapQueue:
    case kMapStack:
      return check_queue(spec);
    case kMapTaskStorage:
    case kMapCgrpStorage:
    case kMapSkStorage:
    case kMapInodeStorage:
      return check_local_storage(spec);
    case kMapCgroupStorage:
    case kMapPercpuCgroupStorage:
      return check_cgroup_storage(spec);
    case kMapRingbuf:
    case kMapUserRingbuf:
      return check_ring_buffer(spec);
    case kMapStackTrace:
      return check_stack_trace(spec);
    case kMapLpmTrie:
      return check_lpm_trie(spec);
    case kMapBloomFilter:
      return check_bloom_filter(spec);
    case kMapDevmap:
    case kMapDevmapHash:
      return check_device_map(spec);
    case kMapCpumap:
      return check_cpu_map(spec);
    case kMapXskmap:
      return check_xsk_map(spec);
    case kMapSockmap:
    case kMapSockhash:
      return check_sock_map(spec);
    case kMapInsnArray:
      return check_insn_array(spec);
    case kMapArena:
      return check_arena_spec(spec);
    default:
      return EINVAL;
  }
}

bool map_has_no_btf(u32 type) {
  static constexpr u32 kTypes[] = {kMapProgArray,   kMapPerfEventArray, kMapCgroupArray,
                                   kMapArrayOfMaps, kMapHashOfMaps,     kMapStackTrace,
                                   kMapDevmap,      kMapDevmapHash};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

bool map_meta_equal(const MapSpec& meta, const MapSpec& spec) {
  const auto& a = meta.fields.fields;
  const auto& b = spec.fields.fields;
  auto same = [](const Field& x, const Field& y) {
    return x.kind == y.kind && x.offset == y.offset && x.size == y.size &&
           x.type_name == y.type_name;
  };
  if (meta.type != spec.type || meta.key_size != spec.key_size ||
      meta.value_size != spec.value_size || meta.flags != spec.flags ||
      !std::equal(a.begin(), a.end(), b.begin(), b.end(), same)) {
    return false;
  }
  // Programs index arrays without a check of their own, unless BPF_F_INNER_MAP says otherwise.
  if (spec.type == kMapArray)
    return (meta.flags & kInnerMap) || meta.max_entries == spec.max_entries;
  if (spec.type == kMapXskmap) return meta.max_entries == spec.max_entries;
  return true;
}

bool may_be_inner_map(u32 type) {
  static constexpr u32 kNever[] = {kMapProgArray,     kMapArrayOfMaps, kMapHashOfMaps,
                                   kMapCgroupStorage, kMapStructOps,   kMapPercpuCgroupStorage,
                                   kMapInsnArray};
  return std::find(std::begin(kNever), std::end(kNever), type) == std::end(kNever);
}

}  // namespace uscx::bpf
