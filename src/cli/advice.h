// SPDX-License-Identifier: GPL-2.0-only
// What a refusal means, and what to do about it.
#pragma once

#include <optional>
#include <string_view>

namespace uscx::cli {

struct Advice {
  std::string_view pattern;  // part of a log line; '*' stands for anything within it
  std::string_view meaning;  // what went wrong
  std::string_view remedy;   // what to do
};

/// The advice for a log of the verifier, or for what libbpf said before it got that far: of the
/// last line that any pattern fits.
std::optional<Advice> advice_for(std::string_view log);

}  // namespace uscx::cli
