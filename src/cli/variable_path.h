// SPDX-License-Identifier: GPL-2.0-only
// Where in an object's data a name such as `conf.limits[2]` or `simple_ops.timeout_ms` lies.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/types.h"

struct bpf_map;
struct bpf_object;
struct btf;
struct btf_type;

namespace uscx::cli {

/// A variable of a data section, an ops struct, or a part of one.
struct Place {
  bpf_map* map = nullptr;
  u32 offset = 0;
  u32 type_id = 0;
  u32 size = 0;
  bool last_in_section = false;
  // Where the part is a bitfield.
  u32 bit_offset = 0;
  u32 bit_size = 0;
};

/// "" where the type has no name.
const char* type_name(const ::btf* types, u32 id);
/// The type behind typedefs, const and the like; `*id` becomes its number.
const btf_type* skip_modifiers(const ::btf* types, u32* id);

/// Calls `fn` for every variable of a data section that has a map.
void for_each_variable(const bpf_object* object,
                       const std::function<void(const Place&, const char* name)>& fn);
std::optional<Place> find_variable(const bpf_object* object, std::string_view name);
/// `path` from a data section's variable, or (where `with_ops`) from a struct_ops table, down
/// through members and indices. Errors begin with `option` and the path.
OrError<Place> find_path(const bpf_object* object, std::string_view path, std::string_view option,
                         bool with_ops);

/// Where member `index` of a struct or union lies in a value of that type.
Place member_place(const ::btf* types, const Place& whole, const btf_type* type, u32 index);
/// How many elements the array at `place` has, which may be more than its type says.
u64 array_length(const ::btf* types, const Place& place, const btf_type* array);

}  // namespace uscx::cli
