// SPDX-License-Identifier: GPL-2.0-only
// do_exit(), as far as the scheduler is concerned. Parents may wait for a child, but need not: a
// task is released as Linux releases one whose parent ignores SIGCHLD.
#include "sched/private.h"

namespace uscx::sched {

/// An exiting task leaves its autogroup for the group of its cgroup, whether it was in one or not.
void Kernel::Private::sched_autogroup_exit_task(Task& p) {
  Rq& rq = k.task_rq_lock(p);
  const SchedChange scope = k.sched_change_begin(p, DEQUEUE_SAVE | DEQUEUE_MOVE);
  k.sched_change_end(scope);
  if (scope.running) k.resched_curr(rq);
  k.task_rq_unlock(rq, p);
}

void Kernel::Private::exit_begin(Task& p) {
  USCX_ASSERT(!p.kernel_stack && !p.exiting);
  p.exiting = true;
  p.pending_signals = 0;
  p.flags |= PF_EXITING;
  sched_autogroup_exit_task(p);
}

void Kernel::Private::exit_end(Task& p) {
  USCX_ASSERT(p.exiting && p.exit_state == 0);
  k.trace_.sched_process_exit(k.now(), p);
  ++k.nr_exits;
  // exit_notify() and release_task()
  p.exit_state = static_cast<int>(EXIT_DEAD);
  Task* reaper = k.find_task(1);
  if (reaper == nullptr || reaper == &p) reaper = k.rqs_[0]->idle_task();
  while (Task* child = p.child_list.pop_front()) {
    child->real_parent = child->parent = reaper;
    reaper->child_list.push_back(*child);
  }
  Task* const parent = Task::from(p.real_parent);
  if (p.sibling_node.linked()) parent->child_list.erase(p);
  p.real_parent = p.parent = reaper;
  k.tasks_.erase(p);
  k.by_pid_.erase(p.pid);
  parent->wait_chldexit.wake(k, ~0U, WF_SYNC);
  // do_task_dead(): the last reference goes once it is off its CPU.
  p.__state = TASK_DEAD;
}

void Kernel::wait_for_exit(Pid pid) {
  Task& self = current();
  while (const Task* child = find_task(pid)) {
    if (Task::from(child->real_parent) != &self) return;
    self.wait_chldexit.sleep(*this);
  }
}

}  // namespace uscx::sched
