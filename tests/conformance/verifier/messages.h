// SPDX-License-Identifier: GPL-2.0-only
// Expected texts of the kernel's selftests, and how they are looked for in a log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace uscx::conformance {

/// One expected piece of text. Linux: struct expect_msg of test_loader.c.
struct Pattern {
  std::string text;           // as annotated; {{ }} encloses POSIX extended regular expressions
  bool negative = false;      // must not be there, between its positive neighbours
  bool on_next_line = false;  // on the line after the last match
};

/// Looks for `patterns` in `log` in order, as the kernel's test_loader does: each positive one
/// behind the end of the one before, negative ones between their neighbours. Empty where all is as
/// expected; else what is not, with the pattern.
std::string first_mismatch(std::string_view log, const std::vector<Pattern>& patterns);

}  // namespace uscx::conformance
