// SPDX-License-Identifier: GPL-2.0-only
// do_exit(), as far as the scheduler is concerned. Nobody waits for a child here: a task is
// released as Linux releases one whose parent ignores SIGCHLD.
#include "sched/private.h"

namespace uscx::sched {

void Kernel::Private::do_exit(Task& p) {
  USCX_ASSERT(!p.kernel_stack && (p.flags & PF_EXITING) == 0);
  p.flags |= PF_EXITING;
  k.trace_.sched_process_exit(k.now(), p);
  ++k.nr_exits;
  k.cgroups_->autogroup_exit_task(p);
  // exit_notify() and release_task()
  p.exit_state = static_cast<int>(EXIT_DEAD);
  Task* reaper = k.find_task(1);
  if (reaper == nullptr || reaper == &p) reaper = k.rqs_[0]->idle_task();
  while (Task* child = p.child_list.pop_front()) {
    child->real_parent = child->parent = reaper;
    reaper->child_list.push_back(*child);
  }
  if (p.sibling_node.linked()) Task::from(p.real_parent)->child_list.erase(p);
  p.real_parent = p.parent = reaper;
  k.tasks_.erase(p);
  k.by_pid_.erase(p.pid);
  // do_task_dead(): the last reference goes once it is off its CPU.
  p.__state = TASK_DEAD;
}

}  // namespace uscx::sched
