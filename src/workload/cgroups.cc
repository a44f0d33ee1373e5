// SPDX-License-Identifier: GPL-2.0-only
// The cgroups of a workload: which there are to begin with, and what tasks do to them.
#include <algorithm>

#include "sched/cgroup.h"
#include "workload/actor.h"
#include "workload/run.h"

namespace uscx::workload {

/// Adds a cgroup and the parents it needs, unless they are there.
void Run::plan_cgroup(const CgroupSpec& spec) {
  if (spec.path == "/") return;
  const auto planned = [&](std::string_view path) {
    return std::find_if(planned_cgroups_.begin(), planned_cgroups_.end(),
                        [&](const CgroupSpec& c) { return c.path == path; });
  };
  for (std::size_t slash = spec.path.find('/', 1); slash != std::string::npos;
       slash = spec.path.find('/', slash + 1)) {
    const std::string parent = spec.path.substr(0, slash);
    if (planned(parent) == planned_cgroups_.end()) planned_cgroups_.push_back({parent, {}});
  }
  if (const auto it = planned(spec.path); it == planned_cgroups_.end()) {
    planned_cgroups_.push_back(spec);
  } else if (const auto& s = spec.settings;
             s.weight || s.nice || s.idle || s.quota_us || s.period_us || s.burst_us) {
    it->settings = s;
  }
}

/// Those of the file with their settings, and those that tasks and phases name.
void Run::plan_cgroups() {
  for (const CgroupSpec& c : spec_->cgroups) plan_cgroup(c);
  for (const Planned& p : planned_) {
    const Identity who{.group = p.group, .instance = p.instance};
    const ThreadSpec& t = spec_->threads[p.thread];
    const auto add = [&](const Attributes& a) {
      if (a.cgroup) plan_cgroup({substitute(*a.cgroup, who, nullptr), {}});
    };
    add(t.attributes);
    for (const Phase& phase : t.phases) add(phase.attributes);
  }
}

void Run::make_cgroup(const CgroupSpec& what) {
  if (!kernel_.cgroups().create(what.path)) {
    ++troubles_.calls_failed;
    return;
  }
  set_cgroup(what.path, what.settings);
}

void Run::set_cgroup(const std::string& path, const CgroupSettings& s) {
  sched::Cgroups& cgroups = kernel_.cgroups();
  sched::Cgroup* cgrp = cgroups.find(path);
  if (cgrp == nullptr) {
    ++troubles_.calls_failed;
    return;
  }
  // A write may sleep, and the group be removed meanwhile: as with an open file, it stays.
  cgroups.get(*cgrp);
  const auto count = [&](const Result<void>& done) { troubles_.calls_failed += !done; };
  const sched::FairBandwidth& bandwidth = cgrp->group->fair.bandwidth;
  if (s.weight) count(cgroups.set_weight(*cgrp, *s.weight));
  if (s.nice) count(cgroups.set_weight_nice(*cgrp, *s.nice));
  if (s.quota_us) {
    count(cgroups.set_max(*cgrp, *s.quota_us, s.period_us.value_or(bandwidth.period_ns / 1'000)));
  }
  if (s.burst_us) count(cgroups.set_burst(*cgrp, *s.burst_us));
  if (s.idle) count(cgroups.set_idle(*cgrp, *s.idle));
  cgroups.put(*cgrp);
}

void Run::attach_to_cgroup(sched::Task& task, const std::string& path) {
  sched::Cgroup* cgrp = kernel_.cgroups().find(path);
  if (cgrp == nullptr || !kernel_.cgroups().attach(*cgrp, task)) ++troubles_.calls_failed;
}

void Run::move_to_cgroup(const std::string& thread, const std::string& path) {
  // Moving may sleep and tasks end meanwhile: collect and hold them first.
  std::vector<sched::Task*> tasks;
  for (Actor* actor : actors_) {
    if (actor == nullptr || actor->thread_name() != thread) continue;
    kernel_.get_task(*actor->task());
    tasks.push_back(actor->task());
  }
  for (sched::Task* p : tasks) {
    attach_to_cgroup(*p, path);
    kernel_.put_task(*p);
  }
}

}  // namespace uscx::workload
