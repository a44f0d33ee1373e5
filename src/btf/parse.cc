// SPDX-License-Identifier: GPL-2.0-only
// The way in: bytes nobody has looked at become a Btf, or an error that says which byte is wrong.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "btf/btf.h"

namespace uscx::btf {
namespace {

constexpr u16 kMagic = 0xeb9f;
constexpr u8 kFormatVersion = 1;
constexpr u32 kMinHeader = 24;
constexpr u32 kLayoutHeader = 32;  // with layout_off, layout_len
constexpr u32 kMaxType = 0x000fffff;
constexpr u32 kMaxNameOffset = 0x00ffffff;
constexpr u32 kMaxBytes = 16 * 1024 * 1024;  // as the kernel limits it
constexpr u64 kMaxSize = ~u32{0};
constexpr u64 kNoSize = ~u64{0};

static_assert(std::endian::native == std::endian::little, "BTF is read in native byte order");

struct Section {
  u32 offset;
  u32 length;
};

bool is_modifier(Kind kind) {
  return kind == Kind::kConst || kind == Kind::kVolatile || kind == Kind::kRestrict ||
         kind == Kind::kTypeTag;
}

}  // namespace

class Parser {
 public:
  explicit Parser(std::span<const std::byte> bytes) {
    btf_.bytes_.assign(bytes.begin(), bytes.end());
  }

  OrError<Btf> run() {
    if (auto r = header(); !r) return std::unexpected(r.error());
    if (auto r = types(); !r) return std::unexpected(r.error());
    if (auto r = references(); !r) return std::unexpected(r.error());
    if (auto r = sizes(); !r) return std::unexpected(r.error());
    if (auto r = layouts(); !r) return std::unexpected(r.error());
    btf_.build_indexes();
    return std::move(btf_);
  }

 private:
  using Status = OrError<void>;

  u32 word_at(size_t offset) const {
    u32 value;
    std::memcpy(&value, btf_.bytes_.data() + offset, sizeof(value));
    return value;
  }

  Status header();
  Status sections(std::vector<Section> sections, u32 data);
  Status types();
  Status one_type();
  Status body(Type& t, u32 vlen);
  Status name_of(u32 offset, std::string_view& out) const;
  Status references();
  Status sizes();
  Status layouts() const;
  bool next_value_edge(u32 id, u32 step, u32& target) const;
  Status compute_size(u32 id);

  std::unexpected<Error> bad(std::string what) const {
    return error(fmt::format("BTF type {}: {}", btf_.types_.size(), what));
  }
  static std::unexpected<Error> bad_id(u32 id, std::string what) {
    return error(fmt::format("BTF type {}: {}", id, what));
  }
  /// The next `count` words of the type section, or false when it ends before.
  bool take(u32 count) {
    if ((types_end_ - at_) / 4 < count) return false;
    words_ = at_;
    at_ += size_t{count} * 4;
    return true;
  }
  u32 word(u32 index) const { return word_at(words_ + size_t{index} * 4); }

  Btf btf_;
  size_t at_ = 0;
  size_t types_end_ = 0;
  size_t words_ = 0;
};

Parser::Status Parser::header() {
  const auto& b = btf_.bytes_;
  if (b.size() < kMinHeader)
    return error(fmt::format("BTF: {} bytes are too few for a header", b.size()));
  if (b.size() > kMaxBytes) return error("BTF: larger than 16 MiB");
  if ((word_at(0) & 0xffff) != kMagic) return error("BTF: wrong magic number");
  if (static_cast<u8>(b[2]) != kFormatVersion) return error("BTF: unsupported version");
  if (b[3] != std::byte{0}) return error("BTF: unsupported flags");
  const u32 length = word_at(4);
  if (length < kMinHeader || length > b.size()) return error("BTF: header length out of range");
  for (size_t i = std::min(length, kLayoutHeader); i < length; ++i) {
    if (i >= kLayoutHeader && b[i] != std::byte{0})
      return error("BTF: unknown header field is set");
  }
  const Section types{word_at(8), word_at(12)};
  const Section strings{word_at(16), word_at(20)};
  std::vector<Section> all{types, strings};
  if (length >= kLayoutHeader && word_at(28) != 0) all.push_back({word_at(24), word_at(28)});
  const u32 data = static_cast<u32>(b.size()) - length;
  if (auto r = sections(all, data); !r) return r;
  if (types.offset % 4 != 0 || length % 4 != 0) return error("BTF: type section is not aligned");
  if (strings.length == 0) return error("BTF: no strings");

  const auto* text = reinterpret_cast<const char*>(b.data()) + length + strings.offset;
  if (text[0] != '\0' || text[strings.length - 1] != '\0') {
    return error("BTF: string section must begin and end with a NUL");
  }
  if (strings.length - 1 > kMaxNameOffset) return error("BTF: string section too long");
  btf_.strings_ = {text, strings.length};
  at_ = size_t{length} + types.offset;
  types_end_ = at_ + types.length;
  return {};
}

/// Sections may come in any order but must fill the data without gap or overlap.
Parser::Status Parser::sections(std::vector<Section> sections, u32 data) {
  std::sort(sections.begin(), sections.end(), [](const Section& a, const Section& b) {
    return a.offset != b.offset ? a.offset < b.offset : a.length < b.length;
  });
  u64 total = 0;
  for (const Section& s : sections) {
    if (s.offset != total) return error("BTF: sections overlap or leave a gap");
    total += s.length;
  }
  if (total != data) return error("BTF: sections do not fill the data");
  return {};
}

Parser::Status Parser::types() {
  btf_.types_.push_back(Type{});  // void
  while (at_ < types_end_) {
    if (btf_.types_.size() > kMaxType) return error("BTF: too many types");
    if (auto r = one_type(); !r) return r;
  }
  return {};
}

Parser::Status Parser::name_of(u32 offset, std::string_view& out) const {
  const auto text = btf_.string_at(offset);
  if (!text) return bad(fmt::format("name offset {} out of range", offset));
  out = *text;
  return {};
}

Parser::Status Parser::one_type() {
  if (!take(3)) return bad("truncated");
  const u32 info = word(1);
  if (info & 0x60ff0000) return bad(fmt::format("reserved bits in info {:#x}", info));
  const u32 kind = (info >> 24) & 0x1f;
  if (kind == 0 || kind > static_cast<u32>(kLastKind))
    return bad(fmt::format("unknown kind {}", kind));
  Type t;
  t.kind = static_cast<Kind>(kind);
  t.kflag = (info >> 31) != 0;
  if (auto r = name_of(word(0), t.name); !r) return r;
  const u32 third = word(2);
  switch (t.kind) {
    case Kind::kInt:
    case Kind::kStruct:
    case Kind::kUnion:
    case Kind::kEnum:
    case Kind::kEnum64:
    case Kind::kDatasec:
    case Kind::kFloat:
      t.size = third;
      break;
    default:
      t.type = third;
  }
  if (auto r = body(t, info & 0xffff); !r) return r;
  btf_.types_.push_back(t);
  return {};
}

/// What follows the three common words, by kind.
Parser::Status Parser::body(Type& t, u32 vlen) {
  t.count = vlen;
  const auto need = [&](u32 count) { return take(count) ? Status{} : bad("truncated"); };
  switch (t.kind) {
    case Kind::kInt: {
      if (auto r = need(1); !r) return r;
      const u32 data = word(0);
      t.int_encoding = (data >> 24) & 0xf;
      t.int_offset = (data >> 16) & 0xff;
      t.int_bits = data & 0xff;
      if (data & 0xf0000000 || t.int_bits == 0 || t.int_bits > 128) return bad("bad integer");
      if (t.size == 0 || t.size > 16) return bad("bad integer size");
      if (t.int_offset + t.int_bits > t.size * 8) return bad("integer bits exceed its size");
      break;
    }
    case Kind::kArray:
      if (auto r = need(3); !r) return r;
      if (t.type != 0) return bad("size of an array must be 0");
      t.type = word(0);
      t.index_type = word(1);
      t.nr_elems = word(2);
      break;
    case Kind::kStruct:
    case Kind::kUnion:
      if (auto r = need(vlen * 3); !r) return r;
      t.first = static_cast<u32>(btf_.members_.size());
      for (u32 i = 0; i < vlen; ++i) {
        Member m;
        if (auto r = name_of(word(i * 3), m.name); !r) return r;
        m.type = word(i * 3 + 1);
        const u32 offset = word(i * 3 + 2);
        m.bit_offset = t.kflag ? offset & 0xffffff : offset;
        m.bitfield_size = t.kflag ? offset >> 24 : 0;
        if (t.kind == Kind::kUnion && m.bit_offset != 0) return bad("union member at an offset");
        if (m.bit_offset / 8 > t.size) return bad(fmt::format("member {} lies outside", i));
        btf_.members_.push_back(m);
      }
      break;
    case Kind::kEnum:
    case Kind::kEnum64: {
      const u32 words = t.kind == Kind::kEnum ? 2 : 3;
      if (auto r = need(vlen * words); !r) return r;
      if (t.size == 0 || t.size > 8 || !std::has_single_bit(t.size)) return bad("bad enum size");
      t.first = static_cast<u32>(btf_.enumerators_.size());
      for (u32 i = 0; i < vlen; ++i) {
        Enumerator e;
        if (auto r = name_of(word(i * words), e.name); !r) return r;
        if (e.name.empty()) return bad("enumerator without a name");
        const u32 low = word(i * words + 1);
        if (t.kind == Kind::kEnum) {
          e.value = t.kflag ? static_cast<u64>(static_cast<s64>(static_cast<s32>(low))) : low;
        } else {
          e.value = low | (u64{word(i * words + 2)} << 32);
        }
        btf_.enumerators_.push_back(e);
      }
      break;
    }
    case Kind::kFuncProto:
      if (auto r = need(vlen * 2); !r) return r;
      t.first = static_cast<u32>(btf_.params_.size());
      for (u32 i = 0; i < vlen; ++i) {
        Param p;
        if (auto r = name_of(word(i * 2), p.name); !r) return r;
        p.type = word(i * 2 + 1);
        if (p.type == 0 && i + 1 != vlen) return bad(fmt::format("parameter {} is void", i));
        btf_.params_.push_back(p);
      }
      break;
    case Kind::kDatasec:
      if (auto r = need(vlen * 3); !r) return r;
      t.first = static_cast<u32>(btf_.vars_.size());
      for (u32 i = 0; i < vlen; ++i) {
        btf_.vars_.push_back({word(i * 3), word(i * 3 + 1), word(i * 3 + 2)});
      }
      break;
    case Kind::kVar:
      if (auto r = need(1); !r) return r;
      t.linkage = word(0);
      if (t.linkage > kExtern) return bad("bad linkage");
      t.count = 0;
      break;
    case Kind::kDeclTag:
      if (auto r = need(1); !r) return r;
      t.component = static_cast<s32>(word(0));
      if (t.component < -1) return bad("bad component index");
      t.count = 0;
      break;
    case Kind::kFunc:
      t.linkage = vlen;
      t.count = 0;
      if (t.linkage > kExtern) return bad("bad linkage");
      break;
    default:
      t.count = 0;
  }
  // The kernel takes integers and floats without one, and libbpf's probes have such.
  const bool needs_name = t.kind == Kind::kFwd || t.kind == Kind::kTypedef ||
                          t.kind == Kind::kFunc || t.kind == Kind::kVar ||
                          t.kind == Kind::kDatasec || t.kind == Kind::kDeclTag;
  if (t.kind == Kind::kFuncProto && !t.name.empty()) return bad("FUNC_PROTO with a name");
  if (needs_name && t.name.empty()) return bad(fmt::format("{} without a name", kind_name(t.kind)));
  return {};
}

/// Every id that is mentioned exists and is of a kind that makes sense there.
Parser::Status Parser::references() {
  const u32 count = btf_.type_count();
  const auto exists = [&](u32 id) { return id < count; };
  for (u32 id = 1; id < count; ++id) {
    const Type& t = btf_.types_[id];
    if (!exists(t.type)) return bad_id(id, fmt::format("refers to type {} of {}", t.type, count));
    if (!exists(t.index_type)) return bad_id(id, "index type out of range");
    const Kind target = btf_.types_[t.type].kind;
    if (t.kind == Kind::kFunc && target != Kind::kFuncProto)
      return bad_id(id, "FUNC without a FUNC_PROTO");
    if (t.kind == Kind::kVar && target == Kind::kVoid) return bad_id(id, "VAR of type void");
    if ((t.kind == Kind::kStruct || t.kind == Kind::kUnion)) {
      for (u32 i = 0; i < t.count; ++i) {
        if (!exists(btf_.members_[t.first + i].type)) return bad_id(id, "member type out of range");
      }
    } else if (t.kind == Kind::kFuncProto) {
      for (u32 i = 0; i < t.count; ++i) {
        if (!exists(btf_.params_[t.first + i].type))
          return bad_id(id, "parameter type out of range");
      }
    } else if (t.kind == Kind::kDatasec) {
      for (u32 i = 0; i < t.count; ++i) {
        const u32 var = btf_.vars_[t.first + i].type;
        if (!exists(var)) return bad_id(id, "variable out of range");
        const Kind kind = btf_.types_[var].kind;
        if (kind != Kind::kVar && kind != Kind::kFunc) return bad_id(id, "DATASEC entry is no VAR");
      }
    } else if (t.kind == Kind::kDeclTag && t.component >= 0) {
      u32 parts = 0;
      if (target == Kind::kStruct || target == Kind::kUnion) parts = btf_.types_[t.type].count;
      if (target == Kind::kFunc) {
        const Type& proto =
            btf_.types_[btf_.types_[t.type].type < count ? btf_.types_[t.type].type : 0];
        if (proto.kind == Kind::kFuncProto) parts = proto.count;
      }
      if (static_cast<u32>(t.component) >= parts) return bad_id(id, "component index out of range");
    }
  }
  return {};
}

/// The `step`th type whose size `id` depends on.
bool Parser::next_value_edge(u32 id, u32 step, u32& target) const {
  const Type& t = btf_.types_[id];
  switch (t.kind) {
    case Kind::kStruct:
    case Kind::kUnion:
      if (step >= t.count) return false;
      target = btf_.members_[t.first + step].type;
      return true;
    case Kind::kArray:
    case Kind::kTypedef:
    case Kind::kVar:
      if (step > 0) return false;
      target = t.type;
      return true;
    default:
      if (!is_modifier(t.kind) || step > 0) return false;
      target = t.type;
      return true;
  }
}

Parser::Status Parser::compute_size(u32 id) {
  const Type& t = btf_.types_[id];
  u64 size = kNoSize;
  switch (t.kind) {
    case Kind::kInt:
    case Kind::kFloat:
    case Kind::kStruct:
    case Kind::kUnion:
    case Kind::kEnum:
    case Kind::kEnum64:
    case Kind::kDatasec:
      size = t.size;
      break;
    case Kind::kPtr:
      size = 8;
      break;
    case Kind::kArray: {
      const u64 element = btf_.sizes_[t.type];
      if (element == kNoSize) return bad_id(id, "array of a type without a size");
      size = element * t.nr_elems;
      if (size > kMaxSize) return bad_id(id, "array too large");
      break;
    }
    case Kind::kTypedef:
    case Kind::kVar:
    case Kind::kConst:
    case Kind::kVolatile:
    case Kind::kRestrict:
    case Kind::kTypeTag:
      size = btf_.sizes_[t.type];
      break;
    default:
      break;
  }
  btf_.sizes_[id] = size;
  return {};
}

/// Depth first, with a stack of our own: input decides how deep it goes.
Parser::Status Parser::sizes() {
  enum : u8 { kNew, kOpen, kDone };
  const u32 count = btf_.type_count();
  std::vector<u8> state(count, kNew);
  btf_.sizes_.assign(count, kNoSize);
  std::vector<std::pair<u32, u32>> stack;  // id, next edge
  for (u32 root = 1; root < count; ++root) {
    if (state[root] != kNew) continue;
    stack.emplace_back(root, 0);
    state[root] = kOpen;
    while (!stack.empty()) {
      auto& [id, step] = stack.back();
      u32 target = 0;
      if (next_value_edge(id, step, target)) {
        ++step;
        if (state[target] == kOpen) return bad_id(id, "contains itself");
        if (target != 0 && state[target] == kNew) {
          state[target] = kOpen;
          stack.emplace_back(target, 0);
        }
        continue;
      }
      if (auto r = compute_size(id); !r) return r;
      state[id] = kDone;
      stack.pop_back();
    }
  }
  return {};
}

/// Members lie inside their struct.
Parser::Status Parser::layouts() const {
  for (u32 id = 1; id < btf_.type_count(); ++id) {
    const Type& t = btf_.types_[id];
    if (t.kind != Kind::kStruct && t.kind != Kind::kUnion) continue;
    for (u32 i = 0; i < t.count; ++i) {
      const Member& m = btf_.members_[t.first + i];
      const u64 size = btf_.sizes_[m.type];
      if (size == kNoSize) return bad_id(id, fmt::format("member {} has no size", i));
      const u64 bits = m.bitfield_size != 0 ? m.bitfield_size : size * 8;
      if (u64{m.bit_offset} + bits > u64{t.size} * 8) {
        // Before bitfields had a flag, an INT's own offset and width said where they are.
        const Type& v = btf_.types_[btf_.resolve(m.type)];
        const u64 end = u64{m.bit_offset} + v.int_offset + v.int_bits;
        if (v.kind != Kind::kInt || m.bitfield_size != 0 || end > u64{t.size} * 8) {
          return bad_id(id, fmt::format("member {} ends outside", i));
        }
      }
    }
  }
  return {};
}

OrError<Btf> Btf::parse(std::span<const std::byte> bytes) {
  return Parser(bytes).run();
}

}  // namespace uscx::btf
