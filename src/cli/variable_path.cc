// SPDX-License-Identifier: GPL-2.0-only
#include "cli/variable_path.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <vector>

namespace uscx::cli {

namespace {

bpf_map* map_of_section(const bpf_object* object, const char* section) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    const char* name = bpf_map__name(map);
    if (!bpf_map__is_internal(map) || !name) continue;
    // libbpf names the map of ".data.x" so; plain sections get the object's name as a prefix.
    const std::size_t n = std::strlen(name), s = std::strlen(section);
    if (std::strcmp(name, section) == 0) return map;
    if (n > s && std::strcmp(name + n - s, section) == 0 && name[0] != '.') return map;
  }
  return nullptr;
}

/// Calls `fn(place, name)` for every struct_ops table.
template <class Fn>
void for_each_ops(const bpf_object* object, Fn fn) {
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS) continue;
    const u32 type_id = bpf_map__btf_value_type_id(map);
    const s64 size = btf__resolve_size(bpf_object__btf(object), type_id);
    if (size <= 0) continue;
    fn(Place{.map = map, .type_id = type_id, .size = static_cast<u32>(size)}, bpf_map__name(map));
  }
}

u32 edit_distance(std::string_view a, std::string_view b) {
  std::vector<u32> row(b.size() + 1);
  for (u32 j = 0; j <= b.size(); ++j) row[j] = j;
  for (u32 i = 1; i <= a.size(); ++i) {
    u32 diagonal = row[0];
    row[0] = i;
    for (u32 j = 1; j <= b.size(); ++j) {
      const u32 above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// The nearest of the names offered to it, where one is near enough.
class Similar {
 public:
  explicit Similar(std::string_view wanted) : wanted_(wanted) {}
  void offer(const char* name) {
    const u32 d = edit_distance(wanted_, name);
    if (d >= distance_) return;
    distance_ = d;
    name_ = name;
  }
  std::string hint() const { return name_.empty() ? "" : fmt::format("; did you mean {}?", name_); }

 private:
  std::string_view wanted_;
  std::string name_;
  u32 distance_ = 4;
};

std::unexpected<Error> no_such_variable(const bpf_object* object, std::string_view name,
                                        std::string_view option, bool with_ops) {
  Similar similar(name);
  for_each_variable(object, [&](const Place&, const char* var) { similar.offer(var); });
  if (with_ops) for_each_ops(object, [&](const Place&, const char* ops) { similar.offer(ops); });
  return error(
      fmt::format("{} {}: the scheduler has no such variable{}", option, name, similar.hint()));
}

/// One step of a path: ".member" or "[index]".
OrError<void> descend(const ::btf* types, Place& place, std::string_view step,
                      std::string_view whole) {
  u32 id = place.type_id;
  const btf_type* t = skip_modifiers(types, &id);
  if (step.starts_with("[")) {
    u64 index = 0;
    const auto end = step.data() + step.size() - 1;
    if (std::from_chars(step.data() + 1, end, index).ptr != end) {
      return error(fmt::format("{}: '{}' is not an index", whole, step));
    }
    if (!t || !btf_is_array(t))
      return error(fmt::format("{}: not an array before '{}'", whole, step));
    const u64 count = array_length(types, place, t);
    if (index >= count) {
      return error(fmt::format("{}: index {} is outside of {} elements", whole, index, count));
    }
    const auto element = static_cast<u32>(btf__resolve_size(types, btf_array(t)->type));
    place.offset += static_cast<u32>(index) * element;
    place.type_id = btf_array(t)->type;
    place.size = element;
    return {};
  }
  if (!t || !btf_is_composite(t))
    return error(fmt::format("{}: not a struct before '{}'", whole, step));
  Similar similar(step.substr(1));
  for (u32 i = 0; i < btf_vlen(t); ++i) {
    const char* name = btf__name_by_offset(types, btf_members(t)[i].name_off);
    if (step.substr(1) == name) {
      place = member_place(types, place, t, i);
      return {};
    }
    similar.offer(name);
  }
  return error(fmt::format("{}: no member '{}'{}", whole, step.substr(1), similar.hint()));
}

}  // namespace

const char* type_name(const ::btf* types, u32 id) {
  const btf_type* t = btf__type_by_id(types, id);
  const char* name = t ? btf__name_by_offset(types, t->name_off) : nullptr;
  return name ? name : "";
}

const btf_type* skip_modifiers(const ::btf* types, u32* id) {
  const btf_type* t = btf__type_by_id(types, *id);
  while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
    *id = t->type;
    t = btf__type_by_id(types, *id);
  }
  return t;
}

void for_each_variable(const bpf_object* object,
                       const std::function<void(const Place&, const char* name)>& fn) {
  const ::btf* types = bpf_object__btf(object);
  if (!types) return;
  const u32 count = btf__type_cnt(types);
  for (u32 id = 1; id < count; ++id) {
    const btf_type* section = btf__type_by_id(types, id);
    if (!btf_is_datasec(section)) continue;
    bpf_map* map = map_of_section(object, type_name(types, id));
    if (!map) continue;
    const btf_var_secinfo* info = btf_var_secinfos(section);
    const u32 n = btf_vlen(section);
    for (u32 i = 0; i < n; ++i) {
      const btf_type* var = btf__type_by_id(types, info[i].type);
      if (!var || !btf_is_var(var)) continue;
      Place place{.map = map, .offset = info[i].offset, .type_id = var->type, .size = info[i].size};
      place.last_in_section = i + 1 == n;
      fn(place, btf__name_by_offset(types, var->name_off));
    }
  }
}

std::optional<Place> find_variable(const bpf_object* object, std::string_view name) {
  std::optional<Place> found;
  for_each_variable(object, [&](const Place& place, const char* var) {
    if (name == var) found = place;
  });
  return found;
}

OrError<Place> find_path(const bpf_object* object, std::string_view path, std::string_view option,
                         bool with_ops) {
  const auto end = std::min(path.find_first_of(".["), path.size());
  const std::string_view name = path.substr(0, end);
  auto place = find_variable(object, name);
  if (!place && with_ops) {
    for_each_ops(object, [&](const Place& ops, const char* its_name) {
      if (name == its_name) place = ops;
    });
  }
  if (!place) return no_such_variable(object, name, option, with_ops);
  const std::string whole = fmt::format("{} {}", option, path);
  std::string_view rest = path.substr(end);
  while (!rest.empty()) {
    std::size_t n = rest[0] == '[' ? rest.find(']') : rest.find_first_of(".[", 1);
    if (rest[0] == '[' && n == std::string_view::npos)
      return error(fmt::format("{}: ']' is missing", whole));
    n = rest[0] == '[' ? n + 1 : std::min(n, rest.size());
    if (auto r = descend(bpf_object__btf(object), *place, rest.substr(0, n), whole); !r) {
      return std::unexpected(r.error());
    }
    rest = rest.substr(n);
  }
  return *place;
}

Place member_place(const ::btf* types, const Place& whole, const btf_type* type, u32 index) {
  const u32 bits = btf_member_bit_offset(type, index);
  const u32 id = btf_members(type)[index].type;
  return {.map = whole.map,
          .offset = whole.offset + bits / 8,
          .type_id = id,
          .size = static_cast<u32>(std::max<s64>(btf__resolve_size(types, id), 0)),
          .bit_offset = bits % 8,
          .bit_size = btf_member_bitfield_size(type, index)};
}

u64 array_length(const ::btf* types, const Place& place, const btf_type* array) {
  const s64 element = btf__resolve_size(types, btf_array(array)->type);
  if (element <= 0) return 0;
  return std::max<u64>(btf_array(array)->nelems, place.size / static_cast<u64>(element));
}

}  // namespace uscx::cli
