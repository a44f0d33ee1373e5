// SPDX-License-Identifier: GPL-2.0-only
// Control groups: the default hierarchy with the cpu controller on in every group.
// Linux: kernel/cgroup/cgroup.c, and the cpu controller of kernel/sched/core.c.
//
// What takes cgroup_mutex may sleep and runs on a fiber. The order of locks: cgroup_mutex,
// cgroup_threadgroup_rwsem, scx_cgroup_ops_rwsem (base/lock.h). Writes to the cpu controller's
// files take only the last.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "abi/abi.h"
#include "base/error.h"
#include "base/intrusive_list.h"
#include "bpf/window.h"
#include "sched/fair_group.h"
#include "sched/task.h"
#include "sched/wait.h"

namespace uscx::sched {

class Kernel;

namespace ext {
class Worker;
}

inline constexpr u64 kRuntimeInf = ~0ULL;  // RUNTIME_INF: no limit
inline constexpr u64 kCgroupRootId = 1;

/// The cpu controller's part of a cgroup: what programs see (shares, idle, scx.weight, scx.bw_*),
/// and what the fair class keeps. Linux: struct task_group.
struct TaskGroup : abi::task_group {
  explicit TaskGroup(TaskGroup* parent_group);
  /// Null: the root.
  TaskGroup* parent_group() const { return static_cast<TaskGroup*>(parent); }
  bool is_root() const { return parent == nullptr; }
  static TaskGroup* from(abi::task_group* tg) { return static_cast<TaskGroup*>(tg); }

  FairGroup fair;
};

/// A control group. Lives in the window; a reference (`Cgroups::get`) keeps it there. Its tasks,
/// its children, its cpu controller and its time on line hold one each. Linux: struct cgroup.
struct Cgroup : abi::cgroup {
  Cgroup(Kernel& kernel, Cgroup* parent_cgroup, std::string_view directory);

  std::string path;  // "/a/b"; the root: "/"
  Cgroup* up;        // null: the root
  TaskGroup* group = nullptr;
  abi::css_set* set = nullptr;  // what p->cgroups of its tasks points at
  ListNode sibling_node;
  IntrusiveList<Cgroup, &Cgroup::sibling_node> down;  // children that are not freed, by creation
  IntrusiveList<Task, &Task::cgroup_node> tasks;      // alive, or dying
  u32 refs = 1;
  bool online = true;      // until rmdir
  bool offlining = false;  // its controller is on its way out
  u32 nr_online_children = 0;

  bool populated() const { return !tasks.empty(); }
  static Cgroup* from(abi::cgroup* cgrp) { return static_cast<Cgroup*>(cgrp); }
  u64 address() const { return reinterpret_cast<u64>(static_cast<const abi::cgroup*>(this)); }
};

/// All control groups of a kernel. Owned by Kernel.
class Cgroups {
 public:
  explicit Cgroups(Kernel& kernel);
  ~Cgroups();
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;

  Cgroup& root() { return *root_; }
  /// The one of a path that begins with '/', while it is online, or null.
  Cgroup* find(std::string_view path);
  /// Online, by kn->id; no reference taken. Linux: cgroup_get_from_id().
  Cgroup* from_id(u64 id);
  /// Is that the address of a cgroup that has not been freed?
  Cgroup* from_address(u64 address);
  /// Any context. False where the last reference is gone. Linux: cgroup_tryget(), cgroup_put().
  bool try_get(Cgroup& cgrp);
  void get(Cgroup& cgrp);
  void put(Cgroup& cgrp);
  /// Runs where a cgroup is about to be freed: forget pointers to it. For BPF's cgroup storage.
  void on_gone(std::function<void(u64 address)> hook) { gone_hooks_.push_back(std::move(hook)); }

  // ---- on a fiber ------------------------------------------------------------------------------
  /// mkdir(2). EEXIST, ENOENT (the parent), EINVAL (the name), EAGAIN (too deep), EBUSY (the parent
  /// has tasks and is not the root), or what ops.cgroup_init() refused it with.
  Result<Cgroup*> create(std::string_view path);
  /// rmdir(2): ENOENT, EBUSY. The group is gone at once for user space; ops.cgroup_exit() follows
  /// after a grace period, from a worker.
  Result<void> remove(std::string_view path);
  /// A write to cgroup.procs: moves a process with all its threads, or none of them. ENODEV (being
  /// removed), EBUSY (has children and is not the root), or ops.cgroup_prep_move()'s errno.
  Result<void> attach(Cgroup& to, std::span<Task* const> threads);
  Result<void> attach(Cgroup& to, Task& p);

  // Writes to cpu.weight (1 .. 10000), cpu.weight.nice, cpu.idle, cpu.max (quota kRuntimeInf:
  // "max") and cpu.max.burst. ENODEV, ERANGE; EINVAL: the root, the weight of an idle group, or
  // what cpu.max forbids.
  Result<void> set_weight(Cgroup& cgrp, u64 weight);
  Result<void> set_weight_nice(Cgroup& cgrp, s64 nice);
  Result<void> set_idle(Cgroup& cgrp, s64 idle);
  Result<void> set_max(Cgroup& cgrp, u64 quota_us, u64 period_us);
  Result<void> set_burst(Cgroup& cgrp, u64 burst_us);

  // ---- hooks of the core, as Linux's
  // -------------------------------------------------------------
  /// fork, on the parent's fiber: between can_fork and post_fork (or cancel_fork) the child belongs
  /// to no group's list yet and nobody migrates. `into` null: where the parent is.
  /// ENODEV: `into` was removed.
  Result<void> can_fork(Task& child, const Task* parent, Cgroup* into);
  void post_fork(Task& child);
  void cancel_fork(Task& child);
  /// cgroup_task_dead(): it has left its CPU for ever. No locks held.
  void task_dead(Task& p);
  /// cgroup_task_free()
  void task_free(Task& p);
  /// Puts a task that never forked (idle tasks, stoppers) into the root.
  void adopt(Task& p);
  /// sched_autogroup_exit_task(): a dying task leaves its autogroup. There are no autogroups here,
  /// but what the move does to the task's callbacks is the same.
  void autogroup_exit_task(Task& p);

  /// Depth first, parents before their children; with cgroup_mutex held.
  void for_each_pre(const std::function<void(Cgroup&)>& fn);
  /// Children before their parents.
  void for_each_post(const std::function<void(Cgroup&)>& fn);
  // ---- hotplug, on the CPU's own thread. Linux: workqueue_offline_cpu(), workqueue_online_cpu()
  // --
  /// The worker of a CPU that goes off serves on from others.
  void unbind_worker(CpuId cpu);
  void rebind_worker(CpuId cpu);

  u32 count() const { return static_cast<u32>(by_address_.size()); }

  SleepingLock mutex{LockRank::kCgroup, "cgroup_mutex"};
  SleepingLock threadgroup_rwsem{LockRank::kCgroupThreadgroup, "cgroup_threadgroup_rwsem",
                                 SleepingLock::Kind::kPerCpu};

 private:
  struct Freeing;
  Cgroup& make(Cgroup* parent, std::string_view name);
  Result<Cgroup*> create_locked(Cgroup& parent, std::string_view name);
  Result<void> remove_locked(Cgroup& cgrp);
  Result<void> attach_locked(Cgroup& to, std::span<Task* const> threads);
  Result<void> set_shares(Cgroup& cgrp, u64 shares);
  Result<void> set_bandwidth(Cgroup& cgrp, u64 period_us, u64 quota_us, u64 burst_us);
  /// The last task of a group being removed is gone, or it had none.
  void finish_removal(Cgroup& cgrp);
  void css_killed(Cgroup& cgrp, CpuId cpu);
  void offline(Cgroup& first);
  void release(Cgroup& cgrp);
  void free(Cgroup& cgrp);
  void commit_move(Task& p, Cgroup& to);
  void move_task(Task& p, bool for_autogroup);
  void join(Task& p, Cgroup& cgrp);
  void leave(Task& p);
  ext::Worker& worker(CpuId cpu);
  void need_worker(CpuId cpu);

  Kernel& kernel_;
  Cgroup* root_ = nullptr;
  std::map<std::string, Cgroup*, std::less<>> by_path_;  // online
  std::map<u64, Cgroup*> by_id_;                         // online
  std::map<u64, Cgroup*> by_address_;                    // not freed
  std::vector<std::function<void(u64)>> gone_hooks_;
  // The threads of cgroup_offline_wq, by CPU; made where groups are made and removed.
  std::map<CpuId, std::unique_ptr<ext::Worker>> workers_;
  u64 next_id_ = kCgroupRootId;
  u64 next_serial_ = 1;
  int next_css_id_ = 1;
};

/// The cgroup of a task group. Linux: tg_cgrp().
inline Cgroup& tg_cgrp(const abi::task_group& tg) {
  return *Cgroup::from(tg.css.cgroup);
}
inline TaskGroup& task_group(const Task& p) {
  return *TaskGroup::from(p.sched_task_group);
}
inline Cgroup& task_cgroup(const Task& p) {
  return *Cgroup::from(p.cgroups->dfl_cgrp);
}

}  // namespace uscx::sched
