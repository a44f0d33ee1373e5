// SPDX-License-Identifier: GPL-2.0-only
// Boot and end of a kernel: memory, CPUs, idle tasks, classes, BPF, sched_ext.
#include "sched/kernel.h"

#include <cstdio>
#include <cstring>

#include "base/bitmap.h"
#include "sched/classes.h"
#include "sched/deadline.h"
#include "sched/ext/ext.h"
#include "sched/private.h"
#include "sched/trace_programs.h"

namespace uscx::sched {

namespace {

/// What btf_struct_access of sched_ext's struct_ops lets programs store.
bool task_may_write(u64 offset, u32 size) {
  const auto within = [&](u64 start, u64 bytes) {
    return offset >= start && offset + size <= start + bytes;
  };
  const u64 scx = offsetof(abi::task_struct, scx);
  using abi::sched_ext_entity;
  return within(scx + offsetof(sched_ext_entity, slice), sizeof(sched_ext_entity::slice)) ||
         within(scx + offsetof(sched_ext_entity, dsq_vtime), sizeof(sched_ext_entity::dsq_vtime)) ||
         within(scx + offsetof(sched_ext_entity, disallow), sizeof(sched_ext_entity::disallow));
}

const bpf::ObjectType kSchedClassObject{"sched_class"};

std::unique_ptr<bpf::AddressWindow> make_window() {
  auto window = bpf::AddressWindow::create();
  if (!window) std::fprintf(stderr, "uscx: %s\n", window.error().message.c_str());
  USCX_ASSERT(window.has_value());
  return std::move(*window);
}

}  // namespace

const bpf::ObjectType kTaskObject{"task_struct", &task_may_write, false, sizeof(abi::task_struct)};
const bpf::ObjectType kRqObject{"rq", nullptr, false, sizeof(abi::rq)};
const bpf::ObjectType kCpumaskObject{"cpumask"};

// ----------------------------------------------------------------------------------- entries

Kernel::Context Kernel::leave_context() {
  const Context context{.cpu = this_cpu_, .fiber = fiber_, .in_entry = private_->in_entry};
  set_context(this_cpu_, nullptr);
  private_->in_entry = false;
  return context;
}

void Kernel::enter_context(const Context& context) {
  USCX_ASSERT(fiber_ == nullptr && !private_->in_entry);
  set_context(context.cpu, context.fiber);
  private_->in_entry = context.in_entry;
}

// ----------------------------------------------------------------------------------- objects

Task::Task(std::string name) : abi::task_struct{}, pi_lock(LockRank::kPi, "task_struct::pi_lock") {
  name.copy(comm, sizeof(comm) - 1);
  cpus_ptr = &cpus_mask;
  usage.refs.counter = 1;
  rcu_users.refs.counter = 1;
  tgid = pid;
  real_parent = parent = group_leader = this;
  numa_preferred_nid = -1;
  timer_slack_ns = 50'000;
}

Rq::Rq(CpuId cpu_id)
    : abi::rq{}, id(cpu_id), lock(LockRank::kRq, "rq::__lock", static_cast<u64>(cpu_id)) {
  cpu = cpu_id;
  fair = std::make_shared<FairRq>();
  rt = std::make_shared<RtRq>();
}

Rq::~Rq() = default;

Task& Kernel::Private::allocate_task(std::string comm) {
  Task* p = k.window_->make<Task>(kTaskObject, std::move(comm));
  k.cgroups_->adopt(*p);
  p->created_at_ns = p->start_time = p->start_boottime = k.now().ns;
  if (free_slots.empty()) {
    p->slot = nr_slots++;
  } else {
    p->slot = free_slots.back();
    free_slots.pop_back();
  }
  all_tasks.push_back(*p);
  return *p;
}

void Kernel::Private::free_task(Task& p) {
  USCX_ASSERT(!p.all_node.linked() && !p.wake_node.linked() && !p.rq_node.linked());
  if (p.pid != 0) trace_programs(k, "sched_process_free", p);  // not of a fork that failed
  k.trace_.sched_process_free(p);
  k.bpf_->task_gone(p.address());
  k.cgroups_->task_free(p);
  identities->release(p);
  all_tasks.erase(p);
  free_slots.push_back(p.slot);
  k.window_->destroy(&p);
}

void Kernel::get_task(Task& p) {
  USCX_ASSERT(p.usage.refs.counter > 0);
  ++p.usage.refs.counter;
}

void Kernel::put_task(Task& p) {
  USCX_ASSERT(p.usage.refs.counter > 0);
  if (--p.usage.refs.counter == 0) call_rcu([this, &p] { private_->free_task(p); });
}

Task* Kernel::find_task(Pid pid) {
  const auto it = by_pid_.find(pid);
  return it == by_pid_.end() ? nullptr : it->second;
}

// ----------------------------------------------------------------------------------- boot

void Kernel::Private::make_runqueues() {
  struct WakeWork final : IrqWork {
    explicit WakeWork(CpuId c) : cpu(c) {}
    void run(Kernel& kernel) override { KernelInternals::of(kernel).run_wake_list(kernel.rq(cpu)); }
    CpuId cpu;
  };
  const Topology& topology = k.topology();
  USCX_ASSERT(topology.nr_cpus() >= 1 && topology.nr_cpus() <= kMaxCpus);
  k.possible_mask_ = k.window_->make<abi::cpumask>(kCpumaskObject);
  k.online_mask_ = k.window_->make<abi::cpumask>(kCpumaskObject);
  k.active_mask_ = k.window_->make<abi::cpumask>(kCpumaskObject);
  k.llc_cpus_.resize(topology.nr_llcs);
  stoppers = std::vector<Stopper>(topology.nr_cpus());
  hotplug_threads.resize(topology.nr_cpus());
  rcu.cpu_pending.assign(topology.nr_cpus(), false);
  for (u32 i = 0; i < topology.nr_cpus(); ++i) {
    const CpuInfo& info = topology.cpus[i];
    const CpuId cpu = static_cast<CpuId>(i);
    Rq* rq = k.window_->make<Rq>(kRqObject, cpu);
    rq->online = rq->active = info.online;
    rq->abi::rq::online = info.online ? 1 : 0;
    rq->nohz_full = info.nohz_full;
    rq->cpu_capacity = info.capacity;
    rq->clock = rq->clock_task = k.now().ns;
    rq->switched_at_ns = k.now().ns;
    rq->wake_work = std::make_unique<WakeWork>(cpu);
    rq->irq_held = &k.irq_held_;
    if (k.explored()) {
      rq->own_irq_held = std::make_unique<HeldLocks>();
      rq->own_irq_held->hooks = k.explorer_;
      rq->irq_held = rq->own_irq_held.get();
    }
    k.rqs_.push_back(rq);
    bitmap::set(k.possible_mask_->bits, i);
    if (info.online) {
      bitmap::set(k.online_mask_->bits, i);
      bitmap::set(k.active_mask_->bits, i);
    }
    USCX_ASSERT(info.llc < topology.nr_llcs);
    k.llc_cpus_[info.llc].push_back(cpu);
  }
  k.set_context(0, nullptr);
}

/// Programs compare p->sched_class; what a class is they do not see.
void Kernel::Private::name_classes() {
  for (SchedClass* klass :
       {k.stop_.get(), k.rt_.get(), k.fair_.get(), k.idle_.get(), k.dl_.get()}) {
    klass->address = static_cast<abi::sched_class*>(k.window_->allocate(16, kSchedClassObject));
  }
}

void Kernel::Private::make_idle_tasks() {
  for (Rq* rq : k.rqs_) {
    Task& idle = allocate_task("swapper/" + std::to_string(rq->id));
    idle.flags = PF_IDLE | PF_KTHREAD | PF_NO_SETAFFINITY;
    idle.prio = idle.static_prio = idle.normal_prio = DEFAULT_PRIO;
    idle.klass = k.idle_.get();
    idle.sched_class = idle.klass->address;
    identities->make(idle, nullptr);
    bitmap::set(idle.cpus_mask.bits, static_cast<u32>(rq->id));
    idle.nr_cpus_allowed = 1;
    idle.cpu = idle.wake_cpu = rq->id;
    idle.thread_info.cpu = static_cast<u32>(rq->id);
    idle.on_cpu = 1;
    idle.set_on_rq(TASK_ON_RQ_QUEUED);
    idle.se.exec_start = k.now().ns;
    set_load_weight(k, idle, false);
    rq->idle = rq->curr = &idle;
    rq->next_klass = k.idle_.get();
  }
}

/// What a program does between two calls is one step; another CPU may come before each.
void Kernel::Private::make_kfuncs_sync_points() {
  for (const auto& kfunc : k.bpf_->kfuncs().all()) {
    kfunc->fn = [this, name = kfunc->name.data(), fn = std::move(kfunc->fn)](bpf::KfuncCall& call) {
      k.sync_point(name);
      return fn(call);
    };
  }
}

Kernel::Kernel(const KernelConfig& config, Machine& machine)
    : config_(config),
      machine_(machine),
      topology_(machine.topology()),
      costs_(machine.costs()),
      nr_cpus_(topology_.nr_cpus()),
      random_(config.seed),
      window_(make_window()),
      explorer_(machine.explorer()),
      private_(std::make_unique<Private>(*this)) {
  window_->activate();
  cgroups_ = std::make_unique<Cgroups>(*this);
  private_->make_runqueues();
  fair_ = make_fair_class(*this);
  rt_ = make_rt_class(*this);
  dl_ = make_deadline_class(*this);
  idle_ = make_idle_class(*this);
  stop_ = make_stop_class(*this);
  private_->name_classes();
  private_->identities = std::make_unique<Identities>(*this);
  private_->make_idle_tasks();
  bpf_ = std::make_unique<bpf::Bpf>(*this, *window_, config.version, config.vmlinux_btf,
                                    config.engine);
  cgroups_->on_gone([this](u64 cgroup) { bpf_->cgroup_gone(cgroup); });
  ext_ = std::make_unique<ext::Ext>(*this);
  ext_class().address = static_cast<abi::sched_class*>(window_->allocate(16, kSchedClassObject));
  private_->register_ksyms();
  ext_->init_rqs();
  for (Rq* rq : rqs_) {
    rq->dl_owner = std::make_shared<DlRq>(*rq, *fair_, ext_class());
    rq->dl = rq->dl_owner.get();
    rq->dl->fair.attached = true;  // the other when there is a scheduler
    private_->dl_bw += private_->dl_bw_of(*rq);
  }
  for (Rq* rq : rqs_) ext_->init_task_entity(*rq->idle_task());
  ext_->register_bpf();
  if (explored()) private_->make_kfuncs_sync_points();
}

Kernel::~Kernel() {
  USCX_ASSERT(!private_->in_entry);
  activate();
  // Suspended fibers unwind first, while everything they may touch is still there.
  for (Task* p = private_->all_tasks.front(); p; p = private_->all_tasks.next(*p)) {
    if (!p->kernel_stack) continue;
    set_context(this_cpu_, p->kernel_stack.get());
    p->kernel_stack.reset();
    set_context(this_cpu_, nullptr);
  }
  while (HostTimerLink* link = private_->host_timers.front()) timer_cancel(link->timer);
  ext_.reset();
  bpf_.reset();  // gives back the task references that its maps hold
  machine_.timer_cancel(private_->rcu.timer);
  private_->dl_cancel_timers();
  while (Task* p = private_->all_tasks.pop_front()) window_->destroy(p);
  cgroups_.reset();
  for (Rq* rq : rqs_) {
    window_->destroy(rq);
  }
}

// ----------------------------------------------------------------------------------- small things

u64 Kernel::jiffies() const {
  // Linux lets its counter start five minutes before it wraps at 32 bits.
  const u64 initial = static_cast<u32>(-300 * static_cast<s32>(config_.hz));
  return initial + now().ns / tick_ns();
}

bool Kernel::cpus_share_cache(CpuId a, CpuId b) const {
  const auto& cpus = topology().cpus;
  return cpus[static_cast<u32>(a)].llc == cpus[static_cast<u32>(b)].llc;
}

}  // namespace uscx::sched
