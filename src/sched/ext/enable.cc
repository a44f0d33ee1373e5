// SPDX-License-Identifier: GPL-2.0-only
// Enabling a scheduler. Linux: scx_enable, scx_root_enable_workfn.
#include "bpf/bpf.h"
#include "sched/cgroup.h"
#include "sched/ext/cid.h"
#include "sched/ext/queue.h"
#include "sched/ext/rescue.h"
#include "sched/ext/task_iter.h"
#include "sched/ext/worker.h"

namespace uscx::sched::ext {
namespace {

struct EnableCmd {
  std::shared_ptr<bpf::StructOpsTable> table;
  bool cid_form = false;
  int ret = 0;  // positive errno
  bool done = false;
  WaitQueue waiters;
};

/// What a scheduler being enabled holds while it goes through the steps that may fail.
class Enabling {
 public:
  Enabling(Ext::Impl& ext, Sched& sch) : ext_(ext), sch_(sch), kernel_(ext.kernel) {}

  /// 0, or a negative errno: the caller ejects the scheduler.
  int run() {
    if (int ret = publish(); ret != 0) return ret;
    if (int ret = validate(); ret != 0) return ret;
    // Before anything is committed: it may fail. Fair servers go when nothing may.
    if (!attach_servers(ext_)) return -EBUSY;
    start_bypass();
    if (int ret = init_all_tasks(); ret != 0) return ret;
    switch_all_tasks();
    bypass(sch_, false);
    if (step_fails(ext_, EnableStep::kEnableRace)) {
      error(sch_, "fault injection");
      kernel_.sleep_ns(Nanos::from_ms(1));
    }
    if (ext_.state != abi::SCX_ENABLING) {
      USCX_ASSERT(sch_.exit_kind != abi::SCX_EXIT_NONE);
      return -EBUSY;
    }
    set_enable_state(ext_, abi::SCX_ENABLED);
    return 0;
  }

 private:
  /// Under the CPU hotplug lock: makes it the root, and runs ops.init().
  int publish() {
    ext_.cpus_lock.lock_shared(kernel_);
    const int ret = publish_cpus_locked();
    ext_.cpus_lock.unlock_shared(kernel_);
    if (ret != 0 && !init_error_.empty()) error(sch_, "{}", init_error_);
    return ret;
  }

  int publish_cpus_locked() {
    ext_.cids = std::make_shared<CidTables>(kernel_.topology(), kernel_.online_mask(),
                                            sch_.ops.cid_shard_size);
    ext_.root = &sch_;
    if (step_fails(ext_, EnableStep::kLink)) return -ENOMEM;
    refresh_watchdog(ext_);
    idle_enable(sch_);
    if (const int ret = call_init(); ret != 0) {
      init_error_ = fmt::format("ops.init() failed ({})", ret);
      return ret;
    }
    for (Op op : {Op::kCpuOnline, Op::kCpuOffline}) {
      if (sch_.ops.has(op)) sch_.has_op_bits.set(static_cast<std::size_t>(op));
    }
    if (const int ret = check_hotplug_seq(); ret != 0) return ret;
    idle_update_selcpu_topology(sch_);
    return 0;
  }

  int call_init() {
    int ret = 0;
    if (step_fails(ext_, EnableStep::kInit)) {
      ret = -ENOMEM;
    } else if (sch_.ops.has(Op::kInit)) {
      ret = static_cast<s32>(call_op(sch_, Op::kInit, nullptr, {}));
    } else {
      return 0;
    }
    if (ret != 0) return sanitize_err(sch_, Op::kInit, ret);
    sch_.exit_info.info->flags |= abi::SCX_EFLAG_INITIALIZED;
    return 0;
  }

  int check_hotplug_seq() {
    const u64 expected = sch_.ops.hotplug_seq;
    const bool fail = step_fails(ext_, EnableStep::kHotplugSeq);
    if (!fail && (expected == 0 || expected == ext_.hotplug_seq)) return 0;
    exit_sched(sch_, abi::SCX_EXIT_UNREG_KERN,
               static_cast<s64>(abi::SCX_ECODE_ACT_RESTART | abi::SCX_ECODE_RSN_HOTPLUG),
               "expected hotplug seq {} did not match actual {}", expected, ext_.hotplug_seq);
    return -EBUSY;
  }

  /// Linux: scx_validate_ops.
  int validate() {
    const Ops& ops = sch_.ops;
    if (step_fails(ext_, EnableStep::kValidate)) return -EINVAL;
    if ((ops.flags & abi::SCX_OPS_ENQ_LAST) && !ops.has(Op::kEnqueue)) {
      error(sch_, "SCX_OPS_ENQ_LAST requires ops.enqueue() to be implemented");
      return -EINVAL;
    }
    if ((ops.flags & abi::SCX_OPS_BUILTIN_IDLE_PER_NODE) && ops.has(Op::kUpdateIdle) &&
        !(ops.flags & abi::SCX_OPS_KEEP_BUILTIN_IDLE)) {
      error(sch_, "SCX_OPS_BUILTIN_IDLE_PER_NODE requires CPU idle selection enabled");
      return -EINVAL;
    }
    if (sch_.is_cid_type) return 0;
    if (ops.has(Op::kCpuAcquire) || ops.has(Op::kCpuRelease)) {
      kernel_.kernel_log("ops->cpu_acquire/release() are deprecated, use sched_switch TP instead");
    }
    if (ops.has(Op::kSubAttach) || ops.has(Op::kSubDetach)) {
      error(sch_, "sub_attach/sub_detach requires cid-form struct_ops");
      return -EINVAL;
    }
    return 0;
  }

  /// From here on its callbacks are called, and tasks go round it until all of them are known to
  /// it.
  void start_bypass() {
    bypass(sch_, true);
    for (std::size_t i = 0; i < kNrOps; ++i) {
      const Op op = static_cast<Op>(i);
      const bool normal = op != Op::kCpuOnline && op != Op::kCpuOffline && op != Op::kInitCids &&
                          op != Op::kInit && op != Op::kExit && op != Op::kCpuAcquire &&
                          op != Op::kCpuRelease;
      if (normal && sch_.ops.has(op)) sch_.has_op_bits.set(i);
    }
    if (sch_.ops.has(Op::kCpuAcquire) || sch_.ops.has(Op::kCpuRelease)) {
      sch_.ops.flags |= abi::SCX_OPS_HAS_CPU_PREEMPT;
    }
  }

  int init_all_tasks() {
    // Nobody forks while the flag and the list change over; from here every fork initialises.
    const bool fork_excluded = !kernel_.planted(PlantedBug::kForkNotExcluded);
    if (fork_excluded) ext_.fork_rwsem.lock(kernel_);
    USCX_ASSERT(!ext_.init_task_enabled);
    ext_.init_task_enabled = true;
    if (sch_.ops.flags & abi::SCX_OPS_TID_TO_TASK) ext_.tid_to_task = true;
    cgroup_lock(ext_);
    int ret = cgroup_init(sch_);
    if (ret == 0) {
      ext_.cgroup_enabled = true;
      ret = init_listed_tasks();
    }
    cgroup_unlock(ext_);
    if (fork_excluded) ext_.fork_rwsem.unlock(kernel_);
    return ret;
  }

  int init_listed_tasks() {
    TaskIter iter(ext_);
    while (Task* p = iter.next_locked()) {
      // init_task() may sleep. The task may run, and die, meanwhile; it is not freed.
      kernel_.get_task(*p);
      set_task_state(*p, abi::SCX_TASK_INIT_BEGIN);
      if (kernel_.planted(PlantedBug::kTaskStateBeforeInit)) {
        set_task_state(*p, abi::SCX_TASK_INIT);
        set_task_state(*p, abi::SCX_TASK_READY);
      }
      iter.unlock();
      const int ret =
          step_fails(ext_, EnableStep::kInitTask) ? -ENOMEM : init_task(sch_, *p, false);
      kernel_.consume(Nanos{kernel_.costs().task_iter_ns});
      iter.relock(*p);
      finish_init_task(*p, ret);
      if (ret != 0) {
        iter.unlock();
        error(sch_, "ops.init_task() failed ({}) for {}[{}]", ret, p->comm, p->pid);
        kernel_.put_task(*p);
        return ret;
      }
      kernel_.put_task(*p);
    }
    return 0;
  }

  void finish_init_task(Task& p, int ret) {
    const bool died = get_task_state(p) == abi::SCX_TASK_DEAD;
    if (ret != 0) {
      if (!died) set_task_state(p, abi::SCX_TASK_NONE);
      return;
    }
    if (died) {
      if (sch_.has_op(Op::kExitTask)) call_op_exit_task(sch_, kernel_.task_rq(p), p, true);
      return;
    }
    if (kernel_.planted(PlantedBug::kTaskStateBeforeInit)) {
      p.scx.sched = sch_.abi_pointer();
      return;
    }
    set_task_state(p, abi::SCX_TASK_INIT);
    p.scx.sched = sch_.abi_pointer();
    set_task_state(p, abi::SCX_TASK_READY);
    if (ext_.tid_to_task && p.scx_tasks_node.linked()) ext_.tids[p.scx.tid] = &p;
  }

  void switch_all_tasks() {
    ext_.switching_all = !(sch_.ops.flags & abi::SCX_OPS_SWITCH_PARTIAL);
    ext_.set_enabled(true);
    // Forks in progress saw the old answer of task_should_scx(): they end before tasks are
    // switched.
    ext_.fork_rwsem.lock(kernel_);
    {
      TaskIter iter(ext_);
      while (Task* p = iter.next_locked()) {
        SchedClass& new_class = setscheduler_class(kernel_, *p);
        if (get_task_state(*p) != abi::SCX_TASK_READY) continue;
        int flags = DEQUEUE_SAVE | DEQUEUE_MOVE;
        if (p->klass != &new_class) flags |= DEQUEUE_CLASS;
        kernel_.sched_change(*p, flags, [&] {
          set_task_slice(*p, sch_.slice_dfl);
          p->klass = &new_class;
        });
      }
    }
    ext_.fork_rwsem.unlock(kernel_);
  }

  Ext::Impl& ext_;
  Sched& sch_;
  Kernel& kernel_;
  std::string init_error_;  // reported once the CPU hotplug lock is dropped
};

Sched& alloc_sched(Ext::Impl& ext, EnableCmd& cmd) {
  Kernel& kernel = ext.kernel;
  const char* type = cmd.cid_form ? "sched_ext_ops_cid" : "sched_ext_ops";
  Ops ops = read_ops(kernel.bpf().vmlinux(), type, *cmd.table);
  Sched* sch = kernel.window().make<Sched>(kSchedObject, ext, std::move(ops), cmd.cid_form);
  sch->table = cmd.table;
  sch->map_id = cmd.table->map_id;
  sch->helper = std::make_unique<Worker>(kernel, "sched_ext_helper", kFifoPriority);
  ext.by_map[cmd.table->map_id] = sch;
  return *sch;
}

/// With scx_enable_mutex held. Returns the scheduler, or a positive errno in cmd.ret.
Sched* prepare(Ext::Impl& ext, EnableCmd& cmd) {
  if (ext.state != abi::SCX_DISABLED || ext.by_map.contains(cmd.table->map_id)) {
    cmd.ret = EBUSY;
    return nullptr;
  }
  if (step_fails(ext, EnableStep::kAllocKickSyncs)) {
    cmd.ret = ENOMEM;
    return nullptr;
  }
  free_retired(ext);
  set_enable_state(ext, abi::SCX_ENABLING);
  USCX_ASSERT(ext.root == nullptr);
  if (step_fails(ext, EnableStep::kAllocSched)) {
    set_enable_state(ext, abi::SCX_DISABLED);
    cmd.ret = ENOMEM;
    return nullptr;
  }
  Sched& sch = alloc_sched(ext, cmd);
  ext.nr_rejected = 0;
  for (u32 i = 0; i < ext.kernel.nr_cpus(); ++i) {
    Rq& rq = ext.kernel.rq(static_cast<CpuId>(i));
    rq.scx.local_dsq.sched = ext_rq(rq).local_dsq->sched = sch.abi_pointer();
    rq.scx.cpuperf_target = abi::SCX_CPUPERF_ONE;
  }
  warn_of_rescue_parameters(sch);
  return &sch;
}

/// On the scx_enable_helper thread.
void root_enable(Ext::Impl& ext, EnableCmd& cmd) {
  Kernel& kernel = ext.kernel;
  ext.enable_mutex.lock(kernel);
  Sched* sch = prepare(ext, cmd);
  if (sch == nullptr) {
    ext.enable_mutex.unlock(kernel);
    return;
  }
  const int ret = Enabling(ext, *sch).run();
  if (ret == 0) {
    if (ext.switching_all) ext.set_switched_all(true);
    if (ext.switched_all()) detach_fair_servers(ext);
    kernel.kernel_log(fmt::format("sched_ext: BPF scheduler \"{}\" enabled{}", sch->ops.name,
                                  ext.switched_all() ? "" : " (partial)"));
    ++ext.enable_seq;
    ext.enable_mutex.unlock(kernel);
    return;
  }
  ext.enable_mutex.unlock(kernel);
  // Attaching succeeds all the same, as in Linux: the scheduler hears why in ops.exit().
  error(*sch, "scx_root_enable() failed ({})", ret);
  flush_disable_work(*sch);
}

/// A table with a cgroup: a sub-scheduler, which the root one must accept by ops.sub_attach(). Only
/// those of the cid form have that. Returns the positive errno. Linux: scx_sub_enable_workfn.
int sub_enable(Ext::Impl& ext, const EnableCmd& cmd, u64 cgroup_id) {
  ext.enable_mutex.lock(ext.kernel);
  int ret = EOPNOTSUPP;
  if (!ext.enabled()) {
    ret = ENODEV;
  } else if (ext.by_map.contains(cmd.table->map_id)) {
    ret = EBUSY;
  } else if (ext.kernel.cgroups().from_id(cgroup_id) == nullptr) {
    ret = ENOENT;
  } else {
    USCX_ASSERT(!ext.root->is_cid_type);  // those cannot be attached yet
  }
  ext.enable_mutex.unlock(ext.kernel);
  return ret;
}

void enable_as_asked(Ext::Impl& ext, EnableCmd& cmd) {
  const char* type = cmd.cid_form ? "sched_ext_ops_cid" : "sched_ext_ops";
  const u64 cgroup_id = read_ops(ext.kernel.bpf().vmlinux(), type, *cmd.table).sub_cgroup_id;
  if (cgroup_id > 1) {
    cmd.ret = sub_enable(ext, cmd, cgroup_id);
  } else {
    root_enable(ext, cmd);
  }
}

}  // namespace

SchedClass& setscheduler_class(Kernel& kernel, const Task& p) {
  if (p.klass == &kernel.stop_class()) return kernel.stop_class();
  return kernel.class_for(p, static_cast<int>(p.policy), p.prio);
}

int enable(Ext::Impl& ext, std::shared_ptr<bpf::StructOpsTable> table, bool cid_form) {
  Kernel& kernel = ext.kernel;
  if (!ext.enable_helper) {
    ext.enable_helper = std::make_unique<Worker>(kernel, "scx_enable_helper", kFifoPriority);
  }
  EnableCmd cmd;
  cmd.table = std::move(table);
  cmd.cid_form = cid_form;
  ext.enable_helper->queue([&] {
    enable_as_asked(ext, cmd);
    cmd.done = true;
    cmd.waiters.wake_all(kernel);
  });
  while (!cmd.done) cmd.waiters.sleep(kernel);
  return cmd.ret;
}

void fail_at(Ext& ext, EnableStep step, u32 n) {
  ext.impl().fail_step = step;
  ext.impl().fail_after = n;
}

bool step_fails(Ext::Impl& ext, EnableStep step) {
  if (ext.fail_step != step) return false;
  if (ext.fail_after-- != 0) return false;
  ext.fail_step = EnableStep::kNone;
  return true;
}

}  // namespace uscx::sched::ext
