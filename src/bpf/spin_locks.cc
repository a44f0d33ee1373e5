// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/spin_locks.h"

#include <algorithm>

namespace uscx::bpf {

const char* SpinLocks::lock(u64 address, HeldLocks& held) {
  for (const Taken& taken : taken_) {
    if (taken.held == &held) return "a bpf_spin_lock is held already";
    // Contexts that interleave wait for it; where they do not, it was left behind.
    if (taken.address == address && held.hooks == nullptr) return "the bpf_spin_lock is held by another context";
  }
  auto& lock = locks_[address];
  if (!lock) lock = std::make_unique<RankedLock>(LockRank::kBpfObject, "bpf_spin_lock");
  lock->lock(held);
  taken_.push_back({address, &held});
  return nullptr;
}

const char* SpinLocks::unlock(u64 address, HeldLocks& held) {
  auto it = std::find_if(taken_.begin(), taken_.end(), [&](const Taken& taken) {
    return taken.address == address && taken.held == &held;
  });
  if (it == taken_.end()) return "bpf_spin_unlock of a lock that is not held";
  taken_.erase(it);
  locks_[address]->unlock(held);
  return nullptr;
}

void SpinLocks::release_all(HeldLocks& held) {
  for (std::size_t i = taken_.size(); i-- > 0;) {
    if (taken_[i].held == &held) unlock(taken_[i].address, held);
  }
}

}  // namespace uscx::bpf
