// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/btf_facts.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using btf::Btf;
using btf::Kind;

namespace {

constexpr u32 round_up_8(u32 n) {
  return (n + 7) & ~7u;
}

enum class Walk { kError, kScalar, kPointer, kUntrustedPointer, kStruct };

/// One walk from a struct to the member at an offset. Linux: btf_struct_walk.
struct Walker {
  Log& log;
  const Btf& btf;
  u32 id;
  s64 off;
  s64 size;
  bool flex;
  u32 flags = 0;
  std::string_view field = {};
  int err = 0;

  Walk fail(int errnum) {
    err = -errnum;
    return Walk::kError;
  }

  /// Beyond the end: the elements of a flexible array at the end are as good. True: go on.
  Walk beyond_end(bool& again) {
    const btf::Type& t = btf.type(id);
    const auto members = btf.members(id);
    const std::string_view name = t.name;
    auto refuse = [&] {
      log("access beyond struct {} at off {} size {}\n", name, static_cast<u32>(off),
          static_cast<u32>(size));
      return fail(EACCES);
    };
    if (!flex || members.empty()) return refuse();
    const btf::Member& last = members.back();
    const u32 array = btf.resolve(last.type);
    if (btf.kind(array) != Kind::kArray || btf.type(array).nr_elems != 0) return refuse();
    const s64 start = last.byte_offset();
    if (off < start) return refuse();
    const u32 elem = btf.resolve(btf.type(array).type);
    if (btf.kind(elem) == Kind::kInt) return Walk::kScalar;
    if (!is_composite(btf.kind(elem)) || !btf.type(elem).size) return refuse();
    off = (off - start) % btf.type(elem).size;
    id = elem;
    again = true;
    return Walk::kStruct;
  }

  Walk pointer_member(const btf::Member& member, u32 pointer, s64 start, s64 member_size) {
    if (member_size != size || off != start) {
      log("cannot access ptr member {} with moff {} in struct {} with off {} size {}\n",
          member.name, start, btf.name(id), off, size);
      return fail(EACCES);
    }
    static constexpr TypeTag kTags[] = {
        {"user", kMemUser}, {"percpu", kMemPercpu}, {"rcu", kMemRcu}};
    const auto walk = walk_type_tags(btf, pointer, kTags);
    if (!walk) {
      log("type '{}' has multiple type tags\n", btf::kind_name(btf.kind(pointer)));
      return fail(EINVAL);
    }
    if (!is_composite(btf.kind(walk->id))) return Walk::kUntrustedPointer;
    id = walk->id;
    flags |= walk->flags;
    field = member.name;
    return Walk::kPointer;
  }

  Walk step() {
    for (;;) {
      id = btf.resolve(id);
      const btf::Type& t = btf.type(id);
      if (!is_composite(t.kind)) {
        log("Type '{}' is not a struct\n", t.name);
        return fail(EINVAL);
      }
      const auto members = btf.members(id);
      if (t.kind == Kind::kUnion && members.size() != 1) flags |= kUntrusted;
      if (off + size > t.size) {
        bool again = false;
        const Walk walk = beyond_end(again);
        if (!again) return walk;
        continue;
      }
      bool again = false;
      for (const btf::Member& member : members) {
        s64 start = member.byte_offset();
        if (off + size <= start) break;
        if (member.bitfield_size) {
          const s64 end_bit = s64{member.bit_offset} + member.bitfield_size;
          if (off <= start && (end_bit + 7) / 8 <= off + size) return Walk::kScalar;
          continue;
        }
        if (off < start) break;
        const auto bytes = btf.size_of(member.type);
        if (!bytes) {
          log("field {} doesn't have size\n", member.name);
          return fail(EFAULT);
        }
        const s64 end = start + *bytes;
        if (off >= end) continue;
        u32 type = btf.resolve(member.type);
        s64 member_size = *bytes;
        if (btf.kind(type) == Kind::kArray) {
          while (btf.kind(type) == Kind::kArray) type = btf.resolve(btf.type(type).type);
          member_size = btf.size_of(type).value_or(1);
          if (member_size == 0) continue;
          start += (off - start) / member_size * member_size;
        }
        if (is_composite(btf.kind(type))) {
          id = type;
          if (off == start) return Walk::kStruct;
          off -= start;
          again = true;
          break;
        }
        if (btf.kind(type) == Kind::kPtr) return pointer_member(member, type, start, member_size);
        if (off + size > end && !(flags & kUntrusted)) {
          log("access beyond the end of member {} (mend:{}) in struct {} with off {} size {}\n",
              member.name, end, t.name, off, size);
          return fail(EACCES);
        }
        return Walk::kScalar;
      }
      if (again) continue;
      log("struct {} doesn't have field at offset {}\n", t.name, off);
      return fail(EINVAL);
    }
  }
};

struct SafeField {
  std::string_view suffix;
  std::string_view type;
  std::string_view field;
  std::string_view target;
};
// Linux: BTF_TYPE_SAFE_* in verifier.c, whose structs stand for these rows in its own BTF.
constexpr SafeField kSafeFields[] = {
    {"__safe_rcu", "task_struct", "cpus_ptr", "cpumask"},
    {"__safe_rcu", "task_struct", "cgroups", "css_set"},
    {"__safe_rcu", "task_struct", "real_parent", "task_struct"},
    {"__safe_rcu", "task_struct", "group_leader", "task_struct"},
    {"__safe_rcu", "cgroup", "kn", "kernfs_node"},
    {"__safe_rcu", "css_set", "dfl_cgrp", "cgroup"},
    {"__safe_rcu", "cgroup_subsys_state", "cgroup", "cgroup"},
    {"__safe_rcu_or_null", "mm_struct", "exe_file", "file"},
    {"__safe_rcu_or_null", "mm_struct", "owner", "task_struct"},
    {"__safe_rcu_or_null", "sk_buff", "sk", "sock"},
    {"__safe_rcu_or_null", "request_sock", "sk", "sock"},
    {"__safe_trusted", "bpf_iter_meta", "seq", "seq_file"},
    {"__safe_trusted", "bpf_iter__task", "meta", "bpf_iter_meta"},
    {"__safe_trusted", "bpf_iter__task", "task", "task_struct"},
    {"__safe_trusted", "linux_binprm", "file", "file"},
    {"__safe_trusted", "file", "f_inode", "inode"},
    {"__safe_trusted_or_null", "dentry", "d_inode", "inode"},
    {"__safe_trusted_or_null", "socket", "sk", "sock"},
    {"__safe_trusted_or_null", "vm_area_struct", "vm_mm", "mm_struct"},
    {"__safe_trusted_or_null", "vm_area_struct", "vm_file", "file"},
};

}  // namespace

bool is_small_int(const btf::Type& type) {
  if (type.kind != Kind::kInt || type.int_offset || !std::has_single_bit(type.size)) return false;
  return type.size <= 8 && type.int_bits == type.size * 8;
}

std::optional<u32> pointee(const Btf& btf, u32 id) {
  id = btf.resolve(id);
  if (btf.kind(id) != Kind::kPtr) return std::nullopt;
  return btf.resolve(btf.type(id).type);
}

bool is_composite_pointer(const Btf& btf, u32 id) {
  const auto target = pointee(btf, id);
  return target && is_composite(btf.kind(*target));
}

bool has_suffix(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && name.ends_with(suffix);
}

std::optional<TagWalk> walk_type_tags(const Btf& btf, u32 pointer_id,
                                      std::span<const TypeTag> tags) {
  TagWalk walk;
  walk.id = btf.type(btf.resolve(pointer_id)).type;
  while (is_modifier(btf.kind(walk.id))) {
    const btf::Type& t = btf.type(walk.id);
    if (t.kind == Kind::kTypeTag && !t.kflag) {
      auto tag = std::ranges::find(tags, t.name, &TypeTag::name);
      if (tag != tags.end()) walk.flags |= tag->flag;
    }
    walk.id = t.type;
  }
  if (std::popcount(walk.flags) > 1) return std::nullopt;
  return walk;
}

StructAccess access_struct(Log& log, const Btf& btf, u32 id, s32 off, s32 size, bool alloc,
                           const Record* record) {
  StructAccess out;
  if (alloc && record) {
    for (const RecordField& field : record->fields) {
      const s64 start = field.offset;
      if (off < start + field.size && start < off + size) {
        log("direct access to {} is disallowed\n", field_type_name(field.type));
        out.err = -EACCES;
        return out;
      }
    }
  }
  Walker walker{log, btf, id, off, size, !alloc};
  for (;;) {
    switch (walker.step()) {
      case Walk::kPointer:
        if (alloc) return out;
        out.type = kPtrToBtfId;
        out.btf_id = walker.id;
        out.flags = walker.flags;
        out.field = walker.field;
        return out;
      case Walk::kUntrustedPointer:
        out.type = kPtrToMem;
        out.flags = kMemRdonly | kUntrusted;
        return out;
      case Walk::kScalar:
        return out;
      case Walk::kStruct:
        walker.off = 0;
        break;
      case Walk::kError:
        out.err = walker.err;
        return out;
    }
  }
}

bool struct_ids_match(Verifier& v, const Btf& btf, u32 id, s32 off, const Btf& need_btf,
                      u32 need_id, bool strict, bool walk_flex_arrays) {
  auto same = [&](u32 a) { return v.same_type(&btf, a, &need_btf, need_id); };
  if (off == 0 && same(id)) return true;
  if (strict) return false;
  Walker walker{v.log, btf, id, off, 1, walk_flex_arrays};
  for (;;) {
    if (walker.step() != Walk::kStruct) return false;
    if (same(walker.id)) return true;
    walker.off = 0;
  }
}

bool nested_is_trusted(const Btf& btf, u32 struct_id, std::string_view field, u32 btf_id,
                       std::string_view suffix) {
  const std::string_view type = btf.name(struct_id);
  const std::string_view target = btf.name(btf_id);
  return std::ranges::any_of(kSafeFields, [&](const SafeField& safe) {
    return safe.suffix == suffix && safe.type == type && safe.field == field &&
           safe.target == target;
  });
}

bool nocast_alias(std::string_view a, std::string_view b) {
  constexpr std::string_view kSuffix = "___init";
  if (a.size() > b.size()) std::swap(a, b);
  return b.size() == a.size() + kSuffix.size() && b.starts_with(a) && b.ends_with(kSuffix);
}

bool is_projection_of(std::string_view projection, std::string_view of) {
  return (projection == "__sk_buff" && of == "sk_buff") ||
         (projection == "xdp_md" && of == "xdp_buff");
}

bool is_scalar_struct(Log& log, const Btf& btf, u32 id, u32 depth) {
  id = btf.resolve(id);
  if (!is_composite(btf.kind(id))) return false;
  for (const btf::Member& member : btf.members(id)) {
    u32 type = btf.resolve(member.type);
    if (is_composite(btf.kind(type))) {
      if (depth >= 3) {
        log("max struct nesting depth exceeded\n");
        return false;
      }
      if (!is_scalar_struct(log, btf, type, depth + 1)) return false;
      continue;
    }
    if (btf.kind(type) == Kind::kArray) {
      if (!btf.type(type).nr_elems) return false;
      type = btf.resolve(btf.type(type).type);
    }
    if (!is_number(btf.kind(type))) return false;
  }
  return true;
}

std::optional<u32> iter_arg_type(const Btf& btf, const btf::Proto& proto, u32 index) {
  if (index >= proto.params.size()) return std::nullopt;
  const auto target = pointee(btf, proto.params[index].type);
  if (!target || btf.kind(*target) != Kind::kStruct) return std::nullopt;
  if (!btf.name(*target).starts_with("bpf_iter_")) return std::nullopt;
  return target;
}

std::optional<u32> ctx_arg_offset(const Btf& btf, const btf::Proto& proto, u32 index) {
  u32 off = 0;
  for (u32 i = 0; i < index; ++i) {
    const auto size = btf.size_of(proto.params[i].type);
    if (!size) return std::nullopt;
    off += round_up_8(*size);
  }
  return off;
}

u32 ctx_arg_index(const Btf& btf, const std::optional<btf::Proto>& proto, s32 off) {
  if (!proto) return static_cast<u32>(off / 8);
  u32 offset = 0;
  const auto nr = static_cast<u32>(proto->params.size());
  for (u32 i = 0; i <= nr; ++i) {
    const u32 type = i < nr ? proto->params[i].type : proto->result;
    offset += round_up_8(btf.size_of(type).value_or(0));
    if (off < static_cast<s32>(offset)) return i;
  }
  return nr + 1;
}

}  // namespace uscx::bpf::verifier
