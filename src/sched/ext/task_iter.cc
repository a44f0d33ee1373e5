// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/task_iter.h"

namespace uscx::sched::ext {

TaskIter::TaskIter(Ext::Impl& ext) : ext_(ext), kernel_(ext.kernel), outer_(ext.iters) {
  list_lock();
  ext.iters = this;
}

TaskIter::~TaskIter() {
  list_lock();
  TaskIter** link = &ext_.iters;
  while (*link != this) link = &(*link)->outer_;
  *link = outer_;
  unlock();
}

void TaskIter::list_lock() {
  if (list_locked_) return;
  // Order: the list before a task's runqueue.
  USCX_ASSERT(locked_task_ == nullptr);
  ext_.tasks_lock.lock(kernel_.held());
  list_locked_ = true;
}

void TaskIter::rq_unlock() {
  if (locked_task_ == nullptr) return;
  kernel_.task_rq_unlock(*rq_, *locked_task_);
  locked_task_ = nullptr;
}

void TaskIter::unlock() {
  rq_unlock();
  if (list_locked_) {
    list_locked_ = false;
    ext_.tasks_lock.unlock(kernel_.held());
  }
}

void TaskIter::relock(Task& p) {
  list_lock();
  rq_ = &kernel_.task_rq_lock(p);
  locked_task_ = &p;
}

Task* TaskIter::next() {
  if (++count_ % abi::SCX_TASK_ITER_BATCH == 0) {
    unlock();
    kernel_.consume(Nanos{kernel_.costs().task_iter_ns * abi::SCX_TASK_ITER_BATCH});
    kernel_.cond_resched();
  }
  list_lock();
  Task* p = last_ ? ext_.tasks.next(*last_) : ext_.tasks.front();
  if (p != nullptr) last_ = p;
  return p;
}

Task* TaskIter::next_locked() {
  rq_unlock();
  while (Task* p = next()) {
    if (p->is_idle()) continue;
    rq_ = &kernel_.task_rq_lock(*p);
    locked_task_ = p;
    if (get_task_state(*p) != abi::SCX_TASK_DEAD) return p;
    rq_unlock();
  }
  return nullptr;
}

void forget_task(Ext::Impl& ext, Task& p) {
  for (TaskIter* it = ext.iters; it != nullptr; it = it->outer_) {
    if (ext.kernel.planted(PlantedBug::kIterCursorLeft)) break;
    if (it->last_ == &p) it->last_ = ext.tasks.prev(p);
  }
  ext.tasks.erase(p);
}

}  // namespace uscx::sched::ext
