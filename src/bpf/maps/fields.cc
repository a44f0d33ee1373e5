// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/fields.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "bpf/uapi.h"
#include "btf/btf.h"

namespace uscx::bpf {

namespace {

constexpr u32 kMaxFields = 11;  // BTF_FIELDS_MAX
constexpr u32 kMaxDepth = 32;   // MAX_RESOLVE_DEPTH of nested structs that are searched

struct NamedField {
  std::string_view name;
  FieldKind kind;
  u32 size;
  u32 align;
  bool unique;
};
constexpr std::array kNamedFields = {
    NamedField{"bpf_spin_lock", FieldKind::kSpinLock, 4, 4, true},
    NamedField{"bpf_res_spin_lock", FieldKind::kResSpinLock, 4, 4, true},
    NamedField{"bpf_timer", FieldKind::kTimer, 16, 8, true},
    NamedField{"bpf_wq", FieldKind::kWorkqueue, 16, 8, true},
    NamedField{"bpf_task_work", FieldKind::kTaskWork, 8, 8, true},
    NamedField{"bpf_list_head", FieldKind::kListHead, 16, 8, false},
    NamedField{"bpf_rb_root", FieldKind::kRbRoot, 16, 8, false},
    NamedField{"bpf_refcount", FieldKind::kRefcount, 4, 4, true},
    NamedField{"bpf_list_node", FieldKind::kListNode, 24, 8, false},
    NamedField{"bpf_rb_node", FieldKind::kRbNode, 32, 8, false},
};

/// Walks a value type. Linux: btf_find_field.
class Search {
 public:
  Search(const btf::Btf& btf, FieldsOf of) : btf_(btf), of_(of) {}

  Result<void> visit(u32 type_id, u32 offset, u32 depth) {
    const u32 id = btf_.resolve(type_id);
    const btf::Type& type = btf_.type(id);
    switch (type.kind) {
      case btf::Kind::kArray:
        return visit_array(type, offset, depth);
      case btf::Kind::kPtr:
        return visit_pointer(type, offset);
      case btf::Kind::kStruct:
        return visit_struct(id, type, offset, depth);
      case btf::Kind::kDatasec:
        for (const btf::SecVar& var : btf_.section_vars(id)) {
          if (auto r = visit(btf_.type(var.type).type, offset + var.offset, depth); !r) return r;
        }
        return {};
      default:
        return {};
    }
  }

  FieldRecord record;

 private:
  Result<void> visit_array(const btf::Type& type, u32 offset, u32 depth) {
    const auto size = btf_.size_of(type.type);
    if (!size) return {};
    const std::size_t before = record.fields.size();
    for (u32 i = 0; i < type.nr_elems; ++i) {
      if (auto r = visit(type.type, offset + i * *size, depth); !r) return r;
      if (record.fields.size() == before) return {};  // an element without: so are the others
    }
    return {};
  }

  Result<void> visit_struct(u32 id, const btf::Type& type, u32 offset, u32 depth) {
    for (const NamedField& named : kNamedFields) {
      if (type.name != named.name) continue;
      const bool node = named.kind == FieldKind::kListNode || named.kind == FieldKind::kRbNode;
      if (node && of_ == FieldsOf::kMapValue) return {};
      if (offset % named.align) return {};
      if (named.unique && record.has(named.kind)) return fail(E2BIG);
      return add({named.kind, offset, named.size, {}});
    }
    if (depth >= kMaxDepth) return fail(E2BIG);
    for (const btf::Member& member : btf_.members(id)) {
      if (member.bitfield_size) continue;
      if (auto r = visit(member.type, offset + member.byte_offset(), depth + 1); !r) return r;
    }
    return {};
  }

  Result<void> visit_pointer(const btf::Type& pointer, u32 offset) {
    u32 id = pointer.type;
    std::optional<FieldKind> kind;
    while (btf_.kind(id) == btf::Kind::kTypeTag) {
      const std::string_view tag = btf_.name(id);
      if (tag == "kptr") kind = FieldKind::kKptrRef;
      if (tag == "kptr_untrusted") kind = FieldKind::kKptrUnref;
      if (tag == "percpu_kptr") kind = FieldKind::kKptrPercpu;
      if (tag == "uptr") kind = FieldKind::kUptr;
      id = btf_.type(id).type;
    }
    if (!kind) return {};
    if (offset % 8) return {};
    id = btf_.resolve(id);
    const btf::Kind target = btf_.kind(id);
    if (target != btf::Kind::kStruct && target != btf::Kind::kFwd) return fail(EINVAL);
    return add({*kind, offset, 8, std::string(btf_.name(id))});
  }

  Result<void> add(Field field) {
    if (record.fields.size() == kMaxFields) return fail(E2BIG);
    record.fields.push_back(std::move(field));
    return {};
  }

  const btf::Btf& btf_;
  FieldsOf of_;
};

bool one_of(u32 type, std::initializer_list<u32> types) {
  return std::find(types.begin(), types.end(), type) != types.end();
}

bool kind_fits(FieldKind kind, u32 type) {
  using namespace uapi;
  switch (kind) {
    case FieldKind::kSpinLock:
    case FieldKind::kResSpinLock:
      return one_of(type, {kMapHash, kMapRhash, kMapArray, kMapCgroupStorage, kMapSkStorage,
                           kMapInodeStorage, kMapTaskStorage, kMapCgrpStorage});
    case FieldKind::kTimer:
    case FieldKind::kWorkqueue:
    case FieldKind::kTaskWork:
      return one_of(type, {kMapHash, kMapRhash, kMapLruHash, kMapArray});
    case FieldKind::kKptrUnref:
    case FieldKind::kKptrRef:
    case FieldKind::kKptrPercpu:
    case FieldKind::kRefcount:
      return one_of(type, {kMapHash, kMapRhash, kMapPercpuHash, kMapLruHash, kMapLruPercpuHash,
                           kMapArray, kMapPercpuArray, kMapSkStorage, kMapInodeStorage,
                           kMapTaskStorage, kMapCgrpStorage});
    case FieldKind::kUptr:
      return type == kMapTaskStorage;
    case FieldKind::kListHead:
    case FieldKind::kRbRoot:
      return one_of(type, {kMapHash, kMapLruHash, kMapArray});
    case FieldKind::kListNode:
    case FieldKind::kRbNode:
      return false;
  }
  return false;
}

}  // namespace

Result<FieldRecord> parse_fields(const btf::Btf& btf, u32 type_id, u32 value_size, FieldsOf of) {
  Search search(btf, of);
  if (auto r = search.visit(type_id, 0, 0); !r) return std::unexpected(r.error());
  auto& fields = search.record.fields;
  std::sort(fields.begin(), fields.end(),
            [](const Field& a, const Field& b) { return a.offset < b.offset; });
  u32 end = 0;
  for (const Field& field : fields) {
    if (field.offset < end || field.offset + field.size > value_size) return fail(EEXIST);
    end = field.offset + field.size;
  }
  return std::move(search.record);
}

int check_fields(const FieldRecord& record, u32 map_type, u32 map_flags) {
  if (record.fields.empty()) return 0;
  if (map_flags & (uapi::kRdonlyProg | uapi::kWronlyProg)) return EACCES;
  for (const Field& field : record.fields) {
    if (!kind_fits(field.kind, map_type)) return EOPNOTSUPP;
  }
  return 0;
}

}  // namespace uscx::bpf
