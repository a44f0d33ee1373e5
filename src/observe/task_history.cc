// SPDX-License-Identifier: GPL-2.0-only
#include "observe/task_history.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

TaskHistory::TaskHistory(sched::Tracepoints& trace) {
  texts_.push_back({"", Detail::kNone});  // kUnwanted
  const auto text = [this](const char* words, Detail detail) {
    texts_.push_back({words, detail});
    USCX_ASSERT(texts_.size() <= 1U << kTextBits);
    return static_cast<u32>(texts_.size() - 1);
  };
  const u32 runnable = text("switched out, runnable", Detail::kPid);
  const u32 asleep = text("switched out, asleep", Detail::kPid);
  const u32 switched_in = text("switched in", Detail::kPid);
  trace.sched_switch.subscribe([this, runnable, asleep, switched_in](Nanos now, CpuId cpu,
                                                                     const Task& prev, u32 state,
                                                                     const Task& next) {
    if (!prev.is_idle()) {
      const auto to = static_cast<u32>(next.pid);
      add(prev, now, cpu, state == 0 ? runnable : asleep, to);
    }
    if (!next.is_idle()) {
      add(next, now, cpu, switched_in, static_cast<u32>(prev.pid));
    }
  });
  const u32 wakeup = text("wakeup", Detail::kCpu),
            first_wakeup = text("first wakeup", Detail::kCpu);
  trace.sched_wakeup.subscribe([this, wakeup](Nanos now, CpuId cpu, const Task& p, CpuId to) {
    add(p, now, cpu, wakeup, static_cast<u32>(to));
  });
  trace.sched_wakeup_new.subscribe(
      [this, first_wakeup](Nanos now, CpuId cpu, const Task& p, CpuId to) {
        add(p, now, cpu, first_wakeup, static_cast<u32>(to));
      });
  const u32 migrates = text("migrates", Detail::kCpu);
  trace.sched_migrate_task.subscribe(
      [this, migrates](Nanos now, const Task& p, CpuId from, CpuId to) {
        add(p, now, from, migrates, static_cast<u32>(to));
      });
  for (std::size_t i = 0; i < op_texts_.size(); ++i) {
    const auto op = static_cast<sched::ext::Op>(i);
    // Ticks would leave nothing else.
    op_texts_[i] = op == sched::ext::Op::kTick
                       ? kUnwanted
                       : text(sched::ext::op_name(op).data(), Detail::kNone);
  }
  trace.scx_callback.subscribe([this](Nanos now, CpuId cpu, sched::ext::Op op, const Task* p, u64) {
    const u32 name = op_texts_[static_cast<std::size_t>(op)];
    if (p != nullptr && name != kUnwanted) add(*p, now, cpu, name, 0);
  });
  const u32 queued = text("queued on", Detail::kDsq), taken = text("taken off", Detail::kDsq);
  trace.scx_dsq.subscribe([this, queued, taken](Nanos now, const Task& p, u64 dsq, bool on, u32) {
    add(p, now, p.cpu, on ? queued : taken, dsq_detail(dsq));
  });
  trace.sched_process_free.subscribe([this](const Task& p) {
    if (p.slot >= rings_.size()) return;
    rings_[p.slot].pid = 0;
    next_[p.slot] = 0;
  });
}

namespace {
// How a DSQ's identifier is kept: its two flags and what is below them, or where it is kept whole.
constexpr u32 kFlagsShift = 62, kDetailFlagsShift = 26;
constexpr u32 kWide = 1U << 25;
}  // namespace

u32 TaskHistory::dsq_detail(u64 id) {
  const u64 flags = id >> kFlagsShift, low = id & ((1ULL << kFlagsShift) - 1);
  if (low < kWide) [[likely]]
    return static_cast<u32>(flags << kDetailFlagsShift | low);
  const auto [it, fresh] =
      wide_numbers_.try_emplace(id, static_cast<u32>(wide_dsqs_.size()) & (kWide - 1));
  if (fresh) wide_dsqs_.push_back(id);
  return kWide | it->second;
}

u64 TaskHistory::dsq_id(u32 detail) const {
  if ((detail & kWide) != 0) return wide_dsqs_[detail & (kWide - 1)];
  return u64{detail >> kDetailFlagsShift} << kFlagsShift | (detail & (kWide - 1));
}

void TaskHistory::grow(u32 slot) {
  const std::size_t size = std::max<std::size_t>(slot + 1, rings_.size() * 2);
  rings_.resize(size);
  next_.resize(size);
}

void TaskHistory::add(const Task& p, Nanos now, CpuId cpu, u32 text, u32 detail) {
  if (p.slot >= next_.size()) [[unlikely]]
    grow(p.slot);
  last_ns_ = now.ns;
  Ring& ring = rings_[p.slot];
  u8& next = next_[p.slot];
  if (next == 0) ring.pid = p.pid;
  ring.events[next < kDepth ? next : next - kDepth] = Event(now.ns, text, detail, cpu);
  next = next + 1 == 2 * kDepth ? kDepth : static_cast<u8>(next + 1);
}

/// The last moment before now that ends like the event's.
u64 TaskHistory::whole_time(const Event& event) const {
  const u64 at_ns = (last_ns_ & ~kTimeMask) | event.at_ns();
  return at_ns > last_ns_ ? at_ns - kTimeMask - 1 : at_ns;
}

std::string TaskHistory::format(const Event& event) const {
  const u64 at_ns = whole_time(event);
  std::string line = fmt::format("{}.{:09} CPU {:<4} {}", at_ns / 1'000'000'000,
                                 at_ns % 1'000'000'000, event.cpu(), texts_[event.text()].words);
  switch (texts_[event.text()].detail) {
    case Detail::kNone:
      break;
    case Detail::kCpu:
      line += fmt::format(" to CPU {}", event.detail());
      break;
    case Detail::kDsq:
      line += fmt::format(" DSQ {:#x}", dsq_id(event.detail()));
      break;
    case Detail::kPid:
      line += fmt::format(" (other: pid {})", event.detail());
      break;
  }
  return line;
}

std::vector<std::string> TaskHistory::lines(Pid pid) const {
  std::vector<std::string> out;
  const auto ring = std::ranges::find(rings_, pid, &Ring::pid);
  if (ring == rings_.end() || pid == 0) return out;
  const u32 next = next_[static_cast<std::size_t>(ring - rings_.begin())];
  const u32 first = next < kDepth ? 0 : next - kDepth, count = next < kDepth ? next : kDepth;
  for (u32 i = 0; i < count; ++i) out.push_back(format(ring->events[(first + i) % kDepth]));
  return out;
}

}  // namespace uscx::observe
