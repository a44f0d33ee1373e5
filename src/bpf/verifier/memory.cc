// SPDX-License-Identifier: GPL-2.0-only
// Accesses to memory, by what the pointer points to.
#include <algorithm>
#include <cstring>

#include "bpf/uapi.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr s32 kFlowKeysSize = 56;  // sizeof(struct bpf_flow_keys)

/// [off, off + size) against an object of `mem_size` bytes.
int check_fixed_range(Verifier& v, const RegState& reg, ArgNo arg, s64 off, s32 size, u32 mem_size,
                      bool zero_size_allowed) {
  const bool size_ok = size > 0 || (size == 0 && zero_size_allowed);
  if (off >= 0 && size_ok && static_cast<u64>(off) + static_cast<u64>(size) <= mem_size) return 0;
  const auto o = static_cast<s32>(off);
  switch (reg.type) {
    case kPtrToMapKey:
      return v.refuse(EACCES, "invalid access to map key, key_size={} off={} size={}\n", mem_size,
                      o, size);
    case kPtrToMapValue:
      return v.refuse(EACCES, "invalid access to map value, value_size={} off={} size={}\n",
                      mem_size, o, size);
    case kPtrToPacket:
    case kPtrToPacketMeta:
    case kPtrToPacketEnd:
      return v.refuse(EACCES, "invalid access to packet, off={} size={}, {}(id={},off={},r={})\n",
                      o, size, arg.text(), reg.id, o, mem_size);
    case kPtrToCtx:
      return v.refuse(EACCES, "invalid access to context, ctx_size={} off={} size={}\n", mem_size,
                      o, size);
    default:
      return v.refuse(EACCES, "invalid access to memory, mem_size={} off={} size={}\n", mem_size, o,
                      size);
  }
}

int check_packet_access(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size,
                        bool zero_size_allowed) {
  if (reg.range() < 0) {
    return v.refuse(EINVAL, "{} offset is outside of the packet\n", arg.text());
  }
  return check_mem_region(v, reg, arg, off, size, static_cast<u32>(reg.range()), zero_size_allowed);
}

int check_flow_keys(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size) {
  if (!reg.is_const()) {
    return v.refuse(EACCES, "{} invalid variable offset to flow keys: off={}, var_off={}\n",
                    arg.text(), off, reg.value.var_off.text());
  }
  off += static_cast<s32>(reg.const_value());
  if (size < 0 || off < 0 || off + size > kFlowKeysSize) {
    return v.refuse(EACCES, "invalid access to flow keys off={} size={}\n", off, size);
  }
  return 0;
}

int check_sock(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size) {
  if (reg.value.smin() < 0) {
    return v.refuse(EACCES,
                    "{} min value is negative, either use unsigned index or do a if (index >=0) "
                    "check.\n",
                    arg.text());
  }
  u32 field_size = 0;
  if (sock_access(reg.type, off, static_cast<u32>(size), field_size)) return 0;
  return v.refuse(EACCES, "{} invalid {} access off={} size={}\n", arg.text(),
                  reg_type_text(reg.type), off, size);
}

int check_buffer(Verifier& v, const RegState& reg, ArgNo arg, s32 off, std::string_view what) {
  if (!reg.is_const()) {
    return v.refuse(EACCES, "{} invalid variable buffer offset: off={}, var_off={}\n", arg.text(),
                    off, reg.value.var_off.text());
  }
  const auto start = static_cast<s64>(reg.const_value()) + off;
  if (start < 0) {
    return v.refuse(EACCES, "{} invalid negative {} buffer offset: off={}, var_off={}\n",
                    arg.text(), what, off, static_cast<s64>(reg.const_value()));
  }
  return 0;
}

int leak(Verifier& v, s32 regno, std::string_view where) {
  return v.refuse(EACCES, "R{} leaks addr into {}\n", regno, where);
}

/// A kptr in a map's value, as a whole. Linux: check_map_kptr_access.
int check_map_kptr(Verifier& v, const RecordField& field, s32 value_regno, u32 insn_idx) {
  const Insn& insn = v.insns[insn_idx];
  const u8 c = isa::class_of(insn);
  if (isa::mode_of(insn) != isa::kMem) {
    return v.refuse(EACCES, "kptr in map can only be accessed using BPF_MEM instruction mode\n");
  }
  if (c != isa::kLdx && (field.type == kFieldKptrRef || field.type == kFieldKptrPercpu)) {
    return v.refuse(EACCES, "store to referenced kptr disallowed\n");
  }
  if (c != isa::kLdx && field.type == kFieldUptr) {
    return v.refuse(EACCES, "store to uptr disallowed\n");
  }
  if (c == isa::kLdx) {
    RegState& dst = v.reg(static_cast<u32>(value_regno));
    if (field.type == kFieldUptr) {
      dst.set_known_zero();
      dst.type = kPtrToMem | kMaybeNull;
      dst.a = field.btf->size_of(field.btf_id).value_or(0);
      dst.id = v.new_id();
      return 0;
    }
    static constexpr std::string_view kRcuProtected[] = {"prog_test_ref_kfunc", "cgroup",
                                                         "bpf_cpumask",         "task_struct",
                                                         "bpf_crypto_ctx",      "bpf_ksock"};
    const bool local = !v.is_kernel(field.btf);
    const bool rcu_object =
        local ||
        std::ranges::find(kRcuProtected, field.btf->name(field.btf_id)) != std::end(kRcuProtected);
    const bool rcu_safe =
        field.type == kFieldKptrPercpu || (field.type == kFieldKptrRef && rcu_object);
    u32 flags = kMaybeNull;
    if (rcu_safe && v.in_rcu_cs()) {
      flags |= kMemRcu;
      if (field.type == kFieldKptrPercpu)
        flags |= kMemPercpu;
      else if (local)
        flags |= kMemAlloc;
      const Record* record = local ? v.records.of_struct(*field.btf, field.btf_id) : nullptr;
      if (record && record->has(kFieldGraphNode)) flags |= kNonOwnRef;
    } else {
      flags |= kUntrusted;
    }
    mark_btf_load(v, dst, kPtrToBtfId, field.btf, field.btf_id, flags);
    return 0;
  }
  if (c == isa::kStx) {
    const RegState& value = v.reg(static_cast<u32>(value_regno));
    if (value.is_null()) return mark_chain_precision(v, static_cast<u32>(value_regno));
    return map_kptr_match_type(v, field, value, static_cast<u32>(value_regno)) ? -EACCES : 0;
  }
  if (c == isa::kSt) {
    if (!insn.imm) return 0;
    return v.refuse(EACCES, "BPF_ST imm must be 0 when storing to kptr at off={}\n", field.offset);
  }
  return v.refuse(EACCES, "kptr in map can only be accessed using BPF_LDX/BPF_STX/BPF_ST\n");
}

int read_map_value(Verifier& v, const RegState& reg, s32 off, u32 size, s32 value_regno,
                   bool ldsx) {
  RegState& dst = v.reg(static_cast<u32>(value_regno));
  const Map& map = *reg.map();
  const u32 type = map.spec().type;
  if (type == kMtInsnArray) {
    if (size != 8) return v.refuse(EACCES, "Invalid read of {} bytes from insn_array\n", size);
    RegState target = reg;
    target.value = add_delta(target.value, off, false);
    target.type = kPtrToInsn;
    dst = target;
    return 0;
  }
  if (type != kMtPercpuArray && reg.is_const() && map_is_rdonly(map) && map_direct_address(map)) {
    u64 value = 0;
    if (int err =
            map_direct_read(v, map, off + static_cast<s64>(reg.const_value()), size, value, ldsx)) {
      return err;
    }
    dst.set_scalar(value);
    return 0;
  }
  v.mark_unknown(dst);
  return 0;
}

int access_map_value(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, u32 size,
                     Access type, s32 value_regno, bool ldsx) {
  const auto bytes = static_cast<s32>(size);
  if (type == kWrite && value_regno >= 0 && v.is_pointer_value(v.reg(value_regno))) {
    return leak(v, value_regno, "map");
  }
  if (int err = check_map_access_type(v, reg, off, bytes, type)) return err;
  if (int err = check_map_access(v, reg, arg, off, bytes, false, AccessSource::kDirect)) {
    return err;
  }
  if (reg.is_const()) {
    const Record* record = v.records.of_map(*reg.map());
    const RecordField* kptr =
        record ? record->find(static_cast<u32>(off + static_cast<s64>(reg.const_value())),
                              kFieldKptr | kFieldUptr)
               : nullptr;
    if (kptr) return check_map_kptr(v, *kptr, value_regno, insn_idx);
  }
  if (type == kRead && value_regno >= 0) {
    return read_map_value(v, reg, off, size, value_regno, ldsx);
  }
  return 0;
}

int access_mem(Verifier& v, RegState& reg, ArgNo arg, s32 off, u32 size, Access type,
               s32 value_regno) {
  const bool rdonly = reg.type & kMemRdonly;
  const bool rdonly_untrusted = rdonly && (reg.type & kUntrusted);
  if (may_be_null(reg.type)) {
    return v.refuse(EACCES, "{} invalid mem access '{}'\n", arg.text(), reg_type_text(reg.type));
  }
  if (type == kWrite && rdonly) {
    return v.refuse(EACCES, "{} cannot write into {}\n", arg.text(), reg_type_text(reg.type));
  }
  if (type == kWrite && value_regno >= 0 && v.is_pointer_value(v.reg(value_regno))) {
    return leak(v, value_regno, "mem");
  }
  if (rdonly_untrusted && !v.allow_ptr_leaks) {
    return v.refuse(EPERM, "{} access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n",
                    reg_type_text(reg.type));
  }
  if (!rdonly_untrusted) {
    if (int err =
            check_mem_region(v, reg, arg, off, static_cast<s32>(size), reg.mem_size(), false)) {
      return err;
    }
  }
  if (value_regno >= 0 && (type == kRead || rdonly)) v.mark_unknown(v.reg(value_regno));
  return 0;
}

int access_by_type(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, u32 size,
                   Access type, s32 value_regno, bool ldsx) {
  const auto bytes = static_cast<s32>(size);
  auto read_unknown = [&] {
    if (type == kRead && value_regno >= 0) v.mark_unknown(v.reg(value_regno));
    return 0;
  };
  auto leaks = [&] {
    return type == kWrite && value_regno >= 0 && v.is_pointer_value(v.reg(value_regno));
  };
  if (reg.base() == kPtrToMem) return access_mem(v, reg, arg, off, size, type, value_regno);
  if (reg.base() == kPtrToBtfId && !may_be_null(reg.type)) {
    return check_btf_access(v, reg, arg, off, bytes, type, value_regno);
  }
  if (reg.base() == kPtrToBuf && !may_be_null(reg.type)) {
    const bool rdonly = reg.type & kMemRdonly;
    if (rdonly && type == kWrite) {
      return v.refuse(EACCES, "{} cannot write into {}\n", arg.text(), reg_type_text(reg.type));
    }
    if (int err = check_buffer(v, reg, arg, off, rdonly ? "rdonly" : "rdwr")) return err;
    if (value_regno >= 0 && (rdonly || type == kRead)) v.mark_unknown(v.reg(value_regno));
    return 0;
  }
  switch (reg.type) {
    case kPtrToMapKey:
      if (type == kWrite) {
        return v.refuse(EACCES, "write to change key {} not allowed\n", arg.text());
      }
      if (int err = check_mem_region(v, reg, arg, off, bytes, reg.map()->spec().key_size, false)) {
        return err;
      }
      if (value_regno >= 0) v.mark_unknown(v.reg(value_regno));
      return 0;
    case kPtrToMapValue:
      return access_map_value(v, insn_idx, reg, arg, off, size, type, value_regno, ldsx);
    case kPtrToCtx:
      if (leaks()) return leak(v, value_regno, "ctx");
      return check_ctx_access(v, insn_idx, reg, arg, off, bytes, type, value_regno, ldsx);
    case kPtrToStack:
      if (int err = check_stack_access_bounds(v, reg, arg, off, bytes, type)) return err;
      if (type == kRead) return check_stack_read(v, reg, arg, off, bytes, value_regno);
      return check_stack_write(v, reg, off, bytes, value_regno, insn_idx);
    case kPtrToPacket:
    case kPtrToPacketMeta:
      if (type == kWrite && !may_access_packet_data(v, true, nullptr)) {
        return v.refuse(EACCES, "cannot write into packet\n");
      }
      if (leaks()) return leak(v, value_regno, "packet");
      if (int err = check_packet_access(v, reg, arg, off, bytes, false)) return err;
      return read_unknown();
    case kPtrToFlowKeys:
      if (leaks()) return leak(v, value_regno, "flow keys");
      if (int err = check_flow_keys(v, reg, arg, off, bytes)) return err;
      return read_unknown();
    case kPtrToSocket:
    case kPtrToSockCommon:
    case kPtrToTcpSock:
    case kPtrToXdpSock:
      if (type == kWrite) {
        return v.refuse(EACCES, "{} cannot write into {}\n", arg.text(), reg_type_text(reg.type));
      }
      if (int err = check_sock(v, reg, arg, off, bytes)) return err;
      if (value_regno >= 0) v.mark_unknown(v.reg(value_regno));
      return 0;
    case kPtrToTpBuffer:
      if (int err = check_buffer(v, reg, arg, off, "tracepoint")) return err;
      return read_unknown();
    case kConstPtrToMap:
      return check_map_object_access(v, reg, arg, off, bytes, type, value_regno);
    case kPtrToArena:
      return read_unknown();
    default:
      return v.refuse(EACCES, "{} invalid mem access '{}'\n", arg.text(), reg_type_text(reg.type));
  }
}

bool mismatch_ok(RegType type) {
  switch (base_type(type)) {
    case kPtrToCtx:
    case kPtrToSocket:
    case kPtrToSockCommon:
    case kPtrToTcpSock:
    case kPtrToXdpSock:
    case kPtrToBtfId:
    case kPtrToArena:
      return false;
    case kPtrToMem:
      return !may_fault_on_deref(type);
    default:
      return true;
  }
}

bool is_mem_or_btf(RegType type) {
  return base_type(type) == kPtrToMem || base_type(type) == kPtrToBtfId;
}

/// Both ways of reaching memory need the care of the more careful one.
RegType merge_ptr_types(RegType a, RegType b) {
  const bool to_mem = base_type(a) == kPtrToMem || base_type(b) == kPtrToMem;
  RegType merged = to_mem ? kPtrToMem : kPtrToBtfId;
  if (may_fault_on_deref(a) || may_fault_on_deref(b)) {
    merged |= to_mem ? kMemRdonly | kUntrusted : u32{kUntrusted};
  } else {
    merged |= (a | b) & kMemRdonly;
  }
  return merged;
}

bool atomic_ptr_ok(Verifier& v, u32 regno, const Insn& insn) {
  const RegType type = v.reg(regno).type;
  if (type == kPtrToCtx || is_packet_pointer(type) || type == kPtrToFlowKeys ||
      is_sock_pointer(type)) {
    return false;
  }
  return !(insn.imm == isa::kLoadAcquire && type != kPtrToArena && may_fault_on_deref(type));
}

int check_atomic_rmw(Verifier& v, const Insn& insn) {
  const u32 size = isa::bytes_of(insn);
  if (size < 4) return v.refuse(EINVAL, "invalid atomic operand size\n");
  if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  if (insn.imm == isa::kCmpxchg) {
    if (int err = check_reg_arg(v, 0, ArgUse::kSrc)) return err;
    if (v.is_pointer_value(v.reg(0))) return leak(v, 0, "mem");
  }
  if (v.is_pointer_value(v.reg(insn.src))) return leak(v, insn.src, "mem");
  if (!atomic_ptr_ok(v, insn.dst, insn)) {
    return v.refuse(EACCES, "BPF_ATOMIC stores into R{} {} is not allowed\n", +insn.dst,
                    reg_type_text(v.reg(insn.dst).type));
  }
  const s32 load_reg = atomic_load_reg(insn);
  if (load_reg >= 0) {
    if (int err = check_reg_arg(v, static_cast<u32>(load_reg), ArgUse::kDst)) return err;
  }
  RegState& dst = v.reg(insn.dst);
  const ArgNo arg = ArgNo::reg(insn.dst);
  if (int err = check_mem_access(v, v.insn_idx, dst, arg, insn.off, size, kRead, -1, true, false)) {
    return err;
  }
  if (load_reg >= 0) {
    if (int err = check_mem_access(v, v.insn_idx, dst, arg, insn.off, size, kRead, load_reg, true,
                                   false)) {
      return err;
    }
  }
  if (int err = save_ptr_type(v, dst.type, false)) return err;
  return check_mem_access(v, v.insn_idx, dst, arg, insn.off, size, kWrite, -1, true, false);
}

}  // namespace

int check_mem_region(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size, u32 mem_size,
                     bool zero_size_allowed) {
  const s64 smin = reg.value.smin();
  if (smin < 0 && (smin == std::numeric_limits<s64>::min() ||
                   off + smin != static_cast<s32>(off + smin) || smin + off < 0)) {
    return v.refuse(EACCES,
                    "{} min value is negative, either use unsigned index or do a if (index >=0) "
                    "check.\n",
                    arg.text());
  }
  if (int err = check_fixed_range(v, reg, arg, static_cast<s32>(smin + off), size, mem_size,
                                  zero_size_allowed)) {
    v.log("{} min value is outside of the allowed memory range\n", arg.text());
    return err;
  }
  const u64 umax = reg.value.umax();
  if (umax >= static_cast<u64>(kMaxVarOff)) {
    return v.refuse(EACCES,
                    "{} unbounded memory access, make sure to bounds check any such access\n",
                    arg.text());
  }
  if (int err = check_fixed_range(v, reg, arg, static_cast<s32>(static_cast<s64>(umax) + off), size,
                                  mem_size, zero_size_allowed)) {
    v.log("{} max value is outside of the allowed memory range\n", arg.text());
    return err;
  }
  return 0;
}

int check_map_access_type(Verifier& v, const RegState& reg, s32 off, s32 size, Access type) {
  const MapSpec& spec = reg.map()->spec();
  if (type == kWrite && (spec.flags & uapi::kRdonlyProg)) {
    return v.refuse(EACCES, "write into map forbidden, value_size={} off={} size={}\n",
                    spec.value_size, reg.value.smin() + off, size);
  }
  if (type == kRead && (spec.flags & uapi::kWronlyProg)) {
    return v.refuse(EACCES, "read from map forbidden, value_size={} off={} size={}\n",
                    spec.value_size, reg.value.smin() + off, size);
  }
  return 0;
}

int check_map_access(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size,
                     bool zero_size_allowed, AccessSource src) {
  const Map& map = *reg.map();
  if (int err = check_mem_region(v, reg, arg, off, size, map_mem_size(map), zero_size_allowed)) {
    return err;
  }
  const Record* record = v.records.of_map(map);
  if (!record) return 0;
  for (const RecordField& field : record->fields) {
    const s64 start = field.offset;
    if (reg.value.smin() + off >= start + field.size ||
        start >= static_cast<s64>(reg.value.umax()) + off + size) {
      continue;
    }
    const std::string_view name = field_type_name(field.type);
    if (!(field.type & (kFieldKptr | kFieldUptr))) {
      return v.refuse(EACCES, "{} cannot be accessed directly by load/store\n", name);
    }
    if (src != AccessSource::kDirect) {
      return v.refuse(EACCES, "{} cannot be accessed indirectly by helper\n", name);
    }
    if (!reg.is_const()) {
      return v.refuse(EACCES, "{} access cannot have variable offset\n", name);
    }
    const s64 at = off + static_cast<s64>(reg.const_value());
    if (start != at) {
      return v.refuse(EACCES, "{} access misaligned expected={} off={}\n", name, field.offset, at);
    }
    if (size != 8) return v.refuse(EACCES, "{} access size must be BPF_DW\n", name);
  }
  return 0;
}

int check_ptr_off_reg(Verifier& v, const RegState& reg, ArgNo arg, bool fixed_off_ok) {
  const auto type = [&] { return reg_type_text(reg.type); };
  if (!reg.is_const()) {
    return v.refuse(EACCES, "variable {} access var_off={} disallowed\n", type(),
                    reg.value.var_off.text());
  }
  const auto off = static_cast<s64>(reg.const_value());
  if (reg.value.smin() < 0) {
    return v.refuse(EACCES, "negative offset {} ptr {} off={} disallowed\n", type(), arg.text(),
                    off);
  }
  if (!fixed_off_ok && off != 0) {
    return v.refuse(EACCES, "dereference of modified {} ptr {} off={} disallowed\n", type(),
                    arg.text(), off);
  }
  return 0;
}

int map_kptr_match_type(Verifier& v, const RecordField& field, const RegState& reg, u32 regno) {
  const std::string_view target = field.btf->name(field.btf_id);
  std::string_view name;
  auto matches = [&]() -> int {  // 1 yes, 0 no, < 0 error
    if (reg.base() != kPtrToBtfId) return 0;
    u32 allowed;
    if (v.is_kernel(reg.btf())) {
      allowed = kMaybeNull | kTrusted | kMemRcu;
      if (field.type == kFieldKptrUnref) allowed |= kUntrusted;
    } else {
      allowed = kMaybeNull | kMemAlloc;
      if (field.type == kFieldKptrPercpu) allowed |= kMemPercpu;
    }
    if (type_flags(reg.type) & ~allowed) return 0;
    if ((field.type == kFieldKptrPercpu) != ((reg.type & kMemPercpu) != 0)) return 0;
    name = reg.btf()->name(reg.btf_id());
    if (check_ptr_off_reg(v, reg, ArgNo::reg(regno), true)) return -EACCES;
    return struct_ids_match(v, *reg.btf(), reg.btf_id(), static_cast<s32>(reg.const_value()),
                            *field.btf, field.btf_id, field.type != kFieldKptrUnref,
                            !is_alloc(reg.type));
  };
  const int match = matches();
  if (match) return match < 0 ? match : 0;
  v.log("invalid kptr access, R{} type={}{} ", regno, reg_type_text(reg.type), name);
  v.log("expected={}{}", reg_type_text(kPtrToBtfId), target);
  if (field.type == kFieldKptrUnref) {
    v.log(" or {}{}\n", reg_type_text(kPtrToBtfId | kUntrusted), target);
  } else {
    v.log("\n");
  }
  return -EINVAL;
}

u32 map_mem_size(const Map& map) {
  const MapSpec& spec = map.spec();
  return spec.type == kMtInsnArray ? spec.max_entries * 8 : spec.value_size;
}

bool map_is_rdonly(const Map& map) {
  return (map.spec().flags & uapi::kRdonlyProg) && map.frozen;
}

u64 map_direct_address(const Map& map) {
  return map.direct_address();
}

int map_direct_read(Verifier&, const Map& map, s64 off, u32 size, u64& value, bool ldsx) {
  const u32 type = map.spec().type;
  const u64 address = map_direct_address(map);
  if (type == kMtInsnArray || type == kMtPercpuArray || !address) return -EINVAL;
  if (off < 0 || static_cast<u64>(off) + size > map.spec().value_size) return -EINVAL;
  value = 0;
  std::memcpy(&value, reinterpret_cast<const std::byte*>(address) + off, size);
  if (ldsx && size < 8) {
    const u32 shift = 64 - size * 8;
    value = static_cast<u64>(static_cast<s64>(value << shift) >> shift);
  }
  return 0;
}

bool may_access_packet_data(Verifier& v, bool write, const HelperProto* helper) {
  if (helper) {
    return may_access_packet(v.prog, PacketUse::kHelperArgument, helper->pkt_access);
  }
  if (!may_access_packet(v.prog, write ? PacketUse::kWrite : PacketUse::kRead)) return false;
  v.seen_direct_write = true;
  return true;
}

bool var_ctx_off_allowed(const Verifier& v) {
  return v.prog.type == kProgSyscall;
}

int check_ptr_alignment(Verifier& v, const RegState& reg, s32 off, s32 size, bool strict_once) {
  bool strict = v.strict_alignment || strict_once;
  std::string_view what;
  switch (reg.type) {
    case kPtrToPacket:
    case kPtrToPacketMeta: {
      if (!strict || size == 1) return 0;
      constexpr s32 kNetIpAlign = 2;
      const Tnum at =
          tnum_add(reg.value.var_off, Tnum::known(static_cast<u64>(s64{off} + kNetIpAlign)));
      if (at.is_aligned(static_cast<u64>(size))) return 0;
      return v.refuse(EACCES, "misaligned packet access off {}+{}+{} size {}\n", kNetIpAlign,
                      reg.value.var_off.text(), off, size);
    }
    case kPtrToFlowKeys:
      what = "flow keys ";
      break;
    case kPtrToMapKey:
      what = "key ";
      break;
    case kPtrToMapValue:
      what = "value ";
      if (reg.map()->spec().type == kMtInsnArray) strict = true;
      break;
    case kPtrToCtx:
      what = "context ";
      break;
    case kPtrToStack:
      what = "stack ";
      strict = true;  // spills are tracked by slots
      break;
    case kPtrToSocket:
      what = "sock ";
      break;
    case kPtrToSockCommon:
      what = "sock_common ";
      break;
    case kPtrToTcpSock:
      what = "tcp_sock ";
      break;
    case kPtrToXdpSock:
      what = "xdp_sock ";
      break;
    case kPtrToArena:
      return 0;
    default:
      break;
  }
  if (!strict || size == 1) return 0;
  const Tnum at = tnum_add(reg.value.var_off, Tnum::known(static_cast<u64>(s64{off})));
  if (at.is_aligned(static_cast<u64>(size))) return 0;
  return v.refuse(EACCES, "misaligned {}access off {}+{} size {}\n", what, reg.value.var_off.text(),
                  off, size);
}

int check_mem_access(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, u32 size,
                     Access type, s32 value_regno, bool strict_once, bool ldsx) {
  if (int err = check_ptr_alignment(v, reg, off, static_cast<s32>(size), strict_once)) return err;
  if (int err = access_by_type(v, insn_idx, reg, arg, off, size, type, value_regno, ldsx)) {
    return err;
  }
  if (size < kSlotSize && value_regno >= 0 && type == kRead) {
    RegState& value = v.reg(static_cast<u32>(value_regno));
    if (!value.is_scalar()) return 0;
    if (!ldsx) {
      value.value.truncate(size);
    } else {
      const bool unchanged = value.value.fits_unsigned_before_sign(size);
      value.value.sign_extend(size);
      if (!unchanged) value.clear_scalar_id();
    }
  }
  return 0;
}

int save_ptr_type(Verifier& v, RegType type, bool allow_trust_mismatch) {
  RegType& prev = v.cur_aux().ptr_type;
  if (prev == kNotInit) {
    prev = type;
    return 0;
  }
  if (type == prev) return 0;
  if (mismatch_ok(type) && mismatch_ok(prev)) {
    // What is proven of the place must hold for each of them.
    if (base_type(type) != base_type(prev)) prev = kPtrToMem;
    return 0;
  }
  if (allow_trust_mismatch && is_mem_or_btf(type) && is_mem_or_btf(prev)) {
    prev = merge_ptr_types(type, prev);
    return 0;
  }
  return v.refuse(EINVAL, "same insn cannot be used with different pointers\n");
}

int check_load(Verifier& v, const Insn& insn, bool strict_once, bool ldsx, bool allow_mismatch,
               std::string_view context) {
  if (is_stack_arg_load(insn)) {
    if (int err = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return err;
    return check_stack_arg_read(v, v.cur(), insn.off, insn.dst);
  }
  if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return err;
  RegState src = v.reg(insn.src);  // dst may be the same register
  const RegType type = src.type;
  if (int err = check_mem_access(v, v.insn_idx, insn.src == insn.dst ? src : v.reg(insn.src),
                                 ArgNo::reg(insn.src), insn.off, isa::bytes_of(insn), kRead,
                                 insn.dst, strict_once, ldsx)) {
    return err;
  }
  if (int err = save_ptr_type(v, type, allow_mismatch)) return err;
  return check_invariants(v, v.reg(insn.dst), context);
}

int check_store_reg(Verifier& v, const Insn& insn, bool strict_once) {
  if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  if (is_stack_arg_store(insn)) {
    return check_stack_arg_write(v, v.cur(), insn.off, &v.reg(insn.src));
  }
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  const RegType type = v.reg(insn.dst).type;
  if (int err = check_mem_access(v, v.insn_idx, v.reg(insn.dst), ArgNo::reg(insn.dst), insn.off,
                                 isa::bytes_of(insn), kWrite, insn.src, strict_once, false)) {
    return err;
  }
  return save_ptr_type(v, type, false);
}

int check_store_imm(Verifier& v, const Insn& insn) {
  if (is_stack_arg_store_imm(insn)) {
    return check_stack_arg_write(v, v.cur(), insn.off, nullptr);
  }
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  const RegType type = v.reg(insn.dst).type;
  if (int err = check_mem_access(v, v.insn_idx, v.reg(insn.dst), ArgNo::reg(insn.dst), insn.off,
                                 isa::bytes_of(insn), kWrite, -1, false, false)) {
    return err;
  }
  return save_ptr_type(v, type, false);
}

int check_atomic(Verifier& v, const Insn& insn) {
  switch (insn.imm) {
    case isa::kAdd:
    case isa::kAdd | isa::kFetch:
    case isa::kAnd:
    case isa::kAnd | isa::kFetch:
    case isa::kOr:
    case isa::kOr | isa::kFetch:
    case isa::kXor:
    case isa::kXor | isa::kFetch:
    case isa::kXchg:
    case isa::kCmpxchg:
      return check_atomic_rmw(v, insn);
    case isa::kLoadAcquire:
      if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
      if (!atomic_ptr_ok(v, insn.src, insn)) {
        return v.refuse(EACCES, "BPF_ATOMIC loads from R{} {} is not allowed\n", +insn.src,
                        reg_type_text(v.reg(insn.src).type));
      }
      return check_load(v, insn, true, false, false, "atomic_load");
    case isa::kStoreRelease:
      if (int err = check_store_reg(v, insn, true)) return err;
      if (!atomic_ptr_ok(v, insn.dst, insn)) {
        return v.refuse(EACCES, "BPF_ATOMIC stores into R{} {} is not allowed\n", +insn.dst,
                        reg_type_text(v.reg(insn.dst).type));
      }
      return 0;
    default:
      return v.refuse(EINVAL, "BPF_ATOMIC uses invalid atomic opcode {:02x}\n",
                      static_cast<u32>(insn.imm));
  }
}

int check_helper_mem_access(Verifier& v, RegState& reg, ArgNo arg, s32 size, Access type,
                            bool zero_size_allowed, CallMeta* meta) {
  auto no_write = [&] {
    return v.refuse(EACCES, "{} cannot write into {}\n", arg.text(), reg_type_text(reg.type));
  };
  switch (reg.base()) {
    case kPtrToPacket:
    case kPtrToPacketMeta:
      return check_packet_access(v, reg, arg, 0, size, zero_size_allowed);
    case kPtrToMapKey:
      if (type == kWrite) return no_write();
      return check_mem_region(v, reg, arg, 0, size, reg.map()->spec().key_size, false);
    case kPtrToMapValue:
      if (check_map_access_type(v, reg, 0, size, type)) return -EACCES;
      return check_map_access(v, reg, arg, 0, size, zero_size_allowed, AccessSource::kHelper);
    case kPtrToMem:
      if ((reg.type & kMemRdonly) && type == kWrite) return no_write();
      return check_mem_region(v, reg, arg, 0, size, reg.mem_size(), zero_size_allowed);
    case kPtrToBuf:
      if ((reg.type & kMemRdonly) && type == kWrite) return no_write();
      return check_buffer(v, reg, arg, 0, reg.type & kMemRdonly ? "rdonly" : "rdwr");
    case kPtrToStack:
      return check_stack_range_initialized(v, reg, arg, 0, size, zero_size_allowed, type, meta);
    case kPtrToBtfId:
      return check_btf_access(v, reg, arg, 0, size, type, -1);
    case kPtrToCtx:
      if (var_ctx_off_allowed(v)) {
        return check_mem_region(v, reg, arg, 0, size, 0xffff, zero_size_allowed);
      }
      break;
    default:
      break;
  }
  if (zero_size_allowed && size == 0 && reg.is_null()) return 0;
  v.log("{} type={} ", arg.text(), reg_type_text(reg.type));
  return v.refuse(EACCES, "expected={}\n", reg_type_text(kPtrToStack));
}

int check_mem_size_reg(Verifier& v, RegState& mem, RegState& size, ArgNo mem_arg, ArgNo size_arg,
                       u32 access, bool zero_size_allowed, CallMeta* meta) {
  meta->msize_max = size.value.umax();
  CallMeta* fills = size.is_const() ? meta : nullptr;
  if (size.value.smin() < 0) {
    return v.refuse(EACCES, "{} min value is negative, either use unsigned or 'var &= const'\n",
                    size_arg.text());
  }
  if (size.value.umin() == 0 && !zero_size_allowed) {
    return v.refuse(EACCES, "{} invalid zero-sized read: u64=[{},{}]\n", size_arg.text(),
                    static_cast<s64>(size.value.umin()), static_cast<s64>(size.value.umax()));
  }
  if (size.value.umax() >= kMaxVarSize) {
    return v.refuse(EACCES,
                    "{} unbounded memory access, use 'var &= const' or 'if (var < const)'\n",
                    size_arg.text());
  }
  const auto bytes = static_cast<s32>(size.value.umax());
  for (Access type : {kRead, kWrite}) {
    if (!(access & type)) continue;
    if (int err = check_helper_mem_access(v, mem, mem_arg, bytes, type, zero_size_allowed, fills)) {
      return err;
    }
  }
  return mark_arg_precision(v, size_arg);
}

int check_mem_reg(Verifier& v, RegState& reg, ArgNo arg, u32 mem_size, u32 access, CallMeta* meta) {
  if (reg.is_null()) return mark_arg_precision(v, arg);
  if (mem_size > 0x7fffffff) {
    return v.refuse(EACCES, "{} memory size {} is too large\n", arg.text(), mem_size);
  }
  const s32 size =
      !meta && reg.base() == kPtrToStack ? -static_cast<s32>(mem_size) : static_cast<s32>(mem_size);
  for (Access type : {kRead, kWrite}) {
    if (!(access & type)) continue;
    if (int err = check_helper_mem_access(v, reg, arg, size, type, true, meta)) return err;
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
