// SPDX-License-Identifier: GPL-2.0-only
// The kernel's counters against what its tracepoints said, and its tasks against what was born and
// died: nothing is counted twice, or forgotten.
#pragma once

#include <vector>

#include "base/types.h"
#include "sched/ext/tally.h"

namespace uscx::sched {

/// Counts from the moment it is made. Must not outlive the kernel.
class Tally {
 public:
  explicit Tally(Kernel& kernel);
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  /// Aborts as Invariants does where a counter is not what was counted. No CPU is in an entry.
  void check() const;

 private:
  struct Counts {
    u64 switches = 0, migrations = 0, forks = 0, exits = 0;
    std::vector<u64> switches_by_cpu;
  };
  /// As the kernel has them.
  Counts kernels() const;
  void check_tasks() const;

  Kernel& kernel_;
  Counts counted_;
  ext::Tally ext_;
};

}  // namespace uscx::sched
