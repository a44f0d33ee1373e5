// SPDX-License-Identifier: GPL-2.0-only
#include "cli/struct_ops_mask.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cstring>

#include "base/types.h"

namespace uscx::cli {

namespace {

bool is_callback(const ::btf* types, u32 id) {
  const btf_type* t = btf__type_by_id(types, id);
  while (t && (btf_is_mod(t) || btf_is_typedef(t))) t = btf__type_by_id(types, t->type);
  if (!t || !btf_is_ptr(t)) return false;
  t = btf__type_by_id(types, t->type);
  while (t && (btf_is_mod(t) || btf_is_typedef(t))) t = btf__type_by_id(types, t->type);
  return t && btf_is_func_proto(t);
}

}  // namespace

void mask_other_struct_ops(bpf_object* object, const bpf_program* wanted) {
  const ::btf* types = bpf_object__btf(object);
  bpf_map* map;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS) continue;
    std::size_t size = 0;
    auto* table = static_cast<char*>(bpf_map__initial_value(map, &size));
    const btf_type* t = btf__type_by_id(types, bpf_map__btf_value_type_id(map));
    if (!table || !t || !btf_is_struct(t)) continue;
    for (u32 i = 0; i < btf_vlen(t); ++i) {
      const u32 offset = btf_member_bit_offset(t, i) / 8;
      if (!is_callback(types, btf_members(t)[i].type) || offset + sizeof(void*) > size) continue;
      const void* program;
      std::memcpy(&program, table + offset, sizeof(program));
      if (program != wanted) std::memset(table + offset, 0, sizeof(program));
    }
  }
}

}  // namespace uscx::cli
