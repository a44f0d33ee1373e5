// SPDX-License-Identifier: GPL-2.0-only
#include "observe/task_history.h"

#include <fmt/format.h>

#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

TaskHistory::TaskHistory(sched::Tracepoints& trace) {
  using D = Event::Detail;
  trace.sched_switch.subscribe(
      [this](Nanos now, CpuId cpu, const Task& prev, u32 state, const Task& next) {
        if (!prev.is_idle())
          add(prev, {now.ns, cpu, state == 0 ? "switched out, runnable" : "switched out, asleep",
                     static_cast<u32>(next.pid), D::kPid});
        if (!next.is_idle())
          add(next, {now.ns, cpu, "switched in", static_cast<u32>(prev.pid), D::kPid});
      });
  trace.sched_wakeup.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId to) {
    add(p, {now.ns, cpu, "wakeup", static_cast<u32>(to), D::kCpu});
  });
  trace.sched_wakeup_new.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId to) {
    add(p, {now.ns, cpu, "first wakeup", static_cast<u32>(to), D::kCpu});
  });
  trace.sched_migrate_task.subscribe([this](Nanos now, const Task& p, CpuId from, CpuId to) {
    add(p, {now.ns, from, "migrates", static_cast<u32>(to), D::kCpu});
  });
  trace.scx_callback.subscribe(
      [this](Nanos now, CpuId cpu, std::string_view op, const Task* p, u64) {
        if (p && op != "tick") add(*p, {now.ns, cpu, op, 0, D::kNone});
      });
  trace.scx_dsq.subscribe([this](Nanos now, const Task& p, u64 dsq, bool on, u32) {
    add(p, {now.ns, p.cpu, on ? "queued on" : "taken off", dsq, D::kDsq});
  });
  trace.sched_process_free.subscribe([this](const Task& p) { rings_.erase(p.pid); });
}

void TaskHistory::add(const Task& p, Event event) {
  Ring& ring = rings_[p.pid];
  ring.events[ring.next] = event;
  ring.next = (ring.next + 1) % kDepth;
  if (ring.count < kDepth) ++ring.count;
}

std::string TaskHistory::format(const Event& event) {
  std::string line = fmt::format("{}.{:09} CPU {:<4} {}", event.at_ns / 1'000'000'000,
                                 event.at_ns % 1'000'000'000, event.cpu, event.what);
  switch (event.kind) {
    case Event::Detail::kNone:
      break;
    case Event::Detail::kCpu:
      line += fmt::format(" to CPU {}", event.detail);
      break;
    case Event::Detail::kDsq:
      line += fmt::format(" DSQ {:#x}", event.detail);
      break;
    case Event::Detail::kPid:
      line += fmt::format(" (other: pid {})", event.detail);
      break;
  }
  return line;
}

std::vector<std::string> TaskHistory::lines(Pid pid) const {
  std::vector<std::string> out;
  const auto it = rings_.find(pid);
  if (it == rings_.end()) return out;
  const Ring& ring = it->second;
  for (u32 i = 0; i < ring.count; ++i) {
    out.push_back(format(ring.events[(ring.next + kDepth - ring.count + i) % kDepth]));
  }
  return out;
}

}  // namespace uscx::observe
