// SPDX-License-Identifier: GPL-2.0-only
// Writes BTF: types one after the other, then the bytes.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "btf/btf.h"

namespace uscx::btf {

/// Appends types and numbers them from 1. Nothing is checked here; Btf::parse() does that, and
/// references may go forward.
class Builder {
 public:
  struct MemberSpec {
    std::string name;
    u32 type = 0;
    u32 bit_offset = 0;
    u32 bitfield_size = 0;
  };
  struct ParamSpec {
    std::string name;
    u32 type = 0;
  };
  struct EnumeratorSpec {
    std::string name;
    u64 value = 0;
  };

  u32 add_int(std::string_view name, u32 size, u32 encoding = 0);
  u32 add_float(std::string_view name, u32 size);
  /// PTR, CONST, VOLATILE, RESTRICT.
  u32 add_ref(Kind kind, u32 type);
  u32 add_ptr(u32 type) { return add_ref(Kind::kPtr, type); }
  u32 add_const(u32 type) { return add_ref(Kind::kConst, type); }
  u32 add_typedef(std::string_view name, u32 type);
  u32 add_type_tag(std::string_view text, u32 type, bool attribute = false);
  u32 add_decl_tag(std::string_view text, u32 type, s32 component = -1, bool attribute = false);
  u32 add_array(u32 element, u32 index_type, u32 nr_elems);
  /// STRUCT or UNION.
  u32 add_composite(Kind kind, std::string_view name, u32 size,
                    const std::vector<MemberSpec>& members);
  u32 add_struct(std::string_view name, u32 size, const std::vector<MemberSpec>& members) {
    return add_composite(Kind::kStruct, name, size, members);
  }
  /// ENUM up to 4 bytes, ENUM64 for 8.
  u32 add_enum(std::string_view name, u32 size, bool is_signed,
               const std::vector<EnumeratorSpec>& values);
  u32 add_fwd(std::string_view name, bool is_union = false);
  u32 add_func_proto(u32 result, const std::vector<ParamSpec>& params);
  u32 add_func(std::string_view name, u32 proto, u32 linkage = kStatic);
  u32 add_var(std::string_view name, u32 type, u32 linkage = kGlobal);
  u32 add_datasec(std::string_view name, u32 size, const std::vector<SecVar>& vars);

  u32 last_id() const { return last_id_; }
  std::vector<std::byte> finish() const;

 private:
  u32 string(std::string_view text);
  u32 begin(Kind kind, std::string_view name, u32 vlen, bool kflag, u32 size_or_type);
  void word(u32 value);

  u32 last_id_ = 0;
  std::vector<std::byte> types_;
  std::string strings_ = std::string(1, '\0');
  std::map<std::string, u32, std::less<>> interned_;
};

}  // namespace uscx::btf
