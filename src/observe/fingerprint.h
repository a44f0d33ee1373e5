// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>

#include "base/hash.h"
#include "sched/ext/ops.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// A 64-bit hash of a run's event stream: every switch, wakeup, migration, fork, exit, callback,
/// exit of a scheduler and message, with its time and CPU. Two runs with the same value did the
/// same. Must outlive the kernel's use of its tracepoints.
class Fingerprint {
 public:
  explicit Fingerprint(sched::Tracepoints& trace);
  Fingerprint(const Fingerprint&) = delete;
  u64 value() const { return hash_.value(); }

 private:
  EventHash hash_;
  std::array<u64, sched::ext::kNrOps> op_words_;  // an op's name in one word
};

}  // namespace uscx::observe
