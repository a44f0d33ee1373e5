// SPDX-License-Identifier: GPL-2.0-only
// Disabling a scheduler, on its helper thread. Linux: scx_root_disable.
#include "sched/ext/cid.h"
#include "sched/ext/queue.h"
#include "sched/ext/task_iter.h"
#include "sched/ext/worker.h"

namespace uscx::sched::ext {
namespace {

/// Gives every task back to the class it would have without sched_ext.
void return_tasks(Sched& sch) {
  Ext::Impl& ext = sch.ext;
  Kernel& kernel = sch.kernel;
  TaskIter iter(ext);
  while (Task* p = iter.next_locked()) {
    SchedClass& new_class = setscheduler_class(kernel, *p);
    int flags = DEQUEUE_SAVE | DEQUEUE_MOVE | DEQUEUE_NOCLOCK;
    kernel.update_rq_clock(iter.rq());
    if (p->klass != &new_class) flags |= DEQUEUE_CLASS;
    kernel.sched_change(*p, flags, [&] { p->klass = &new_class; });
    // Tasks that a failed enable never came to have no scheduler.
    if (Sched* of = task_sched(*p)) disable_and_exit_task(*of, *p);
  }
}

/// Nothing of it is called from here on, except ops.exit().
void turn_off(Sched& sch) {
  Ext::Impl& ext = sch.ext;
  ext.set_enabled(false);
  ext.tid_to_task = false;
  sch.has_op_bits.reset();
  idle_disable(ext);
}

/// 7.2 keeps the numbers, of which kfuncs that need no scheduler still tell.
void retire_cids(Ext::Impl& ext) {
  if (!ext.cids) return;
  if (ext.kernel.config().version < btf::KernelVersion{7, 3}) return ext.cids->retire_topology();
  ext.cids.reset();
}

void log_disable(Sched& sch) {
  Kernel& kernel = sch.kernel;
  kernel.kernel_log(fmt::format("sched_ext: BPF scheduler \"{}\" disabled ({})", sch.ops.name,
                                sch.exit_info.reason));
  if (sch.exit_info.info->kind >= abi::SCX_EXIT_ERROR && sch.exit_info.msg[0] != '\0') {
    kernel.kernel_log(fmt::format("sched_ext: {}: {}", sch.ops.name, sch.exit_info.msg));
  }
}

}  // namespace

void root_disable(Sched& sch) {
  Ext::Impl& ext = sch.ext;
  Kernel& kernel = sch.kernel;
  // First of all: from here every task runs, whatever the scheduler does.
  bypass(sch, true);
  USCX_ASSERT(ext.state == abi::SCX_ENABLING || ext.state == abi::SCX_ENABLED);
  set_enable_state(ext, abi::SCX_DISABLING);

  ext.enable_mutex.lock(kernel);
  const bool was_switched_all = ext.switched_all();
  ext.set_switched_all(false);
  ext.switching_all = false;
  // Before the tasks, so that moves and forks do not see groups half-way.
  cgroup_lock(ext);
  ext.cgroup_enabled = false;
  cgroup_exit(sch);
  cgroup_unlock(ext);
  if (kernel.planted(PlantedBug::kBypassClearedEarly)) bypass(sch, false);
  ext.fork_rwsem.lock(kernel);
  ext.init_task_enabled = false;
  return_tasks(sch);
  {
    LockGuard guard(ext.dump_lock, kernel.held());
    sch.dump_disabled = true;
  }
  ext.fork_rwsem.unlock(kernel);
  detach_servers(ext, was_switched_all);
  turn_off(sch);
  kernel.synchronize_rcu();
  ext.tids.clear();

  log_disable(sch);
  ext.last_exit.dump = sch.exit_info.dump;
  if (sch.ops.has(Op::kExit)) {
    call_op(sch, Op::kExit, nullptr, {reinterpret_cast<u64>(sch.exit_info.info)});
  }
  sch.dead = true;
  kernel.synchronize_rcu();
  ext.root = nullptr;
  retire_cids(ext);
  refresh_watchdog(ext);
  ext.enable_mutex.unlock(kernel);
  set_enable_state(ext, abi::SCX_DISABLED);
  if (!kernel.planted(PlantedBug::kBypassClearedEarly)) bypass(sch, false);
}

void unregister(Ext::Impl& ext, const bpf::StructOpsTable& table) {
  auto it = ext.by_map.find(table.map_id);
  USCX_ASSERT(it != ext.by_map.end());
  Sched& sch = *it->second;
  disable(sch, abi::SCX_EXIT_UNREG);
  flush_disable_work(sch);
  ext.by_map.erase(table.map_id);
  sch.helper->shut_down();
  ext.retired.push_back(&sch);
}

void free_retired(Ext::Impl& ext) {
  for (Sched* sch : std::exchange(ext.retired, {})) {
    for (u32 i = 0; i < ext.kernel.nr_cpus(); ++i) {
      ExtRq& rq = ext_rq(ext.kernel.rq(static_cast<CpuId>(i)));
      std::erase(rq.sched_pcpus_to_kick, sch);
      std::erase(rq.deferred_reenq_locals, sch);
      std::erase_if(rq.deferred_reenq_users, [&](auto& u) { return u.first->owner == sch; });
    }
    ext.kernel.window().destroy(sch);
  }
}

}  // namespace uscx::sched::ext
