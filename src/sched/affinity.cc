// SPDX-License-Identifier: GPL-2.0-only
// sched_setaffinity(), and the stopper that takes a running task off a CPU it may not use any more.
#include <cstring>

#include "base/bitmap.h"
#include "sched/private.h"

namespace uscx::sched {

namespace {

/// A CPU's migration thread. Linux: cpu_stopper_thread.
class StopperBehaviour final : public Behaviour {
 public:
  explicit StopperBehaviour(CpuId cpu) : cpu_(cpu) {}
  Step next(Kernel& kernel, Task&) override {
    KernelInternals::of(kernel).run_stop_works(cpu_);
    return Step::block(TASK_INTERRUPTIBLE);
  }

 private:
  CpuId cpu_;
};

/// The first CPU of `mask` that is active, or kNoCpu.
CpuId any_active(Kernel& kernel, const abi::cpumask& mask) {
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    if (bitmap::test(mask.bits, i) && bitmap::test(kernel.active_mask().bits, i)) {
      return static_cast<CpuId>(i);
    }
  }
  return kNoCpu;
}

}  // namespace

void Kernel::set_cpus_allowed_common(Task& p, const abi::cpumask* new_mask) {
  USCX_ASSERT(p.pi_lock.held_by(held()));
  // By their addresses: what migrate_disable() and migrate_enable() point it at.
  if (new_mask == &p.cpus_mask || private_->is_cpumask_of(new_mask, p.cpu)) {
    p.cpus_ptr = new_mask;
    return;
  }
  p.cpus_mask = *new_mask;
  p.nr_cpus_allowed = static_cast<int>(bitmap::weight(p.cpus_mask.bits, nr_cpus()));
}

Result<void> Kernel::set_affinity(Task& p, const abi::cpumask& mask) {
  activate();
  // What the machine does not have is ignored, as the cpuset's mask does.
  abi::cpumask new_mask{};
  for (u32 i = 0; i < nr_cpus(); ++i) {
    if (bitmap::test(mask.bits, i)) bitmap::set(new_mask.bits, i);
  }
  if ((p.flags & PF_NO_SETAFFINITY) != 0) return fail(EINVAL);
  // Admission was to all CPUs. Linux: dl_task_check_affinity().
  if (dl_policy(static_cast<int>(p.policy))) {
    for (u32 i = 0; i < nr_cpus(); ++i) {
      if (bitmap::test(active_mask_->bits, i) && !bitmap::test(new_mask.bits, i))
        return fail(EBUSY);
    }
  }
  return set_cpus_allowed(p, new_mask);
}

Result<void> Kernel::set_cpus_allowed(Task& p, const abi::cpumask& new_mask) {
  Rq& r = task_rq_lock(p);
  if (std::memcmp(&p.cpus_mask, &new_mask, sizeof(new_mask)) == 0) {
    task_rq_unlock(r, p);
    return {};
  }
  // Before it is known whether it has to move at all, as in Linux.
  const bool on_inactive = p.is_kthread() || p.migration_disabled != 0;
  const abi::cpumask& valid = on_inactive ? *online_mask_ : *active_mask_;
  const u32 dest = ext_->any_and_distribute(valid, new_mask);
  if (dest >= nr_cpus()) {
    task_rq_unlock(r, p);
    return fail(EINVAL);
  }
  sched_change(p, DEQUEUE_SAVE, [&] { p.klass->set_cpus_allowed(p, &new_mask); });
  private_->affine_move_task(r, p, static_cast<CpuId>(dest));
  return {};
}

/// Gets `p` to a CPU of its new mask; gives up both locks. On a fiber it returns when p is there.
void Kernel::Private::affine_move_task(Rq& rq, Task& p, CpuId dest) {
  if (bitmap::test(p.cpus_mask.bits, static_cast<u32>(p.cpu))) {
    k.task_rq_unlock(rq, p);
    return;
  }
  if (p.migration_disabled != 0) {
    // migrate_enable() sees that it is where it may not be.
    k.task_rq_unlock(rq, p);
    if (k.fiber_ == nullptr) return;
    k.get_task(p);
    p.affinity_wait.sleep(k);
    affine_move_task(k.task_rq_lock(p), p, dest);
    k.put_task(p);
    return;
  }
  if (!k.task_current(rq, p) && p.__state != TASK_WAKING) {
    Rq* held = &rq;
    if (p.on_rq_queued()) held = &k.move_queued_task(rq, p, dest);
    k.task_rq_unlock(*held, p);
    return;
  }

  const CpuId cpu = rq.id;
  k.task_rq_unlock(rq, p);
  k.get_task(p);
  if (k.fiber_ == nullptr) {
    auto* work = new StopWork;
    work->task = &p;
    work->dest = dest;
    queue_stop_work(cpu, *work);
    return;
  }
  StopWork work;
  work.task = &p;
  work.dest = dest;
  stop_one_cpu(cpu, work);
}

void Kernel::Private::stop_one_cpu(CpuId cpu, StopWork& work) {
  USCX_ASSERT(k.fiber_ != nullptr);
  work.waited_for = true;
  queue_stop_work(cpu, work);
  k.cond_resched();
  while (!work.done) work.waiters.sleep(k);
}

void Kernel::Private::stop_work_done(StopWork& work) {
  if (work.task != nullptr) k.put_task(*work.task);
  if (!work.waited_for) {
    delete &work;
    return;
  }
  work.done = true;
  work.waiters.wake_all(k);
}

void Kernel::sched_exec() {
  USCX_ASSERT(fiber_ != nullptr);
  Task& p = current();
  p.pi_lock.lock(held());
  const CpuId dest = p.klass->select_task_rq(p, p.cpu, WF_EXEC);
  p.pi_lock.unlock(held());
  if (dest == this_cpu_ || !rq(dest).active) return;
  get_task(p);
  StopWork work;
  work.task = &p;
  work.dest = dest;
  private_->stop_one_cpu(p.cpu, work);
}

Task& Kernel::Private::stopper_thread(CpuId cpu) {
  Stopper& stopper = stoppers[static_cast<u32>(cpu)];
  if (stopper.thread) return *stopper.thread;
  Task& p = allocate_task("migration/" + std::to_string(cpu));
  p.flags = PF_KTHREAD | PF_NO_SETAFFINITY;
  p.pid = p.tgid = k.next_pid_++;
  k.ext_->init_task_entity(p);
  p.policy = SCHED_FIFO;
  p.rt_priority = MAX_RT_PRIO - 1;
  p.static_prio = DEFAULT_PRIO;
  p.prio = p.normal_prio = 0;
  p.klass = k.stop_.get();
  p.sched_class = p.klass->address;
  identities->make(p, nullptr);
  set_load_weight(k, p, false);
  bitmap::set(p.cpus_mask.bits, static_cast<u32>(cpu));
  p.nr_cpus_allowed = 1;
  p.cpu = p.wake_cpu = cpu;
  p.thread_info.cpu = static_cast<u32>(cpu);
  p.__state = TASK_INTERRUPTIBLE;
  p.group_label = "migration";
  p.behaviour = std::make_unique<StopperBehaviour>(cpu);
  k.rq(cpu).stop = &p;
  stopper.thread = &p;
  return p;
}

void Kernel::Private::queue_stop_work(CpuId cpu, StopWork& work) {
  Task& thread = stopper_thread(cpu);
  stoppers[static_cast<u32>(cpu)].works.push_back(work);
  k.wake_up(thread, TASK_INTERRUPTIBLE);
}

void Kernel::Private::run_stop_works(CpuId cpu) {
  while (StopWork* work = stoppers[static_cast<u32>(cpu)].works.pop_front()) {
    if (work->fn != nullptr) {
      work->fn(*this, cpu, *work);
    } else {
      migration_stop(cpu, *work);
    }
  }
}

/// On `cpu`, in its stopper, so that the task is not running here. Linux: migration_cpu_stop().
void Kernel::Private::migration_stop(CpuId cpu, StopWork& work) {
  run_wake_list(k.rq(cpu));
  Task& p = *work.task;
  Rq* rq = &k.task_rq_lock(p);
  if (p.cpu == cpu && p.migration_disabled != 0) {
    k.task_rq_unlock(*rq, p);
    return stop_work_done(work);
  }
  const bool allowed = k.is_cpu_allowed(p, p.cpu);
  if (!allowed && p.cpu != cpu && p.on_rq_state != 0) {
    // It moved on before the stopper ran, to another CPU where it may not be: follow.
    const CpuId next = p.cpu;
    k.task_rq_unlock(*rq, p);
    queue_stop_work(next, work);
    return;
  }
  CpuId to = allowed ? kNoCpu : any_active(k, p.cpus_mask);
  if (work.dest != kNoCpu && p.cpu == cpu && k.is_cpu_allowed(p, work.dest)) to = work.dest;
  USCX_ASSERT(allowed || to != kNoCpu);
  if (to != kNoCpu) {
    if (p.on_rq_queued()) {
      k.update_rq_clock(*rq);
      rq = &k.move_queued_task(*rq, p, to);
    } else {
      p.wake_cpu = to;
    }
  }
  k.task_rq_unlock(*rq, p);
  stop_work_done(work);
}

}  // namespace uscx::sched
