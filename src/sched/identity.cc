// SPDX-License-Identifier: GPL-2.0-only
#include "sched/identity.h"

#include <string_view>

#include "sched/kernel.h"

namespace uscx::sched {

namespace {

const bpf::ObjectType kPidObject{"pid"};
const bpf::ObjectType kPidNamespaceObject{"pid_namespace"};
const bpf::ObjectType kSignalObject{"signal_struct"};
const bpf::ObjectType kCredObject{"cred"};
const bpf::ObjectType kMmObject{"mm_struct"};
const bpf::ObjectType kKthreadObject{"kthread"};
const bpf::ObjectType kWorkerObject{"worker"};

constexpr unsigned kInitPidNsInode = 0xeffffffc;  // PROC_PID_INIT_INO
constexpr std::size_t kMmSize = 64;               // opaque: only whether there is one matters

}  // namespace

Identities::Identities(Kernel& kernel)
    : kernel_(kernel),
      namespace_(kernel.window().make<abi::pid_namespace>(kPidNamespaceObject)),
      root_cred_(kernel.window().make<abi::cred>(kCredObject)) {
  namespace_->ns.inum = kInitPidNsInode;
  namespace_->ns.__ns_ref.refs.counter = 1;
  namespace_->pid_max = 4'194'304;
  root_cred_->usage.counter = 1;  // of uid and gid 0
}

abi::pid* Identities::make_pid(Pid nr) {
  auto* pid = kernel_.window().make<abi::pid>(kPidObject);
  pid->count.refs.counter = 1;
  pid->numbers[0].nr = nr;
  pid->numbers[0].ns = namespace_;
  ++namespace_->pid_allocated;
  return pid;
}

void Identities::put_pid(abi::pid* pid) {
  if (--pid->count.refs.counter > 0) return;
  --namespace_->pid_allocated;
  kernel_.window().destroy(pid);
}

void Identities::make_signal(Task& p, const Task* parent) {
  auto* signal = kernel_.window().make<abi::signal_struct>(kSignalObject);
  signal->sigcnt.refs.counter = signal->live.counter = signal->nr_threads = 1;
  const abi::signal_struct* family = parent ? parent->signal : nullptr;
  for (int type = 0; type < abi::PIDTYPE_MAX; ++type) {
    const bool own = type == abi::PIDTYPE_PID || type == abi::PIDTYPE_TGID || family == nullptr;
    signal->pids[type] = own ? p.thread_pid : family->pids[type];
    ++signal->pids[type]->count.refs.counter;
  }
  signal->thread_head.next = signal->thread_head.prev = &p.thread_node;
  p.thread_node.next = p.thread_node.prev = &signal->thread_head;
  p.signal = signal;
}

void Identities::make_kthread(Task& p) {
  auto* kthread = kernel_.window().make<abi::kthread>(kKthreadObject);
  kthread->task = &p;
  kthread->cpu = static_cast<u32>(p.cpu);
  p.worker_private = kthread;
  if (!std::string_view(p.comm).starts_with("kworker")) return;
  auto* worker = kernel_.window().make<abi::worker>(kWorkerObject);
  std::string_view(p.comm).copy(worker->desc, sizeof(worker->desc) - 1);
  worker->task = &p;
  kthread->data = worker;
  p.flags |= PF_WQ_WORKER;
}

void Identities::make(Task& p, const Task* parent) {
  p.thread_pid = make_pid(p.pid);
  if (p.pid == 1) namespace_->child_reaper = &p;
  make_signal(p, parent);
  p.cred = p.real_cred = root_cred_;
  ++root_cred_->usage.counter;
  if (p.is_kthread()) {
    make_kthread(p);
  } else {
    p.mm = p.active_mm =
        static_cast<abi::mm_struct*>(kernel_.window().allocate(kMmSize, kMmObject));
  }
}

void Identities::release(Task& p) {
  bpf::AddressWindow& window = kernel_.window();
  if (p.signal == nullptr) return;
  for (abi::pid* pid : p.signal->pids) put_pid(pid);
  put_pid(p.thread_pid);
  window.destroy(p.signal);
  --root_cred_->usage.counter;
  if (p.mm) window.free(p.mm);
  if (auto* kthread = static_cast<abi::kthread*>(p.worker_private)) {
    if (kthread->data) window.destroy(static_cast<abi::worker*>(kthread->data));
    window.destroy(kthread);
  }
}

}  // namespace uscx::sched
