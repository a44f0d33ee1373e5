// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <string_view>

#include "base/hash.h"
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
  /// An op's name in one word. Names are literals: the same address is the same name.
  struct Name {
    const char* data = nullptr;
    u64 word = 0;
  };
  void add_name(std::string_view name);

  EventHash hash_;
  std::array<Name, 64> names_{};  // by a few bits of the address
};

}  // namespace uscx::observe
