// SPDX-License-Identifier: GPL-2.0-only
// TASK_STORAGE: a value for each task that asked for one.
#include <unordered_map>

#include "bpf/bpf.h"
#include "bpf/impl.h"
#include "bpf/maps/map.h"
#include "bpf/maps/task_storage.h"

namespace uscx::bpf {

TaskStorageMap::TaskStorageMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {}

TaskStorageMap::~TaskStorageMap() {
  // Order does not matter to anyone but the allocator, which is why it is made definite.
  std::map<u64, u64> ordered(values_.begin(), values_.end());
  for (auto& [task, value] : ordered) {
    free_fields(value);
    window().free(reinterpret_cast<void*>(value));
  }
}

u64 TaskStorageMap::find(u64 task) const {
  auto it = values_.find(task);
  return it == values_.end() ? 0 : it->second;
}

u64 TaskStorageMap::get_or_create(u64 task, const std::byte* initial) {
  LockGuard guard(lock(), bpf_.host().held_locks());
  if (u64 value = find(task)) return value;
  void* memory = window().allocate(value_stride(), kProgramMemory);
  if (initial) init_value(static_cast<std::byte*>(memory), initial);
  values_[task] = reinterpret_cast<u64>(memory);
  return reinterpret_cast<u64>(memory);
}

Result<void> TaskStorageMap::erase_task(u64 task) {
  u64 value;
  {
    LockGuard guard(lock(), bpf_.host().held_locks());
    auto it = values_.find(task);
    if (it == values_.end()) return fail(ENOENT);
    value = it->second;
    values_.erase(it);
  }
  free_fields(value);
  bpf_.impl().free_after_grace(reinterpret_cast<void*>(value));
  return {};
}

Result<void> TaskStorageMap::user_lookup(const std::byte*, std::byte*) {
  return by_pidfd();
}
Result<void> TaskStorageMap::user_update(const std::byte*, const std::byte*, u64) {
  return by_pidfd();
}
Result<void> TaskStorageMap::user_erase(const std::byte*) {
  return by_pidfd();
}

Result<void> TaskStorageMap::by_pidfd() {
  bpf_.count_unserved("task storage by pidfd");
  return fail(EBADF);
}

std::shared_ptr<Map> make_task_storage_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<TaskStorageMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
