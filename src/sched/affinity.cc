// SPDX-License-Identifier: GPL-2.0-only
// sched_setaffinity(), and the stopper that takes a running task off a CPU it may not use any more.
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/bitmap.h"
#include "sched/private.h"

namespace uscx::sched {

/// A change of affinity whose task has not left its CPU yet; p->migration_pending points to it
/// until it is done. Guarded by p's pi_lock. Linux: set_affinity_pending, which lives on the stack
/// of who asked first; here not everybody has a stack to wait on.
struct AffinityPending {
  u32 refs = 1;          // who asked and waits
  u32 stop_pending = 0;  // stop_work is queued or runs
  // What programs see ends here.
  bool done = false;
  WaitQueue waiters;
  StopWork stop_work;
};

namespace {

const bpf::ObjectType kAffinityPendingObject{"set_affinity_pending", nullptr, false,
                                             offsetof(AffinityPending, done)};

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

AffinityPending* pending_of(const Task& p) {
  return static_cast<AffinityPending*>(p.migration_pending);
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
  private_->affine_move_task(r, p, static_cast<CpuId>(dest), false);
  return {};
}

/// Gets `p` to a CPU of its new mask; gives up both locks. On a fiber it returns when p is there,
/// but to migrate_enable() (`enabling`), whose caller it is that must go.
void Kernel::Private::affine_move_task(Rq& rq, Task& p, CpuId dest, bool enabling) {
  if (bitmap::test(p.cpus_mask.bits, static_cast<u32>(p.cpu))) {
    AffinityPending* pending = pending_of(p);
    const bool complete = pending != nullptr && pending->stop_pending == 0;
    if (complete) p.migration_pending = nullptr;
    k.task_rq_unlock(rq, p);
    if (complete) complete_pending(*pending);
    return;
  }
  AffinityPending* pending = pending_of(p);
  if (!enabling) {
    if (pending == nullptr) {
      pending = k.window_->make<AffinityPending>(kAffinityPendingObject);
      pending->stop_work.task = &p;
      pending->stop_work.pending = pending;
      p.migration_pending = pending;
    } else {
      ++pending->refs;
    }
    pending->stop_work.dest = dest;
  }
  USCX_ASSERT(pending != nullptr);

  if (k.task_current(rq, p) || p.__state == TASK_WAKING) {
    // Its CPU's stopper takes it away, once migration is enabled.
    const CpuId cpu = rq.id;
    const bool queued = std::exchange(pending->stop_pending, 1U) != 0;
    k.task_rq_unlock(rq, p);
    if (!queued) {
      k.get_task(p);
      queue_stop_work(cpu, pending->stop_work);
    }
    if (enabling) return;
    k.cond_resched();
  } else {
    Rq* held = &rq;
    bool complete = false;
    if (p.migration_disabled == 0) {
      if (p.on_rq_queued()) held = &k.move_queued_task(rq, p, dest);
      complete = pending->stop_pending == 0;
      if (complete) p.migration_pending = nullptr;
    }
    k.task_rq_unlock(*held, p);
    if (complete) {
      pending->done = true;
      pending->waiters.wake_all(k);
    }
  }
  while (k.fiber_ != nullptr && !pending->done) pending->waiters.sleep(k);
  put_pending(*pending);
}

/// Everybody who waits may go on, and does while they are woken. Without locks.
void Kernel::Private::complete_pending(AffinityPending& pending) {
  ++pending.refs;
  pending.done = true;
  pending.waiters.wake_all(k);
  put_pending(pending);
}

void Kernel::Private::put_pending(AffinityPending& pending) {
  if (--pending.refs == 0 && pending.done) k.window_->destroy(&pending);
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
  AffinityPending* pending = work.pending;
  Rq* rq = &k.task_rq_lock(p);
  bool complete = false;
  if (p.cpu == cpu) {
    // Where migration is disabled, migrate_enable() comes back to what is pending.
    if (p.migration_disabled == 0) {
      complete = pending != nullptr;
      if (!complete || !bitmap::test(p.cpus_mask.bits, static_cast<u32>(cpu))) {
        if (!p.on_rq_queued()) {
          p.wake_cpu = work.dest;
        } else if (k.is_cpu_allowed(p, work.dest)) {
          k.update_rq_clock(*rq);
          rq = &k.move_queued_task(*rq, p, work.dest);
        }
      }
    }
  } else if (pending != nullptr) {
    // It moved on before the stopper ran: done if it may be there, else follow.
    complete = bitmap::test(p.cpus_ptr->bits, static_cast<u32>(p.cpu));
    if (!complete) {
      const CpuId next = p.cpu;
      k.task_rq_unlock(*rq, p);
      queue_stop_work(next, work);
      return;
    }
  }
  if (complete) p.migration_pending = nullptr;
  if (pending != nullptr) pending->stop_pending = 0;
  k.task_rq_unlock(*rq, p);
  if (pending == nullptr) return stop_work_done(work);
  k.put_task(p);
  if (complete) complete_pending(*pending);
}

}  // namespace uscx::sched
