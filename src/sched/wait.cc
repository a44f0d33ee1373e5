// SPDX-License-Identifier: GPL-2.0-only
#include "sched/wait.h"

#include "sched/kernel.h"

namespace uscx::sched {

namespace {

/// An entry on a fiber's stack: off the queue when the wait ends, however it ends.
struct ScopedEntry {
  ScopedEntry(WaitQueue& q, Task& task) : queue(q) {
    entry.task = &task;
    queue.add(entry);
  }
  ~ScopedEntry() { queue.remove(entry); }
  WaitQueue& queue;
  WaitEntry entry;
};

}  // namespace

u32 WaitQueue::wake(Kernel& kernel, u32 count, int wake_flags) {
  u32 woken = 0;
  // Only those that wait now: a woken one may come back at once.
  const u32 waiting = static_cast<u32>(waiters_.size());
  for (; woken < count && woken < waiting; ++woken) {
    WaitEntry* entry = waiters_.pop_front();
    if (entry == nullptr) break;
    kernel.wake_up(*entry->task, TASK_NORMAL, wake_flags);
  }
  return woken;
}

void WaitQueue::sleep(Kernel& kernel) {
  ScopedEntry waiting(*this, kernel.current());
  while (waiting.entry.link.linked()) kernel.block();
}

void SleepingLock::rcu_sync_enter(Kernel& kernel) {
  ++sync_seq_;
  if (!readers_are_slow_ && kernel.fiber() != nullptr) kernel.synchronize_rcu();
  readers_are_slow_ = true;
}

/// Readers are fast again when a grace period has passed without another writer.
void SleepingLock::rcu_sync_exit(Kernel& kernel) {
  kernel.call_rcu([this, seq = sync_seq_] {
    if (seq == sync_seq_) readers_are_slow_ = false;
  });
}

void SleepingLock::lock(Kernel& kernel, std::source_location where) {
  rank_.check_order(kernel.held(), where);
  if (kind_ == Kind::kPerCpu) rcu_sync_enter(kernel);
  kernel.sync_point(rank_.name());
  if (writer_ || readers_ > 0) {
    USCX_ASSERT(kernel.fiber() != nullptr);
    struct Waiting {
      explicit Waiting(u32& n) : count(n) { ++count; }
      ~Waiting() { --count; }
      u32& count;
    } waiting(writers_waiting_);
    while (writer_ || readers_ > 0) waiters_.sleep(kernel);
  }
  writer_ = true;
  rank_.lock(kernel.held(), where);
}

void SleepingLock::unlock(Kernel& kernel) {
  rank_.unlock(kernel.held());
  writer_ = false;
  if (kind_ == Kind::kPerCpu) rcu_sync_exit(kernel);
  waiters_.wake_all(kernel);
}

void SleepingLock::lock_shared(Kernel& kernel, std::source_location where) {
  rank_.check_order(kernel.held(), where);
  kernel.sync_point(rank_.name());
  while (writer_ || writers_waiting_ > 0) {
    USCX_ASSERT(kernel.fiber() != nullptr);
    waiters_.sleep(kernel);
  }
  ++readers_;
  rank_.lock_shared(kernel.held(), where);
}

void SleepingLock::unlock_shared(Kernel& kernel) {
  rank_.unlock_shared(kernel.held());
  --readers_;
  if (readers_ == 0) waiters_.wake_all(kernel);
}

}  // namespace uscx::sched
