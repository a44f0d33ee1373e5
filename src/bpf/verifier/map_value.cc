// SPDX-License-Identifier: GPL-2.0-only
// Accesses to map values: what of them a program may touch, kptrs, constants of frozen maps.
#include <algorithm>
#include <cstring>

#include "bpf/uapi.h"
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

namespace {

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

}  // namespace

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
  const u32 beyond = planted(v, PlantedFault::kValueBoundLoose) ? 8 : 0;
  if (int err =
          check_mem_region(v, reg, arg, off, size, map_mem_size(map) + beyond, zero_size_allowed)) {
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

}  // namespace uscx::bpf::verifier
