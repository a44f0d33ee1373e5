// SPDX-License-Identifier: GPL-2.0-only
// BTF, read and checked: types by id and by name, layouts, prototypes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::btf {

/// As numbered in the format (BTF_KIND_*).
enum class Kind : u8 {
  kVoid = 0,
  kInt = 1,
  kPtr = 2,
  kArray = 3,
  kStruct = 4,
  kUnion = 5,
  kEnum = 6,
  kFwd = 7,
  kTypedef = 8,
  kVolatile = 9,
  kConst = 10,
  kRestrict = 11,
  kFunc = 12,
  kFuncProto = 13,
  kVar = 14,
  kDatasec = 15,
  kFloat = 16,
  kDeclTag = 17,
  kTypeTag = 18,
  kEnum64 = 19,
};
constexpr Kind kLastKind = Kind::kEnum64;

/// "STRUCT", "FUNC_PROTO", ...
std::string_view kind_name(Kind kind);

/// FUNC and VAR linkage (BTF_FUNC_*, BTF_VAR_*).
enum Linkage : u32 { kStatic = 0, kGlobal = 1, kExtern = 2 };

/// Bits of an INT's encoding.
enum IntEncoding : u32 { kSigned = 1, kChar = 2, kBool = 4 };

/// One type as stored. Which fields mean something depends on the kind; the others are 0.
struct Type {
  Kind kind = Kind::kVoid;
  bool kflag = false;     // STRUCT/UNION: has bitfields; ENUM/ENUM64: signed; FWD: union
  std::string_view name;  // lives as long as the Btf
  u32 size = 0;           // bytes: INT, STRUCT, UNION, ENUM, ENUM64, DATASEC, FLOAT
  u32 type =
      0;  // PTR and modifiers, TYPEDEF, FUNC (its proto), FUNC_PROTO (result), VAR, ARRAY (element)
  u32 linkage = 0;       // FUNC, VAR
  u32 nr_elems = 0;      // ARRAY
  u32 index_type = 0;    // ARRAY
  u32 int_bits = 0;      // INT
  u32 int_offset = 0;    // INT, bits
  u32 int_encoding = 0;  // INT, IntEncoding
  s32 component = -1;    // DECL_TAG: member or parameter index, -1 for the whole
  u32 first = 0;         // where members, enumerators, parameters or section entries begin
  u32 count = 0;         // how many of those there are
};

struct Member {
  std::string_view name;  // empty: anonymous
  u32 type = 0;
  u32 bit_offset = 0;
  u32 bitfield_size = 0;  // bits; 0: not a bitfield

  u32 byte_offset() const { return bit_offset / 8; }
};

struct Enumerator {
  std::string_view name;
  u64 value = 0;  // sign-extended where the enum is signed
};

struct Param {
  std::string_view name;
  u32 type = 0;  // 0 as the last one: variadic
};

struct SecVar {
  u32 type = 0;  // a VAR (or FUNC)
  u32 offset = 0;
  u32 size = 0;
};

/// Where a member path leads.
struct Field {
  u32 type = 0;           // as declared, unresolved
  u32 bit_offset = 0;     // from the start of the root
  u32 bitfield_size = 0;  // bits; 0: not a bitfield
  u32 size = 0;           // bytes of the type

  u32 byte_offset() const { return bit_offset / 8; }
};

struct Proto {
  u32 result = 0;  // type id; 0: void
  std::span<const Param> params;
};

/// Checked BTF. Immutable; movable, and everything it hands out stays valid when it moves.
/// Linux: struct btf, kernel/bpf/btf.c.
class Btf {
 public:
  /// Checks every offset, size, kind and reference of `bytes` (copied). After success all accessors
  /// are safe for ids below type_count(), and no type contains itself by value.
  static OrError<Btf> parse(std::span<const std::byte> bytes);

  Btf(Btf&&) = default;
  Btf& operator=(Btf&&) = default;
  Btf(const Btf&) = delete;
  Btf& operator=(const Btf&) = delete;

  /// The bytes that were parsed.
  std::span<const std::byte> raw() const { return bytes_; }
  /// One more than the largest id; id 0 is void.
  u32 type_count() const { return static_cast<u32>(types_.size()); }
  const Type& type(u32 id) const;
  Kind kind(u32 id) const { return type(id).kind; }
  std::string_view name(u32 id) const { return type(id).name; }
  /// The string at an offset of the string section; nullopt if there is none.
  std::optional<std::string_view> string_at(u32 offset) const;

  /// The lowest id with that name and kind.
  std::optional<u32> find(std::string_view name, Kind kind) const;
  /// A struct or union, or a typedef of one, by its plain name.
  std::optional<u32> find_composite(std::string_view name) const;
  /// The value of an enumerator, of whatever ENUM or ENUM64 has it.
  std::optional<u64> find_enumerator(std::string_view name) const;

  /// Strips typedefs, qualifiers and type tags.
  u32 resolve(u32 id) const;
  /// Bytes an object of that type takes; nullopt for void, functions, forward declarations.
  std::optional<u32> size_of(u32 id) const;
  /// "const struct task_struct *"
  std::string spell(u32 id) const;

  /// Members of a struct or union (modifiers are stripped first); empty for anything else.
  std::span<const Member> members(u32 id) const;
  std::span<const Enumerator> enumerators(u32 id) const;
  std::span<const SecVar> section_vars(u32 id) const;
  /// Index of a struct_ops member or the like; nullopt if there is none of that name.
  std::optional<u32> member_index(u32 id, std::string_view name) const;
  /// Follows "scx.slice" or "subsys[1].cgroup" from a struct or union, through anonymous members.
  OrError<Field> find_member_path(u32 root, std::string_view path) const;
  /// The prototype of a FUNC, FUNC_PROTO, or pointer to one; nullopt for anything else.
  std::optional<Proto> func_proto(u32 id) const;
  /// Its parameters alone; empty where func_proto() has nothing.
  std::span<const Param> params(u32 id) const;

  /// Texts of the DECL_TAGs on a type (component -1) or on one of its members or parameters.
  std::vector<std::string_view> decl_tags(u32 id, s32 component = -1) const;
  bool has_decl_tag(u32 id, std::string_view text, s32 component = -1) const;

 private:
  friend class Parser;
  Btf() = default;
  void build_indexes();

  std::vector<std::byte> bytes_;
  std::string_view strings_;
  std::vector<Type> types_;
  std::vector<Member> members_;
  std::vector<Enumerator> enumerators_;
  std::vector<Param> params_;
  std::vector<SecVar> vars_;
  std::vector<u64> sizes_;    // bytes, or kNoSize
  std::vector<u32> by_name_;  // named ids, by (name, kind, id)
  std::vector<u32> tags_;     // DECL_TAG ids, by (target, component, id)
  std::vector<std::pair<std::string_view, u64>> by_enumerator_;  // by name
};

}  // namespace uscx::btf
