// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <map>
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
    CpuId cpu = 0;
    std::string_view what;  // a literal, or an op's name (which lives as long as the kernel)
    u64 detail = 0;
    enum class Detail : u8 { kNone, kCpu, kDsq, kPid } kind = Detail::kNone;
  };
  struct Ring {
    std::array<Event, kDepth> events{};
    u32 next = 0;
    u32 count = 0;
  };
  void add(const sched::Task& p, Event event);
  static std::string format(const Event& event);

  std::map<Pid, Ring> rings_;
};

}  // namespace uscx::observe
