// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>

#include <unordered_map>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/local_storage.h"
#include "bpf/maps/map.h"

namespace uscx::bpf {

LocalStorageMap::LocalStorageMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {}

LocalStorageMap::~LocalStorageMap() {
  // Order does not matter to anyone but the allocator, which is why it is made definite.
  std::map<u64, u64> ordered(values_.begin(), values_.end());
  for (auto& [owner, value] : ordered) {
    free_fields(value);
    window().free(reinterpret_cast<void*>(value));
  }
}

u64 LocalStorageMap::find(u64 owner) const {
  auto it = values_.find(owner);
  return it == values_.end() ? 0 : it->second;
}

u64 LocalStorageMap::get_or_create(u64 owner, const std::byte* initial) {
  LockGuard guard(lock(), bpf_.host().held_locks());
  if (u64 value = find(owner)) return value;
  void* memory = window().allocate(value_stride(), kProgramMemory);
  if (initial) init_value(static_cast<std::byte*>(memory), initial);
  values_[owner] = reinterpret_cast<u64>(memory);
  return reinterpret_cast<u64>(memory);
}

Result<void> LocalStorageMap::erase_of(u64 owner) {
  u64 value;
  {
    LockGuard guard(lock(), bpf_.host().held_locks());
    auto it = values_.find(owner);
    if (it == values_.end()) return fail(ENOENT);
    if (bpf_.host().in_nmi()) return fail(EOPNOTSUPP);
    value = it->second;
    values_.erase(it);
  }
  free_fields(value);
  bpf_.impl().free_after_grace(reinterpret_cast<void*>(value));
  return {};
}

Result<void> LocalStorageMap::user_lookup(const std::byte*, std::byte*) {
  return by_fd();
}
Result<void> LocalStorageMap::user_update(const std::byte*, const std::byte*, u64) {
  return by_fd();
}
Result<void> LocalStorageMap::user_erase(const std::byte*) {
  return by_fd();
}

Result<void> LocalStorageMap::by_fd() {
  bpf_.count_unserved(fmt::format("{} by fd", map_type_name(spec_.type)));
  return fail(EBADF);
}

std::shared_ptr<Map> make_local_storage_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<LocalStorageMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
