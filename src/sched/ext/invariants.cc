// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/invariants.h"

#include "sched/ext/idle_state.h"
#include "sched/ext/queue.h"
#include "sched/ext/rb_tree.h"
#include "sched/ext/task_iter.h"
#include "sched/invariants.h"

namespace uscx::sched::ext {

namespace {

std::string about(const Task& p) {
  return fmt::format("{}[{}] of CPU {}, {}, scx flags {:#x}, ops_state {}, dsq {}", p.comm, p.pid,
                     p.cpu, p.klass->name(), u32{p.scx.flags},
                     static_cast<u64>(p.scx.ops_state.counter) & kOpssStateMask,
                     p.scx.dsq ? fmt::format("{:#x}", u64{p.scx.dsq->id}) : "none");
}
std::string about(const Rq& rq) {
  return fmt::format("sched_ext's part of the runqueue of CPU {}", rq.id);
}
std::string about(const Dsq& dsq) {
  return fmt::format("DSQ {:#x}, nr {}", u64{dsq.id}, u32{dsq.nr});
}
std::string about(const Ext::Impl& ext) {
  return fmt::format("sched_ext, {}", enable_state_name(ext.state));
}

#define USCX_HOLDS(cond, object) \
  (static_cast<bool>(cond) ? static_cast<void>(0) : invariant_broken(kernel, #cond, about(object)))

u64 opss_state(const Task& p) {
  return static_cast<u64>(p.scx.ops_state.counter) & kOpssStateMask;
}

/// Custody is told apart from queues since 7.1.
void check_place(Kernel& kernel, const Task& p) {
  const Dsq* dsq = task_dsq(p);
  if (kernel.task_current(kernel.task_rq(p), p)) {
    USCX_HOLDS(dsq == nullptr && !p.scx_dsq_node.linked(), p);
    USCX_HOLDS(opss_state(p) == abi::SCX_OPSS_NONE, p);
    USCX_HOLDS(!(p.scx.flags & abi::SCX_TASK_IN_CUSTODY), p);
    return;
  }
  USCX_HOLDS(p.scx_runnable_node.linked() && p.scx.runnable_cpu == p.cpu, p);
  switch (opss_state(p)) {
    case abi::SCX_OPSS_QUEUED:
      USCX_HOLDS(dsq == nullptr && !p.scx_dsq_node.linked(), p);
      USCX_HOLDS(p.scx.flags & abi::SCX_TASK_IN_CUSTODY, p);
      return;
    case abi::SCX_OPSS_NONE:
      // On a queue; or, with dsq null, on its runqueue's list of moves to be made.
      USCX_HOLDS(p.scx_dsq_node.linked(), p);
      break;
    case abi::SCX_OPSS_DISPATCHING:
      return;  // in another CPU's hands, which is in an entry
    default:
      USCX_HOLDS(!"QUEUEING with the runqueue's lock free", p);
  }
  if (dsq == nullptr || dsq->guard.held()) return;
  const bool in_custody = (p.scx.flags & abi::SCX_TASK_IN_CUSTODY) != 0;
  USCX_HOLDS(in_custody == !dsq_is_builtin(dsq->id), p);
  if (dsq->is_local()) USCX_HOLDS(dsq->rq->id == p.cpu, p);
}

void check_dsq(Kernel& kernel, const Dsq& dsq) {
  if (dsq.is_local() ? dsq.rq->lock.held() : dsq.guard.held()) return;
  u32 nr = 0;
  const Task* before = nullptr;
  for (const Task* p = dsq.tasks.front(); p != nullptr; p = dsq.tasks.next(*p)) {
    ++nr;
    USCX_HOLDS(p->scx.dsq == &dsq, *p);
    // A dequeue, with the runqueue's lock, comes to the queue last.
    if (!kernel.task_rq(*p).lock.held()) USCX_HOLDS(p->scx.flags & abi::SCX_TASK_QUEUED, *p);
    const bool priq = (p->scx.dsq_flags & abi::SCX_TASK_DSQ_ON_PRIQ) != 0;
    USCX_HOLDS(priq == rb::linked(p->scx.dsq_priq), *p);
    if (before != nullptr && priq && (before->scx.dsq_flags & abi::SCX_TASK_DSQ_ON_PRIQ)) {
      USCX_HOLDS(!time_before64(p->scx.dsq_vtime, before->scx.dsq_vtime), *p);
    }
    before = p;
  }
  USCX_HOLDS(dsq.nr == nr, dsq);
  if (dsq.id == abi::SCX_DSQ_INVALID) USCX_HOLDS(nr == 0, dsq);
  if (!dsq_is_builtin(dsq.id)) USCX_HOLDS(dsq.first_task == dsq.tasks.front(), dsq);
  for (const DsqCursor* c : dsq.cursors) {
    USCX_HOLDS(c->dsq == &dsq, dsq);
    USCX_HOLDS(c->pos == nullptr || c->pos->scx.dsq == &dsq, dsq);
  }
}

}  // namespace

void check_task(Kernel& kernel, const Task& p) {
  if (!p.scx_tasks_node.linked()) return;  // not forked yet, or dead
  // Between queues, in the hands of a CPU that is moving it.
  if (p.scx.holding_cpu >= 0) return;
  const Ext::Impl& ext = impl_of(kernel);
  const u32 state = get_task_state(p);
  const bool is_ext = p.klass == &kernel.ext_class();
  // Between its last switch and its task_dead() one changes classes without hearing of it.
  const bool unheard = is_ext && task_dead_and_done(kernel, p);
  USCX_HOLDS(is_ext == (state == abi::SCX_TASK_ENABLED) || unheard, p);
  USCX_HOLDS(state < abi::SCX_TASK_READY || task_sched(p) != nullptr, p);
  if (is_ext) USCX_HOLDS(ext.root != nullptr && task_sched(p) == ext.root, p);

  const bool queued = (p.scx.flags & abi::SCX_TASK_QUEUED) != 0;
  USCX_HOLDS(queued == (is_ext && p.on_rq_queued()), p);
  if (queued) {
    check_place(kernel, p);
    return;
  }
  USCX_HOLDS(p.scx.dsq == nullptr && !p.scx_dsq_node.linked(), p);
  USCX_HOLDS(!p.scx_runnable_node.linked(), p);
  USCX_HOLDS(opss_state(p) == abi::SCX_OPSS_NONE, p);
  USCX_HOLDS(!(p.scx.flags & abi::SCX_TASK_IN_CUSTODY), p);
}

void check_rq(Kernel& kernel, Rq& rq) {
  const ExtRq& ext = ext_rq(rq);
  const Task& curr = *rq.current();
  check_dsq(kernel, *ext.local_dsq);
  USCX_HOLDS(rq.scx.local_dsq.nr == ext.local_dsq->nr, rq);
  u32 nr_immed = 0;
  for (const Task* p = ext.local_dsq->tasks.front(); p; p = ext.local_dsq->tasks.next(*p)) {
    USCX_HOLDS(p->cpu == rq.id && p != &curr, *p);
    if (p->scx.flags & abi::SCX_TASK_IMMED) ++nr_immed;
  }
  USCX_HOLDS(rq.scx.nr_immed == nr_immed, rq);

  u32 nr_runnable = 0;
  for (const Task* p = ext.runnable_list.front(); p; p = ext.runnable_list.next(*p)) {
    ++nr_runnable;
    USCX_HOLDS(p->cpu == rq.id && p->scx.runnable_cpu == rq.id, *p);
  }
  const bool curr_queued = curr.klass == &kernel.ext_class() && curr.on_rq_queued();
  USCX_HOLDS(rq.scx.nr_running == nr_runnable + (curr_queued ? 1 : 0), rq);

  Ext::Impl& impl = impl_of(kernel);
  if (!impl.enabled() || impl.root == nullptr) return;
  const IdleTracker& tracker = impl.idle->tracker;
  if (tracker.enabled()) {
    const NodeId node = tracker.per_node() ? tracker.node_of(rq.id) : kNoNode;
    const bool idle_bit = bitmap::test(tracker.cpu_mask(node).bits, static_cast<u32>(rq.id));
    // Before 7.3 all CPUs are said to idle when a scheduler comes, until they have been busy or
    // idle.
    if (kernel.config().version >= btf::KernelVersion{7, 3}) {
      USCX_HOLDS(!idle_bit || curr.is_idle(), rq);
    }
    // Where cores lose CPUs the mask may stay behind, as in Linux ("racy but that's fine").
    if (tracker.smt_active() && impl.hotplug_seq == 0) {
      const bool smt_bit = bitmap::test(tracker.smt_mask(node).bits, static_cast<u32>(rq.id));
      USCX_HOLDS(!smt_bit || idle_bit, rq);
    }
  }
  // A CPU that idles has nothing on its local DSQ, unless the scheduler put it there from
  // ops.enqueue() with SCX_ENQ_LAST, which the pick that settled on the idle task was not to see.
  const bool enq_last = (impl.root->ops.flags & abi::SCX_OPS_ENQ_LAST) != 0;
  if (!rq.in_entry && curr.is_idle() && !rq.need_resched && !enq_last) {
    USCX_HOLDS(ext.local_dsq->nr == 0, rq);
  }
}

void check_state(Kernel& kernel) {
  const Ext::Impl& ext = impl_of(kernel);
  for (const TaskIter* it = ext.iters; it != nullptr; it = it->outer()) {
    const Task* p = it->position();
    USCX_HOLDS(p == nullptr || p->scx_tasks_node.linked(), ext);
  }
  Sched* root = ext.root;
  if (root == nullptr) {
    USCX_HOLDS(!ext.enabled() && !ext.init_task_enabled && !ext.switched_all(), ext);
    USCX_HOLDS(ext.state != abi::SCX_ENABLED, ext);
    return;
  }
  USCX_HOLDS(!ext.switched_all() || ext.enabled(), ext);
  USCX_HOLDS(root->bypass_depth >= 0 && root->bypass_dsp_enable_depth >= 0, ext);
  // Entered before any task can reach a scheduler that does not know all of them yet...
  if (ext.init_task_enabled && !ext.enabled()) USCX_HOLDS(root->bypass_depth > 0, ext);
  // ... and left when none is left with it.
  if (ext.state == abi::SCX_DISABLING) USCX_HOLDS(root->bypass_depth > 0, ext);
  if (root->bypass_depth > 0) USCX_HOLDS(root->bypass_dsp_enable_depth > 0, ext);
  if (ext.bypass_lock.held()) return;
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    USCX_HOLDS(root->cpus[i].bypassing == (root->bypass_depth > 0), ext);
  }
}

void check_queues(Kernel& kernel) {
  const Ext::Impl& ext = impl_of(kernel);
  if (ext.root == nullptr) return;
  const Sched& root = *ext.root;
  for (const auto& [id, dsq] : root.dsqs) {
    USCX_HOLDS(dsq->id == id && dsq->owner == &root, *dsq);
    check_dsq(kernel, *dsq);
  }
  for (const Dsq* dsq : root.global_dsqs) check_dsq(kernel, *dsq);
  for (const SchedCpu& cpu : root.cpus) check_dsq(kernel, *cpu.bypass_dsq);
  for (const Dsq* dsq : root.destroyed_dsqs) check_dsq(kernel, *dsq);
}

}  // namespace uscx::sched::ext
