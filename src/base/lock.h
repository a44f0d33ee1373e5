// SPDX-License-Identifier: GPL-2.0-only
// Ranked locks. Linux's order of locks is written down once, here, and checked at every
// acquisition, in every build. In a simulated machine one context runs at a time, so a spinlock is
// always free when its order is right; in an exploring one another context may hold it, and the
// taker gives way until it is free (LockHooks); a live machine spins on the same objects.
#pragma once

#include <source_location>
#include <string_view>

#include "base/types.h"

namespace uscx {

/// The order in which locks nest: a context that holds a lock of some rank may only take one of a
/// higher rank. The ranks of what sleeps come first: no spinlock may be held when one is taken.
enum class LockRank : u8 {
  // Sleeping locks. Order of scx_root_enable() and of fork: enable, cpus, fork, cgroup, cgroup ops.
  kScxEnable,          // scx_enable_mutex
  kCpuHotplug,         // cpus_read_lock()
  kScxFork,            // scx_fork_rwsem
  kCgroup,             // cgroup_mutex
  kCgroupThreadgroup,  // cgroup_threadgroup_rwsem: forks read, migrations write
  kScxCgroupOps,       // scx_cgroup_ops_rwsem
  kBpfMap,             // a map's own mutex (struct_ops update)
  // Spinlocks.
  kScxTasks,   // scx_tasks_lock
  kDump,       // scx_dump_lock: held while the runqueues are dumped one by one
  kScxBypass,  // scx_bypass_lock: taken before the runqueues', which it switches one by one
  kPi,         // task_struct::pi_lock
  kRq,         // rq::__lock; two of them in the order of their CPUs
  kDsq,        // scx_dispatch_q::lock
  kScxSched,   // scx_sched_lock
  kBpfObject,  // bpf_spin_lock, bpf_timer and map bucket locks
  kWaitQueue,  // wait_queue_head::lock
  kTimer,      // timer and hrtimer bases
  kCount,
};

std::string_view to_string(LockRank rank);

class RankedLock;
class HeldLocks;

/// What a machine in which contexts interleave does around locks. Contexts say that they live in
/// one by HeldLocks::hooks; without it a lock costs one branch more.
class LockHooks {
 public:
  virtual ~LockHooks() = default;
  /// The context of `held` is about to take `lock`, which the order allows (shared: to read).
  /// Another context may run; returns once the lock can be taken.
  virtual void acquiring(const RankedLock& lock, HeldLocks& held, bool shared,
                         const std::source_location& where) = 0;
  /// `lock` has just been released by the running context. Another context may run.
  virtual void released(const RankedLock& lock) = 0;
};

/// The locks one context (a CPU's interrupt path, or a fiber) holds, in the order it took them.
class HeldLocks {
 public:
  static constexpr u32 kMaxDepth = 24;
  HeldLocks() = default;
  HeldLocks(const HeldLocks&) = delete;  // locks know their holder by its address
  HeldLocks& operator=(const HeldLocks&) = delete;
  bool empty() const { return last_ == entries_; }
  bool holds(const RankedLock& lock) const;
  /// True where a spinlock is held, so that the context must not sleep.
  bool atomic() const { return last_->floor != kBelowSpinlocks; }
  /// One line per held lock, with the place that took it.
  void print() const;

  LockHooks* hooks = nullptr;  // null: no other context can run in between

 private:
  friend class RankedLock;
  /// Ranks before all spinlocks and after all that sleep: who holds no spinlock takes any, and a
  /// sleeping lock is never in line.
  static constexpr u64 kBelowSpinlocks =
      ((u64{static_cast<u8>(LockRank::kScxTasks)} + 1) << 48) - 1;
  struct Entry {
    RankedLock* lock = nullptr;
    std::source_location where;
    u64 floor = kBelowSpinlocks;  // a spinlock with a higher key may be taken next
    bool shared = false;
  };
  bool full() const { return last_ == entries_ + kMaxDepth; }
  /// Of the last one taken, which ranks after all others; 0 where there is none.
  u64 last_key() const;
  Entry* last_ = entries_;
  // In ascending order: what is taken ranks after all held. The first one is of no lock.
  Entry entries_[kMaxDepth + 1];
};

/// A named lock with a rank. `order` tells locks of one rank apart that may nest (two runqueues:
/// the CPU number): they must be taken in ascending order. Taking one out of order, twice, or
/// releasing one that is not held prints both places and aborts.
class RankedLock {
 public:
  RankedLock(LockRank rank, const char* name, u64 order = 0)
      : key_(key_of(rank) | order), name_(name) {}
  RankedLock(const RankedLock&) = delete;
  RankedLock& operator=(const RankedLock&) = delete;

  void lock(HeldLocks& held, std::source_location where = std::source_location::current()) {
    const bool plain = held.hooks == nullptr && held.last_->floor < key_ && owner_ == nullptr &&
                       readers_ == 0 && !held.full();
    if (!plain) [[unlikely]]
      return lock_slowly(held, where);
    push(held, false, where, key_);
    owner_ = &held;
  }
  void unlock(HeldLocks& held, std::source_location where = std::source_location::current()) {
    const bool plain = held.hooks == nullptr && held.last_->lock == this && owner_ == &held;
    if (!plain) [[unlikely]]
      return unlock_slowly(held, where);
    --held.last_;
    owner_ = nullptr;
  }
  /// The same for one reader of several. A reader that is one already may not read again: a writer
  /// could have come to wait in between.
  void lock_shared(HeldLocks& held, std::source_location where = std::source_location::current());
  void unlock_shared(HeldLocks& held, std::source_location where = std::source_location::current());
  /// Aborts as lock() would where the order forbids it, without taking: for what may have to wait.
  void check_order(const HeldLocks& held, std::source_location where) const;
  bool held() const { return owner_ != nullptr; }
  /// Held exclusively by that context; HeldLocks::holds() sees readers too.
  bool held_by(const HeldLocks& held) const { return owner_ == &held; }
  u32 readers() const { return readers_; }
  /// Nobody holds it in a way that keeps a taker out.
  bool free_for(bool shared) const { return owner_ == nullptr && (shared || readers_ == 0); }
  /// The locks of the context that holds it exclusively, or null.
  const HeldLocks* owner() const { return owner_; }

  LockRank rank() const { return static_cast<LockRank>((key_ >> kOrderBits) - 1); }
  u64 order() const { return key_ & ((1ULL << kOrderBits) - 1); }
  const char* name() const { return name_; }
  /// Sleeping locks (mutexes and rwsems) rank before all spinlocks.
  bool sleeping() const { return key_ <= HeldLocks::kBelowSpinlocks; }

 private:
  friend class HeldLocks;
  static constexpr u32 kOrderBits = 48;
  static constexpr u64 key_of(LockRank rank) {
    return (u64{static_cast<u8>(rank)} + 1) << kOrderBits;
  }
  // Places are passed by value, so that the paths in line need not have them in memory.
  [[gnu::cold]] void lock_slowly(HeldLocks& held, std::source_location where);
  [[gnu::cold]] void unlock_slowly(HeldLocks& held, std::source_location where);
  void push(HeldLocks& held, bool shared, std::source_location where, u64 floor) {
    // Member by member: as one aggregate it would be stored in parts and read back as a whole.
    HeldLocks::Entry& entry = *++held.last_;
    entry.lock = this;
    entry.where = where;
    entry.floor = floor;
    entry.shared = shared;
  }
  u64 floor() const { return sleeping() ? HeldLocks::kBelowSpinlocks : key_; }
  void remove(HeldLocks& held, bool shared, std::source_location where);

  HeldLocks* owner_ = nullptr;
  u64 key_;  // rank and order in one number, so that one comparison is enough
  u32 readers_ = 0;
  const char* name_;
};

inline u64 HeldLocks::last_key() const {
  return empty() ? 0 : last_->lock->key_;
}

/// Holds a lock for a scope.
class LockGuard {
 public:
  LockGuard(RankedLock& lock, HeldLocks& held,
            std::source_location where = std::source_location::current())
      : lock_(lock), held_(held) {
    lock_.lock(held_, where);
  }
  ~LockGuard() { lock_.unlock(held_); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  RankedLock& lock_;
  HeldLocks& held_;
};

}  // namespace uscx
