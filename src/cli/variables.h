// SPDX-License-Identifier: GPL-2.0-only
// --set: what a loader would write to its skeleton before load; --get: what it would read after.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

struct bpf_object;
struct btf;

namespace uscx::cli {

/// One `--set`: `name=value` (with `name` a variable, a struct_ops table's member, or a path such
/// as `conf.limits[2]`), or `name[N]`, which gives an array at the end of its own data section, or
/// a map, N elements.
struct VariableSetting {
  std::string text;  // as given
  std::string path;
  std::string value;  // empty for a resize
  bool resize = false;
  unsigned elements = 0;
};

OrError<VariableSetting> parse_setting(const std::string& text);

/// Applies settings to an opened, not yet loaded object, in order. The error names the variable,
/// what is wrong, and similar names where there are some. Enumerators are looked up in the object's
/// types, and in `kernel`'s where given.
OrError<void> apply_settings(bpf_object* object, const std::vector<VariableSetting>& settings,
                             const ::btf* kernel = nullptr);

/// What a loader does to a variable of a loaded object, through the mapped section. Errors: as
/// above, and where the section cannot be written any more.
OrError<void> write_variable(bpf_object* object, const VariableSetting& setting);

/// Whether the path of a `--get` leads to a variable of an opened object.
OrError<void> check_readable(const bpf_object* object, const std::string& path);
/// The value at `path` of a loaded object, as JSON: a number, true or false, a text (array of
/// char), a list, or an object with a struct's members. Runs on a fiber.
OrError<std::string> read_variable(const bpf_object* object, const std::string& path);

/// Writes an integer to variable `name` if the object has it. False where it does not.
OrError<bool> set_integer_if_present(bpf_object* object, const std::string& name,
                                     unsigned long long value);

/// Names of all variables of data sections that start with `prefix`.
std::vector<std::string> variables_with_prefix(const bpf_object* object, const std::string& prefix);

}  // namespace uscx::cli
