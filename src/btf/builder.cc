// SPDX-License-Identifier: GPL-2.0-only
#include "btf/builder.h"

#include <cstring>

#include "base/assert.h"

namespace uscx::btf {

u32 Builder::string(std::string_view text) {
  if (text.empty()) return 0;
  const auto it = interned_.find(text);
  if (it != interned_.end()) return it->second;
  const u32 offset = static_cast<u32>(strings_.size());
  strings_.append(text);
  strings_.push_back('\0');
  interned_.emplace(text, offset);
  return offset;
}

void Builder::word(u32 value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  types_.insert(types_.end(), bytes, bytes + sizeof(value));
}

u32 Builder::begin(Kind kind, std::string_view name, u32 vlen, bool kflag, u32 size_or_type) {
  USCX_ASSERT(vlen <= 0xffff);
  word(string(name));
  word((kflag ? 1u << 31 : 0) | (static_cast<u32>(kind) << 24) | vlen);
  word(size_or_type);
  return ++last_id_;
}

u32 Builder::add_int(std::string_view name, u32 size, u32 encoding) {
  const u32 id = begin(Kind::kInt, name, 0, false, size);
  word((encoding << 24) | (size * 8));
  return id;
}

u32 Builder::add_float(std::string_view name, u32 size) {
  return begin(Kind::kFloat, name, 0, false, size);
}

u32 Builder::add_ref(Kind kind, u32 type) {
  return begin(kind, {}, 0, false, type);
}

u32 Builder::add_typedef(std::string_view name, u32 type) {
  return begin(Kind::kTypedef, name, 0, false, type);
}

u32 Builder::add_type_tag(std::string_view text, u32 type, bool attribute) {
  return begin(Kind::kTypeTag, text, 0, attribute, type);
}

u32 Builder::add_decl_tag(std::string_view text, u32 type, s32 component, bool attribute) {
  const u32 id = begin(Kind::kDeclTag, text, 0, attribute, type);
  word(static_cast<u32>(component));
  return id;
}

u32 Builder::add_array(u32 element, u32 index_type, u32 nr_elems) {
  const u32 id = begin(Kind::kArray, {}, 0, false, 0);
  word(element);
  word(index_type);
  word(nr_elems);
  return id;
}

u32 Builder::add_composite(Kind kind, std::string_view name, u32 size,
                           const std::vector<MemberSpec>& members) {
  bool bitfields = false;
  for (const MemberSpec& m : members) bitfields |= m.bitfield_size != 0;
  const u32 id = begin(kind, name, static_cast<u32>(members.size()), bitfields, size);
  for (const MemberSpec& m : members) {
    USCX_ASSERT(!bitfields || (m.bit_offset <= 0xffffff && m.bitfield_size <= 0xff));
    word(string(m.name));
    word(m.type);
    word(bitfields ? (m.bitfield_size << 24) | m.bit_offset : m.bit_offset);
  }
  return id;
}

u32 Builder::add_enum(std::string_view name, u32 size, bool is_signed,
                      const std::vector<EnumeratorSpec>& values) {
  const Kind kind = size > 4 ? Kind::kEnum64 : Kind::kEnum;
  const u32 id = begin(kind, name, static_cast<u32>(values.size()), is_signed, size);
  for (const EnumeratorSpec& v : values) {
    word(string(v.name));
    word(static_cast<u32>(v.value));
    if (kind == Kind::kEnum64) word(static_cast<u32>(v.value >> 32));
  }
  return id;
}

u32 Builder::add_fwd(std::string_view name, bool is_union) {
  return begin(Kind::kFwd, name, 0, is_union, 0);
}

u32 Builder::add_func_proto(u32 result, const std::vector<ParamSpec>& params) {
  const u32 id = begin(Kind::kFuncProto, {}, static_cast<u32>(params.size()), false, result);
  for (const ParamSpec& p : params) {
    word(string(p.name));
    word(p.type);
  }
  return id;
}

u32 Builder::add_func(std::string_view name, u32 proto, u32 linkage) {
  return begin(Kind::kFunc, name, linkage, false, proto);
}

u32 Builder::add_var(std::string_view name, u32 type, u32 linkage) {
  const u32 id = begin(Kind::kVar, name, 0, false, type);
  word(linkage);
  return id;
}

u32 Builder::add_datasec(std::string_view name, u32 size, const std::vector<SecVar>& vars) {
  const u32 id = begin(Kind::kDatasec, name, static_cast<u32>(vars.size()), false, size);
  for (const SecVar& v : vars) {
    word(v.type);
    word(v.offset);
    word(v.size);
  }
  return id;
}

std::vector<std::byte> Builder::finish() const {
  struct Header {
    u16 magic = 0xeb9f;
    u8 version = 1;
    u8 flags = 0;
    u32 length = 24;
    u32 type_off = 0, type_len = 0, str_off = 0, str_len = 0;
  } header;
  static_assert(sizeof(Header) == 24);
  header.type_len = static_cast<u32>(types_.size());
  header.str_off = header.type_len;
  header.str_len = static_cast<u32>(strings_.size());
  std::vector<std::byte> out(sizeof(header) + types_.size() + strings_.size());
  std::memcpy(out.data(), &header, sizeof(header));
  if (!types_.empty()) std::memcpy(out.data() + sizeof(header), types_.data(), types_.size());
  std::memcpy(out.data() + sizeof(header) + types_.size(), strings_.data(), strings_.size());
  return out;
}

}  // namespace uscx::btf
