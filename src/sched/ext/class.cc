// SPDX-License-Identifier: GPL-2.0-only
// The scheduling class: what the core calls, handed on. Linux: DEFINE_SCHED_CLASS(ext).
#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

class ExtClass final : public SchedClass {
 public:
  explicit ExtClass(Ext::Impl& ext) : SchedClass(1), kernel_(ext.kernel) {}

  std::string_view name() const override { return "ext_sched_class"; }

  void enqueue_task(Rq& rq, Task& p, int flags) override { ext::enqueue_task(rq, p, flags); }
  bool dequeue_task(Rq& rq, Task& p, int flags) override { return ext::dequeue_task(rq, p, flags); }

  void yield_task(Rq& rq) override {
    Task& p = *rq.current();
    Sched& sch = *task_sched(p);
    task_slice_ended(rq, p);
    if (sch.has_op(Op::kYield)) {
      call_op_2tasks(sch, Op::kYield, &rq, p, nullptr);
    } else {
      set_task_slice(p, 0);
    }
  }
  bool yield_to_task(Rq& rq, Task& to) override {
    Task& from = *rq.current();
    Sched& sch = *task_sched(from);
    task_slice_ended(rq, from);
    if (!sch.has_op(Op::kYield) || !task_on_sched(sch, to)) return false;
    return call_op_2tasks(sch, Op::kYield, &rq, from, &to);
  }

  void wakeup_preempt(Rq& rq, Task& p, int) override {
    // Among our own, the BPF scheduler decides who preempts whom.
    if (task_is_ext(kernel_, p)) return;
    // A higher class takes the CPU: what must run at once cannot.
    if (rq.scx.nr_immed != 0) schedule_reenq_local(rq, 0);
  }

  Pick pick_task(Rq& rq, Task& prev) override { return ext::pick_task(rq, prev); }
  Pick server_pick_task(Rq& rq, Task& prev) override { return ext::pick_task(rq, prev, true); }
  void put_prev_task(Rq& rq, Task& p, Task* next) override { ext::put_prev_task(rq, p, next); }
  void set_next_task(Rq& rq, Task& p, bool) override { ext::set_next_task(rq, p); }

  CpuId select_task_rq(Task& p, CpuId prev_cpu, int flags) override {
    return ext::select_task_rq(p, prev_cpu, flags);
  }
  void task_woken(Rq& rq, Task&) override { run_deferred(rq); }

  void set_cpus_allowed(Task& p, const abi::cpumask* new_mask) override {
    kernel_.set_cpus_allowed_common(p, new_mask);
    Sched* sch = task_sched(p);
    if (task_dead_and_done(kernel_, p) || sch == nullptr) return;
    if (sch->has_op(Op::kSetCpumask)) call_set_cpumask(*sch, kernel_.task_rq(p), p);
  }

  void rq_online(Rq& rq) override { rq.scx.flags |= abi::SCX_RQ_ONLINE; }
  void rq_offline(Rq& rq) override {
    rq.scx.flags &= ~static_cast<u32>(abi::SCX_RQ_ONLINE);
    if (rq.active) return;  // rebuilt scheduling domains take a CPU that stays off and on again
    // Nothing may wait for this CPU only: whoever is with the scheduler goes through it again.
    auto& list = ext_rq(rq).runnable_list;
    for (Task *p = list.back(), *before; p != nullptr; p = before) {
      before = list.prev(*p);
      if (p->scx.dsq == ext_rq(rq).local_dsq) continue;
      kernel_.sched_change(*p, DEQUEUE_SAVE | DEQUEUE_MOVE | DEQUEUE_NOCLOCK, [] {});
    }
  }

  void task_tick(Rq& rq, Task& curr, bool) override {
    Sched& sch = *task_sched(curr);
    ext::update_curr(rq);
    if (bypassing(sch, rq.id)) {
      set_task_slice(curr, 0);
    } else if (sch.has_op(Op::kTick)) {
      call_op_task(sch, Op::kTick, &rq, curr);
    }
    if (curr.scx.slice == 0) kernel_.resched_curr(rq);
  }

  void switching_to(Rq& rq, Task& p) override {
    if (task_dead_and_done(kernel_, p)) return;
    Sched& sch = *task_sched(p);
    enable_task(sch, p);
    // While it was of another class nobody told the scheduler.
    if (sch.has_op(Op::kSetCpumask)) call_set_cpumask(sch, rq, p);
  }
  void switched_from(Rq&, Task& p) override {
    if (task_dead_and_done(kernel_, p) || get_task_state(p) == abi::SCX_TASK_NONE) return;
    disable_task(*task_sched(p), p);
  }
  void reweight_task(Rq& rq, Task& p, u32 weight) override {
    if (task_dead_and_done(kernel_, p) || get_task_state(p) != abi::SCX_TASK_ENABLED) return;
    Sched& sch = *task_sched(p);
    p.scx.weight = weight_to_cgroup(weight);
    if (sch.has_op(Op::kSetWeight)) {
      call_op_task(sch, Op::kSetWeight, &rq, p, {p.scx.weight});
    }
  }
  void update_curr(Rq& rq) override { ext::update_curr(rq); }

 private:
  static void call_set_cpumask(Sched& sch, Rq& rq, Task& p) {
    call_op_task(sch, Op::kSetCpumask, &rq, p, {reinterpret_cast<u64>(p.cpus_ptr)});
  }

  Kernel& kernel_;
};

}  // namespace

std::unique_ptr<SchedClass> make_class(Ext::Impl& ext) {
  return std::make_unique<ExtClass>(ext);
}

}  // namespace uscx::sched::ext
