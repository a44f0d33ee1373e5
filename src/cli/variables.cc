// SPDX-License-Identifier: GPL-2.0-only
#include "cli/variables.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/types.h"

namespace uscx::cli {

namespace {

/// A variable of a data section, or a part of one.
struct Place {
  bpf_map* map = nullptr;
  u32 section_id = 0;
  u32 offset = 0;
  u32 type_id = 0;
  u32 size = 0;
  bool last_in_section = false;
  // Where the part is a bitfield.
  u32 bit_offset = 0;
  u32 bit_size = 0;
};

const char* type_name(const ::btf* types, u32 id) {
  const btf_type* t = btf__type_by_id(types, id);
  const char* name = t ? btf__name_by_offset(types, t->name_off) : nullptr;
  return name ? name : "";
}

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

/// Calls `fn(place, name)` for every variable of a data section that has a map.
template <class Fn>
void for_each_variable(const bpf_object* object, Fn fn) {
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
      Place place{.map = map,
                  .section_id = id,
                  .offset = info[i].offset,
                  .type_id = var->type,
                  .size = info[i].size};
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

std::string no_such_variable(const bpf_object* object, std::string_view name) {
  std::string best;
  u32 best_distance = 4;
  for_each_variable(object, [&](const Place&, const char* var) {
    const u32 d = edit_distance(name, var);
    if (d < best_distance) {
      best_distance = d;
      best = var;
    }
  });
  std::string text = fmt::format("--set {}: the scheduler has no such variable", name);
  if (!best.empty()) text += fmt::format("; did you mean {}?", best);
  return text;
}

const btf_type* skip_modifiers(const ::btf* types, u32* id) {
  const btf_type* t = btf__type_by_id(types, *id);
  while (t && (btf_is_mod(t) || btf_is_typedef(t))) {
    *id = t->type;
    t = btf__type_by_id(types, *id);
  }
  return t;
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
      return error(fmt::format("--set {}: '{}' is not an index", whole, step));
    }
    if (!t || !btf_is_array(t))
      return error(fmt::format("--set {}: not an array before '{}'", whole, step));
    const struct btf_array* array = btf_array(t);
    const auto element = btf__resolve_size(types, array->type);
    // An array with as many elements as its section gave it may be longer than its type says.
    const u64 count =
        element > 0 ? std::max<u64>(array->nelems, place.size / static_cast<u64>(element)) : 0;
    if (element <= 0 || index >= count) {
      return error(
          fmt::format("--set {}: index {} is outside of {} elements", whole, index, count));
    }
    place.offset += static_cast<u32>(index * static_cast<u64>(element));
    place.type_id = array->type;
    place.size = static_cast<u32>(element);
    return {};
  }
  if (!t || !btf_is_composite(t))
    return error(fmt::format("--set {}: not a struct before '{}'", whole, step));
  const btf_member* members = btf_members(t);
  for (u32 i = 0; i < btf_vlen(t); ++i) {
    if (step.substr(1) != btf__name_by_offset(types, members[i].name_off)) continue;
    const u32 bits = btf_member_bit_offset(t, i);
    place.offset += bits / 8;
    place.bit_offset = bits % 8;
    place.bit_size = btf_member_bitfield_size(t, i);
    place.type_id = members[i].type;
    place.size = static_cast<u32>(btf__resolve_size(types, members[i].type));
    return {};
  }
  return error(fmt::format("--set {}: no member '{}'", whole, step.substr(1)));
}

OrError<Place> find_path(const bpf_object* object, std::string_view path) {
  const auto end = std::min(path.find_first_of(".["), path.size());
  auto place = find_variable(object, path.substr(0, end));
  if (!place) return error(no_such_variable(object, path.substr(0, end)));
  std::string_view rest = path.substr(end);
  while (!rest.empty()) {
    std::size_t n = rest[0] == '[' ? rest.find(']') : rest.find_first_of(".[", 1);
    if (rest[0] == '[' && n == std::string_view::npos)
      return error(fmt::format("--set {}: ']' is missing", path));
    n = rest[0] == '[' ? n + 1 : std::min(n, rest.size());
    if (auto r = descend(bpf_object__btf(object), *place, rest.substr(0, n), path); !r) {
      return std::unexpected(r.error());
    }
    rest = rest.substr(n);
  }
  return *place;
}

struct Integer {
  u64 bits;
  bool negative;
};

std::optional<Integer> parse_integer(std::string_view text) {
  const bool negative = text.starts_with("-");
  if (negative) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  u64 value = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || r.ec != std::errc() || r.ptr != text.data() + text.size())
    return std::nullopt;
  if (negative && value > 1ULL << 63) return std::nullopt;
  return Integer{negative ? 0 - value : value, negative};
}

std::optional<Integer> enumerator(const ::btf* types, const btf_type* t, std::string_view name) {
  for (u32 i = 0; i < btf_vlen(t); ++i) {
    if (btf_is_enum(t) && name == btf__name_by_offset(types, btf_enum(t)[i].name_off)) {
      return Integer{static_cast<u64>(static_cast<s64>(btf_enum(t)[i].val)),
                     btf_enum(t)[i].val < 0};
    }
    if (btf_is_enum64(t) && name == btf__name_by_offset(types, btf_enum64(t)[i].name_off)) {
      return Integer{btf_enum64_value(&btf_enum64(t)[i]), false};
    }
  }
  return std::nullopt;
}

bool fits(Integer value, u32 bits, bool is_signed) {
  if (bits >= 64) return !value.negative || is_signed;
  if (!value.negative) return value.bits >> (is_signed ? bits - 1 : bits) == 0;
  return is_signed && static_cast<s64>(value.bits) >= -(1LL << (bits - 1));
}

OrError<char*> data_of(const Place& place, std::string_view path) {
  std::size_t size = 0;
  void* data = bpf_map__initial_value(place.map, &size);
  if (!data || place.offset + u64{place.size} > size) {
    return error(
        fmt::format("--set {}: lies in a section that cannot be written before load", path));
  }
  return static_cast<char*>(data) + place.offset;
}

OrError<void> store(const Place& place, const VariableSetting& s, Integer value, bool is_signed) {
  const u32 bits = place.bit_size ? place.bit_size : place.size * 8;
  if (!fits(value, bits, is_signed)) {
    return error(fmt::format("--set {}: {} does not fit {} {} bits", s.text, s.value,
                             is_signed ? "signed" : "unsigned", bits));
  }
  auto data = data_of(place, s.path);
  if (!data) return std::unexpected(data.error());
  if (place.bit_size == 0) {
    std::memcpy(*data, &value.bits, place.size);
    return {};
  }
  u64 word = 0;
  std::memcpy(&word, *data, place.size);
  const u64 mask = (place.bit_size >= 64 ? ~0ULL : (1ULL << place.bit_size) - 1)
                   << place.bit_offset;
  word = (word & ~mask) | ((value.bits << place.bit_offset) & mask);
  std::memcpy(*data, &word, place.size);
  return {};
}

OrError<void> store_string(const ::btf* types, const Place& place, const VariableSetting& s,
                           const btf_type* t) {
  u32 element_id = btf_array(t)->type;
  const btf_type* element = skip_modifiers(types, &element_id);
  if (!element || !btf_is_int(element) || element->size != 1) {
    return error(fmt::format("--set {}: an array takes one element at a time, as in {}[0]=...",
                             s.text, s.path));
  }
  if (s.value.size() >= place.size) {
    return error(fmt::format("--set {}: the text has {} bytes, there is room for {}", s.text,
                             s.value.size(), place.size - 1));
  }
  auto data = data_of(place, s.path);
  if (!data) return std::unexpected(data.error());
  std::memset(*data, 0, place.size);
  std::memcpy(*data, s.value.data(), s.value.size());
  return {};
}

OrError<void> assign(const bpf_object* object, const VariableSetting& s) {
  auto place = find_path(object, s.path);
  if (!place) return std::unexpected(place.error());
  const ::btf* types = bpf_object__btf(object);
  u32 id = place->type_id;
  const btf_type* t = skip_modifiers(types, &id);
  if (!t) return error(fmt::format("--set {}: its type is unknown", s.text));
  if (btf_is_array(t)) return store_string(types, *place, s, t);
  if (btf_is_any_enum(t)) {
    auto value = enumerator(types, t, s.value);
    if (!value) value = parse_integer(s.value);
    if (!value)
      return error(
          fmt::format("--set {}: enum {} has no '{}'", s.text, type_name(types, id), s.value));
    return store(*place, s, *value, true);
  }
  if (!btf_is_int(t))
    return error(fmt::format("--set {}: not a number, an enum or a string", s.text));
  const auto encoding = btf_int_encoding(t);
  if ((encoding & BTF_INT_BOOL) && (s.value == "true" || s.value == "false")) {
    return store(*place, s, {s.value == "true", false}, false);
  }
  const auto value = parse_integer(s.value);
  if (!value) return error(fmt::format("--set {}: '{}' is not a number", s.text, s.value));
  if ((encoding & BTF_INT_BOOL) && value->bits > 1)
    return error(fmt::format("--set {}: a bool is 0 or 1", s.text));
  return store(*place, s, *value, encoding & BTF_INT_SIGNED);
}

OrError<void> resize(const bpf_object* object, const VariableSetting& s) {
  const auto place = find_variable(object, s.path);
  if (!place) return error(no_such_variable(object, s.path));
  const ::btf* types = bpf_object__btf(object);
  u32 id = place->type_id;
  const btf_type* t = skip_modifiers(types, &id);
  if (!t || !btf_is_array(t)) return error(fmt::format("--set {}: not an array", s.text));
  if (!place->last_in_section) {
    return error(
        fmt::format("--set {}: only the last array of its section can be resized", s.text));
  }
  const auto element = btf__resolve_size(types, btf_array(t)->type);
  const u64 size = place->offset + static_cast<u64>(std::max<s64>(element, 0)) * s.elements;
  if (size == 0 || size > 1U << 30)
    return error(fmt::format("--set {}: the section would have {} bytes", s.text, size));
  if (const int err = bpf_map__set_value_size(place->map, static_cast<u32>(size)); err) {
    return error(fmt::format("--set {}: cannot be resized: {}", s.text, std::strerror(-err)));
  }
  return {};
}

}  // namespace

OrError<VariableSetting> parse_setting(const std::string& text) {
  VariableSetting s{.text = text, .path = {}, .value = {}};
  if (const auto eq = text.find('='); eq != std::string::npos) {
    s.path = text.substr(0, eq);
    s.value = text.substr(eq + 1);
    if (s.path.empty()) return error(fmt::format("--set {}: a name is missing before '='", text));
    return s;
  }
  const auto open = text.find('[');
  if (open == std::string::npos || open == 0 || !text.ends_with("]")) {
    return error(fmt::format("--set {}: write name=value, or name[N] to resize an array", text));
  }
  const char* end = text.data() + text.size() - 1;
  const auto r = std::from_chars(text.data() + open + 1, end, s.elements);
  if (r.ec != std::errc() || r.ptr != end || s.elements == 0) {
    return error(
        fmt::format("--set {}: '{}' is not a number of elements", text, text.substr(open)));
  }
  s.path = text.substr(0, open);
  s.resize = true;
  return s;
}

OrError<void> apply_settings(bpf_object* object, const std::vector<VariableSetting>& settings) {
  for (const VariableSetting& s : settings) {
    if (auto r = s.resize ? resize(object, s) : assign(object, s); !r) return r;
  }
  return {};
}

OrError<bool> set_integer_if_present(bpf_object* object, const std::string& name,
                                     unsigned long long value) {
  if (!find_variable(object, name)) return false;
  const VariableSetting s{.text = name, .path = name, .value = std::to_string(value)};
  if (auto r = assign(object, s); !r) return std::unexpected(r.error());
  return true;
}

std::vector<std::string> variables_with_prefix(const bpf_object* object,
                                               const std::string& prefix) {
  std::vector<std::string> names;
  for_each_variable(object, [&](const Place&, const char* var) {
    if (std::string_view(var).starts_with(prefix)) names.emplace_back(var);
  });
  return names;
}

}  // namespace uscx::cli
