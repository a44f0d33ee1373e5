// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/objects.h"

#include "bpf/bpf.h"
#include "bpf/graph.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

/// Empties a list or tree; each object on it loses the reference that it held.
void drain_list(Bpf& bpf, ListLinks& head) {
  while (!list_empty(head)) {
    auto& node = *reinterpret_cast<ListNode*>(head.next);
    list_unlink(node);
    AllocatedObjects& objects = bpf.impl().objects;
    objects.drop(objects.around(reinterpret_cast<u64>(&node)));
  }
}

void drain_tree(Bpf& bpf, TreeRoot& root) {
  while (root.leftmost) {
    auto& node = *reinterpret_cast<TreeNode*>(root.leftmost);
    tree_unlink(root, node);
    AllocatedObjects& objects = bpf.impl().objects;
    objects.drop(objects.around(reinterpret_cast<u64>(&node)));
  }
}

}  // namespace

void init_fields(const FieldRecord& fields, u64 value) {
  for (const Field& field : fields.fields) {
    const u64 address = value + field.offset;
    switch (field.kind) {
      case FieldKind::kRefcount:
        *reinterpret_cast<u32*>(address) = 1;
        break;
      case FieldKind::kListHead:
      case FieldKind::kListNode:
        init_list(*reinterpret_cast<ListLinks*>(address));
        break;
      case FieldKind::kRbNode:
        rb::clear(reinterpret_cast<TreeNode*>(address)->node);
        break;
      default:
        break;  // zero is what it begins with
    }
  }
}

void free_fields(Bpf& bpf, const FieldRecord& fields, u64 value) {
  for (const Field& field : fields.fields) {
    const u64 address = value + field.offset;
    switch (field.kind) {
      case FieldKind::kTimer:
        bpf.impl().timers.forget(address);
        break;
      case FieldKind::kKptrRef:
      case FieldKind::kKptrPercpu: {
        auto* slot = reinterpret_cast<u64*>(address);
        const u64 object = *slot;
        *slot = 0;
        if (object) bpf.impl().release_kptr(field.type_name, object);
        break;
      }
      case FieldKind::kKptrUnref:
        *reinterpret_cast<u64*>(address) = 0;
        break;
      case FieldKind::kListHead:
        drain_list(bpf, *reinterpret_cast<ListLinks*>(address));
        break;
      case FieldKind::kRbRoot:
        drain_tree(bpf, *reinterpret_cast<TreeRoot*>(address));
        break;
      default:
        break;
    }
  }
}

u64 AllocatedObjects::make(const std::shared_ptr<BtfObject>& btf, u32 type_id, bool percpu) {
  if (!btf || type_id >= btf->btf.type_count()) return 0;
  const auto size = btf->btf.size_of(type_id);
  if (!size || *size == 0 || btf->btf.kind(type_id) != btf::Kind::kStruct) return 0;
  auto fields = parse_fields(btf->btf, type_id, *size, FieldsOf::kLocalType);
  if (!fields) return 0;
  Object object;
  object.fields = std::make_shared<FieldRecord>(std::move(*fields));
  object.percpu_stride = percpu ? round_up8(*size) : 0;
  const u64 bytes = percpu ? object.percpu_stride * bpf_.host().nr_cpu_ids() : *size;
  const u64 address = reinterpret_cast<u64>(bpf_.window().allocate(bytes, kAllocatedObject));
  if (!percpu) init_fields(*object.fields, address);
  objects_.emplace(address, std::move(object));
  return address;
}

u32* AllocatedObjects::refcount_of(u64 address, const Object& object) const {
  for (const Field& field : object.fields->fields) {
    if (field.kind == FieldKind::kRefcount) return reinterpret_cast<u32*>(address + field.offset);
  }
  return nullptr;
}

bool AllocatedObjects::drop(u64 address) {
  auto it = objects_.find(address);
  if (it == objects_.end()) return false;
  if (u32* count = refcount_of(address, it->second); count && --*count > 0) return true;
  const Object object = std::move(it->second);
  objects_.erase(it);
  if (!object.percpu_stride) free_fields(bpf_, *object.fields, address);
  bpf_.impl().free_after_grace(reinterpret_cast<void*>(address));
  return true;
}

bool AllocatedObjects::acquire(u64 address) {
  auto it = objects_.find(address);
  u32* count = it == objects_.end() ? nullptr : refcount_of(address, it->second);
  if (!count || *count == 0) return false;
  ++*count;
  return true;
}

u64 AllocatedObjects::on_cpu(u64 address, u32 cpu) const {
  auto it = objects_.find(address);
  if (it == objects_.end() || !it->second.percpu_stride) return 0;
  return address + it->second.percpu_stride * cpu;
}

u64 AllocatedObjects::around(u64 address) const {
  const Extent* extent = bpf_.window().find(address);
  return extent && extent->type == &kAllocatedObject && objects_.contains(extent->start)
             ? extent->start
             : 0;
}

}  // namespace uscx::bpf
