// SPDX-License-Identifier: GPL-2.0-only
// --set: what a loader would write to its skeleton's .rodata, .data and .bss before load.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

struct bpf_object;

namespace uscx::cli {

/// One `--set`: `name=value` (with `name` a variable, or a path such as `conf.limits[2]`), or
/// `name[N]`, which gives an array at the end of its own data section N elements.
struct VariableSetting {
  std::string text;  // as given
  std::string path;
  std::string value;  // empty for a resize
  bool resize = false;
  unsigned elements = 0;
};

OrError<VariableSetting> parse_setting(const std::string& text);

/// Applies settings to an opened, not yet loaded object, in order. The error names the variable,
/// what is wrong, and similar names where there are some.
OrError<void> apply_settings(bpf_object* object, const std::vector<VariableSetting>& settings);

/// Writes an integer to variable `name` if the object has it. False where it does not.
OrError<bool> set_integer_if_present(bpf_object* object, const std::string& name,
                                     unsigned long long value);

/// Names of all variables of data sections that start with `prefix`.
std::vector<std::string> variables_with_prefix(const bpf_object* object, const std::string& prefix);

}  // namespace uscx::cli
