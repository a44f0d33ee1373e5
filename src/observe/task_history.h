// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/types.h"
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
  /// Of whole lines: a task's are its own.
  struct alignas(64) Ring {
    std::array<Event, kDepth> events;
  };
  /// What is small lies apart from the rings, where all of it stays in the cache.
  struct Index {
    Pid pid = 0;    // 0: no task has this slot
    u32 count = 0;  // events so far
  };
  /// A known text's number; kUnwanted for what is not kept.
  static constexpr u32 kUnwanted = 0;
  struct Text {
    const char* data = nullptr;
    u32 number = kUnwanted;
  };
  using Detail = Event::Detail;

  u32 number_of(const char* text);
  u32 dsq_detail(u64 id);
  u64 dsq_id(u32 detail) const;
  void add(const sched::Task& p, Nanos now, CpuId cpu, u32 text, Detail kind, u32 detail);
  void grow(u32 slot);
  u64 whole_time(const Event& event) const;
  std::string format(const Event& event) const;

  std::vector<Index> index_;  // by slot
  std::vector<Ring> rings_;   // by slot
  u64 last_ns_ = 0;           // of the last event
  std::vector<const char*> texts_;
  std::array<Text, 64> known_;  // texts by address, one for each value of some of its bits
  std::vector<u64> wide_dsqs_;  // identifiers that do not fit into Event::detail
  std::unordered_map<u64, u32> wide_numbers_;
};

}  // namespace uscx::observe
