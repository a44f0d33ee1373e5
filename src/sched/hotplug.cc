// SPDX-License-Identifier: GPL-2.0-only
// CPUs going off and on, as far as the scheduler is concerned. Each has a thread cpuhp/N that takes
// it through the states; it is made when first needed. Linux: kernel/cpu.c, sched_cpu_*().
#include "base/bitmap.h"
#include "sched/cgroup.h"
#include "sched/deadline.h"
#include "sched/private.h"

namespace uscx::sched {

/// cpuhp/N: does one piece of work at a time for whoever asked, and sleeps.
struct Kernel::Private::HotplugThread {
  Task* thread = nullptr;
  std::function<void()> work;
  WaitQueue asked, done;
};

namespace {

class HotplugBehaviour final : public Behaviour {
 public:
  explicit HotplugBehaviour(std::shared_ptr<Kernel::Private::HotplugThread> thread);
  Step next(Kernel& kernel, Task& task) override;

 private:
  std::shared_ptr<Kernel::Private::HotplugThread> thread_;
};

HotplugBehaviour::HotplugBehaviour(std::shared_ptr<Kernel::Private::HotplugThread> thread)
    : thread_(std::move(thread)) {}

Step HotplugBehaviour::next(Kernel& kernel, Task&) {
  return Step::system_call([this, &kernel](Task&) {
    while (!thread_->work) thread_->asked.sleep(kernel);
    thread_->work();
    thread_->work = nullptr;
    thread_->done.wake_all(kernel);
  });
}

/// On a fiber: `work` runs on the CPU's own thread; returns when it is done.
void run_there(Kernel& kernel, Kernel::Private::HotplugThread& thread, std::function<void()> work) {
  thread.work = std::move(work);
  thread.asked.wake_all(kernel);
  while (thread.work) thread.done.sleep(kernel);
}

/// On a fiber: returns once the thread sleeps again, which it does a moment after its work is done.
/// Linux: kthread_park() in takedown_cpu(), after which nothing but the stopper is there.
void wait_until_asleep(Kernel& kernel, const Kernel::Private::HotplugThread& thread) {
  while (thread.thread->on_rq_state != 0) kernel.sleep_ns(Nanos{kernel.tick_ns()});
}

/// Done on every CPU while it is done on one. Linux: multi_cpu_stop().
void nothing(Kernel::Private& priv, CpuId, StopWork& work) {
  priv.stop_work_done(work);
}

void take_cpu_down(Kernel::Private& priv, CpuId cpu, StopWork& work) {
  Kernel& k = priv.k;
  Rq& rq = k.rq(cpu);
  USCX_ASSERT(rq.nr_running == 1 && rq.wake_list.empty());  // the stopper, which is going
  k.rq_lock(rq);
  k.update_rq_clock(rq);
  priv.dl_server_stop(rq.dl->fair);
  priv.dl_server_stop(rq.dl->ext);
  k.rq_unlock(rq);
  priv.set_cpu_online(cpu, false);
  rq.balance_push = false;
  priv.stop_work_done(work);
}

/// Takes whoever ran on a CPU that is going down to one that stays. Linux:
/// __balance_push_cpu_stop().
void push_stop(Kernel::Private& priv, CpuId cpu, StopWork& work) {
  Kernel& k = priv.k;
  Task& p = *work.task;
  p.pi_lock.lock(k.held());
  const CpuId to = k.select_fallback_rq(cpu, p);
  Rq* rq = &k.rq(cpu);
  k.rq_lock(*rq);
  k.update_rq_clock(*rq);
  if (p.cpu == cpu && p.on_rq_queued()) rq = &k.move_queued_task(*rq, p, to);
  k.rq_unlock(*rq);
  p.pi_lock.unlock(k.held());
  priv.stop_work_done(work);
}

}  // namespace

void Kernel::Private::set_cpu_online(CpuId cpu, bool online) {
  Rq& rq = k.rq(cpu);
  rq.online = online;
  if (online) {
    bitmap::set(k.online_mask_->bits, static_cast<u32>(cpu));
  } else {
    bitmap::clear(k.online_mask_->bits, static_cast<u32>(cpu));
  }
}

void Kernel::Private::set_cpu_active(CpuId cpu, bool active) {
  Rq& rq = k.rq(cpu);
  dl_bw_change(rq, [&] { rq.active = active; });
  if (active) {
    bitmap::set(k.active_mask_->bits, static_cast<u32>(cpu));
  } else {
    bitmap::clear(k.active_mask_->bits, static_cast<u32>(cpu));
  }
}

Kernel::Private::HotplugThread& Kernel::Private::hotplug_thread(CpuId cpu) {
  auto& slot = hotplug_threads[static_cast<u32>(cpu)];
  if (slot) return *slot;
  slot = std::make_shared<HotplugThread>();
  abi::cpumask mask{};
  bitmap::set(mask.bits, static_cast<u32>(cpu));
  TaskSpec spec;
  spec.comm = "cpuhp/" + std::to_string(cpu);
  spec.behaviour = std::make_unique<HotplugBehaviour>(slot);
  spec.affinity = &mask;
  spec.kthread = spec.per_cpu = true;
  const Result<Task*> task = fork(nullptr, std::move(spec));
  USCX_ASSERT(task.has_value());
  slot->thread = *task;
  return *slot;
}

/// At the end of schedule(), without locks, on a CPU that is going down: what runs here now and is
/// not part of that must go.
void Kernel::Private::balance_push(Rq& rq) {
  Task& p = *rq.current();
  if (kthread_is_per_cpu(p) || p.migration_disabled != 0) {
    if (rq.nr_running == 0 && rq.nr_pinned == 0) rq.hotplug_wait.wake_all(k);
    return;
  }
  auto* work = new StopWork;  // stop_work_done() frees it
  work->fn = &push_stop;
  work->task = &p;
  k.get_task(p);
  queue_stop_work(rq.id, *work);
}

void Kernel::Private::set_rq_online(Rq& rq) {
  if (rq.abi::rq::online != 0) return;
  rq.abi::rq::online = 1;
  for (SchedClass* c : {k.stop_.get(), k.rt_.get(), k.fair_.get(), &k.ext_class(), k.idle_.get()}) {
    c->rq_online(rq);
  }
}

void Kernel::Private::set_rq_offline(Rq& rq) {
  if (rq.abi::rq::online == 0) return;
  k.update_rq_clock(rq);
  for (SchedClass* c : {k.stop_.get(), k.rt_.get(), k.fair_.get(), &k.ext_class(), k.idle_.get()}) {
    c->rq_offline(rq);
  }
  rq.abi::rq::online = 0;
}

/// On cpuhp/N. From here on nobody places a task here, and who runs here is pushed away.
void Kernel::Private::sched_cpu_deactivate(CpuId cpu) {
  Rq& rq = k.rq(cpu);
  set_cpu_active(cpu, false);
  rq.balance_push = true;
  k.synchronize_rcu();  // whoever saw the CPU active is done with it
  k.rq_lock(rq);
  set_rq_offline(rq);
  k.rq_unlock(rq);
  k.ext_->rq_deactivate(rq);
  k.cgroups_->unbind_worker(cpu);
  // sched_cpu_wait_empty(). Who was woken before the CPU was given up may still be on its way here:
  // Linux takes that interrupt at once, here it may come after this call.
  while (rq.nr_running > 1 || rq.nr_pinned != 0 || !rq.wake_list.empty()) rq.hotplug_wait.sleep(k);
}

/// On cpuhp/N.
void Kernel::Private::sched_cpu_activate(CpuId cpu) {
  Rq& rq = k.rq(cpu);
  k.cgroups_->rebind_worker(cpu);
  rq.balance_push = false;
  set_cpu_active(cpu, true);
  k.ext_->rq_activate(rq);
  k.rq_lock(rq);
  set_rq_online(rq);
  k.rq_unlock(rq);
}

Result<void> Kernel::cpu_down(CpuId cpu) {
  activate();
  if (cpu < 0 || static_cast<u32>(cpu) >= nr_cpus()) return fail(EINVAL);
  ext_->cpus_write_lock();
  Rq& r = rq(cpu);
  const bool last = bitmap::weight(active_mask_->bits, nr_cpus()) == 1;
  if (!r.online || last || private_->dl_bw_needs(cpu)) {
    ext_->cpus_write_unlock();
    if (r.online) return fail(EBUSY);
    return {};
  }
  Private::HotplugThread& thread = private_->hotplug_thread(cpu);
  run_there(*this, thread, [this, cpu] { private_->sched_cpu_deactivate(cpu); });
  wait_until_asleep(*this, thread);
  // stop_machine(): everybody stops while one goes.
  for (u32 i = 0; i < nr_cpus(); ++i) {
    const CpuId other = static_cast<CpuId>(i);
    if (other == cpu || !rq(other).online) continue;
    auto* work = new StopWork;
    work->fn = &nothing;
    private_->queue_stop_work(other, *work);
  }
  StopWork down;
  down.fn = &take_cpu_down;
  private_->stop_one_cpu(cpu, down);
  ext_->cpus_write_unlock();
  return {};
}

Result<void> Kernel::cpu_up(CpuId cpu) {
  activate();
  if (cpu < 0 || static_cast<u32>(cpu) >= nr_cpus()) return fail(EINVAL);
  ext_->cpus_write_lock();
  if (!rq(cpu).online) {
    private_->set_cpu_online(cpu, true);
    run_there(*this, private_->hotplug_thread(cpu),
              [this, cpu] { private_->sched_cpu_activate(cpu); });
  }
  ext_->cpus_write_unlock();
  return {};
}

CpuId Kernel::first_online_cpu() const {
  return static_cast<CpuId>(bitmap::first(online_mask_->bits, nr_cpus()));
}

}  // namespace uscx::sched
