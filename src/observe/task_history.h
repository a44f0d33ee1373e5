// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "sched/ext/ops.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// The last ten events of every live task, for the one that a stall is about.
class TaskHistory {
 public:
  static constexpr u32 kDepth = 10;
  explicit TaskHistory(sched::Tracepoints& trace);
  TaskHistory(const TaskHistory&) = delete;

  /// Oldest first, as lines: "12.345678901 CPU 3 sched_wakeup".
  std::vector<std::string> lines(Pid pid) const;

 private:
  /// What is written at every step of every task is small: with thousands of tasks each line of it
  /// is one that is in no cache. So texts and numbers of more than 32 bits are kept once, by
  /// number.
  static constexpr u64 kTimeMask = (1ULL << 48) - 1;
  static constexpr u32 kMaxTexts = 1U << 14;
  /// Written whole, and so never read first, for which its line would have to be waited for.
  struct Event {
    enum class Detail : u8 { kNone, kCpu, kDsq, kPid };
    static constexpr u32 kTimeBits = 48, kKindBits = 2;
    Event() = default;
    Event(u64 at_ns, Detail kind, u32 what, u32 detail_, CpuId cpu_)
        : word((at_ns & kTimeMask) | static_cast<u64>(kind) << kTimeBits |
               u64{what} << (kTimeBits + kKindBits)),
          detail(detail_),
          cpu(cpu_) {}
    u64 at_ns() const { return word & kTimeMask; }  // 78 hours, and it begins anew: whole_time()
    Detail kind() const { return static_cast<Detail>(word >> kTimeBits & 3); }
    u32 what() const { return static_cast<u32>(word >> (kTimeBits + kKindBits)); }  // of texts_

    u64 word = 0;
    u32 detail = 0;  // of a DSQ: see dsq_detail()
    CpuId cpu = 0;
  };
  static_assert(sizeof(Event) == 16);
  /// Of whole lines: a task's are its own. A store that misses them is not waited for.
  struct alignas(64) Ring {
    std::array<Event, kDepth> events;
    Pid pid = 0;  // 0: no task has this slot
  };
  static constexpr u32 kUnwanted = 0;  // number of a text that is not kept
  using Detail = Event::Detail;

  u32 dsq_detail(u64 id);
  u64 dsq_id(u32 detail) const;
  void add(const sched::Task& p, Nanos now, CpuId cpu, u32 text, Detail kind, u32 detail);
  void grow(u32 slot);
  u64 whole_time(const Event& event) const;
  std::string format(const Event& event) const;

  std::vector<Ring> rings_;  // by slot
  /// By slot: the place of the next event, and kDepth more once all have been used. One byte each,
  /// so that they stay in the cache.
  std::vector<u8> next_;
  u64 last_ns_ = 0;  // of the last event
  std::vector<const char*> texts_;
  std::array<u32, sched::ext::kNrOps> op_texts_;
  std::vector<u64> wide_dsqs_;  // identifiers that do not fit into Event::detail
  std::unordered_map<u64, u32> wide_numbers_;
};

}  // namespace uscx::observe
