// SPDX-License-Identifier: GPL-2.0-only
// Member paths: "scx.slice", "subsys[1].cgroup", through anonymous structs and unions.
#include <fmt/format.h>

#include <charconv>

#include "btf/btf.h"

namespace uscx::btf {
namespace {

constexpr int kMaxNesting = 32;

/// The member `name` of `id`, or of an anonymous member of it; adds its offset to `bits`.
const Member* find_member(const Btf& btf, u32 id, std::string_view name, u64& bits, int depth) {
  if (depth > kMaxNesting) return nullptr;
  for (const Member& m : btf.members(id)) {
    if (m.name == name) {
      bits += m.bit_offset;
      return &m;
    }
    if (!m.name.empty()) continue;
    u64 inner = bits + m.bit_offset;
    if (const Member* found = find_member(btf, m.type, name, inner, depth + 1)) {
      bits = inner;
      return found;
    }
  }
  return nullptr;
}

/// Takes "[12]" off the front of `rest`; nullopt if it is malformed.
std::optional<u32> take_index(std::string_view& rest) {
  const size_t close = rest.find(']');
  if (close == std::string_view::npos) return std::nullopt;
  u32 index = 0;
  const auto [end, err] = std::from_chars(rest.data() + 1, rest.data() + close, index);
  if (err != std::errc{} || end != rest.data() + close) return std::nullopt;
  rest.remove_prefix(close + 1);
  return index;
}

}  // namespace

OrError<Field> Btf::find_member_path(u32 root, std::string_view path) const {
  u32 at = root;
  u64 bits = 0;
  u32 bitfield = 0;
  std::string_view rest = path;
  const auto bad = [&](std::string_view what) {
    return error(fmt::format("{} has no '{}': {}", spell(root), path, what));
  };
  if (path.empty()) return bad("empty path");
  while (!rest.empty()) {
    const size_t end = rest.find_first_of(".[");
    const std::string_view name = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
    const Member* m = find_member(*this, at, name, bits, 0);
    if (m == nullptr) return bad(fmt::format("no member '{}' in {}", name, spell(at)));
    at = m->type;
    bitfield = m->bitfield_size;
    while (rest.starts_with('[')) {
      const auto index = take_index(rest);
      if (!index) return bad("malformed index");
      const Type& array = type(resolve(at));
      if (array.kind != Kind::kArray) return bad("index into something that is no array");
      const u64 element = size_of(array.type).value_or(0);
      // Element 0 of a flexible array is its end; anything further is outside the type.
      if (*index >= array.nr_elems && *index != 0) return bad("index out of range");
      bits += u64{*index} * element * 8;
      at = array.type;
    }
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      if (rest.empty()) return bad("ends with a dot");
    } else if (!rest.empty()) {
      return bad("malformed");
    }
  }
  const auto size = size_of(at);
  if (!size || bits > ~u32{0}) return bad("it has no size");
  return Field{at, static_cast<u32>(bits), bitfield, *size};
}

}  // namespace uscx::btf
