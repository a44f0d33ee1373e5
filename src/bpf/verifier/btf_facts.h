// SPDX-License-Identifier: GPL-2.0-only
// Questions about types that the verifier asks of BTF: where an access lands, whether one pointer
// will do for another, what a parameter's name says.
#pragma once

#include <optional>
#include <string_view>

#include "bpf/verifier/log.h"
#include "bpf/verifier/record.h"
#include "btf/btf.h"

namespace uscx::bpf::verifier {

struct Verifier;

constexpr bool is_composite(btf::Kind kind) {
  return kind == btf::Kind::kStruct || kind == btf::Kind::kUnion;
}
constexpr bool is_enum(btf::Kind kind) {
  return kind == btf::Kind::kEnum || kind == btf::Kind::kEnum64;
}
constexpr bool is_number(btf::Kind kind) {
  return kind == btf::Kind::kInt || is_enum(kind);
}
constexpr bool is_modifier(btf::Kind kind) {
  switch (kind) {
    case btf::Kind::kTypedef:
    case btf::Kind::kVolatile:
    case btf::Kind::kConst:
    case btf::Kind::kRestrict:
    case btf::Kind::kTypeTag:
      return true;
    default:
      return false;
  }
}
/// An INT of 1, 2, 4 or 8 whole bytes. Linux: btf_type_is_small_int.
bool is_small_int(const btf::Type& type);
/// What a pointer points to, without modifiers; nullopt where `id` is no pointer.
std::optional<u32> pointee(const btf::Btf& btf, u32 id);
/// A pointer to a struct or union?
bool is_composite_pointer(const btf::Btf& btf, u32 id);

/// "task__nullable" has "__nullable". Linux: btf_param_match_suffix.
bool has_suffix(std::string_view param_name, std::string_view suffix);

/// Which of `tags` stand between a pointer and what it points to. More than one: nullopt.
struct TypeTag {
  std::string_view name;
  u32 flag;
};
struct TagWalk {
  u32 flags = 0;
  u32 id = 0;  // what is behind the modifiers
};
std::optional<TagWalk> walk_type_tags(const btf::Btf& btf, u32 pointer_id,
                                      std::span<const TypeTag> tags);

/// Where an access to a struct lands. Linux: btf_struct_access.
struct StructAccess {
  int err = 0;             // -EACCES, -EINVAL, ...; the log has the reason
  RegType type = kScalar;  // kScalar, kPtrToBtfId or kPtrToMem
  u32 btf_id = 0;
  u32 flags = 0;
  std::string_view field = {};
};
/// `record`: the special fields of an allocated object, or null. `alloc`: the object is the
/// program's own.
StructAccess access_struct(Log& log, const btf::Btf& btf, u32 id, s32 off, s32 size, bool alloc,
                           const Record* record);

/// Is what lies at `off` of type `id` a `need_id` (or starts with one, if not strict)?
/// Linux: btf_struct_ids_match.
bool struct_ids_match(Verifier& v, const btf::Btf& btf, u32 id, s32 off, const btf::Btf& need_btf,
                      u32 need_id, bool strict, bool walk_flex_arrays);

/// Does `field`, a pointer to `btf_id`, of the struct keep the trust that `suffix` names
/// ("__safe_rcu", ...)? Linux: btf_nested_type_is_trusted and the lists in verifier.c.
bool nested_is_trusted(const btf::Btf& btf, u32 struct_id, std::string_view field, u32 btf_id,
                       std::string_view suffix);
/// "nf_conn" and "nf_conn___init". Linux: btf_type_ids_nocast_alias.
bool nocast_alias(std::string_view a, std::string_view b);
/// "__sk_buff" for "sk_buff". Linux: btf_is_projection_of.
bool is_projection_of(std::string_view projection, std::string_view of);

/// A struct of numbers, arrays of them, and such structs, three deep. Linux:
/// __btf_type_is_scalar_struct.
bool is_scalar_struct(Log& log, const btf::Btf& btf, u32 id, u32 depth = 0);

/// The id of struct bpf_iter_<x> that parameter `index` points to; nullopt. Linux:
/// btf_check_iter_arg.
std::optional<u32> iter_arg_type(const btf::Btf& btf, const btf::Proto& proto, u32 index);

/// Where argument `index` begins in a trampoline's context. Linux: btf_ctx_arg_offset.
std::optional<u32> ctx_arg_offset(const btf::Btf& btf, const btf::Proto& proto, u32 index);
/// The argument at byte `off`; the number of them for the return value; one more beyond.
/// Linux: btf_ctx_arg_idx.
u32 ctx_arg_index(const btf::Btf& btf, const std::optional<btf::Proto>& proto, s32 off);

}  // namespace uscx::bpf::verifier
