// SPDX-License-Identifier: GPL-2.0-only
#include "cli/variables.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "cli/variable_path.h"

namespace uscx::cli {

namespace {

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

/// The enumerator `name` of any enum of the object or of the kernel.
std::optional<Integer> any_enumerator(const ::btf* types, std::string_view name) {
  const u32 count = types ? btf__type_cnt(types) : 0;
  for (u32 id = 1; id < count; ++id) {
    const btf_type* t = btf__type_by_id(types, id);
    if (!btf_is_any_enum(t)) continue;
    if (const auto value = enumerator(types, t, name)) return value;
  }
  return std::nullopt;
}

/// A number, or numbers and enumerators joined with '|'.
std::optional<Integer> parse_flags(const ::btf* types, const ::btf* kernel, std::string_view text) {
  if (const auto value = parse_integer(text)) return value;
  Integer all{0, false};
  for (bool more = true; more;) {
    const auto end = std::min(text.find('|'), text.size());
    const std::string_view word = text.substr(0, end);
    more = end < text.size();
    text.remove_prefix(std::min(end + 1, text.size()));
    auto value = parse_integer(word);
    if (!value) value = any_enumerator(types, word);
    if (!value) value = any_enumerator(kernel, word);
    if (!value) return std::nullopt;
    all.bits |= value->bits;
    all.negative |= value->negative;
  }
  return all;
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

/// A callback of the ops: none, or a program of the object. libbpf keeps the program's handle
/// there.
OrError<void> store_callback(const bpf_object* object, const Place& place,
                             const VariableSetting& s) {
  const void* program = nullptr;
  if (s.value != "NULL" && s.value != "0") {
    program = bpf_object__find_program_by_name(object, s.value.c_str());
    if (!program) {
      return error(fmt::format("--set {}: neither NULL nor a program of the object", s.text));
    }
  }
  auto data = data_of(place, s.path);
  if (!data) return std::unexpected(data.error());
  std::memcpy(*data, &program, sizeof program);
  return {};
}

OrError<void> assign(const bpf_object* object, const VariableSetting& s, const ::btf* kernel) {
  auto place = find_path(object, s.path, "--set", true);
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
  if (btf_is_ptr(t) && bpf_map__type(place->map) == BPF_MAP_TYPE_STRUCT_OPS) {
    return store_callback(object, *place, s);
  }
  if (!btf_is_int(t))
    return error(fmt::format("--set {}: not a number, an enum or a string", s.text));
  const auto encoding = btf_int_encoding(t);
  if ((encoding & BTF_INT_BOOL) && (s.value == "true" || s.value == "false")) {
    return store(*place, s, {s.value == "true", false}, false);
  }
  const auto value = parse_flags(types, kernel, s.value);
  if (!value) {
    return error(
        fmt::format("--set {}: '{}' is neither a number nor enumerators", s.text, s.value));
  }
  if ((encoding & BTF_INT_BOOL) && value->bits > 1)
    return error(fmt::format("--set {}: a bool is 0 or 1", s.text));
  return store(*place, s, *value, encoding & BTF_INT_SIGNED);
}

/// What a loader does by bpf_map__set_max_entries().
OrError<void> resize_map(bpf_map* map, const VariableSetting& s) {
  if (const int err = bpf_map__set_max_entries(map, s.elements); err) {
    return error(fmt::format("--set {}: cannot be resized: {}", s.text, std::strerror(-err)));
  }
  return {};
}

OrError<void> resize(const bpf_object* object, const VariableSetting& s) {
  if (bpf_map* map = bpf_object__find_map_by_name(object, s.path.c_str()); map != nullptr) {
    return resize_map(map, s);
  }
  const auto place = find_path(object, s.path, "--set", false);
  if (!place) return std::unexpected(place.error());
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

OrError<void> write_variable(bpf_object* object, const VariableSetting& s) {
  const auto place = find_path(object, s.path, "--set", false);
  if (!place) return std::unexpected(place.error());
  if (s.resize || (bpf_map__map_flags(place->map) & BPF_F_RDONLY_PROG) != 0) {
    return error(fmt::format("--set {}: cannot be changed after load", s.text));
  }
  return assign(object, s, nullptr);
}

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

OrError<void> apply_settings(bpf_object* object, const std::vector<VariableSetting>& settings,
                             const ::btf* kernel) {
  for (const VariableSetting& s : settings) {
    if (auto r = s.resize ? resize(object, s) : assign(object, s, kernel); !r) return r;
  }
  return {};
}

OrError<bool> set_integer_if_present(bpf_object* object, const std::string& name,
                                     unsigned long long value) {
  if (!find_variable(object, name)) return false;
  const VariableSetting s{.text = name, .path = name, .value = std::to_string(value)};
  if (auto r = assign(object, s, nullptr); !r) return std::unexpected(r.error());
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
