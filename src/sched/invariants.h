// SPDX-License-Identifier: GPL-2.0-only
// What must hold of tasks, runqueues, queues and masks whenever nobody is changing them: a runnable
// task is in exactly one place, nothing is lost, counters add up. Checked from outside, after
// events; a broken one is named on standard error and ends the process, as an assertion does.
#pragma once

#include <string_view>
#include <vector>

#include "base/types.h"
#include "sched/tally.h"

namespace uscx::sched {

class Kernel;
struct Rq;
struct Task;

/// Subscribes to a kernel's tracepoints to know what was touched. Must not outlive the kernel.
class Invariants {
 public:
  /// Everything is looked at once in so many events, and at the end.
  static constexpr u64 kEventsPerFullCheck = 1000;

  explicit Invariants(Kernel& kernel);
  Invariants(const Invariants&) = delete;
  Invariants& operator=(const Invariants&) = delete;

  /// After an event of the machine: what it touched, or everything where it is time. Other CPUs may
  /// be in the middle of entries (explored runs): what they have locked or in hand is left out.
  void after_event();
  /// Everything that holds still.
  void check_all();
  u64 events() const { return events_; }

 private:
  void touch(const Task& p);
  void check_task(const Task& p);
  void check_rq(Rq& rq);
  /// Over all tasks: what the runqueues' counters must be. No CPU is in an entry.
  void check_counts();
  /// No CPU is in a kernel entry.
  bool quiet() const;

  Kernel& kernel_;
  Tally tally_;
  std::vector<const Task*> touched_;
  u64 events_ = 0;
};

/// Prints "invariant broken: `what` (about: ...)" and where everything stands, and aborts.
[[noreturn]] void invariant_broken(Kernel& kernel, std::string_view what, std::string_view about);

}  // namespace uscx::sched
