// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/record.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "bpf/impl.h"
#include "bpf/maps/map.h"
#include "bpf/verifier/btf_facts.h"
#include "btf/btf.h"

namespace uscx::bpf::verifier {

using btf::Btf;
using btf::Kind;

namespace {

constexpr u32 kMaxDepth = 32;   // MAX_RESOLVE_DEPTH
constexpr u32 kMaxFields = 11;  // BTF_FIELDS_MAX

struct NamedField {
  std::string_view name;
  u32 type;
  u32 align;
};
constexpr NamedField kNamedFields[] = {
    {"bpf_spin_lock", kFieldSpinLock, 4}, {"bpf_res_spin_lock", kFieldResSpinLock, 4},
    {"bpf_timer", kFieldTimer, 8},        {"bpf_wq", kFieldWorkqueue, 8},
    {"bpf_task_work", kFieldTaskWork, 8}, {"bpf_list_head", kFieldListHead, 8},
    {"bpf_list_node", kFieldListNode, 8}, {"bpf_rb_root", kFieldRbRoot, 8},
    {"bpf_rb_node", kFieldRbNode, 8},     {"bpf_refcount", kFieldRefcount, 4},
};

class FieldSearch {
 public:
  FieldSearch(const Btf& btf, const Btf& vmlinux, u32 mask, Record& out)
      : btf_(btf), vmlinux_(vmlinux), mask_(mask), out_(out) {}

  /// Then there is no record at all. Linux: E2BIG.
  bool too_many() const { return too_deep_ || out_.fields.size() > kMaxFields; }

  void members(u32 id, u32 offset, u32 depth) {
    if (depth >= kMaxDepth) {
      too_deep_ = true;
      return;
    }
    const auto members = btf_.members(id);
    for (u32 i = 0; i < members.size(); ++i) {
      if (members[i].bitfield_size) continue;
      one(members[i].type, id, static_cast<s32>(i), offset + members[i].byte_offset(), depth);
    }
  }

  void one(u32 type, u32 owner, s32 component, u32 offset, u32 depth) {
    u32 elems = 1;
    for (u32 i = 0; i < kMaxDepth && btf_.kind(btf_.resolve(type)) == Kind::kArray; ++i) {
      const btf::Type& array = btf_.type(btf_.resolve(type));
      elems *= array.nr_elems;
      type = array.type;
    }
    const u32 id = btf_.resolve(type);
    const u32 stride = btf_.size_of(id).value_or(0);
    for (u32 i = 0; i < elems && !too_many(); ++i) {
      const std::size_t before = out_.fields.size();
      element(type, id, owner, component, offset + i * stride, depth);
      if (out_.fields.size() == before) break;  // an element without: so are the others
    }
  }

 private:
  void element(u32 type, u32 id, u32 owner, s32 component, u32 offset, u32 depth) {
    const btf::Type& t = btf_.type(id);
    if (t.kind == Kind::kPtr) return pointer(type, offset);
    if (t.kind != Kind::kStruct) return;
    for (const NamedField& named : kNamedFields) {
      if (t.name != named.name || !(mask_ & named.type)) continue;
      if (offset % named.align) return;
      RecordField field{named.type, offset, t.size};
      if ((named.type & kFieldGraphRoot) && !graph_root(owner, component, field)) return;
      out_.fields.push_back(field);
      return;
    }
    members(id, offset, depth + 1);
  }

  void pointer(u32 type, u32 offset) {
    static constexpr TypeTag kTags[] = {{"kptr_untrusted", kFieldKptrUnref},
                                        {"kptr", kFieldKptrRef},
                                        {"percpu_kptr", kFieldKptrPercpu},
                                        {"uptr", kFieldUptr}};
    const auto walk = walk_type_tags(btf_, type, kTags);
    if (!walk || !(walk->flags & mask_) || offset % 8) return;
    RecordField field{walk->flags, offset, 8, &btf_, walk->id};
    const Kind kind = btf_.kind(walk->id);
    // A type the kernel has is the kernel's, whatever the program declares.
    if (const auto id = vmlinux_.find(btf_.name(walk->id), Kind::kStruct);
        id && (kind == Kind::kStruct || kind == Kind::kFwd)) {
      field.btf = &vmlinux_;
      field.btf_id = *id;
    }
    out_.fields.push_back(field);
  }

  /// "contains:node_data:node" on the member or the variable. Linux: btf_find_graph_root.
  bool graph_root(u32 owner, s32 component, RecordField& field) {
    constexpr std::string_view kKey = "contains:";
    for (std::string_view tag : btf_.decl_tags(owner, component)) {
      if (!tag.starts_with(kKey)) continue;
      tag.remove_prefix(kKey.size());
      const auto colon = tag.find(':');
      if (colon == tag.npos) return false;
      const auto value = btf_.find(tag.substr(0, colon), Kind::kStruct);
      if (!value) return false;
      for (const btf::Member& member : btf_.members(*value)) {
        if (member.name != tag.substr(colon + 1)) continue;
        field.btf = &btf_;
        field.btf_id = *value;
        field.node_offset = member.byte_offset();
        return true;
      }
    }
    return false;
  }

  const Btf& btf_;
  const Btf& vmlinux_;
  u32 mask_;
  bool too_deep_ = false;
  Record& out_;
};

}  // namespace

std::string_view field_type_name(u32 type) {
  switch (type) {
    case kFieldSpinLock:
      return "bpf_spin_lock";
    case kFieldResSpinLock:
      return "bpf_res_spin_lock";
    case kFieldTimer:
      return "bpf_timer";
    case kFieldWorkqueue:
      return "bpf_wq";
    case kFieldKptrUnref:
    case kFieldKptrRef:
      return "kptr";
    case kFieldKptrPercpu:
      return "percpu_kptr";
    case kFieldUptr:
      return "uptr";
    case kFieldListHead:
      return "bpf_list_head";
    case kFieldListNode:
      return "bpf_list_node";
    case kFieldRbRoot:
      return "bpf_rb_root";
    case kFieldRbNode:
      return "bpf_rb_node";
    case kFieldRefcount:
      return "bpf_refcount";
    case kFieldTaskWork:
      return "bpf_task_work";
    default:
      return "unknown";
  }
}

const RecordField* Record::find(u32 offset, u32 types) const {
  if (!has(types)) return nullptr;
  auto it = std::ranges::lower_bound(fields, offset, {}, &RecordField::offset);
  return it != fields.end() && it->offset == offset && (it->type & types) ? &*it : nullptr;
}

s32 Record::offset_of(u32 type) const {
  auto it = std::ranges::find(fields, type, &RecordField::type);
  return it == fields.end() ? -EINVAL : static_cast<s32>(it->offset);
}

std::unique_ptr<Record> Records::parse(const Btf& btf, u32 id, u32 mask, u32 size) {
  auto record = std::make_unique<Record>();
  FieldSearch search(btf, vmlinux_, mask, *record);
  id = btf.resolve(id);
  if (btf.kind(id) == Kind::kStruct) search.members(id, 0, 0);
  if (btf.kind(id) == Kind::kDatasec) {
    for (const btf::SecVar& var : btf.section_vars(id)) {
      if (btf.kind(var.type) != Kind::kVar) continue;
      search.one(btf.type(var.type).type, var.type, -1, var.offset, 0);
    }
  }
  if (search.too_many()) return nullptr;
  std::erase_if(record->fields, [&](const RecordField& f) { return f.offset + f.size > size; });
  if (record->fields.empty()) return nullptr;
  std::ranges::sort(record->fields, {}, &RecordField::offset);
  for (const RecordField& f : record->fields) record->mask |= f.type;
  return record;
}

const Record* Records::of_map(const Map& map) {
  auto [it, fresh] = maps_.try_emplace(&map);
  const MapSpec& spec = map.spec();
  if (fresh && spec.btf && spec.btf_value_type_id) {
    constexpr u32 kMask = kFieldSpinLock | kFieldResSpinLock | kFieldTimer | kFieldKptr |
                          kFieldListHead | kFieldRbRoot | kFieldRefcount | kFieldWorkqueue |
                          kFieldUptr | kFieldTaskWork;
    it->second = parse(spec.btf->btf, spec.btf_value_type_id, kMask, spec.value_size);
  }
  return it->second.get();
}

const Record* Records::of_struct(const Btf& btf, u32 id) {
  if (&btf == &vmlinux_) return nullptr;
  auto [it, fresh] = structs_.try_emplace({&btf, id});
  if (fresh && btf.kind(id) == Kind::kStruct) {
    constexpr u32 kMask = kFieldSpinLock | kFieldResSpinLock | kFieldListHead | kFieldListNode |
                          kFieldRbRoot | kFieldRbNode | kFieldRefcount | kFieldKptr;
    // Only structs that have one as a member themselves count.
    const auto members = btf.members(id);
    const bool direct = std::ranges::any_of(members, [&](const btf::Member& m) {
      const u32 type = m.type;
      if (btf.kind(type) == Kind::kPtr) return true;
      return std::ranges::any_of(kNamedFields,
                                 [&](const NamedField& n) { return btf.name(type) == n.name; });
    });
    if (direct) it->second = parse(btf, id, kMask, btf.type(id).size);
  }
  return it->second.get();
}

}  // namespace uscx::bpf::verifier
