// SPDX-License-Identifier: GPL-2.0-only
// What sleeps in virtual time: wait queues and the sleeping locks.
#pragma once

#include <source_location>

#include "base/intrusive_list.h"
#include "base/lock.h"
#include "base/types.h"

namespace uscx::sched {

class Kernel;
struct Task;

/// One task's place in a wait queue; lives with the waiter (a behaviour, or a fiber's stack).
struct WaitEntry {
  ListNode link;
  Task* task = nullptr;
};

/// FIFO of waiting tasks. Linux: wait_queue_head, with exclusive waiters that waking takes off: an
/// entry that is not linked any more has had its wakeup. No lock: nothing can come between.
class WaitQueue {
 public:
  bool empty() const { return waiters_.empty(); }
  void add(WaitEntry& entry) { waiters_.push_back(entry); }
  void remove(WaitEntry& entry) {
    if (entry.link.linked()) waiters_.erase(entry);
  }
  /// Wakes the first `count` waiters and removes their entries; returns how many.
  u32 wake(Kernel& kernel, u32 count, int wake_flags = 0);
  u32 wake_all(Kernel& kernel) { return wake(kernel, ~0U); }
  /// On a fiber: sleeps until woken through this queue.
  void sleep(Kernel& kernel);

 private:
  IntrusiveList<WaitEntry, &WaitEntry::link> waiters_;
};

/// A sleeping lock with readers and writers, ranked. Linux: mutex (write only), rw_semaphore,
/// percpu_rw_semaphore: a waiting writer holds off new readers. On a fiber only.
class SleepingLock {
 public:
  /// A percpu_rw_semaphore's readers touch nothing shared, so a writer waits for a grace period
  /// before it can count on them (Linux: rcu_sync_enter()).
  enum class Kind : u8 { kPlain, kPerCpu };
  SleepingLock(LockRank rank, const char* name, Kind kind = Kind::kPlain)
      : rank_(rank, name), kind_(kind) {}
  void lock(Kernel& kernel, std::source_location where = std::source_location::current());
  void unlock(Kernel& kernel);
  void lock_shared(Kernel& kernel, std::source_location where = std::source_location::current());
  void unlock_shared(Kernel& kernel);
  bool write_held() const { return writer_; }
  u32 readers() const { return readers_; }

 private:
  void rcu_sync_enter(Kernel& kernel);
  void rcu_sync_exit(Kernel& kernel);

  RankedLock rank_;  // what HeldLocks see; held exclusively or shared as this is
  Kind kind_;
  bool writer_ = false;
  bool readers_are_slow_ = false;  // a grace period has passed since a writer came
  u64 sync_seq_ = 0;               // which writer was last
  u32 readers_ = 0;
  u32 writers_waiting_ = 0;
  WaitQueue waiters_;
};

}  // namespace uscx::sched
