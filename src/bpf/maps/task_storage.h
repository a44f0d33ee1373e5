// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <unordered_map>

#include "bpf/maps/map.h"

namespace uscx::bpf {

/// A value for each task, each an allocation of its own. User space names tasks by pidfd, which no
/// simulated task has: EBADF, counted.
class TaskStorageMap final : public Map {
 public:
  TaskStorageMap(Bpf& bpf, MapSpec spec);
  ~TaskStorageMap() override;

  /// The value's address, or 0.
  u64 find(u64 task) const;
  u64 get_or_create(u64 task, const std::byte* initial);
  Result<void> erase_task(u64 task);
  void task_gone(u64 task) override { (void)erase_task(task); }

  Result<void> user_lookup(const std::byte* key, std::byte* value) override;
  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override;
  Result<void> user_erase(const std::byte* key) override;
  Result<void> next_key(const std::byte*, std::byte*) override { return fail(EOPNOTSUPP); }

 private:
  Result<void> by_pidfd();
  std::unordered_map<u64, u64> values_;  // task -> value; looked up, never walked
};

}  // namespace uscx::bpf
