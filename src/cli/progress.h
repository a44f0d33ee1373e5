// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <chrono>

#include "base/types.h"

namespace uscx::cli {

/// A progress bar on stderr for runs that take more than a second of real time; silent where stderr
/// is not a terminal. It reads the real clock, and nothing of it reaches the simulation.
class Progress {
 public:
  Progress(bool wanted, Nanos total);
  ~Progress() { clear(); }
  /// Called often; draws at most ten times a second.
  void update(Nanos now, u64 events);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  bool enabled_;
  Nanos total_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_ = started_;
  bool visible_ = false;
};

}  // namespace uscx::cli
