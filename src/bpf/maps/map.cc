// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/map.h"

#include <array>
#include <cstring>

#include "base/assert.h"
#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/arena.h"
#include "bpf/maps/cgroup_storage.h"
#include "bpf/maps/insn_array.h"
#include "bpf/maps/object.h"
#include "bpf/maps/prog_array.h"
#include "bpf/maps/ringbuf.h"

namespace uscx::bpf {

namespace {

/// Most bytes of values that one map may have: a quarter of this is still far above any real map.
constexpr u64 kMaxMapBytes = 16ULL << 30;

}  // namespace

Map::Map(Bpf& bpf, MapSpec spec)
    : bpf_(bpf),
      spec_(std::move(spec)),
      object_(bpf.window().allocate(map_object_size(bpf.vmlinux(), spec_.type), kMapObject)),
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
  bpf::free_fields(bpf_, spec_.fields, value);
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

u64 bytes_of_values(const MapSpec& s, u32 nr_cpus) {
  const bool percpu = s.type == uapi::kMapPercpuArray || s.type == uapi::kMapPercpuHash ||
                      s.type == uapi::kMapLruPercpuHash;
  return u64{round_up8(s.value_size)} * s.max_entries * (percpu ? nr_cpus : 1);
}

}  // namespace

Result<std::shared_ptr<Map>> make_map(Bpf& bpf, MapSpec spec) {
  if (bytes_of_values(spec, bpf.host().nr_cpu_ids()) > kMaxMapBytes) return fail(ENOMEM);
  switch (spec.type) {
    case uapi::kMapArray:
    case uapi::kMapPercpuArray:
      return make_array_map(bpf, std::move(spec));
    case uapi::kMapHash:
    case uapi::kMapRhash:
    case uapi::kMapPercpuHash:
    case uapi::kMapLruHash:
    case uapi::kMapLruPercpuHash:
      return make_hash_map(bpf, std::move(spec));
    case uapi::kMapQueue:
    case uapi::kMapStack:
      return make_queue_map(bpf, std::move(spec));
    case uapi::kMapTaskStorage:
    case uapi::kMapCgrpStorage:
    case uapi::kMapSkStorage:
      return make_local_storage_map(bpf, std::move(spec));
    case uapi::kMapCgroupStorage:
    case uapi::kMapPercpuCgroupStorage:
      return make_cgroup_storage_map(bpf, std::move(spec));
    case uapi::kMapRingbuf:
    case uapi::kMapUserRingbuf:
      return make_ringbuf_map(bpf, std::move(spec));
    case uapi::kMapArrayOfMaps:
    case uapi::kMapHashOfMaps:
      return make_map_of_maps(bpf, std::move(spec));
    case uapi::kMapProgArray:
      return make_prog_array_map(bpf, std::move(spec));
    case uapi::kMapInsnArray:
      return make_insn_array_map(bpf, std::move(spec));
    case uapi::kMapArena:
      return std::make_shared<ArenaMap>(bpf, std::move(spec));
    default:
      return make_unserved_map(bpf, std::move(spec));
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
