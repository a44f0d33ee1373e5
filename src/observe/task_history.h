// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "observe/steps.h"
#include "sched/ext/ops.h"
#include "sched/task.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// The last ten events of every live task, for the one that a stall is about.
class TaskHistory {
 public:
  static constexpr u32 kDepth = 10;
  explicit TaskHistory(sched::Tracepoints& trace, Steps steps = Steps::kSubscribed);
  TaskHistory(const TaskHistory&) = delete;

  /// Oldest first, as lines: "12.345678901 CPU 3 sched_wakeup".
  std::vector<std::string> lines(Pid pid) const;

  // See steps.h.
  void on_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 state,
                 const sched::Task& next) {
    last_ns_ = now.ns;
    if (!prev.is_idle()) {
      // It has been told of when it was switched in.
      const Kind kind = state == 0 ? Kind::kPreempted : Kind::kAsleep;
      put(prev, place(now, cpu, kind), static_cast<u32>(next.pid));
    }
    if (!next.is_idle()) add(next, place(now, cpu, Kind::kSwitchedIn), static_cast<u32>(prev.pid));
  }
  void on_wakeup(Nanos now, CpuId cpu, const sched::Task& p, CpuId to) {
    last_ns_ = now.ns;
    add(p, place(now, cpu, Kind::kWakeup), static_cast<u32>(to));
  }
  void on_migrate(Nanos now, const sched::Task& p, CpuId from, CpuId to) {
    last_ns_ = now.ns;
    add(p, place(now, from, Kind::kMigrates), static_cast<u32>(to));
  }
  void on_callback(Nanos now, CpuId cpu, sched::ext::Op op, const sched::Task* p, u64) {
    // Ticks would leave nothing else.
    if (p == nullptr || op == sched::ext::Op::kTick) return;
    last_ns_ = now.ns;
    add(*p, place(now, cpu, Kind::kCallback), static_cast<u32>(op));
  }
  /// Something of this task will be told soon.
  void prefetch(u32 slot) const {
    if (slot >= nr_slots_) return;
    const Ring& ring = rings_[slot];
    __builtin_prefetch(&ring, 1);
    __builtin_prefetch(&ring.events.back(), 1);
  }

 private:
  enum class Kind : u8 {
    kNone,  // no event: so many there were not
    kPreempted,
    kAsleep,
    kSwitchedIn,
    kWakeup,
    kFirstWakeup,
    kMigrates,
    kCallback,
    kQueued,
    kTaken
  };
  /// What is written at every step of every task is small: with thousands of tasks each line of it
  /// is one that is in no cache. Time, CPU and kind are one word, its place; what else there is to
  /// say (a CPU, a pid, a callback, a DSQ: see kWide), another.
  static constexpr u32 kTimeBits = 48, kCpuBits = 12, kKindBits = 4;
  static_assert(kTimeBits + kCpuBits + kKindBits == 64);
  static constexpr u64 kTimeMask = (1ULL << kTimeBits) - 1;  // 78 hours, and it begins anew
  static_assert(kMaxCpus <= 1U << kCpuBits);
  static u64 place(Nanos now, CpuId cpu, Kind kind) {
    return now.ns << (64 - kTimeBits) | u64{static_cast<u32>(cpu)} << kKindBits |
           static_cast<u64>(kind);
  }
  /// Written whole, and so never read first, for which its line would have to be waited for.
  class Event {
   public:
    Event() = default;
    Event(u64 place, u32 detail)
        : low_(static_cast<u32>(place)), high_(static_cast<u32>(place >> 32)), detail_(detail) {}
    u64 at_ns() const { return (u64{high_} << 32 | low_) >> (64 - kTimeBits); }  // whole_time()
    Kind kind() const { return static_cast<Kind>(low_ & ((1U << kKindBits) - 1)); }
    CpuId cpu() const { return static_cast<CpuId>(low_ >> kKindBits & ((1U << kCpuBits) - 1)); }
    u32 detail() const { return detail_; }

   private:
    u32 low_ = 0, high_ = 0;  // of the place
    u32 detail_ = 0;
  };
  static_assert(sizeof(Event) == 12);
  /// Of whole lines: a task's are its own. A store that misses them is not waited for.
  struct alignas(64) Ring {
    Pid pid = 0;   // 0: no task has this slot
    u32 next = 0;  // the place of the next event
    std::array<Event, kDepth> events;
  };
  static_assert(sizeof(Ring) == 128);

  u64 dsq_id(u32 detail) const;
  void add(const sched::Task& p, u64 place, u32 detail);
  void begin_and_add(const sched::Task& p, u64 place, u32 detail);
  void on_wakeup_new(Nanos now, CpuId cpu, const sched::Task& p, CpuId to);
  void on_dsq(Nanos now, const sched::Task& p, u64 dsq, bool on, u32);
  void on_wide_dsq(Nanos now, const sched::Task& p, u64 dsq, bool on);
  void add_dsq(Nanos now, const sched::Task& p, u32 detail, bool on) {
    last_ns_ = now.ns;
    add(p, place(now, p.cpu, on ? Kind::kQueued : Kind::kTaken), detail);
  }
  void forget(const sched::Task& p);
  /// Of a task that has a place in here.
  void put(const sched::Task& p, u64 place, u32 detail) {
    Ring& ring = rings_[p.slot];
    const u32 at = ring.next;
    ring.events[at] = Event(place, detail);
    ring.next = at == kDepth - 1 ? 0 : at + 1;
  }
  u64 whole_time(const Event& event) const;
  std::string format(const Event& event) const;

  /// How a DSQ's identifier is kept: its two flags are the lowest bits, then the lowest of its own;
  /// or, of one that does not fit, the place in wide_dsqs_.
  static constexpr u32 kWide = 1U << 31;

  u64 last_ns_ = 0;  // of the last event
  u32 nr_slots_ = 0;
  std::vector<Ring> rings_;  // by slot
  std::vector<u64> wide_dsqs_;
  std::unordered_map<u64, u32> wide_numbers_;
};

}  // namespace uscx::observe
