// SPDX-License-Identifier: GPL-2.0-only
// The special fields of a map's value or of a struct of the program's own: what loads and stores
// leave alone, and what kfuncs and helpers may be given. Linux: struct btf_record.
#pragma once

#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace uscx::btf {
class Btf;
}
namespace uscx::bpf {
class Map;
}

namespace uscx::bpf::verifier {

/// Linux: enum btf_field_type.
enum FieldType : u32 {
  kFieldSpinLock = 1 << 0,
  kFieldTimer = 1 << 1,
  kFieldKptrUnref = 1 << 2,
  kFieldKptrRef = 1 << 3,
  kFieldKptrPercpu = 1 << 4,
  kFieldListHead = 1 << 5,
  kFieldListNode = 1 << 6,
  kFieldRbRoot = 1 << 7,
  kFieldRbNode = 1 << 8,
  kFieldRefcount = 1 << 9,
  kFieldWorkqueue = 1 << 10,
  kFieldUptr = 1 << 11,
  kFieldResSpinLock = 1 << 12,
  kFieldTaskWork = 1 << 13,
  kFieldKptr = kFieldKptrUnref | kFieldKptrRef | kFieldKptrPercpu,
  kFieldGraphNode = kFieldListNode | kFieldRbNode,
  kFieldGraphRoot = kFieldListHead | kFieldRbRoot,
};
/// "bpf_spin_lock", "kptr", ... Linux: btf_field_type_name.
std::string_view field_type_name(u32 type);

struct RecordField {
  u32 type = 0;
  u32 offset = 0;
  u32 size = 0;
  // Of a kptr: what it points to. Of a list head or a tree root: what its nodes are in.
  const btf::Btf* btf = nullptr;
  u32 btf_id = 0;
  u32 node_offset = 0;
};

struct Record {
  std::vector<RecordField> fields = {};  // ascending by offset
  u32 mask = 0;

  bool has(u32 types) const { return mask & types; }
  /// The field that begins at `offset`, of one of `types`; null.
  const RecordField* find(u32 offset, u32 types) const;
  /// Where the one field of a type that occurs once is; -EINVAL: there is none.
  s32 offset_of(u32 type) const;
};

/// Records by map and by struct, parsed when first asked for.
class Records {
 public:
  /// `vmlinux`: where the types that kptrs point to are looked up first.
  explicit Records(const btf::Btf& vmlinux) : vmlinux_(vmlinux) {}

  /// Null where the value has no special fields.
  const Record* of_map(const Map& map);
  /// Of a struct of a program's BTF. Null where it has none. Linux: btf_find_struct_meta.
  const Record* of_struct(const btf::Btf& btf, u32 id);

 private:
  std::unique_ptr<Record> parse(const btf::Btf& btf, u32 id, u32 mask, u32 size);

  const btf::Btf& vmlinux_;
  std::map<const Map*, std::unique_ptr<Record>> maps_;
  std::map<std::pair<const btf::Btf*, u32>, std::unique_ptr<Record>> structs_;
};

}  // namespace uscx::bpf::verifier
