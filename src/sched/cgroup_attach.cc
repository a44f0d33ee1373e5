// SPDX-License-Identifier: GPL-2.0-only
// Tasks in groups: how they come in (fork), move (cgroup.procs), and leave (exit).
#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "sched/cgroup.h"
#include "sched/ext/worker.h"
#include "sched/private.h"

namespace uscx::sched {

void Cgroups::join(Task& p, Cgroup& cgrp) {
  USCX_ASSERT(!p.cgroup_node.linked());
  cgrp.tasks.push_back(p);
  ++cgrp.set->nr_tasks;
}

/// Off its group's list; p->cgroups stays, and keeps the group, until the task is freed.
void Cgroups::leave(Task& p) {
  Cgroup& cgrp = task_cgroup(p);
  cgrp.tasks.erase(p);
  --cgrp.set->nr_tasks;
}

void Cgroups::adopt(Task& p) {
  p.cgroups = root_->set;
  p.sched_task_group = root_->group;
  get(*root_);
}

// ----------------------------------------------------------------------------------- life

Result<void> Cgroups::can_fork(Task& child, const Task* parent, Cgroup* into) {
  // With CLONE_INTO_CGROUP Linux takes cgroup_mutex first, which keeps the group on line.
  if (into) {
    mutex.lock(kernel_);
    if (!into->online) {
      mutex.unlock(kernel_);
      return fail(ENODEV);
    }
  }
  threadgroup_rwsem.lock_shared(kernel_);
  Cgroup& cgrp = into ? *into : parent ? task_cgroup(*parent) : *root_;
  put(task_cgroup(child));
  get(cgrp);
  child.cgroups = cgrp.set;
  // sched_cgroup_fork()
  child.sched_task_group = cgrp.group;
  child.forked_into_cgroup = into != nullptr;
  return {};
}

void Cgroups::post_fork(Task& child) {
  join(child, task_cgroup(child));
  cancel_fork(child);
}

void Cgroups::cancel_fork(Task& child) {
  threadgroup_rwsem.unlock_shared(kernel_);
  if (child.forked_into_cgroup) mutex.unlock(kernel_);
}

void Cgroups::task_dead(Task& p) {
  if (!p.cgroup_node.linked()) return;
  Cgroup& cgrp = task_cgroup(p);
  leave(p);
  if (cgrp.online || cgrp.offlining || cgrp.populated()) return;
  // kill_css_finish_work_fn()
  get(cgrp);
  worker(kernel_.cpu()).queue([this, &cgrp] {
    mutex.lock(kernel_);
    if (!cgrp.offlining) finish_removal(cgrp);
    mutex.unlock(kernel_);
    put(cgrp);
  });
}

void Cgroups::task_free(Task& p) {
  Cgroup& cgrp = task_cgroup(p);
  p.cgroups = nullptr;
  put(cgrp);
}

void Cgroups::autogroup_exit_task(Task& p) {
  move_task(p, true);
}

// ----------------------------------------------------------------------------------- migration

Result<void> Cgroups::attach(Cgroup& to, Task& p) {
  Task* const one[] = {&p};
  return attach(to, one);
}

Result<void> Cgroups::attach(Cgroup& to, std::span<Task* const> threads) {
  kernel_.activate();
  get(to);
  for (Task* p : threads) kernel_.get_task(*p);
  mutex.lock(kernel_);
  Result<void> done = fail(ENODEV);
  if (to.online) {
    // From here to the end nobody forks, so that no child is left behind.
    threadgroup_rwsem.lock(kernel_);
    done = attach_locked(to, threads);
    threadgroup_rwsem.unlock(kernel_);
  }
  mutex.unlock(kernel_);
  for (Task* p : threads) kernel_.put_task(*p);
  put(to);
  return done;
}

/// Linux: cgroup_migrate(), cgroup_migrate_execute().
Result<void> Cgroups::attach_locked(Cgroup& to, std::span<Task* const> threads) {
  if (to.up && to.nr_online_children != 0) return fail(EBUSY);
  std::vector<Task*> moving;
  for (Task* p : threads) {
    // The dying stay where they are; so does who is there already.
    if ((p->flags & PF_EXITING) != 0 || &task_cgroup(*p) == &to) continue;
    moving.push_back(p);
  }
  if (const int err = kernel_.ext().cgroup_can_attach(moving, to); err != 0) return fail(err);
  // ops.cgroup_prep_move() may have slept: who began to exit meanwhile moves all the same, but not
  // who is dead and on its group's list no more.
  std::erase_if(moving, [](Task* p) { return !p->cgroup_node.linked(); });
  for (Task* p : moving) commit_move(*p, to);
  // cpu_cgroup_attach()
  for (Task* p : moving) move_task(*p, false);
  return {};
}

void Cgroups::commit_move(Task& p, Cgroup& to) {
  Cgroup& from = task_cgroup(p);
  get(to);
  leave(p);
  p.cgroups = to.set;
  join(p, to);
  kernel_.trace().cgroup_attach_task(kernel_.now(), p, from.path, to.path);
  put(from);
}

/// Linux: sched_move_task(). What runs is charged to the old group up to here, what waits is taken
/// off and put back.
void Cgroups::move_task(Task& p, bool for_autogroup) {
  Rq& rq = kernel_.task_rq_lock(p);
  const Kernel::SchedChange scope = kernel_.sched_change_begin(p, DEQUEUE_SAVE | DEQUEUE_MOVE);
  p.sched_task_group = task_cgroup(p).group;
  if (!for_autogroup) kernel_.ext().cgroup_move_task(p);
  kernel_.sched_change_end(scope);
  if (scope.running) {
    kernel_.resched_curr(rq);
  } else if (scope.queued) {
    kernel_.wakeup_preempt(rq, p, 0);
  }
  kernel_.task_rq_unlock(rq, p);
}

}  // namespace uscx::sched
