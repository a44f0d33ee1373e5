// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <map>
#include <unordered_map>

#include "bpf/maps/map.h"

namespace uscx::bpf {

/// TASK_STORAGE, CGRP_STORAGE and SK_STORAGE: a value for each owner that asked for one, each an
/// allocation of its own, gone with its owner. User space names tasks by pidfd, cgroups by the fd of
/// their directory and sockets by theirs; none that is simulated has one: EBADF, counted. Linux:
/// bpf_local_storage.c.
class LocalStorageMap final : public Map {
 public:
  LocalStorageMap(Bpf& bpf, MapSpec spec);
  ~LocalStorageMap() override;

  /// The address of `owner`'s value, or 0. `owner`: the window address of a task, cgroup or socket.
  u64 find(u64 owner) const;
  u64 get_or_create(u64 owner, const std::byte* initial);
  Result<void> erase_of(u64 owner);
  void owner_gone(u64 owner) override { (void)erase_of(owner); }

  Result<void> user_lookup(const std::byte* key, std::byte* value) override;
  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override;
  Result<void> user_erase(const std::byte* key) override;
  Result<void> next_key(const std::byte*, std::byte*) override { return fail(kEnotsupp); }

 private:
  Result<void> by_fd();
  std::unordered_map<u64, u64> values_;  // owner -> value; looked up, never walked
};

}  // namespace uscx::bpf
