// SPDX-License-Identifier: GPL-2.0-only
#include "sched/cgroup_invariants.h"

#include <fmt/format.h>

#include <map>

#include "sched/cgroup.h"
#include "sched/ext/internal.h"
#include "sched/invariants.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

std::string about(const Cgroup& cgrp) {
  return fmt::format("cgroup {}, id {}{}", cgrp.path, u64{cgrp.kn->id},
                     cgrp.online ? "" : ", removed");
}
std::string about(const Task& p) {
  return fmt::format("{}[{}] in {}", p.comm, p.pid, task_cgroup(p).path);
}

#define USCX_HOLDS(cond, object) \
  (static_cast<bool>(cond) ? static_cast<void>(0) : invariant_broken(kernel, #cond, about(object)))

/// What a group is to be by the tasks there are.
struct Sums {
  u32 listed = 0;  // tasks that are not dead
  u32 refs = 0;    // tasks that are not freed
  u64 fair_load = 0;
};

void check_hierarchy(Kernel& kernel, const Cgroup& cgrp) {
  u32 online = 0, refs = 0;
  int descendants = 0, dying = 0;
  for (const Cgroup* c = cgrp.down.front(); c; c = cgrp.down.next(*c)) {
    USCX_HOLDS(c->up == &cgrp && c->level == cgrp.level + 1, *c);
    ++refs;
    ++(c->online ? descendants : dying);
    if (c->online) ++online;
    descendants += c->nr_descendants;
    dying += c->nr_dying_descendants;
  }
  USCX_HOLDS(cgrp.nr_online_children == online, cgrp);
  USCX_HOLDS(cgrp.nr_descendants == descendants && cgrp.nr_dying_descendants == dying, cgrp);
  USCX_HOLDS(cgrp.online || online == 0, cgrp);
  // Groups with the controller on in their children have no tasks, but for the dying.
  Cgroups& groups = kernel.cgroups();
  USCX_HOLDS((groups.find(cgrp.path) == &cgrp) == cgrp.online, cgrp);
  USCX_HOLDS((groups.from_id(cgrp.kn->id) == &cgrp) == cgrp.online, cgrp);
  USCX_HOLDS(cgrp.refs >= refs, cgrp);
}

void check_tasks(Kernel& kernel, const Cgroup& cgrp, const Sums& sums) {
  u32 listed = 0;
  for (const Task* p = cgrp.tasks.front(); p; p = cgrp.tasks.next(*p)) {
    ++listed;
    USCX_HOLDS(&task_cgroup(*p) == &cgrp, *p);
    // Threads of the kernel stay in the root; a group that is removed has the dying only.
    USCX_HOLDS(cgrp.online || (p->flags & PF_EXITING), *p);
  }
  USCX_HOLDS(listed == sums.listed, cgrp);
  USCX_HOLDS(static_cast<u32>(cgrp.set->nr_tasks) == listed, cgrp);
  USCX_HOLDS(cgrp.refs >= sums.refs, cgrp);
}

void check_load(Kernel& kernel, const Cgroup& cgrp, const Sums& sums) {
  const TaskGroup& group = *cgrp.group;
  if (group.is_root()) return;
  u64 load = sums.fair_load;
  for (const Cgroup* c = cgrp.down.front(); c; c = cgrp.down.next(*c)) {
    if (c->group->fair.load != 0) load += c->group->shares;
  }
  USCX_HOLDS(group.fair.load == load, cgrp);
  const FairBandwidth& b = group.fair.bandwidth;
  for (const Task* p = b.waiting.front(); p; p = b.waiting.next(*p)) {
    USCX_HOLDS(p->throttled_in == &group, *p);
  }
  USCX_HOLDS(b.throttled || b.waiting.empty(), cgrp);
  USCX_HOLDS(!b.throttled || b.enabled(), cgrp);
}

void check_ext(Kernel& kernel, const Cgroup& cgrp) {
  const ext::Ext::Impl& ext = ext::impl_of(kernel);
  // Groups are told one after the other, with ops.cgroup_init() sleeping in between.
  if (kernel.cgroups().mutex.write_held()) return;
  const abi::scx_task_group& scx = cgrp.group->scx;
  const bool inited = (scx.flags & abi::SCX_TG_INITED) != 0;
  const bool online = (scx.flags & abi::SCX_TG_ONLINE) != 0;
  USCX_HOLDS(online || !cgrp.online, cgrp);
  if (ext.cgroup_enabled) USCX_HOLDS(inited == online, cgrp);
  // Where enabling fails at one group, the ones before it are told when it is undone.
  USCX_HOLDS(!inited || (online && ext.root != nullptr), cgrp);
  USCX_HOLDS(!inited || reinterpret_cast<ext::Sched*>(scx.sched) == ext.root, cgrp);
}

}  // namespace

void check_groups(Kernel& kernel) {
  std::map<const Cgroup*, Sums> sums;
  auto& tasks = KernelInternals::of(kernel).all_tasks;
  for (const Task* p = tasks.front(); p != nullptr; p = tasks.next(*p)) {
    Sums& s = sums[&task_cgroup(*p)];
    ++s.refs;
    if (p->cgroup_node.linked()) ++s.listed;
    s.fair_load += p->fair_load;
    USCX_HOLDS(p->fair_load == 0 || p->klass == &kernel.fair_class(), *p);
    const bool moving = kernel.cgroups().mutex.write_held();
    USCX_HOLDS(moving || p->sched_task_group == task_cgroup(*p).group, *p);
  }
  u32 count = 0;
  kernel.cgroups().for_each_pre([&](Cgroup& cgrp) {
    ++count;
    check_hierarchy(kernel, cgrp);
    check_tasks(kernel, cgrp, sums[&cgrp]);
    check_load(kernel, cgrp, sums[&cgrp]);
    check_ext(kernel, cgrp);
  });
  // All but those that wait out a grace period: nobody can reach them.
  USCX_HOLDS(kernel.cgroups().count() >= count, kernel.cgroups().root());
}

}  // namespace uscx::sched
