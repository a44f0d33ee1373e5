// SPDX-License-Identifier: GPL-2.0-only
// Walking all tasks while they come and go.
#pragma once

#include "sched/ext/internal.h"

namespace uscx::sched::ext {

/// Walks Impl::tasks in their order, with scx_tasks_lock held, or, from next_locked(), with a
/// task's runqueue locked too. Drops its locks every so often, and where it is told to; tasks
/// forked meanwhile come at the end, dead ones are skipped. On a fiber. Linux: struct
/// scx_task_iter.
class TaskIter {
 public:
  explicit TaskIter(Ext::Impl& ext);
  /// Linux: scx_task_iter_stop.
  ~TaskIter();
  TaskIter(const TaskIter&) = delete;
  TaskIter& operator=(const TaskIter&) = delete;

  /// The next task that is neither an idle task nor dead, its runqueue locked; null: no more.
  Task* next_locked();
  /// Drops all locks, so that the caller may sleep.
  void unlock();
  /// Takes them again; `p` is kept by a reference of the caller's.
  void relock(Task& p);
  /// The task it stands at, or null; the walk in progress around this one, or null.
  const Task* position() const { return last_; }
  const TaskIter* outer() const { return outer_; }
  /// The locked runqueue.
  Rq& rq() { return *rq_; }

 private:
  friend void forget_task(Ext::Impl& ext, Task& p);
  Task* next();
  void rq_unlock();
  void list_lock();

  Ext::Impl& ext_;
  Kernel& kernel_;
  TaskIter* outer_;       // another walk in progress
  Task* last_ = nullptr;  // the walk goes on after it; null: from the start
  Task* locked_task_ = nullptr;
  Rq* rq_ = nullptr;
  u32 count_ = 0;
  bool list_locked_ = false;
};

/// Takes a dead task off the list; walks that stand at it go on from its predecessor.
/// scx_tasks_lock held.
void forget_task(Ext::Impl& ext, Task& p);

}  // namespace uscx::sched::ext
