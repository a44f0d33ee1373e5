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
  static constexpr u32 kTimeBits = 48, kTextBits = 7, kCpuBits = 12, kDetailBits = 28;
  static constexpr u64 kTimeMask = (1ULL << kTimeBits) - 1;  // 78 hours, and it begins anew
  static_assert(kMaxCpus <= 1U << kCpuBits);
  /// Written whole, and so never read first, for which its line would have to be waited for.
  class Event {
   public:
    Event() = default;
    Event(u64 at_ns, u32 text, u32 detail, CpuId cpu)
        : time_(static_cast<u32>(at_ns)),
          time_text_cpu_(static_cast<u32>((at_ns & kTimeMask) >> 32) | text << 16 |
                         static_cast<u32>(cpu) << (16 + kTextBits)),
          detail_cpu_(detail << (32 - kDetailBits) | static_cast<u32>(cpu) >> 9) {}
    u64 at_ns() const { return u64{time_text_cpu_ & 0xffff} << 32 | time_; }  // see whole_time()
    u32 text() const { return time_text_cpu_ >> 16 & ((1U << kTextBits) - 1); }
    CpuId cpu() const {
      return static_cast<CpuId>(time_text_cpu_ >> (16 + kTextBits) | (detail_cpu_ & 15) << 9);
    }
    u32 detail() const { return detail_cpu_ >> (32 - kDetailBits); }  // of a DSQ: dsq_detail()

   private:
    u32 time_ = 0;
    u32 time_text_cpu_ = 0;  // 16, 7 and 9 bits
    u32 detail_cpu_ = 0;     // 28 and 4
  };
  static_assert(sizeof(Event) == 12);
  /// Of whole lines: a task's are its own. A store that misses them is not waited for.
  struct alignas(64) Ring {
    std::array<Event, kDepth> events;
    Pid pid = 0;  // 0: no task has this slot
  };
  static_assert(sizeof(Ring) == 128);
  static constexpr u32 kUnwanted = 0;  // number of a text that is not kept
  /// What an event's detail is: the text says.
  enum class Detail : u8 { kNone, kCpu, kDsq, kPid };
  struct Text {
    const char* words;
    Detail detail;
  };

  u32 dsq_detail(u64 id);
  u64 dsq_id(u32 detail) const;
  void add(const sched::Task& p, Nanos now, CpuId cpu, u32 text, u32 detail);
  void grow(u32 slot);
  u64 whole_time(const Event& event) const;
  std::string format(const Event& event) const;

  std::vector<Ring> rings_;  // by slot
  /// By slot: the place of the next event, and kDepth more once all have been used. One byte each,
  /// so that they stay in the cache.
  std::vector<u8> next_;
  u64 last_ns_ = 0;  // of the last event
  std::vector<Text> texts_;
  std::array<u32, sched::ext::kNrOps> op_texts_;
  std::vector<u64> wide_dsqs_;  // identifiers that do not fit into Event::detail()
  std::unordered_map<u64, u32> wide_numbers_;
};

}  // namespace uscx::observe
