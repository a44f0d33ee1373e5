// SPDX-License-Identifier: GPL-2.0-only
#include "workload/run.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "base/bitmap.h"
#include "sched/cgroup.h"
#include "workload/actor.h"
#include "workload/expression.h"

namespace uscx::workload {

namespace {

constexpr u64 kMaxTasks = 100'000;
constexpr std::size_t kCommMax = 15;  // TASK_COMM_LEN without its final zero

}  // namespace

bool has_loop_index(const std::string& name) {
  return name.find("%l") != std::string::npos;
}

std::string substitute(const std::string& name, const Identity& who, const u64* loop) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char code = name[i] == '%' && i + 1 < name.size() ? name[i + 1] : '\0';
    if (code == 'g') {
      out += std::to_string(who.group);
    } else if (code == 'i') {
      out += std::to_string(who.instance);
    } else if (code == 'l' && loop != nullptr) {
      out += std::to_string(*loop);
    } else {
      out += name[i];
      continue;
    }
    ++i;
  }
  return out;
}

Run::Run(std::shared_ptr<const WorkloadSpec> spec, sched::Kernel& kernel)
    : spec_(std::move(spec)),
      kernel_(kernel),
      machine_(kernel.machine()),
      last_forked_(spec_->threads.size(), 0),
      waited_for_(spec_->threads.size(), false) {}

OrError<void> Run::plan() {
  const sched::Topology& topology = machine_.topology();
  const json::Document& file = spec_->source;
  for (u32 index = 0; index < spec_->threads.size(); ++index) {
    const ThreadSpec& t = spec_->threads[index];
    const auto groups = evaluate(t.groups, topology);
    if (!groups) return std::unexpected(file.error_at(t.groups_at, groups.error()));
    const auto instances = evaluate(t.instances, topology);
    if (!instances) return std::unexpected(file.error_at(t.instances_at, instances.error()));
    if (*groups > kMaxTasks || *instances > kMaxTasks ||
        planned_.size() + *groups * *instances > kMaxTasks) {
      return std::unexpected(
          file.error_at(t.instances_at, fmt::format("more than {} tasks", kMaxTasks)));
    }
    const auto check = [&](const Attributes& a) {
      for (const u32 cpu : a.cpus.value_or(std::vector<u32>())) {
        if (cpu >= topology.nr_cpus()) return false;
      }
      return true;
    };
    bool fits = check(t.attributes);
    for (const Phase& p : t.phases) fits = fits && check(p.attributes);
    if (!fits) {
      return std::unexpected(
          file.error_at(t.at, fmt::format("task '{}' wants a CPU that a machine of {} CPUs has not",
                                          t.name, topology.nr_cpus())));
    }
    for (u32 g = 0; g < *groups; ++g) {
      for (u32 i = 0; i < *instances; ++i) planned_.push_back({index, g, i});
    }
  }
  for (const ThreadSpec& t : spec_->threads) {
    for (const Phase& phase : t.phases) {
      for (const Op& op : phase.ops) {
        if (op.kind == OpKind::kWaitPid) waited_for_[thread_index(op.ref)] = true;
      }
    }
  }
  if (planned_.empty()) return error(fmt::format("{}: starts no task", spec_->name));
  count_barrier_users();
  plan_cgroups();
  return {};
}

/// As many as will come by: every task once for each of its barrier events of that name.
void Run::count_barrier_users() {
  for (const Planned& p : planned_) {
    const Identity who{.group = p.group, .instance = p.instance};
    for (const Phase& phase : spec_->threads[p.thread].phases) {
      for (const Op& op : phase.ops) {
        if (op.kind != OpKind::kBarrier) continue;
        const u64 count = has_loop_index(op.ref) ? static_cast<u64>(phase.loop) : 1;
        for (u64 l = 0; l < count; ++l) {
          ++resources_.get<Barrier>(substitute(op.ref, who, &l)).users;
        }
      }
    }
  }
}

u32 Run::thread_index(const std::string& name) const {
  for (u32 i = 0; i < spec_->threads.size(); ++i) {
    if (spec_->threads[i].name == name) return i;
  }
  USCX_ASSERT(!"the parser has checked the name");
  __builtin_unreachable();
}

sched::Task* Run::task_of(const std::string& name) const {
  return kernel_.find_task(pid_of(name));
}

/// Depends on the run's seed and the task's number only, not on who ran before.
Random Run::stream(u32 number) const {
  StreamHash hash;
  hash.add(kernel_.config().seed);
  hash.add(number);
  return Random(hash.value());
}

sched::TaskSpec Run::describe(const ThreadSpec& thread, std::unique_ptr<Actor> actor,
                              u32 number) const {
  const Attributes& a = thread.attributes;
  const bool realtime = *a.policy == sched::SCHED_FIFO || *a.policy == sched::SCHED_RR;
  sched::TaskSpec spec;
  const std::string suffix = fmt::format("-{}", number);
  spec.comm =
      thread.comm.empty() ? thread.name.substr(0, kCommMax - suffix.size()) + suffix : thread.comm;
  spec.group_label = thread.name;
  spec.policy = *a.policy == sched::SCHED_DEADLINE ? sched::SCHED_NORMAL : *a.policy;
  spec.nice = realtime ? 0 : a.priority.value_or(0);
  spec.rt_priority = realtime ? a.priority.value_or(0) : 0;
  spec.behaviour = std::move(actor);
  return spec;
}

void Run::fork(sched::Task& parent, const Planned& what) {
  const ThreadSpec& thread = spec_->threads[what.thread];
  const Identity who{.group = what.group, .instance = what.instance, .number = next_number_++};
  auto spec = describe(thread, std::make_unique<Actor>(self.lock(), thread, who), who.number);
  abi::cpumask mask = kernel_.possible_mask();
  if (thread.attributes.cpus) {
    mask = {};
    for (const u32 cpu : *thread.attributes.cpus) bitmap::set(mask.bits, cpu);
  }
  spec.affinity = &mask;
  if (thread.attributes.cgroup) {
    spec.cgroup = kernel_.cgroups().find(substitute(*thread.attributes.cgroup, who, nullptr));
    if (spec.cgroup == nullptr) ++troubles_.calls_failed;
  }
  if (thread.inherit) {
    spec.affinity = &parent.cpus_mask;
    spec.policy = static_cast<int>(parent.policy);
    spec.rt_priority = static_cast<int>(parent.rt_priority);
    spec.nice = parent.static_prio - sched::DEFAULT_PRIO;
  }
  spec.waited_for = waited_for_[what.thread];
  ++running_;
  if (const auto child = kernel_.fork(parent, std::move(spec)); child) {
    ++started_;
    last_forked_[what.thread] = (*child)->pid;
  } else {
    --running_;
    ++troubles_.forks_failed;
  }
}

void Run::enter(Actor& actor) {
  const u32 number = actor.identity().number;
  if (actors_.size() <= number) actors_.resize(number + 1);
  actors_[number] = &actor;
}

void Run::leave(Actor& actor) {
  actors_[actor.identity().number] = nullptr;
  USCX_ASSERT(running_ > 0);
  if (--running_ == 0 && launcher_ != nullptr) kernel_.wake_up(*launcher_);
}

void Run::forget(Actor& actor) {
  actors_[actor.identity().number] = nullptr;
}

void Run::stop() {
  stopping_ = true;
  for (Actor* actor : actors_) {
    if (actor != nullptr) kernel_.wake_up(*actor->task());
  }
  if (launcher_ != nullptr) kernel_.wake_up(*launcher_);
}

void Run::detach() {
  machine_.timer_cancel(stop_timer);
}

}  // namespace uscx::workload
