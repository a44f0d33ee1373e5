// SPDX-License-Identifier: GPL-2.0-only
// sched_ext's counters against what its tracepoints said: event counters, callbacks, tasks on
// queues.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/types.h"
#include "sched/ext/protocol.h"

namespace uscx::sched {
class Kernel;
}

namespace uscx::sched::ext {

/// Counts from the moment it is made. Must not outlive the kernel.
class Tally {
 public:
  explicit Tally(Kernel& kernel);
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  /// Aborts as Invariants does where a counter is not what was counted. No CPU is in an entry.
  void check() const;

 private:
  void state_changed(Nanos now, std::string_view state);
  void check_callbacks() const;
  void check_events() const;
  void check_queues() const;

  Kernel& kernel_;
  std::map<std::string, s64, std::less<>> events_;  // of the scheduler there is
  u64 nr_bypassed_ = 0;                             // times it has been
  u64 bypassed_since_ns_ = 0;
  s64 bypassed_ns_ = 0;    // over periods that are over
  std::map<u64, s64> on_;  // by DSQ id: tasks put there and not taken off
  u64 callbacks_before_;   // what there were when it was made
  Protocol protocol_;
};

}  // namespace uscx::sched::ext
