// SPDX-License-Identifier: GPL-2.0-only
#include "btf/btf.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/assert.h"

namespace uscx::btf {
namespace {

constexpr u64 kNoSize = ~u64{0};
constexpr int kMaxSpellDepth = 32;

bool is_transparent(Kind kind) {
  return kind == Kind::kTypedef || kind == Kind::kConst || kind == Kind::kVolatile ||
         kind == Kind::kRestrict || kind == Kind::kTypeTag;
}

}  // namespace

std::string_view kind_name(Kind kind) {
  static constexpr std::string_view kNames[] = {
      "VOID", "INT",     "PTR",      "ARRAY",    "STRUCT",   "UNION", "ENUM",
      "FWD",  "TYPEDEF", "VOLATILE", "CONST",    "RESTRICT", "FUNC",  "FUNC_PROTO",
      "VAR",  "DATASEC", "FLOAT",    "DECL_TAG", "TYPE_TAG", "ENUM64"};
  USCX_ASSERT(kind <= kLastKind);
  return kNames[static_cast<size_t>(kind)];
}

const Type& Btf::type(u32 id) const {
  USCX_ASSERT(id < types_.size());
  return types_[id];
}

std::optional<std::string_view> Btf::string_at(u32 offset) const {
  if (offset >= strings_.size()) return std::nullopt;
  return std::string_view(strings_.data() + offset);  // the section ends with a NUL
}

void Btf::build_indexes() {
  for (u32 id = 1; id < type_count(); ++id) {
    const Type& t = types_[id];
    if (t.kind == Kind::kDeclTag) {
      tags_.push_back(id);
    } else if (!t.name.empty()) {
      by_name_.push_back(id);
    }
    if (t.kind == Kind::kEnum || t.kind == Kind::kEnum64) {
      for (const Enumerator& e : enumerators(id)) by_enumerator_.emplace_back(e.name, e.value);
    }
  }
  std::sort(by_name_.begin(), by_name_.end(), [this](u32 a, u32 b) {
    return std::tie(types_[a].name, types_[a].kind, a) <
           std::tie(types_[b].name, types_[b].kind, b);
  });
  std::sort(tags_.begin(), tags_.end(), [this](u32 a, u32 b) {
    return std::tie(types_[a].type, types_[a].component, a) <
           std::tie(types_[b].type, types_[b].component, b);
  });
  std::sort(by_enumerator_.begin(), by_enumerator_.end());
}

std::optional<u32> Btf::find(std::string_view name, Kind kind) const {
  const auto it = std::lower_bound(by_name_.begin(), by_name_.end(), std::pair(name, kind),
                                   [this](u32 id, const std::pair<std::string_view, Kind>& key) {
                                     return std::tie(types_[id].name, types_[id].kind) <
                                            std::tie(key.first, key.second);
                                   });
  if (it == by_name_.end() || types_[*it].name != name || types_[*it].kind != kind)
    return std::nullopt;
  return *it;
}

std::optional<u32> Btf::find_composite(std::string_view name) const {
  if (const auto id = find(name, Kind::kStruct)) return id;
  if (const auto id = find(name, Kind::kUnion)) return id;
  if (const auto id = find(name, Kind::kTypedef)) {
    const u32 target = resolve(*id);
    if (kind(target) == Kind::kStruct || kind(target) == Kind::kUnion) return target;
  }
  return std::nullopt;
}

std::optional<u64> Btf::find_enumerator(std::string_view name) const {
  const auto it =
      std::lower_bound(by_enumerator_.begin(), by_enumerator_.end(), name,
                       [](const auto& entry, std::string_view key) { return entry.first < key; });
  if (it == by_enumerator_.end() || it->first != name) return std::nullopt;
  return it->second;
}

u32 Btf::resolve(u32 id) const {
  while (is_transparent(type(id).kind)) id = type(id).type;  // ends: parse() refused cycles
  return id;
}

std::optional<u32> Btf::size_of(u32 id) const {
  USCX_ASSERT(id < types_.size());
  if (sizes_[id] == kNoSize) return std::nullopt;
  return static_cast<u32>(sizes_[id]);
}

std::string Btf::spell(u32 id) const {
  std::string tail;
  for (int depth = 0; depth < kMaxSpellDepth; ++depth) {
    const Type& t = type(id);
    switch (t.kind) {
      case Kind::kVoid:
        return "void" + tail;
      case Kind::kPtr:
        tail = (tail.starts_with('*') || tail.empty() ? " *" : " *") + tail;
        id = t.type;
        continue;
      case Kind::kConst:
      case Kind::kVolatile:
      case Kind::kRestrict: {
        const char* word = t.kind == Kind::kConst      ? "const"
                           : t.kind == Kind::kVolatile ? "volatile"
                                                       : "restrict";
        if (type(t.type).kind == Kind::kPtr) {
          tail = fmt::format(" {}{}", word, tail);
          id = t.type;
          continue;
        }
        return fmt::format("{} {}{}", word, spell(t.type), tail);
      }
      case Kind::kTypeTag:
        tail = fmt::format(" {}{}", t.name, tail);
        id = t.type;
        continue;
      case Kind::kArray:
        tail += fmt::format("[{}]", t.nr_elems);
        id = t.type;
        continue;
      case Kind::kStruct:
        return fmt::format("struct {}{}", t.name.empty() ? "<anonymous>" : t.name, tail);
      case Kind::kUnion:
        return fmt::format("union {}{}", t.name.empty() ? "<anonymous>" : t.name, tail);
      case Kind::kEnum:
      case Kind::kEnum64:
        return fmt::format("enum {}{}", t.name.empty() ? "<anonymous>" : t.name, tail);
      case Kind::kFwd:
        return fmt::format("{} {}{}", t.kflag ? "union" : "struct", t.name, tail);
      case Kind::kFuncProto:
        return fmt::format("<function>{}", tail);
      default:
        return fmt::format("{}{}", t.name, tail);
    }
  }
  return "..." + tail;
}

std::span<const Member> Btf::members(u32 id) const {
  const Type& t = type(resolve(id));
  if (t.kind != Kind::kStruct && t.kind != Kind::kUnion) return {};
  return {members_.data() + t.first, t.count};
}

std::span<const Enumerator> Btf::enumerators(u32 id) const {
  const Type& t = type(resolve(id));
  if (t.kind != Kind::kEnum && t.kind != Kind::kEnum64) return {};
  return {enumerators_.data() + t.first, t.count};
}

std::span<const SecVar> Btf::section_vars(u32 id) const {
  const Type& t = type(id);
  if (t.kind != Kind::kDatasec) return {};
  return {vars_.data() + t.first, t.count};
}

std::optional<u32> Btf::member_index(u32 id, std::string_view name) const {
  const auto all = members(id);
  for (u32 i = 0; i < all.size(); ++i) {
    if (all[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<Proto> Btf::func_proto(u32 id) const {
  id = resolve(id);
  if (kind(id) == Kind::kPtr) id = resolve(type(id).type);
  if (kind(id) == Kind::kFunc) id = type(id).type;
  const Type& t = type(id);
  if (t.kind != Kind::kFuncProto) return std::nullopt;
  return Proto{t.type, {params_.data() + t.first, t.count}};
}

std::span<const Param> Btf::params(u32 id) const {
  const auto proto = func_proto(id);
  return proto ? proto->params : std::span<const Param>{};
}

std::vector<std::string_view> Btf::decl_tags(u32 id, s32 component) const {
  const auto it = std::lower_bound(tags_.begin(), tags_.end(), std::pair(id, component),
                                   [this](u32 tag, const std::pair<u32, s32>& key) {
                                     return std::tie(types_[tag].type, types_[tag].component) <
                                            std::tie(key.first, key.second);
                                   });
  std::vector<std::string_view> texts;
  for (auto i = it; i != tags_.end(); ++i) {
    const Type& t = types_[*i];
    if (t.type != id || t.component != component) break;
    texts.push_back(t.name);
  }
  return texts;
}

bool Btf::has_decl_tag(u32 id, std::string_view text, s32 component) const {
  const auto texts = decl_tags(id, component);
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

}  // namespace uscx::btf
