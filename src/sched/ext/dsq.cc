// SPDX-License-Identifier: GPL-2.0-only
// Dispatch queues: making and finding them, putting tasks on and taking them off.
#include <algorithm>

#include "sched/ext/queue.h"
#include "sched/ext/rb_tree.h"

namespace uscx::sched::ext {
namespace {

Task& task_of(const rb::Node& n) {
  const auto offset = offsetof(abi::task_struct, scx.dsq_priq);
  auto* p = reinterpret_cast<abi::task_struct*>(
      const_cast<char*>(reinterpret_cast<const char*>(&n)) - offset);
  return *Task::from(p);
}

/// Iterators that stand at `p`, which leaves: they go on from its neighbour.
void step_cursors_off(Dsq& dsq, const Task& p) {
  for (DsqCursor* c : dsq.cursors) {
    if (c->pos == &p) c->pos = c->reverse ? dsq.tasks.next(p) : dsq.tasks.prev(p);
  }
}

void insert_by_vtime(Dsq& dsq, Task& p) {
  rb::add(dsq.priq, p.scx.dsq_priq, [](const rb::Node& a, const rb::Node& b) {
    return time_before64(task_of(a).scx.dsq_vtime, task_of(b).scx.dsq_vtime);
  });
  p.scx.dsq_flags |= abi::SCX_TASK_DSQ_ON_PRIQ;
  if (const rb::Node* before = rb::prev(p.scx.dsq_priq)) {
    Task* next = dsq.tasks.next(task_of(*before));
    if (next != nullptr) {
      dsq.tasks.insert_before(*next, p);
    } else {
      dsq.tasks.push_back(p);
    }
  } else {
    dsq.tasks.push_front(p);
  }
}

/// At the head; behind tasks of a local DSQ that must not be overtaken.
void insert_at_head(Dsq& dsq, Task& p) {
  Task* pos = dsq.tasks.front();
  if (dsq.is_local()) {
    while (pos != nullptr && (pos->scx.flags & abi::SCX_TASK_PROTECTED)) pos = dsq.tasks.next(*pos);
  }
  if (pos != nullptr) {
    dsq.tasks.insert_before(*pos, p);
  } else {
    dsq.tasks.push_back(p);
  }
}

void update_first(Dsq& dsq) {
  if (!dsq_is_builtin(dsq.id) && dsq.id != abi::SCX_DSQ_INVALID) dsq.first_task = dsq.tasks.front();
}

void publish_nr(Dsq& dsq) {
  if (dsq.is_local()) dsq.rq->scx.local_dsq.nr = dsq.nr;
}

}  // namespace

/// The task is linked: counts it, and arranges for one that must run at once (IMMED) to be taken
/// back where it cannot. Linux: dsq_inc_nr.
void dsq_inc_nr(Dsq& dsq, Task& p, u64 enq_flags) {
  ++dsq.nr;
  publish_nr(dsq);
  dsq.kernel.trace().scx_dsq(dsq.kernel.now(), p, dsq.id, true, dsq.nr);
  if (enq_flags & abi::SCX_ENQ_IMMED) {
    if (!dsq.is_local()) {
      USCX_ASSERT(enq_flags & abi::SCX_ENQ_GDSQ_FALLBACK);
      return;
    }
    p.scx.flags |= abi::SCX_TASK_IMMED;
  }
  if (p.scx.flags & abi::SCX_TASK_IMMED) {
    if (!dsq.is_local()) return;
    Rq& rq = *dsq.rq;
    ++rq.scx.nr_immed;
    if (dsq.nr > 1 || !rq_is_open(rq, enq_flags)) schedule_reenq_local(rq, 0);
  }
}

void dsq_dec_nr(Dsq& dsq, Task& p) {
  USCX_ASSERT(dsq.nr > 0);
  --dsq.nr;
  publish_nr(dsq);
  dsq.kernel.trace().scx_dsq(dsq.kernel.now(), p, dsq.id, false, dsq.nr);
  if ((p.scx.flags & abi::SCX_TASK_IMMED) && dsq.is_local()) {
    USCX_ASSERT(dsq.rq->scx.nr_immed > 0);
    --dsq.rq->scx.nr_immed;
  }
}

void dsq_link(Sched& sch, Dsq& dsq, Task& p, u64 enq_flags) {
  USCX_ASSERT(!p.scx_dsq_node.linked());
  if (enq_flags & abi::SCX_ENQ_DSQ_PRIQ) {
    if (rb::empty(dsq.priq) && !dsq.tasks.empty()) {
      error(sch, "DSQ ID 0x{:016x} already had FIFO-enqueued tasks", u64{dsq.id});
    }
    insert_by_vtime(dsq, p);
  } else {
    if (!rb::empty(dsq.priq)) {
      error(sch, "DSQ ID 0x{:016x} already had PRIQ-enqueued tasks", u64{dsq.id});
    }
    if (enq_flags & (abi::SCX_ENQ_HEAD | abi::SCX_ENQ_PREEMPT)) {
      insert_at_head(dsq, p);
    } else {
      dsq.tasks.push_back(p);
    }
  }
  update_first(dsq);
}

void task_unlink_from_dsq(Task& p, Dsq& dsq) {
  USCX_ASSERT(p.scx_dsq_node.linked());
  if (p.scx.dsq_flags & abi::SCX_TASK_DSQ_ON_PRIQ) {
    rb::erase(dsq.priq, p.scx.dsq_priq);
    p.scx.dsq_flags &= ~static_cast<u32>(abi::SCX_TASK_DSQ_ON_PRIQ);
  }
  step_cursors_off(dsq, p);
  dsq.tasks.erase(p);
  dsq_dec_nr(dsq, p);
  update_first(dsq);
}

void local_dsq_insert(Dsq& dsq, Task& p, u64 enq_flags) {
  if (enq_flags & (abi::SCX_ENQ_HEAD | abi::SCX_ENQ_PREEMPT)) {
    insert_at_head(dsq, p);
  } else {
    dsq.tasks.push_back(p);
  }
  dsq_inc_nr(dsq, p, enq_flags);
  p.scx.dsq = &dsq;
}

Dsq& find_global_dsq(Sched& sch, CpuId cpu) {
  const Topology& topology = sch.kernel.topology();
  const NodeId node = topology.cpus[static_cast<u32>(cpu)].node;
  return *sch.global_dsqs[static_cast<u32>(node)];
}

Dsq* find_user_dsq(Sched& sch, u64 dsq_id) {
  auto it = sch.dsqs.find(dsq_id);
  return it == sch.dsqs.end() ? nullptr : it->second;
}

Dsq& find_dsq_for_dispatch(Sched& sch, Rq& rq, u64 dsq_id, CpuId tcpu) {
  if (dsq_id == abi::SCX_DSQ_LOCAL) return *ext_rq(rq).local_dsq;
  if (dsq_is_local_on(dsq_id)) {
    const auto cpu = static_cast<CpuId>(dsq_id & abi::SCX_DSQ_LOCAL_CPU_MASK);
    if (!cpu_valid(sch, cpu, "in SCX_DSQ_LOCAL_ON dispatch verdict")) {
      return find_global_dsq(sch, tcpu);
    }
    return *ext_rq(sch.kernel.rq(cpu)).local_dsq;
  }
  if (dsq_id == abi::SCX_DSQ_GLOBAL) return find_global_dsq(sch, tcpu);
  if (Dsq* dsq = find_user_dsq(sch, dsq_id)) return *dsq;
  error(sch, "non-existent DSQ 0x{:x}", dsq_id);
  return find_global_dsq(sch, tcpu);
}

// --------------------------------------------------------------------------------- kfuncs

s32 create_dsq(Ext::Impl& ext, Sched* sch, u64 dsq_id, s32 node) {
  const auto nr_nodes = static_cast<s32>(ext.kernel.topology().nr_nodes);
  if (node >= nr_nodes || (node < 0 && node != -1)) return -EINVAL;
  if (dsq_is_builtin(dsq_id)) return -EINVAL;
  if (sch == nullptr) return -ENODEV;
  if (find_user_dsq(*sch, dsq_id) != nullptr) return -EEXIST;
  sch->dsqs[dsq_id] = ext.kernel.window().make<Dsq>(kDsqObject, ext.kernel, dsq_id, sch);
  return 0;
}

void destroy_dsq(Sched& sch, u64 dsq_id) {
  Dsq* dsq = find_user_dsq(sch, dsq_id);
  if (dsq == nullptr) return;
  LockGuard guard(dsq->guard, sch.kernel.held());
  if (dsq->nr != 0) {
    error(sch, "attempting to destroy in-use dsq 0x{:016x} (nr={})", u64{dsq->id}, u32{dsq->nr});
    return;
  }
  if (sch.kernel.planted(PlantedBug::kDestroyDsqLockOrder)) {
    LockGuard rq_guard(sch.kernel.this_rq().lock, sch.kernel.held());
  }
  sch.dsqs.erase(dsq_id);
  dsq->id = abi::SCX_DSQ_INVALID;
  sch.destroyed_dsqs.push_back(dsq);
}

s32 dsq_nr_queued(Sched& sch, u64 dsq_id) {
  if (dsq_id == abi::SCX_DSQ_LOCAL) {
    Rq* rq = locked_rq(sch.ext);
    return static_cast<s32>(ext_rq(rq ? *rq : sch.kernel.this_rq()).local_dsq->nr);
  }
  if (dsq_is_local_on(dsq_id)) {
    const auto cpu = static_cast<CpuId>(dsq_id & abi::SCX_DSQ_LOCAL_CPU_MASK);
    if (cpu_valid(sch, cpu)) return static_cast<s32>(ext_rq(sch.kernel.rq(cpu)).local_dsq->nr);
  } else if (const Dsq* dsq = find_user_dsq(sch, dsq_id)) {
    return static_cast<s32>(dsq->nr);
  }
  return -ENOENT;
}

Task* dsq_peek(Sched& sch, u64 dsq_id) {
  if (dsq_is_builtin(dsq_id)) {
    error(sch, "peek disallowed on builtin DSQ 0x{:x}", dsq_id);
    return nullptr;
  }
  const Dsq* dsq = find_user_dsq(sch, dsq_id);
  if (dsq == nullptr) {
    error(sch, "peek on non-existent DSQ 0x{:x}", dsq_id);
    return nullptr;
  }
  return Task::from(dsq->first_task);
}

}  // namespace uscx::sched::ext
