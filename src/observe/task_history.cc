// SPDX-License-Identifier: GPL-2.0-only
#include "observe/task_history.h"

#include <fmt/format.h>

#include <algorithm>

#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

TaskHistory::TaskHistory(sched::Tracepoints& trace) {
  using D = Event::Detail;
  trace.sched_switch.subscribe(
      [this](Nanos now, CpuId cpu, const Task& prev, u32 state, const Task& next) {
        if (!prev.is_idle())
          add(prev, {now.ns, static_cast<u32>(next.pid),
                     state == 0 ? "switched out, runnable" : "switched out, asleep", cpu, D::kPid});
        if (!next.is_idle())
          add(next, {now.ns, static_cast<u32>(prev.pid), "switched in", cpu, D::kPid});
      });
  trace.sched_wakeup.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId to) {
    add(p, {now.ns, static_cast<u32>(to), "wakeup", cpu, D::kCpu});
  });
  trace.sched_wakeup_new.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId to) {
    add(p, {now.ns, static_cast<u32>(to), "first wakeup", cpu, D::kCpu});
  });
  trace.sched_migrate_task.subscribe([this](Nanos now, const Task& p, CpuId from, CpuId to) {
    add(p, {now.ns, static_cast<u32>(to), "migrates", from, D::kCpu});
  });
  trace.scx_callback.subscribe(
      [this](Nanos now, CpuId cpu, std::string_view op, const Task* p, u64) {
        if (p && op != "tick") add(*p, {now.ns, 0, op.data(), cpu, D::kNone});
      });
  trace.scx_dsq.subscribe([this](Nanos now, const Task& p, u64 dsq, bool on, u32) {
    add(p, {now.ns, dsq, on ? "queued on" : "taken off", p.cpu, D::kDsq});
  });
  trace.sched_process_free.subscribe([this](const Task& p) {
    if (p.slot < index_.size()) index_[p.slot] = {};
  });
}

void TaskHistory::grow(u32 slot) {
  const std::size_t size = std::max<std::size_t>(slot + 1, index_.size() * 2);
  index_.resize(size);
  rings_.resize(size);
}

void TaskHistory::add(const Task& p, const Event& event) {
  if (p.slot >= index_.size()) [[unlikely]]
    grow(p.slot);
  Index& index = index_[p.slot];
  index.pid = p.pid;
  rings_[p.slot][index.count++ % kDepth] = event;
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
  const auto it = std::ranges::find(index_, pid, &Index::pid);
  if (it == index_.end() || pid == 0) return out;
  const Ring& ring = rings_[static_cast<std::size_t>(it - index_.begin())];
  for (u32 i = it->count - std::min(it->count, kDepth); i < it->count; ++i) {
    out.push_back(format(ring[i % kDepth]));
  }
  return out;
}

}  // namespace uscx::observe
