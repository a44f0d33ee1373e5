// SPDX-License-Identifier: GPL-2.0-only
// do_exit(), as far as the scheduler is concerned, and waitpid(). A task whose parent does not wait
// for it is released as Linux releases one whose parent ignores SIGCHLD.
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

void Kernel::Private::exit_begin(Task& p) {
  USCX_ASSERT(!p.kernel_stack && p.exit_stage == ExitStage::kAlive);
  while (p.migration_disabled != 0) k.migrate_enable();  // a signal is acted on after kernel code
  p.exit_stage = ExitStage::kExiting;
  p.pending_signals = 0;
  p.flags |= PF_EXITING;
  k.cgroups_->autogroup_exit_task(p);
}

/// Off every list that finds tasks; whoever holds a reference may still look at it.
void Kernel::Private::release_task(Task& p) {
  Task* const parent = Task::from(p.real_parent);
  if (p.sibling_node.linked()) parent->child_list.erase(p);
  p.real_parent = p.parent = init_task();
  k.tasks_.erase(p);
  k.by_pid_.erase(p.pid);
}

Task* Kernel::Private::init_task() {
  Task* init = k.find_task(1);
  return init != nullptr && init->exit_state == 0 ? init : k.rqs_[0]->idle_task();
}

void Kernel::Private::exit_notify(Task& p) {
  USCX_ASSERT(p.exit_stage == ExitStage::kExiting);
  p.exit_stage = ExitStage::kNotified;
  k.trace_.sched_process_exit(k.now(), p);
  trace_programs(k, "sched_process_exit", p, true);
  ++k.nr_exits;
  // From here on nobody becomes its child.
  p.exit_state = static_cast<int>(EXIT_DEAD);
  Task* const reaper = init_task();
  while (Task* child = p.child_list.pop_front()) {
    child->real_parent = child->parent = reaper;
    reaper->child_list.push_back(*child);
    if (child->exit_state == static_cast<int>(EXIT_ZOMBIE)) reap(*child);
  }
  Task& parent = *Task::from(p.real_parent);
  if (p.waited_for && parent.exit_state == 0) {
    p.exit_state = static_cast<int>(EXIT_ZOMBIE);
    k.get_task(p);  // reap() gives it back
  } else {
    release_task(p);
  }
  parent.wait_chldexit.wake(k, ~0U, WF_SYNC);
}

void Kernel::Private::reap(Task& p) {
  p.exit_state = static_cast<int>(EXIT_DEAD);
  release_task(p);
  k.put_task(p);
}

void Kernel::wait_for_exit(Pid pid) {
  Task& self = current();
  while (Task* child = find_task(pid)) {
    if (Task::from(child->real_parent) != &self) return;
    if (child->exit_state == static_cast<int>(EXIT_ZOMBIE)) return private_->reap(*child);
    self.wait_chldexit.sleep(*this);
  }
}

}  // namespace uscx::sched
