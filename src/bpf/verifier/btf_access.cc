// SPDX-License-Identifier: GPL-2.0-only
// Loads and stores through pointers that BTF types: walking the kernel's structs, and the program's
// own objects.
#include "bpf/struct_ops.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

/// What becomes of trust when a pointer is loaded through `reg`. Linux: the middle of
/// check_ptr_to_btf_access.
u32 loaded_flags(Verifier& v, const RegState& reg, const StructAccess& access) {
  u32 flags = access.flags;
  if (access.type != kPtrToBtfId) return flags;
  if (reg.type & kUntrusted) return kUntrusted;
  const u32 clear = kTrustedModifiers | kMemRcu;
  if (!is_trusted(v, reg) && !(reg.type & kMemRcu)) return flags & ~clear;
  auto safe = [&](std::string_view suffix) {
    return nested_is_trusted(*reg.btf(), reg.btf_id(), access.field, access.btf_id, suffix);
  };
  if (safe("__safe_trusted")) return flags | kTrusted;
  if (safe("__safe_trusted_or_null")) return flags | kTrusted | kMaybeNull;
  if (!v.in_rcu_cs() || may_be_null(reg.type)) return kUntrusted;
  if (safe("__safe_rcu")) return flags | kMemRcu;
  const bool or_null = safe("__safe_rcu_or_null");
  if ((flags & kMemRcu) || or_null) {
    flags |= kMemRcu | kMaybeNull;
    if (or_null) flags &= ~kUntrusted;
    return flags;
  }
  if (flags & (kMemPercpu | kMemUser)) return flags;
  return flags & ~clear;
}

/// May the program store into kernel structs at all? Linux: ops->btf_struct_access.
bool has_check_write(const Verifier& v) {
  const StructOpsType* struct_ops = v.in.program.struct_ops;
  return struct_ops ? struct_ops->has_check_write()
                    : v.prog.type == kProgSchedCls || v.prog.type == kProgXdp;
}

/// Programs that see packets may set the mark of a connection. Linux:
/// _nf_conntrack_btf_struct_access.
int check_conntrack_write(const Verifier& v, const RegState& reg, s32 off, s32 size,
                          std::string& why) {
  if (!v.in.env.has_module("nf_conntrack")) return EACCES;
  const btf::Btf& btf = *reg.btf();
  const u32 id = btf.resolve(reg.btf_id());
  if (btf.name(id) != "nf_conn" && btf.name(id) != "nf_conn___init") {
    why = "only read is supported\n";
    return EACCES;
  }
  const auto connection = btf.find("nf_conn", btf::Kind::kStruct);
  const auto mark = btf.find_member_path(connection.value_or(id), "mark");
  if (!mark || off != static_cast<s32>(mark->byte_offset())) {
    why = fmt::format("no write support to nf_conn at off {}\n", off);
    return EACCES;
  }
  const s32 end = off + static_cast<s32>(sizeof(u32));
  if (off + size <= end) return 0;
  why =
      fmt::format("write access at off {} with size {} beyond the member of nf_conn ended at {}\n",
                  off, size, end);
  return EACCES;
}

/// A store into a kernel struct: only where the type of the program lets it.
int check_kernel_write(Verifier& v, const RegState& reg, ArgNo arg, std::string_view name, s32 off,
                       s32 size) {
  std::string why;
  const StructOpsType* type = v.in.program.struct_ops;
  const int err = type ? type->check_write(*reg.btf(), reg.btf_id(), static_cast<u32>(off),
                                           static_cast<u32>(size), v.in.program, why)
                       : check_conntrack_write(v, reg, off, size, why);
  if (!err) return 0;
  v.log.add(why);
  v.log("{} cannot write into ptr_{} at off={} size={}\n", arg.text(), name, off, size);
  return -err;
}

}  // namespace

void mark_btf_load(Verifier& v, RegState& reg, RegType type, const btf::Btf* btf, u32 btf_id,
                   u32 flags) {
  switch (type) {
    case kPtrToBtfId:
      reg.set_known_zero();
      reg.type = kPtrToBtfId | flags;
      reg.precise = false;
      // A type that a module's BTF shares with the kernel's is the kernel's.
      if (v.is_kernel(btf) && btf_id < v.vmlinux.type_count()) btf = &v.vmlinux;
      reg.set_btf(btf, btf_id);
      if (may_be_null(flags)) reg.id = v.new_id();
      return;
    case kPtrToMem:
      reg.set_known_zero();
      reg.precise = false;
      reg.type = kPtrToMem | flags;
      reg.a = 0;
      return;
    default:
      v.mark_unknown(reg);
  }
}

int check_btf_access(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size, Access type,
                     s32 value_regno) {
  const btf::Btf& btf = *reg.btf();
  const std::string_view name = btf.name(btf.resolve(reg.btf_id()));
  if (!v.allow_ptr_leaks) {
    return v.refuse(EPERM, "'struct {}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n",
                    name);
  }
  if (!v.prog.gpl_compatible && v.is_kernel(&btf)) {
    return v.refuse(EINVAL, "Cannot access kernel 'struct {}' from non-GPL compatible program\n",
                    name);
  }
  if (!reg.is_const()) {
    return v.refuse(EACCES, "{} is ptr_{} invalid variable offset: off={}, var_off={}\n",
                    arg.text(), name, off, reg.value.var_off.text());
  }
  off += static_cast<s32>(reg.const_value());
  if (off < 0) {
    return v.refuse(EACCES, "{} is ptr_{} invalid negative access: off={}\n", arg.text(), name,
                    off);
  }
  if (reg.type & kMemUser) {
    return v.refuse(EACCES, "{} is ptr_{} access user memory: off={}\n", arg.text(), name, off);
  }
  if (reg.type & kMemPercpu) {
    return v.refuse(EACCES, "{} is ptr_{} access percpu memory: off={}\n", arg.text(), name, off);
  }
  if (type != kRead && may_fault_on_deref(reg.type)) {
    return v.refuse(EACCES, "only read is supported\n");
  }
  if (has_check_write(v) && !is_alloc(reg.type) && type == kWrite) {
    return check_kernel_write(v, reg, arg, name, off, size);
  }
  if (type != kRead && !is_alloc_object(reg.type)) {
    return v.refuse(EACCES, "only read is supported\n");
  }
  if (is_alloc(reg.type) && !may_fault_on_deref(reg.type) && !is_non_owning(reg.type) &&
      !(reg.type & kMemRcu) && !is_referenced(v, reg)) {
    return v.bug("allocated object must have a referenced id");
  }
  const Record* record = is_alloc(reg.type) ? v.records.of_struct(btf, reg.btf_id()) : nullptr;
  const StructAccess access =
      access_struct(v.log, btf, reg.btf_id(), off, size, is_alloc(reg.type), record);
  if (access.err) return access.err;
  if (type == kRead && value_regno >= 0) {
    const u32 flags = loaded_flags(v, reg, access);
    mark_btf_load(v, v.reg(static_cast<u32>(value_regno)), access.type, &btf, access.btf_id, flags);
  }
  return 0;
}

int check_map_object_access(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size, Access type,
                            s32 value_regno) {
  static constexpr std::pair<u32, std::string_view> kStructs[] = {
      {kMtArray, "bpf_array"},
      {kMtPercpuArray, "bpf_array"},
      {kMtProgArray, "bpf_array"},
      {kMtArrayOfMaps, "bpf_array"},
      {kMtCgroupArray, "bpf_array"},
      {kMtPerfEventArray, "bpf_array"},
      {kMtHash, "bpf_htab"},
      {kMtPercpuHash, "bpf_htab"},
      {kMtLruHash, "bpf_htab"},
      {kMtLruPercpuHash, "bpf_htab"},
      {kMtHashOfMaps, "bpf_htab"},
      {kMtRingbuf, "bpf_ringbuf_map"},
      {kMtUserRingbuf, "bpf_ringbuf_map"},
      {kMtStackTrace, "bpf_stack_map"},
      {kMtLpmTrie, "lpm_trie"},
      {kMtQueue, "bpf_queue_stack"},
      {kMtStack, "bpf_queue_stack"},
      {kMtDevmap, "bpf_dtab"},
      {kMtDevmapHash, "bpf_dtab"},
      {kMtCpumap, "bpf_cpu_map"},
      {kMtXskmap, "xsk_map"},
      {kMtSockmap, "bpf_stab"},
      {kMtSockhash, "bpf_shtab"},
      {kMtCgroupStorage, "bpf_cgroup_storage_map"},
      {kMtReuseportSockarray, "reuseport_array"},
      {kMtArena, "bpf_arena"},
  };
  const u32 map_type = reg.map()->spec().type;
  std::string_view name = "bpf_local_storage_map";
  for (auto [t, struct_name] : kStructs) {
    if (t == map_type) name = struct_name;
  }
  auto id = v.vmlinux.find(name, btf::Kind::kStruct);
  // All begin with a struct bpf_map.
  if (!id) id = v.vmlinux.find("bpf_map", btf::Kind::kStruct);
  if (!id) return v.refuse(kErrNotSupp, "map_ptr access not supported for map type {}\n", map_type);
  if (!v.allow_ptr_leaks) {
    return v.refuse(EPERM, "'struct {}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n",
                    name);
  }
  if (off < 0) {
    return v.refuse(EACCES, "{} is {} invalid negative access: off={}\n", arg.text(), name, off);
  }
  if (type != kRead) return v.refuse(EACCES, "only read from {} is supported\n", name);
  const StructAccess access = access_struct(v.log, v.vmlinux, *id, off, size, false, nullptr);
  if (access.err) return access.err;
  if (value_regno >= 0) {
    mark_btf_load(v, v.reg(static_cast<u32>(value_regno)), access.type, &v.vmlinux, access.btf_id,
                  access.flags);
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
