// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/map.h"

#include <array>
#include <cstring>

#include "base/assert.h"
#include "bpf/bpf.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

constexpr u32 kMapObjectSize = 64;
/// Most bytes of values that one map may have: a quarter of this is still far above any real map.
constexpr u64 kMaxMapBytes = 16ULL << 30;

}  // namespace

Map::Map(Bpf& bpf, MapSpec spec)
    : bpf_(bpf),
      spec_(std::move(spec)),
      object_(bpf.window().allocate(kMapObjectSize, kMapObject)),
      lock_(LockRank::kBpfObject, "bpf_map") {
  bpf_.impl().map_objects[address()] = this;
}

Map::~Map() {
  bpf_.impl().map_objects.erase(address());
  window().free(object_);
}

AddressWindow& Map::window() const {
  return bpf_.window();
}

u32 Map::user_value_size() const {
  return percpu() ? value_stride() * bpf_.host().nr_cpu_ids() : spec_.value_size;
}

void Map::copy_value(std::byte* to, const std::byte* from) const {
  u32 at = 0;
  for (const Field& field : spec_.fields.fields) {
    std::memcpy(to + at, from + at, field.offset - at);
    at = field.offset + field.size;
  }
  std::memcpy(to + at, from + at, spec_.value_size - at);
}

void Map::init_value(std::byte* to, const std::byte* from) const {
  copy_value(to, from);
  for (const Field& field : spec_.fields.fields) std::memset(to + field.offset, 0, field.size);
}

void Map::free_fields(u64 value) const {
  for (const Field& field : spec_.fields.fields) {
    const u64 address = value + field.offset;
    switch (field.kind) {
      case FieldKind::kTimer:
        bpf_.impl().timers.forget(address);
        break;
      case FieldKind::kKptrRef:
      case FieldKind::kKptrPercpu: {
        auto* slot = reinterpret_cast<u64*>(address);
        const u64 object = *slot;
        *slot = 0;
        if (object) bpf_.impl().release_kptr(field.type_name, object);
        break;
      }
      case FieldKind::kKptrUnref:
        *reinterpret_cast<u64*>(address) = 0;
        break;
      default:
        break;
    }
  }
}

u64 Map::lookup(const std::byte*) {
  return 0;
}
u64 Map::lookup_percpu(const std::byte*, u32) {
  return 0;
}
Result<void> Map::update(const std::byte*, const std::byte*, u64) {
  return fail(EINVAL);
}
Result<void> Map::erase(const std::byte*) {
  return fail(EINVAL);
}
Result<void> Map::push(const std::byte*, u64) {
  return fail(EOPNOTSUPP);
}
Result<void> Map::pop(std::byte*) {
  return fail(EOPNOTSUPP);
}
Result<void> Map::peek(std::byte*) {
  return fail(EOPNOTSUPP);
}
Result<u32> Map::for_each(const std::function<bool(u64, u64)>&) {
  return fail(EINVAL);
}

Result<void> Map::user_lookup(const std::byte* key, std::byte* value) {
  const u64 found = lookup(key);
  if (!found) return fail(ENOENT);
  copy_to_user(value, reinterpret_cast<const std::byte*>(found));
  return {};
}

Result<void> Map::user_update(const std::byte* key, const std::byte* value, u64 flags) {
  return update(key, value, flags);
}

Result<void> Map::user_lookup_and_delete(const std::byte*, std::byte*, u64) {
  return fail(EOPNOTSUPP);
}

u64 Map::key_of_value(u64, u32*) {
  return 0;
}

Result<void> Map::next_key(const std::byte*, std::byte*) {
  return fail(EOPNOTSUPP);
}

namespace {

constexpr u64 kKmallocMax = 4ULL << 20;      // KMALLOC_MAX_SIZE of x86-64
constexpr u64 kPercpuUnitMin = 32ULL << 10;  // PCPU_MIN_UNIT_SIZE
constexpr u64 kHashElementBytes = 48;        // sizeof(struct htab_elem)
constexpr u64 kLocalStorageMax = 65504;      // BPF_LOCAL_STORAGE_MAX_VALUE_SIZE is bound by U16_MAX
constexpr u32 kAccessFlags = uapi::kRdonly | uapi::kWronly | uapi::kRdonlyProg | uapi::kWronlyProg;

bool access_flags_ok(u32 flags) {
  return (flags & (uapi::kRdonlyProg | uapi::kWronlyProg)) !=
         (uapi::kRdonlyProg | uapi::kWronlyProg);
}

int check_array(const MapSpec& s, bool numa) {
  const bool percpu = s.type == uapi::kMapPercpuArray;
  if (s.max_entries == 0 || s.key_size != 4 || s.value_size == 0 ||
      (s.flags & ~(uapi::kNumaNode | uapi::kMmapable | kAccessFlags | uapi::kPreserveElems |
                   uapi::kInnerMap)) ||
      !access_flags_ok(s.flags) || (percpu && numa)) {
    return EINVAL;
  }
  if (percpu && (s.flags & (uapi::kMmapable | uapi::kInnerMap))) return EINVAL;
  if (s.flags & uapi::kPreserveElems) return EINVAL;
  if (s.value_size > 0x7fffffffu) return E2BIG;
  if (percpu && round_up8(s.value_size) > kPercpuUnitMin) return E2BIG;
  return 0;
}

int check_hash(const MapSpec& s, bool numa) {
  const bool percpu = s.type == uapi::kMapPercpuHash;
  const bool lru = s.type == uapi::kMapLruHash;
  const bool percpu_lru = s.flags & uapi::kNoCommonLru;
  if ((s.flags & ~(uapi::kNoPrealloc | uapi::kNoCommonLru | uapi::kNumaNode | kAccessFlags |
                   uapi::kZeroSeed)) ||
      !access_flags_ok(s.flags)) {
    return EINVAL;
  }
  if (!lru && percpu_lru) return EINVAL;
  if (lru && (s.flags & uapi::kNoPrealloc)) return kEnotsupp;
  if (numa && (percpu || percpu_lru)) return EINVAL;
  if (s.max_entries == 0 || s.key_size == 0 || s.value_size == 0) return EINVAL;
  if (u64{s.key_size} + s.value_size >= kKmallocMax - kHashElementBytes) return E2BIG;
  if (percpu && round_up8(s.value_size) > kPercpuUnitMin) return E2BIG;
  return 0;
}

int check_queue(const MapSpec& s) {
  if (s.max_entries == 0 || s.key_size != 0 || s.value_size == 0 ||
      (s.flags & ~(uapi::kNumaNode | kAccessFlags)) || !access_flags_ok(s.flags)) {
    return EINVAL;
  }
  return s.value_size > kKmallocMax ? E2BIG : 0;
}

int check_task_storage(const MapSpec& s) {
  if ((s.flags & ~(uapi::kNoPrealloc | uapi::kClone)) || !(s.flags & uapi::kNoPrealloc) ||
      s.max_entries || s.key_size != 4 || s.value_size == 0 || !s.btf_key_type_id ||
      !s.btf_value_type_id) {
    return EINVAL;
  }
  return s.value_size > kLocalStorageMax ? E2BIG : 0;
}

u64 bytes_of_values(const MapSpec& s, u32 nr_cpus) {
  const bool percpu = s.type == uapi::kMapPercpuArray || s.type == uapi::kMapPercpuHash;
  return u64{round_up8(s.value_size)} * s.max_entries * (percpu ? nr_cpus : 1);
}

}  // namespace

int check_map_spec(const MapSpec& spec, bool has_numa_node) {
  switch (spec.type) {
    case uapi::kMapArray:
    case uapi::kMapPercpuArray:
      return check_array(spec, has_numa_node);
    case uapi::kMapHash:
    case uapi::kMapPercpuHash:
    case uapi::kMapLruHash:
      return check_hash(spec, has_numa_node);
    case uapi::kMapQueue:
    case uapi::kMapStack:
      return check_queue(spec);
    case uapi::kMapTaskStorage:
      return check_task_storage(spec);
    default:
      return EINVAL;
  }
}

Result<std::shared_ptr<Map>> make_map(Bpf& bpf, MapSpec spec) {
  if (bytes_of_values(spec, bpf.host().nr_cpu_ids()) > kMaxMapBytes) return fail(ENOMEM);
  switch (spec.type) {
    case uapi::kMapArray:
    case uapi::kMapPercpuArray:
      return make_array_map(bpf, std::move(spec));
    case uapi::kMapHash:
    case uapi::kMapPercpuHash:
    case uapi::kMapLruHash:
      return make_hash_map(bpf, std::move(spec));
    case uapi::kMapQueue:
    case uapi::kMapStack:
      return make_queue_map(bpf, std::move(spec));
    case uapi::kMapTaskStorage:
      return make_task_storage_map(bpf, std::move(spec));
    default:
      return fail(EINVAL);
  }
}

bool map_type_served(u32 type) {
  switch (type) {
    case uapi::kMapArray:
    case uapi::kMapPercpuArray:
    case uapi::kMapHash:
    case uapi::kMapPercpuHash:
    case uapi::kMapLruHash:
    case uapi::kMapQueue:
    case uapi::kMapStack:
    case uapi::kMapTaskStorage:
    case uapi::kMapStructOps:
      return true;
    default:
      return false;
  }
}

std::string_view map_type_name(u32 type) {
  static constexpr std::array<std::string_view, uapi::kMapTypeCount> kNames = {
      "UNSPEC",
      "HASH",
      "ARRAY",
      "PROG_ARRAY",
      "PERF_EVENT_ARRAY",
      "PERCPU_HASH",
      "PERCPU_ARRAY",
      "STACK_TRACE",
      "CGROUP_ARRAY",
      "LRU_HASH",
      "LRU_PERCPU_HASH",
      "LPM_TRIE",
      "ARRAY_OF_MAPS",
      "HASH_OF_MAPS",
      "DEVMAP",
      "SOCKMAP",
      "CPUMAP",
      "XSKMAP",
      "SOCKHASH",
      "CGROUP_STORAGE",
      "REUSEPORT_SOCKARRAY",
      "PERCPU_CGROUP_STORAGE",
      "QUEUE",
      "STACK",
      "SK_STORAGE",
      "DEVMAP_HASH",
      "STRUCT_OPS",
      "RINGBUF",
      "INODE_STORAGE",
      "TASK_STORAGE",
      "BLOOM_FILTER",
      "USER_RINGBUF",
      "CGRP_STORAGE",
      "ARENA",
      "INSN_ARRAY",
      "RHASH"};
  return type < kNames.size() ? kNames[type] : std::string_view{};
}

}  // namespace uscx::bpf
