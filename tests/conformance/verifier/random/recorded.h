// SPDX-License-Identifier: GPL-2.0-only
// What a real kernel said of generated programs, kept as text: see real_kernel/pack.py.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::conformance {

struct RecordedVerdict {
  int errnum = 0;        // 0: accepted
  std::string category;  // of the kernel's diagnosis
  std::string reason;    // with its numbers taken out

  /// Would accepting it let a program reach memory it does not own, or a freed object? Every
  /// refusal but those about form, policy and limits counts.
  bool for_memory_safety() const;
};

struct Recorded {
  std::vector<RecordedVerdict> kinds;
  u64 first = 0;             // seed
  std::vector<u32> by_seed;  // from the first on: index into kinds

  const RecordedVerdict& of(u64 seed) const { return kinds[by_seed[seed - first]]; }
};

OrError<Recorded> read_recorded(const std::string& path);

}  // namespace uscx::conformance
