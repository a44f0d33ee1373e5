// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <string>
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
  struct Event {
    u64 at_ns = 0;
    u64 detail = 0;
    const char* what = nullptr;  // a literal, or an op's name, which is one
    CpuId cpu = 0;
    enum class Detail : u8 { kNone, kCpu, kDsq, kPid } kind = Detail::kNone;
  };
  using Ring = std::array<Event, kDepth>;
  /// What is small lies apart from the rings, where all of it stays in the cache.
  struct Index {
    Pid pid = 0;    // 0: no task has this slot
    u32 count = 0;  // events so far
  };
  void add(const sched::Task& p, const Event& event);
  void grow(u32 slot);
  static std::string format(const Event& event);

  std::vector<Index> index_;  // by slot
  std::vector<Ring> rings_;   // by slot
};

}  // namespace uscx::observe
