// SPDX-License-Identifier: GPL-2.0-only
// bpf_spin_lock: locks in map values, as ranked locks.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/lock.h"
#include "base/types.h"

namespace uscx::bpf {

/// The locks by their address in a value. What the verifier would refuse (two at once, unlocking
/// another) is answered with a reason, never by aborting.
class SpinLocks {
 public:
  /// Null where taken, else why not.
  const char* lock(u64 address, HeldLocks& held);
  const char* unlock(u64 address, HeldLocks& held);
  /// An abandoned program may have left its lock held.
  void release_all(HeldLocks& held);
  bool any() const { return !taken_.empty(); }

 private:
  struct Taken {
    u64 address;
    HeldLocks* held;
  };
  std::unordered_map<u64, std::unique_ptr<RankedLock>> locks_;  // looked up only
  std::vector<Taken> taken_;
};

}  // namespace uscx::bpf
