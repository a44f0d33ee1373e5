// SPDX-License-Identifier: GPL-2.0-only
// Iterators over dispatch queues, and moving tasks under them.
//
// A program's iterator is 48 bytes of its own stack; they hold a handle only, and where it stands
// is kept here, so that a program that is abandoned half-way leaves nothing behind in a queue.
#include <algorithm>

#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

DsqCursor* cursor_of(Ext::Impl& ext, const abi::bpf_iter_scx_dsq* it) {
  auto found = ext.cursors.find(it->__opaque[0]);
  return found == ext.cursors.end() ? nullptr : found->second.get();
}

Task* advance(DsqCursor& c) {
  auto& tasks = c.dsq->tasks;
  Task* p;
  if (!c.placed || c.pos == nullptr) {
    p = c.reverse ? tasks.back() : tasks.front();
  } else {
    p = c.reverse ? tasks.prev(*c.pos) : tasks.next(*c.pos);
  }
  while (p != nullptr && u32_before(c.seq, p->scx.dsq_seq)) {
    p = c.reverse ? tasks.prev(*p) : tasks.next(*p);
  }
  c.placed = p != nullptr;
  c.pos = p;
  return p;
}

/// Is `p`, visited earlier, no longer what the iterator saw? Locks of `rq` and the queue held.
bool lost_task(const DsqCursor& c, const Rq& rq, const Task& p) {
  return p.scx.dsq != c.dsq || u32_before(c.seq, p.scx.dsq_seq) || p.scx.holding_cpu >= 0 ||
         p.cpu != rq.id;
}

}  // namespace

s32 dsq_iter_new(Ext::Impl& ext, Sched* sch, abi::bpf_iter_scx_dsq* it, u64 dsq_id, u64 flags) {
  std::fill(std::begin(it->__opaque), std::end(it->__opaque), 0);
  if (sch == nullptr) return -ENODEV;
  if (flags & ~u64{abi::__SCX_DSQ_ITER_USER_FLAGS}) return -EINVAL;
  Dsq* dsq = find_user_dsq(*sch, dsq_id);
  if (dsq == nullptr) return -ENOENT;

  auto cursor = std::make_unique<DsqCursor>();
  cursor->handle = ext.next_cursor++;
  cursor->dsq = dsq;
  cursor->sched = sch;
  cursor->reverse = (flags & abi::SCX_DSQ_ITER_REV) != 0;
  cursor->seq = dsq->seq;
  it->__opaque[0] = cursor->handle;
  dsq->cursors.push_back(cursor.get());
  ext.cursors[cursor->handle] = std::move(cursor);
  return 0;
}

Task* dsq_iter_next(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it) {
  DsqCursor* c = cursor_of(ext, it);
  if (c == nullptr) return nullptr;
  LockGuard guard(c->dsq->guard, ext.kernel.held());
  return advance(*c);
}

void dsq_iter_destroy(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it) {
  DsqCursor* c = cursor_of(ext, it);
  if (c == nullptr) return;
  std::erase(c->dsq->cursors, c);
  ext.cursors.erase(c->handle);
  it->__opaque[0] = 0;
}

void dsq_iter_set_slice(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it, u64 slice) {
  if (DsqCursor* c = cursor_of(ext, it)) {
    c->slice = slice;
    c->has_slice = true;
  }
}

void dsq_iter_set_vtime(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it, u64 vtime) {
  if (DsqCursor* c = cursor_of(ext, it)) {
    c->vtime = vtime;
    c->has_vtime = true;
  }
}

bool dsq_move(Ext::Impl& ext, abi::bpf_iter_scx_dsq* it, Task& p, u64 dsq_id, u64 enq_flags,
              bool vtime) {
  DsqCursor* c = cursor_of(ext, it);
  if (c == nullptr) return false;
  Kernel& kernel = ext.kernel;
  Sched& sch = *c->sched;
  Dsq& src = *c->dsq;
  if (!vet_enq_flags(sch, dsq_id, enq_flags)) return false;
  if (vtime) enq_flags |= abi::SCX_ENQ_DSQ_PRIQ;
  // An iterating program could go on for ever; ejection must get through.
  if (sch.aborting) return false;

  Rq& src_rq = kernel.task_rq(p);
  Rq* locked = locked_rq(ext);
  if (locked == nullptr) {
    src_rq.lock.lock(kernel.held());
  } else if (locked != &src_rq) {
    switch_rq_lock(kernel, *locked, src_rq);
  }
  Rq* held = &src_rq;
  bool moved = false;
  src.guard.lock(kernel.held());
  if (lost_task(*c, src_rq, p)) {
    src.guard.unlock(kernel.held());
  } else if (!task_on_sched(sch, p)) {
    error(sch, "scx_bpf_dsq_move[_vtime]() on {}[{}] but the task belongs to a different scheduler",
          p.comm, p.pid);
    src.guard.unlock(kernel.held());
  } else {
    Dsq& dst = find_dsq_for_dispatch(sch, locked ? *locked : kernel.this_rq(), dsq_id, p.cpu);
    if (c->has_vtime) p.scx.dsq_vtime = c->vtime;
    if (c->has_slice) set_task_slice(p, c->slice);
    held = &move_task_between_dsqs(sch, p, enq_flags, src, dst);
    moved = true;
  }
  if (locked == nullptr) {
    held->lock.unlock(kernel.held());
  } else if (held != locked) {
    switch_rq_lock(kernel, *held, *locked);
  }
  c->has_slice = c->has_vtime = false;
  return moved;
}

}  // namespace uscx::sched::ext
