// SPDX-License-Identifier: GPL-2.0-only
// A run of `uscx run` that a benchmark advances step by step.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "cli/session.h"

namespace uscx::bench {

/// USCX_BENCH_SCHEDULER, or the scx_simple of the kernel's tree; empty where that was not built: a
/// figure is of the same scheduler wherever it was taken.
std::string simple_scheduler();
/// A workload of bench/.
std::string workload_path(const char* name);

struct Counts {
  u64 events = 0, callbacks = 0, switches = 0;
  Counts operator-(const Counts& o) const {
    return {events - o.events, callbacks - o.callbacks, switches - o.switches};
  }
};

/// Ends the program with a message where anything fails: there is nothing to measure then.
class BenchSession {
 public:
  /// `trace`: the file that is written for Perfetto; empty: none.
  BenchSession(const std::string& scheduler, const char* machine, const std::string& workload,
               const std::string& trace = {});
  ~BenchSession();

  /// Until the scheduler is up, and for `warm_up` more.
  void settle(Nanos warm_up);
  void advance(Nanos by);
  Nanos now() const { return session_->now(); }
  Counts counts() const {
    return {session_->events(), session_->callbacks(), session_->switches()};
  }

 private:
  cli::RunPlan plan_;
  std::unique_ptr<cli::Session> session_;
  bool started_ = false;
};

}  // namespace uscx::bench
