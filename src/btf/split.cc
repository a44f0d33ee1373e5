// SPDX-License-Identifier: GPL-2.0-only
#include "btf/split.h"

#include <cstring>

#include "base/types.h"

namespace uscx::btf {

namespace {

struct Header {
  u16 magic;
  u8 version, flags;
  u32 header_size, type_offset, type_size, string_offset, string_size;
};
static_assert(sizeof(Header) == 24);

constexpr u16 kMagic = 0xeb9f;

struct Sections {
  std::span<const std::byte> types, strings;
};

OrError<Sections> sections_of(std::span<const std::byte> bytes) {
  Header h;
  if (bytes.size() < sizeof(h)) return error("BTF header not found");
  std::memcpy(&h, bytes.data(), sizeof(h));
  if (h.magic != kMagic || h.header_size < sizeof(h) || h.header_size > bytes.size()) {
    return error("Invalid BTF header");
  }
  const auto body = bytes.subspan(h.header_size);
  const auto inside = [&](u32 offset, u32 size) {
    return offset <= body.size() && size <= body.size() - offset;
  };
  if (!inside(h.type_offset, h.type_size) || !inside(h.string_offset, h.string_size)) {
    return error("Total section length too long");
  }
  return Sections{body.subspan(h.type_offset, h.type_size),
                  body.subspan(h.string_offset, h.string_size)};
}

}  // namespace

OrError<std::vector<std::byte>> join(std::span<const std::byte> base,
                                     std::span<const std::byte> split) {
  const auto first = sections_of(base);
  if (!first) return std::unexpected(first.error());
  const auto second = sections_of(split);
  if (!second) return std::unexpected(second.error());
  const auto types = static_cast<u32>(first->types.size() + second->types.size());
  const auto strings = static_cast<u32>(first->strings.size() + second->strings.size());
  const Header h{kMagic, 1, 0, sizeof(Header), 0, types, types, strings};
  std::vector<std::byte> out(sizeof(h));
  std::memcpy(out.data(), &h, sizeof(h));
  for (const auto& part : {first->types, second->types, first->strings, second->strings}) {
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

}  // namespace uscx::btf
