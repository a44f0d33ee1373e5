// SPDX-License-Identifier: GPL-2.0-only
// The special fields of a map value: what programs reach through helpers only, what copies leave
// alone, and what must be undone when the value goes away. Linux: struct btf_record.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::bpf {

enum class FieldKind : u8 {
  kSpinLock,
  kResSpinLock,
  kTimer,
  kWorkqueue,
  kTaskWork,
  kKptrUnref,
  kKptrRef,
  kKptrPercpu,
  kUptr,
  kListHead,
  kRbRoot,
  kRefcount,
  kListNode,  // of local types only
  kRbNode,
};

struct Field {
  FieldKind kind;
  u32 offset;
  u32 size;
  std::string type_name;  // of what a kptr points to
};

struct FieldRecord {
  std::vector<Field> fields;  // ascending by offset
  bool has(FieldKind kind) const {
    for (const Field& f : fields) {
      if (f.kind == kind) return true;
    }
    return false;
  }
};

/// Whose fields: a map's value or an object of bpf_obj_new, which alone may have nodes.
enum class FieldsOf : u8 { kMapValue, kLocalType };

/// The special fields of type `type_id` of `btf`, of `value_size` bytes. EINVAL, EEXIST or E2BIG
/// for what Linux refuses. Linux: btf_parse_fields.
Result<FieldRecord> parse_fields(const btf::Btf& btf, u32 type_id, u32 value_size,
                                 FieldsOf of = FieldsOf::kMapValue);
/// May a map of this type have these fields? 0 or a positive errno. Linux: map_check_btf.
int check_fields(const FieldRecord& record, u32 map_type, u32 map_flags);

}  // namespace uscx::bpf
