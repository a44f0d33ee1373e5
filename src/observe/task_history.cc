// SPDX-License-Identifier: GPL-2.0-only
#include "observe/task_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace uscx::observe {

using sched::Task;

TaskHistory::TaskHistory(sched::Tracepoints& trace, Steps steps) {
  if (steps == Steps::kSubscribed) subscribe_steps(trace, *this);
  trace.sched_wakeup_new.subscribe<&TaskHistory::on_wakeup_new>(*this);
  trace.scx_dsq.subscribe<&TaskHistory::on_dsq>(*this);
  trace.sched_process_free.subscribe<&TaskHistory::forget>(*this);
}

void TaskHistory::on_wakeup_new(Nanos now, CpuId cpu, const Task& p, CpuId to) {
  last_ns_ = now.ns;
  add(p, place(now, cpu, Kind::kFirstWakeup), static_cast<u32>(to));
}

inline void TaskHistory::on_dsq(Nanos now, const Task& p, u64 dsq, bool on, u32) {
  const u64 detail = std::rotl(dsq, 2);
  if (detail >= kWide) [[unlikely]]
    return on_wide_dsq(now, p, dsq, on);
  add_dsq(now, p, static_cast<u32>(detail), on);
}

void TaskHistory::forget(const Task& p) {
  if (p.slot >= nr_slots_) return;
  rings_[p.slot] = {};
}

[[gnu::cold]] void TaskHistory::on_wide_dsq(Nanos now, const Task& p, u64 dsq, bool on) {
  const auto [it, fresh] =
      wide_numbers_.try_emplace(dsq, static_cast<u32>(wide_dsqs_.size()) & (kWide - 1));
  if (fresh) wide_dsqs_.push_back(dsq);
  add_dsq(now, p, kWide | it->second, on);
}

u64 TaskHistory::dsq_id(u32 detail) const {
  if ((detail & kWide) != 0) return wide_dsqs_[detail & (kWide - 1)];
  return std::rotr(u64{detail}, 2);
}

/// One function for all kinds: what is called from everywhere lies in the cache.
[[gnu::noinline]] void TaskHistory::add(const Task& p, u64 place, u32 detail) {
  if (p.slot >= nr_slots_ || rings_[p.slot].pid == 0) [[unlikely]]
    return begin_and_add(p, place, detail);
  put(p, place, detail);
}

[[gnu::cold]] void TaskHistory::begin_and_add(const Task& p, u64 place, u32 detail) {
  if (p.slot >= nr_slots_) {
    const std::size_t size = std::max<std::size_t>(p.slot + 1, rings_.size() * 2);
    rings_.resize(size);
    nr_slots_ = static_cast<u32>(size);
  }
  rings_[p.slot].pid = p.pid;
  put(p, place, detail);
}

/// The last moment before now that ends like the event's.
u64 TaskHistory::whole_time(const Event& event) const {
  const u64 at_ns = (last_ns_ & ~kTimeMask) | event.at_ns();
  return at_ns > last_ns_ ? at_ns - kTimeMask - 1 : at_ns;
}

std::string TaskHistory::format(const Event& event) const {
  const auto said = [&event](const char* what) {
    return fmt::format("{} (other: pid {})", what, event.detail());
  };
  const auto to_cpu = [&event](const char* what) {
    return fmt::format("{} to CPU {}", what, event.detail());
  };
  const auto with_dsq = [this, &event](const char* what) {
    return fmt::format("{} DSQ {:#x}", what, dsq_id(event.detail()));
  };
  const auto words = [&]() -> std::string {
    switch (event.kind()) {
      case Kind::kNone:
        break;
      case Kind::kPreempted:
        return said("switched out, runnable");
      case Kind::kAsleep:
        return said("switched out, asleep");
      case Kind::kSwitchedIn:
        return said("switched in");
      case Kind::kWakeup:
        return to_cpu("wakeup");
      case Kind::kFirstWakeup:
        return to_cpu("first wakeup");
      case Kind::kMigrates:
        return to_cpu("migrates");
      case Kind::kCallback:
        return std::string(sched::ext::op_name(static_cast<sched::ext::Op>(event.detail())));
      case Kind::kQueued:
        return with_dsq("queued on");
      case Kind::kTaken:
        return with_dsq("taken off");
    }
    return {};
  };
  const u64 at_ns = whole_time(event);
  return fmt::format("{}.{:09} CPU {:<4} {}", at_ns / 1'000'000'000, at_ns % 1'000'000'000,
                     event.cpu(), words());
}

std::vector<std::string> TaskHistory::lines(Pid pid) const {
  std::vector<std::string> out;
  const auto ring = std::ranges::find(rings_, pid, &Ring::pid);
  if (ring == rings_.end() || pid == 0) return out;
  for (u32 i = 0; i < kDepth; ++i) {
    const Event& event = ring->events[(ring->next + i) % kDepth];
    if (event.kind() != Kind::kNone) out.push_back(format(event));
  }
  return out;
}

}  // namespace uscx::observe
