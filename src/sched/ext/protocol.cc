// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/protocol.h"

#include "sched/ext/internal.h"
#include "sched/invariants.h"

namespace uscx::sched::ext {

Protocol::Protocol(Kernel& kernel) : kernel_(kernel) {
  Tracepoints& trace = kernel.trace();
  trace.scx_callback.subscribe(
      [this](Nanos, CpuId, Op op, const Task* p, u64 result) { called(op, p, result); });
  trace.sched_process_free.subscribe([this](const Task& p) {
    const auto it = tasks_.find(&p);
    if (it == tasks_.end()) return;
    if (it->second != 0) wrong("freed", p, it->second);
    tasks_.erase(it);
  });
}

u32 Protocol::known() const {
  const Ops& ops = impl_of(kernel_).root->ops;
  const auto both = [&](Op first, Op last, u32 state) {
    return ops.has(first) && ops.has(last) ? state : 0U;
  };
  return both(Op::kInitTask, Op::kExitTask, kInited) | both(Op::kEnable, Op::kDisable, kEnabled) |
         both(Op::kRunnable, Op::kQuiescent, kRunnable) |
         both(Op::kRunning, Op::kStopping, kRunning);
}

void Protocol::called(Op which, const Task* p, u64 result) {
  ++callbacks_;
  if (impl_of(kernel_).root == nullptr) return;
  const std::string_view op = op_name(which);
  switch (which) {
    case Op::kInitTask:
      if (static_cast<s32>(result) == 0) begin(op, *p, kInited, 0);
      return;
    case Op::kExitTask:
      return end(op, *p, kInited, kEnabled | kRunnable | kRunning);
    case Op::kEnable:
      begin(op, *p, kEnabled, kInited);
      // On its way between two runqueues: it is not said to be runnable when it gets there.
      if (p->on_rq_migrating()) tasks_[p] |= kRunnable & known();
      return;
    case Op::kDisable:
      if (p->on_rq_migrating()) tasks_[p] &= ~u32{kRunnable};
      return end(op, *p, kEnabled, kRunnable | kRunning);
    case Op::kRunnable:
      return begin(op, *p, kRunnable, kInited | kEnabled);
    case Op::kQuiescent:
      return end(op, *p, kRunnable, kRunning);
    case Op::kRunning:
      return begin(op, *p, kRunning, kInited | kEnabled | kRunnable);
    case Op::kStopping:
      return end(op, *p, kRunning, 0);
    case Op::kEnqueue:
    case Op::kDequeue: {
      const u32 needed = (kInited | kEnabled | kRunnable) & known();
      if ((tasks_[p] & needed) != needed) wrong(op, *p, tasks_[p]);
      return;
    }
    case Op::kTick: {
      const u32 needed = (kInited | kEnabled | kRunnable | kRunning) & known();
      if ((tasks_[p] & needed) != needed) wrong(op, *p, tasks_[p]);
      return;
    }
    case Op::kExit:
      for (const auto& [task, state] : tasks_) {
        if (state != 0) wrong(op, *task, state);
      }
      tasks_.clear();
      return;
    default:
      return;
  }
}

void Protocol::begin(std::string_view op, const Task& p, u32 state, u32 needed) {
  const u32 states = known();
  if ((states & state) == 0) return;
  u32& is = tasks_[&p];
  needed &= states;
  if ((is & state) != 0 || (is & needed) != needed) wrong(op, p, is);
  is |= state;
}

void Protocol::end(std::string_view op, const Task& p, u32 state, u32 excluded) {
  if ((known() & state) == 0) return;
  u32& is = tasks_[&p];
  if ((is & state) == 0 || (is & excluded) != 0) wrong(op, p, is);
  is &= ~state;
}

void Protocol::wrong(std::string_view op, const Task& p, u32 state) const {
  std::string was;
  if (state & kInited) was += " initialised";
  if (state & kEnabled) was += " enabled";
  if (state & kRunnable) was += " runnable";
  if (state & kRunning) was += " running";
  invariant_broken(kernel_,
                   fmt::format("ops.{} of a task that is{}", op, was.empty() ? " new" : was),
                   fmt::format("{}[{}] of CPU {}", p.comm, p.pid, p.cpu));
}

}  // namespace uscx::sched::ext
