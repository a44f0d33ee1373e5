// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace uscx::machine {

struct SeedFailure {
  u64 seed = 0;
  std::string what;  // what the body said, or what its process wrote before it died
};

struct SeedsRun {
  u64 seeds = 0;  // that were run
  std::vector<SeedFailure> failures;
  /// Kinds of failures: failure_kind() of each, in order of appearance.
  std::vector<std::string> kinds() const;
};

struct SeedsOptions {
  u64 first = 1;
  u64 count = 1;
  bool stop_at_first = false;
  u32 seconds_per_seed = 120;  // of real time; a seed that needs more has failed
  std::function<void(u64 done, u64 failures)> progress = {};
};

/// Runs `body` for each seed, in a child process, so that an assertion or a crash ends a seed and
/// not the search. The body returns what went wrong, or nothing.
SeedsRun run_seeds(const SeedsOptions& options, const std::function<std::string(u64 seed)>& body);

/// The first line of a failure without its numbers: the same for the same bug, mostly.
std::string failure_kind(std::string_view what);

}  // namespace uscx::machine
