// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "cli/variable_path.h"
#include "cli/variables.h"

namespace uscx::cli {

namespace {

using Json = nlohmann::ordered_json;

/// The bytes of a data section.
using Bytes = std::vector<char>;

OrError<Bytes> bytes_of(const bpf_map* map, const std::string& path) {
  constexpr u32 kOnlyElement = 0;
  Bytes bytes(bpf_map__value_size(map));
  if (const int err = bpf_map__lookup_elem(map, &kOnlyElement, sizeof kOnlyElement, bytes.data(),
                                           bytes.size(), 0)) {
    return error(fmt::format("--get {}: cannot be read: {}", path, std::strerror(-err)));
  }
  return bytes;
}

u64 bits_at(const Bytes& bytes, const Place& place) {
  USCX_ASSERT(place.offset + u64{place.size} <= bytes.size() && place.size <= 8);
  u64 word = 0;
  std::memcpy(&word, bytes.data() + place.offset, place.size);
  if (place.bit_size == 0) return word;
  word >>= place.bit_offset;
  return place.bit_size >= 64 ? word : word & ((1ULL << place.bit_size) - 1);
}

s64 sign_extend(u64 value, u32 bits) {
  return bits == 0 || bits >= 64 ? static_cast<s64>(value)
                                 : static_cast<s64>(value << (64 - bits)) >> (64 - bits);
}

Json number(const Bytes& bytes, const Place& place, bool is_signed) {
  const u64 bits = bits_at(bytes, place);
  if (!is_signed) return bits;
  return sign_extend(bits, place.bit_size ? place.bit_size : place.size * 8);
}

Json value_of(const ::btf* types, const Bytes& bytes, const Place& place);

/// Text where it is an array of char, else a list.
Json array_value(const ::btf* types, const Bytes& bytes, const Place& place, const btf_type* t) {
  u32 element_id = btf_array(t)->type;
  const btf_type* element = skip_modifiers(types, &element_id);
  const bool text = element && btf_is_int(element) && element->size == 1 &&
                    std::strcmp(type_name(types, element_id), "char") == 0;
  if (text) {
    const char* from = bytes.data() + place.offset;
    return std::string(from, strnlen(from, place.size));
  }
  Json list = Json::array();
  Place one = place;
  one.type_id = btf_array(t)->type;
  one.size = static_cast<u32>(std::max<s64>(btf__resolve_size(types, one.type_id), 0));
  const u64 count = array_length(types, place, t);
  for (u64 i = 0; i < count; ++i, one.offset += one.size)
    list.push_back(value_of(types, bytes, one));
  return list;
}

Json value_of(const ::btf* types, const Bytes& bytes, const Place& place) {
  u32 id = place.type_id;
  const btf_type* t = skip_modifiers(types, &id);
  if (!t || place.offset + u64{place.size} > bytes.size()) return nullptr;
  if (btf_is_array(t)) return array_value(types, bytes, place, t);
  if (btf_is_composite(t)) {
    Json members = Json::object();
    for (u32 i = 0; i < btf_vlen(t); ++i) {
      members[btf__name_by_offset(types, btf_members(t)[i].name_off)] =
          value_of(types, bytes, member_place(types, place, t, i));
    }
    return members;
  }
  if (place.size > 8) return nullptr;
  if (btf_is_int(t)) {
    const auto encoding = btf_int_encoding(t);
    if (encoding & BTF_INT_BOOL) return bits_at(bytes, place) != 0;
    return number(bytes, place, encoding & BTF_INT_SIGNED);
  }
  if (btf_is_any_enum(t)) return number(bytes, place, btf_kflag(t));
  if (btf_is_ptr(t)) return bits_at(bytes, place);
  return nullptr;
}

}  // namespace

OrError<void> check_readable(const bpf_object* object, const std::string& path) {
  const auto place = find_path(object, path, "--get", false);
  if (!place) return std::unexpected(place.error());
  return {};
}

OrError<std::string> read_variable(const bpf_object* object, const std::string& path) {
  const auto place = find_path(object, path, "--get", false);
  if (!place) return std::unexpected(place.error());
  const auto bytes = bytes_of(place->map, path);
  if (!bytes) return std::unexpected(bytes.error());
  // A program's strings are any bytes: what is not UTF-8 is replaced.
  return value_of(bpf_object__btf(object), *bytes, *place)
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace uscx::cli
