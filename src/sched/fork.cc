// SPDX-License-Identifier: GPL-2.0-only
// How tasks come to be. The order of steps is copy_process()'s, since sched_ext hooks into it.
#include "base/bitmap.h"
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

namespace {

/// Runs a kernel thread's function on a fiber, then exits.
class KthreadBehaviour final : public Behaviour {
 public:
  explicit KthreadBehaviour(std::function<void(Task&)> main) : main_(std::move(main)) {}
  Step next(Kernel&, Task&) override {
    if (started_) return Step::exit();
    started_ = true;
    return Step::system_call(std::move(main_));
  }

 private:
  std::function<void(Task&)> main_;
  bool started_ = false;
};

}  // namespace

void Kernel::Private::sched_fork(Task& p, const TaskSpec& spec) {
  k.ext_->init_task_entity(p);
  p.__state = TASK_NEW;
  p.policy = static_cast<u32>(spec.policy);
  p.rt_priority = static_cast<u32>(spec.rt_priority);
  p.static_prio = DEFAULT_PRIO + spec.nice;
  p.prio = p.normal_prio = normal_prio(spec.policy, spec.rt_priority, spec.nice);
  p.rt.time_slice = k.config_.hz / 10;
  set_load_weight(k, p, false);
  k.ext_->pre_fork(p);
  if (rt_prio(p.prio)) {
    p.klass = k.rt_.get();
  } else if (k.ext_->task_should_scx(spec.policy)) {
    p.klass = &k.ext_class();
  } else {
    p.klass = k.fair_.get();
  }
  p.sched_class = p.klass->address;
}

Result<Task*> Kernel::Private::copy_process(Task* parent, TaskSpec& spec) {
  Task& p = allocate_task(spec.comm);
  if (spec.kthread) p.flags |= PF_KTHREAD;
  if (spec.per_cpu) p.flags |= PF_NO_SETAFFINITY;
  const abi::cpumask* mask = spec.affinity;
  if (mask == nullptr) mask = parent ? &parent->cpus_mask : k.possible_mask_;
  p.cpus_mask = *mask;
  p.nr_cpus_allowed = static_cast<int>(bitmap::weight(mask->bits, k.nr_cpus()));
  p.real_parent = p.parent = parent ? parent : k.rqs_[0]->idle_task();
  p.waited_for = spec.waited_for;
  p.behaviour = std::move(spec.behaviour);
  p.group_label = spec.group_label.empty() ? spec.comm : spec.group_label;

  sched_fork(p, spec);
  if (const Result<void> ok = k.cgroups_->can_fork(p, parent, spec.cgroup); !ok) {
    k.ext_->cancel_fork(p);
    p.usage.refs.counter = 0;
    free_task(p);
    return fail(ok.error().value);
  }
  p.pid = p.tgid = k.next_pid_++;
  identities->make(p, parent);
  p.pi_lock.lock(k.held());
  p.cpu = p.wake_cpu = k.this_cpu_;
  p.thread_info.cpu = static_cast<u32>(k.this_cpu_);
  p.klass->task_fork(p);
  p.pi_lock.unlock(k.held());
  if (const int err = k.ext_->fork(p); err != 0) {
    k.ext_->cancel_fork(p);
    k.cgroups_->cancel_fork(p);
    p.usage.refs.counter = 0;
    free_task(p);
    return fail(err);
  }
  k.tasks_.push_back(p);
  Task::from(p.real_parent)->child_list.push_back(p);
  k.by_pid_.emplace(p.pid, &p);
  ++k.nr_forks;
  k.ext_->post_fork(p);
  k.cgroups_->post_fork(p);
  return &p;
}

Result<Task*> Kernel::Private::fork(Task* parent, TaskSpec spec) {
  k.activate();
  USCX_ASSERT(spec.behaviour != nullptr && !k.held().atomic());
  if (rt_policy(spec.policy) != (spec.rt_priority != 0) || spec.rt_priority < 0 ||
      spec.rt_priority >= MAX_RT_PRIO || spec.nice < -20 || spec.nice > 19 ||
      (!rt_policy(spec.policy) && !fair_policy(spec.policy))) {
    return fail(EINVAL);
  }
  // Its reservation is its own, and a child would need another. Linux: sched_fork().
  if (parent != nullptr && dl_policy(static_cast<int>(parent->policy)) && !parent->reset_on_fork) {
    return fail(EAGAIN);
  }
  Result<Task*> child = copy_process(parent, spec);
  if (!child) return child;
  Task& forker = parent ? *parent : k.current();
  k.trace_.sched_process_fork(k.now(), forker, **child);
  trace_programs(k, "sched_process_fork", forker, **child);
  wake_up_new_task(**child);
  return child;
}

Result<Task*> Kernel::create_task(TaskSpec spec) {
  return private_->fork(nullptr, std::move(spec));
}

Result<Task*> Kernel::fork(Task& parent, TaskSpec spec) {
  consume(Nanos{costs().fork_ns});
  return private_->fork(&parent, std::move(spec));
}

Task& Kernel::create_kthread(std::string comm, std::function<void(Task&)> main, int rt_priority,
                             CpuId cpu) {
  TaskSpec spec;
  abi::cpumask one{};
  spec.comm = std::move(comm);
  spec.behaviour = std::make_unique<KthreadBehaviour>(std::move(main));
  spec.policy = rt_priority > 0 ? SCHED_FIFO : SCHED_NORMAL;
  spec.rt_priority = rt_priority;
  spec.affinity = possible_mask_;
  spec.kthread = true;
  if (cpu != kNoCpu) {
    bitmap::set(one.bits, static_cast<u32>(cpu));
    spec.affinity = &one;
    spec.per_cpu = true;
  }
  const Result<Task*> task = private_->fork(nullptr, std::move(spec));
  USCX_ASSERT(task.has_value());
  return **task;
}

}  // namespace uscx::sched
