// SPDX-License-Identifier: GPL-2.0-only
// The hierarchy: making groups, removing them, and the references that keep them.
#include "sched/cgroup.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/bitmap.h"
#include "sched/ext/ext.h"
#include "sched/ext/worker.h"
#include "sched/kernel.h"

namespace uscx::sched {

namespace {

const bpf::ObjectType kCssSetObject{"css_set"};
const bpf::ObjectType kKernfsNodeObject{"kernfs_node"};
const bpf::ObjectType kTaskGroupObject{"task_group", nullptr, false, sizeof(abi::task_group)};

// cgroup_subsys_state::flags
constexpr u32 CSS_ONLINE = 1 << 1;
constexpr u32 CSS_RELEASED = 1 << 2;
constexpr u32 CSS_VISIBLE = 1 << 3;
constexpr u32 CSS_DYING = 1 << 4;
// percpu_ref::percpu_count_ptr
constexpr unsigned long kPercpuRefAtomic = 1, kPercpuRefDead = 2;

constexpr int kMaxDescendants = 2147483647;  // "max"
constexpr std::size_t kNameMax = 255;

/// The counter programs look at: a pointer, whose low bits say whether the reference was killed.
void init_ref(abi::percpu_ref& ref, const void* counter) {
  ref.percpu_count_ptr = reinterpret_cast<unsigned long>(counter);
}
void kill_ref(abi::percpu_ref& ref) {
  ref.percpu_count_ptr |= kPercpuRefAtomic | kPercpuRefDead;
}

/// One fewer of a group itself and its children that are on line: how many remain.
int count_offline(Cgroup& cgrp) {
  --cgrp.self.online_cnt.counter;
  return --cgrp.group->css.online_cnt.counter;
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && name != "." && name != ".." &&
         name.find('\n') == std::string_view::npos;
}

}  // namespace

const bpf::ObjectType kCgroupObject{"cgroup", nullptr, false, sizeof(abi::cgroup)};

TaskGroup::TaskGroup(TaskGroup* parent_group) : abi::task_group{} {
  parent = parent_group;
  shares = 1024UL << 10;  // NICE_0_LOAD
  // scx_tg_init()
  scx.weight = 100;  // CGROUP_WEIGHT_DFL
  scx.bw_period_us = 100'000;
  scx.bw_quota_us = kRuntimeInf;
}

Cgroup::Cgroup(Kernel& kernel, Cgroup* parent_cgroup, std::string_view directory)
    : abi::cgroup{}, up(parent_cgroup) {
  bpf::AddressWindow& window = kernel.window();
  if (up == nullptr) {
    path = "/";
  } else {
    path = up->up ? up->path + "/" : "/";
    path += directory;
  }
  kn = window.make<abi::kernfs_node>(kKernfsNodeObject);
  auto* text = static_cast<char*>(window.allocate(directory.size() + 1, bpf::kReadOnlyMemory));
  directory.copy(text, directory.size());
  kn->name = text;
  kn->__parent = up ? up->kn : nullptr;
  kn->priv = static_cast<abi::cgroup*>(this);
  self.cgroup = dom_cgrp = this;
  self.parent = up ? &up->self : nullptr;
  self.flags = CSS_ONLINE | CSS_VISIBLE;
  self.online_cnt.counter = 1;
  init_ref(self.refcnt, this);
  level = up ? up->level + 1 : 0;
  max_depth = max_descendants = kMaxDescendants;
  for (Cgroup* c = this; c; c = c->up) ancestors[c->level] = c;
}

Cgroups::Cgroups(Kernel& kernel) : kernel_(kernel) {
  root_ = &make(nullptr, "");
  root_->group->scx.flags |= abi::SCX_TG_ONLINE;
}

Cgroups::~Cgroups() {
  // Tasks are gone with their kernel; whatever else held groups is, too.
  bpf::AddressWindow& window = kernel_.window();
  for (const auto& [address, cgrp] : by_address_) {
    fair_group_shut_down(kernel_, *cgrp->group);
    window.destroy(cgrp->kn);
    window.destroy(cgrp->set);
    window.destroy(cgrp->group);
    window.destroy(cgrp);
  }
}

Cgroup& Cgroups::make(Cgroup* parent, std::string_view name) {
  bpf::AddressWindow& window = kernel_.window();
  Cgroup& cgrp = *window.make<Cgroup>(kCgroupObject, kernel_, parent, name);
  cgrp.kn->id = next_id_++;
  cgrp.self.id = next_css_id_;
  cgrp.self.serial_nr = next_serial_++;

  cgrp.group = window.make<TaskGroup>(kTaskGroupObject, parent ? parent->group : nullptr);
  abi::cgroup_subsys_state& css = cgrp.group->css;
  css.cgroup = &cgrp;
  css.parent = parent ? &parent->group->css : nullptr;
  css.id = next_css_id_++;
  css.serial_nr = next_serial_++;
  css.flags = CSS_ONLINE | CSS_VISIBLE;
  css.online_cnt.counter = 1;
  init_ref(css.refcnt, &css);

  cgrp.set = window.make<abi::css_set>(kCssSetObject);
  cgrp.set->dfl_cgrp = &cgrp;
  cgrp.set->dom_cset = cgrp.set;
  cgrp.set->refcount.refs.counter = 1;
  cgrp.subsys[abi::cpu_cgrp_id] = cgrp.set->subsys[abi::cpu_cgrp_id] = &css;

  by_path_.emplace(cgrp.path, &cgrp);
  by_id_.emplace(cgrp.kn->id, &cgrp);
  by_address_.emplace(cgrp.address(), &cgrp);
  if (parent == nullptr) return cgrp;
  parent->down.push_back(cgrp);
  ++parent->nr_online_children;
  ++parent->self.online_cnt.counter;
  ++parent->group->css.online_cnt.counter;
  get(*parent);
  for (Cgroup* c = parent; c; c = c->up) ++c->nr_descendants;
  return cgrp;
}

Cgroup* Cgroups::find(std::string_view path) {
  const auto it = by_path_.find(path);
  return it == by_path_.end() ? nullptr : it->second;
}

Cgroup* Cgroups::from_id(u64 id) {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

Cgroup* Cgroups::from_address(u64 address) {
  const auto it = by_address_.find(address);
  return it == by_address_.end() ? nullptr : it->second;
}

bool Cgroups::try_get(Cgroup& cgrp) {
  if (cgrp.refs == 0) return false;
  ++cgrp.refs;
  return true;
}

void Cgroups::get(Cgroup& cgrp) {
  USCX_ASSERT(cgrp.refs > 0);
  ++cgrp.refs;
}

void Cgroups::put(Cgroup& cgrp) {
  USCX_ASSERT(cgrp.refs > 0);
  if (--cgrp.refs == 0) release(cgrp);
}

/// Linux's work queue runs what is queued on the CPU that queues it: WQ_PERCPU. Its threads are
/// always there; here they come with the first group that a CPU makes or removes.
void Cgroups::need_worker(CpuId cpu) {
  if (workers_.contains(cpu)) return;
  kernel_.ext().cpus_read_lock();
  // The caller's CPU may have gone; any will do, if there is none yet.
  const bool gone = !kernel_.rq(cpu).active;
  if (gone) {
    cpu = static_cast<CpuId>(bitmap::first(kernel_.active_mask().bits, kernel_.nr_cpus()));
  }
  if (gone ? workers_.empty() : !workers_.contains(cpu)) {
    auto worker = std::make_unique<ext::Worker>(kernel_, fmt::format("kworker/{}:1", cpu), 0, cpu);
    // Somebody else may have made one while this one was being forked.
    if (const auto [it, ours] = workers_.try_emplace(cpu, std::move(worker)); !ours) {
      worker->shut_down();
    }
  }
  kernel_.ext().cpus_read_unlock();
}

void Cgroups::unbind_worker(CpuId cpu) {
  const auto it = workers_.find(cpu);
  if (it == workers_.end()) return;
  const auto done = kernel_.set_cpus_allowed(it->second->task(), kernel_.possible_mask());
  USCX_ASSERT(done.has_value());
}

void Cgroups::rebind_worker(CpuId cpu) {
  const auto it = workers_.find(cpu);
  if (it == workers_.end()) return;
  abi::cpumask one{};
  bitmap::set(one.bits, static_cast<u32>(cpu));
  const auto done = kernel_.set_cpus_allowed(it->second->task(), one);
  USCX_ASSERT(done.has_value());
}

/// That of `cpu`, or any: where the last task of a group dies there may be none yet.
ext::Worker& Cgroups::worker(CpuId cpu) {
  USCX_ASSERT(!workers_.empty());
  const auto it = workers_.find(cpu);
  return it == workers_.end() ? *workers_.begin()->second : *it->second;
}

// ----------------------------------------------------------------------------------- mkdir

Result<Cgroup*> Cgroups::create(std::string_view path) {
  kernel_.activate();
  const std::size_t slash = path.rfind('/');
  if (path.empty() || path.front() != '/' || !valid_name(path.substr(slash + 1))) {
    return fail(EINVAL);
  }
  need_worker(kernel_.cpu());
  mutex.lock(kernel_);
  Cgroup* parent = find(slash == 0 ? std::string_view("/") : path.substr(0, slash));
  Result<Cgroup*> made = fail(ENOENT);
  if (parent) made = create_locked(*parent, path.substr(slash + 1));
  mutex.unlock(kernel_);
  return made;
}

Result<Cgroup*> Cgroups::create_locked(Cgroup& parent, std::string_view name) {
  if (parent.level + 1 > ABI_CGROUP_MAX_LEVEL) return fail(EAGAIN);
  const std::string path = (parent.up ? parent.path + "/" : "/") + std::string(name);
  if (find(path)) return fail(EEXIST);
  // Its controller is on for its children from the first one on; not where it has tasks itself.
  if (parent.up && parent.populated()) return fail(EBUSY);
  Cgroup& cgrp = make(&parent, name);
  // css_online()
  if (const int err = kernel_.ext().tg_online(*cgrp.group); err != 0) {
    cgrp.group->css.flags &= ~CSS_ONLINE;
    remove_locked(cgrp);
    return fail(err);
  }
  kernel_.trace().cgroup_mkdir(kernel_.now(), cgrp.path, cgrp.kn->id);
  return &cgrp;
}

// ----------------------------------------------------------------------------------- rmdir

Result<void> Cgroups::remove(std::string_view path) {
  kernel_.activate();
  need_worker(kernel_.cpu());
  mutex.lock(kernel_);
  Cgroup* cgrp = find(path);
  Result<void> done = fail(cgrp ? EBUSY : ENOENT);
  if (cgrp && cgrp->up) done = remove_locked(*cgrp);
  mutex.unlock(kernel_);
  return done;
}

Result<void> Cgroups::remove_locked(Cgroup& cgrp) {
  for (const Task* p = cgrp.tasks.front(); p; p = cgrp.tasks.next(*p)) {
    // Those that are dying have left it for user space.
    if ((p->flags & PF_EXITING) == 0) return fail(EBUSY);
  }
  if (cgrp.nr_online_children != 0) return fail(EBUSY);
  cgrp.online = false;
  cgrp.self.flags &= ~CSS_ONLINE;
  cgrp.group->css.flags |= CSS_DYING;
  kernel_.trace().cgroup_rmdir(kernel_.now(), cgrp.path, cgrp.kn->id);
  by_path_.erase(cgrp.path);
  by_id_.erase(cgrp.kn->id);
  --cgrp.up->nr_online_children;
  for (Cgroup* c = cgrp.up; c; c = c->up) {
    --c->nr_descendants;
    ++c->nr_dying_descendants;
  }
  kill_ref(cgrp.self.refcnt);
  if (!cgrp.populated()) finish_removal(cgrp);
  return {};
}

/// Linux: kill_css_finish(). The reference's grace period is waited for on this CPU.
void Cgroups::finish_removal(Cgroup& cgrp) {
  USCX_ASSERT(!cgrp.online && !cgrp.offlining);
  cgrp.offlining = true;
  kill_ref(cgrp.group->css.refcnt);
  kernel_.call_rcu([this, &cgrp, cpu = kernel_.cpu()] { css_killed(cgrp, cpu); });
}

/// No new references any more. With children on line, the last of them takes its parent along.
/// Linux: css_killed_ref_fn().
void Cgroups::css_killed(Cgroup& cgrp, CpuId cpu) {
  if (count_offline(cgrp) != 0) return;
  kernel_.call_rcu([this, &cgrp, cpu] { worker(cpu).queue([this, &cgrp] { offline(cgrp); }); });
}

/// Linux: css_killed_work_fn(), offline_css().
void Cgroups::offline(Cgroup& first) {
  mutex.lock(kernel_);
  for (Cgroup *cgrp = &first, *up; cgrp != nullptr; cgrp = up) {
    abi::cgroup_subsys_state& css = cgrp->group->css;
    if ((css.flags & CSS_ONLINE) != 0) {
      kernel_.ext().tg_offline(*cgrp->group);
      css.flags &= ~CSS_ONLINE;
    }
    css.flags |= CSS_RELEASED;
    up = cgrp->up;
    put(*cgrp);
    if (count_offline(*up) != 0) break;
  }
  mutex.unlock(kernel_);
}

/// The last reference is gone. Any context: what Linux defers to a work queue needs no lock here.
void Cgroups::release(Cgroup& cgrp) {
  USCX_ASSERT(!cgrp.online && cgrp.tasks.empty() && cgrp.down.empty());
  cgrp.self.flags |= CSS_RELEASED;
  for (Cgroup* c = cgrp.up; c; c = c->up) --c->nr_dying_descendants;
  cgrp.up->down.erase(cgrp);
  kernel_.call_rcu([this, &cgrp] { free(cgrp); });
}

void Cgroups::free(Cgroup& cgrp) {
  for (const auto& hook : gone_hooks_) hook(cgrp.address());
  fair_group_shut_down(kernel_, *cgrp.group);
  Cgroup& parent = *cgrp.up;
  by_address_.erase(cgrp.address());
  bpf::AddressWindow& window = kernel_.window();
  window.free(const_cast<char*>(cgrp.kn->name));
  window.destroy(cgrp.kn);
  window.destroy(cgrp.set);
  window.destroy(cgrp.group);
  window.destroy(&cgrp);
  put(parent);
}

// ----------------------------------------------------------------------------------- walks

void Cgroups::for_each_pre(const std::function<void(Cgroup&)>& fn) {
  const auto walk = [&](auto& self, Cgroup& cgrp) -> void {
    fn(cgrp);
    for (Cgroup* c = cgrp.down.front(); c; c = cgrp.down.next(*c)) self(self, *c);
  };
  walk(walk, *root_);
}

void Cgroups::for_each_post(const std::function<void(Cgroup&)>& fn) {
  const auto walk = [&](auto& self, Cgroup& cgrp) -> void {
    for (Cgroup *c = cgrp.down.front(), *next; c; c = next) {
      next = cgrp.down.next(*c);
      self(self, *c);
    }
    fn(cgrp);
  };
  walk(walk, *root_);
}

}  // namespace uscx::sched
