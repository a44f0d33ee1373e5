// SPDX-License-Identifier: GPL-2.0-only
// The arguments of a helper: is what is in the register what the prototype asks for?
#include <algorithm>
#include <cstring>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

/// What may stand for an argument. Linux: compatible_reg_types.
std::span<const RegType> compatible_types(ArgType base) {
  static constexpr RegType kMem[] = {kPtrToStack,
                                     kPtrToPacket,
                                     kPtrToPacketMeta,
                                     kPtrToMapKey,
                                     kPtrToMapValue,
                                     kPtrToMem,
                                     kPtrToMem | kMemRingbuf,
                                     kPtrToBuf,
                                     kPtrToBtfId | kTrusted,
                                     kPtrToCtx};
  static constexpr RegType kScalars[] = {kScalar};
  static constexpr RegType kMapPtr[] = {kConstPtrToMap};
  static constexpr RegType kCtx[] = {kPtrToCtx};
  static constexpr RegType kSock[] = {kPtrToSockCommon, kPtrToSocket, kPtrToTcpSock, kPtrToXdpSock};
  static constexpr RegType kSockBtf[] = {kPtrToSockCommon, kPtrToSocket, kPtrToTcpSock,
                                         kPtrToXdpSock,    kPtrToBtfId,  kPtrToBtfId | kTrusted};
  static constexpr RegType kFullSock[] = {kPtrToSocket};
  static constexpr RegType kBtf[] = {kPtrToBtfId, kPtrToBtfId | kTrusted, kPtrToBtfId | kMemRcu};
  static constexpr RegType kLock[] = {kPtrToMapValue, kPtrToBtfId | kMemAlloc};
  static constexpr RegType kRingbuf[] = {kPtrToMem | kMemRingbuf};
  static constexpr RegType kPercpu[] = {kPtrToBtfId | kMemPercpu,
                                        kPtrToBtfId | kMemPercpu | kMemRcu,
                                        kPtrToBtfId | kMemPercpu | kTrusted};
  static constexpr RegType kFunc[] = {kPtrToFunc};
  static constexpr RegType kStackPtr[] = {kPtrToStack};
  static constexpr RegType kMapValue[] = {kPtrToMapValue};
  static constexpr RegType kKptrDest[] = {kPtrToMapValue, kPtrToBtfId | kMemAlloc,
                                          kPtrToBtfId | kMemAlloc | kNonOwnRef,
                                          kPtrToBtfId | kMemAlloc | kNonOwnRef | kMemRcu};
  static constexpr RegType kDynptr[] = {kPtrToStack, kConstPtrToDynptr};
  switch (base) {
    case kArgPtrToMapKey:
    case kArgPtrToMapValue:
    case kArgPtrToMem:
      return kMem;
    case kArgMemSize:
    case kArgMemSizeOrZero:
    case kArgConstAllocSizeOrZero:
    case kArgScalar:
      return kScalars;
    case kArgConstMapPtr:
      return kMapPtr;
    case kArgPtrToCtx:
      return kCtx;
    case kArgPtrToSockCommon:
      return kSock;
    case kArgPtrToBtfIdSockCommon:
      return kSockBtf;
    case kArgPtrToSocket:
      return kFullSock;
    case kArgPtrToBtfId:
      return kBtf;
    case kArgPtrToSpinLock:
      return kLock;
    case kArgPtrToRingbufMem:
      return kRingbuf;
    case kArgPtrToPercpuBtfId:
      return kPercpu;
    case kArgPtrToFunc:
      return kFunc;
    case kArgPtrToStack:
      return kStackPtr;
    case kArgPtrToConstStr:
    case kArgPtrToTimer:
      return kMapValue;
    case kArgKptrXchgDest:
      return kKptrDest;
    case kArgPtrToDynptr:
      return kDynptr;
    default:
      return {};
  }
}

bool takes_memory(ArgType base) {
  return base == kArgPtrToMapKey || base == kArgPtrToMapValue || base == kArgPtrToMem;
}

std::string helper_text(const CallMeta& meta) {
  return std::string(helper_name(meta.helper_id));
}

/// A BTF pointer that is what the argument is about. Linux: the end of check_reg_type.
int check_btf_argument(Verifier& v, RegState& reg, ArgNo arg, ArgType type, const btf::Btf* arg_btf,
                       u32 arg_btf_id, CallMeta& meta) {
  const u32 alloc_only = reg.type & ~(kMemPercpu | kNonOwnRef | kMemRcu);
  if (is_alloc(reg.type) && alloc_only == (kPtrToBtfId | kMemAlloc)) {
    if (meta.helper_id != kFnSpinLock && meta.helper_id != kFnSpinUnlock &&
        meta.helper_id != kFnKptrXchg) {
      return v.bug("unimplemented handling of MEM_ALLOC");
    }
    if (meta.helper_id == kFnKptrXchg && arg.regno() == 2 &&
        map_kptr_match_type(v, *meta.kptr_field, reg, 2)) {
      return -EACCES;
    }
    return 0;
  }
  if (reg.type & kMemPercpu) return 0;  // checked where it is used
  const bool release = type & kObjRelease;
  const bool strict = release && meta.helper_id != kFnSkRelease;
  if (may_be_null(reg.type) && (!may_be_null(type) || release)) {
    return v.refuse(EACCES, "Possibly NULL pointer passed to helper {}\n", arg.text());
  }
  if (meta.helper_id == kFnKptrXchg) {
    return map_kptr_match_type(v, *meta.kptr_field, reg, static_cast<u32>(arg.regno())) ? -EACCES
                                                                                        : 0;
  }
  if (!arg_btf_id) {
    arg_btf = &v.vmlinux;
    arg_btf_id = v.vmlinux.find("sock_common", btf::Kind::kStruct).value_or(0);
  }
  if (int err = check_ptr_off_reg(v, reg, arg, true)) return err;
  if (!struct_ids_match(v, *reg.btf(), reg.btf_id(), static_cast<s32>(reg.const_value()), *arg_btf,
                        arg_btf_id, strict, !is_alloc(reg.type))) {
    return v.refuse(EACCES, "{} is of type {} but {} is expected\n", arg.text(),
                    reg.btf()->name(reg.btf_id()), arg_btf->name(arg_btf_id));
  }
  return 0;
}

/// The constant that a map's key on the stack holds; -EOPNOTSUPP: none is known.
int constant_map_key(Verifier& v, const RegState& key, u32 key_size, s64& value) {
  if (!v.bpf_capable || key.type != kPtrToStack || !key.is_const()) return -EOPNOTSUPP;
  FuncState& frame = v.frame_of(key);
  const auto off = static_cast<s32>(key.const_value());
  const u32 spi = spi_of(off);
  const auto byte = static_cast<s32>(slot_byte(off));
  const StackSlot& slot = frame.stack[spi];
  auto run = [&](u8 type) {
    u32 n = 0;
    for (s32 i = byte; i >= 0 && slot.type[i] == type; --i) ++n;
    return n;
  };
  if (run(kSlotZero) >= key_size) {
    value = 0;
    return 0;
  }
  if (!slot.is_scalar_spill() || run(kSlotSpill) != key_size || !slot.spilled.is_const()) {
    return -EOPNOTSUPP;
  }
  value = static_cast<s64>(slot.spilled.const_value());
  v.bt.set_slot(key.frameno(), spi);
  return mark_chain_precision_batch(v, *v.state);
}

int process_kptr(Verifier& v, RegState& reg, u32 regno, CallMeta& meta) {
  const Record* record;
  if (is_alloc_object(reg.type)) {
    record = v.record_of(reg);
  } else {
    const Map& map = *reg.map();
    if (!map.spec().btf) {
      return v.refuse(EINVAL, "map '{}' has to have BTF in order to use bpf_kptr_xchg\n",
                      map.spec().name);
    }
    record = v.records.of_map(map);
    meta.map.map = &map;
  }
  if (!reg.is_const()) {
    return v.refuse(
        EINVAL, "R{} doesn't have constant offset. kptr has to be at the constant offset\n", regno);
  }
  if (!record || !record->has(kFieldKptr)) {
    return v.refuse(EINVAL, "R{} has no valid kptr\n", regno);
  }
  const auto off = static_cast<s32>(reg.const_value());
  const RecordField* field = record->find(static_cast<u32>(off), kFieldKptr);
  if (!field) return v.refuse(EACCES, "off={} doesn't point to kptr\n", off);
  if (field->type == kFieldKptrUnref) {
    return v.refuse(EACCES, "off={} kptr isn't referenced kptr\n", off);
  }
  meta.kptr_field = field;
  return 0;
}

int resolve_map_value_type(Verifier& v, const CallMeta& meta, ArgType& type) {
  if (!meta.map.map) return v.bug("invalid map_ptr to access map->type");
  switch (meta.map.map->spec().type) {
    case kMtSockmap:
    case kMtSockhash:
      if (type != kArgPtrToMapValue) {
        return v.refuse(EINVAL, "invalid arg_type for sockmap/sockhash\n");
      }
      type = kArgPtrToBtfIdSockCommon;
      return 0;
    case kMtBloomFilter:
      if (meta.helper_id == kFnMapPeekElem) type = kArgPtrToMapValue;
      return 0;
    default:
      return 0;
  }
}

/// By the kind of argument, once the register's type is right.
int process_argument(Verifier& v, u32 i, RegState& reg, ArgNo arg, ArgType type, u32 insn_idx,
                     CallMeta& meta) {
  const HelperProto& fn = *meta.helper;
  const Access access = type & kMemWrite ? kWrite : kRead;
  switch (base_type(type)) {
    case kArgConstMapPtr:
      return process_map_ptr(v, reg, arg, meta);
    case kArgPtrToMapKey: {
      if (!meta.map.map) return v.bug("invalid map_ptr to access map->key");
      const MapSpec& spec = meta.map.map->spec();
      if (int err = check_helper_mem_access(v, reg, arg, static_cast<s32>(spec.key_size), kRead,
                                            false, nullptr)) {
        return err;
      }
      const bool array = spec.type == kMtArray || spec.type == kMtPercpuArray;
      constexpr u32 kInnerMapFlag = 1u << 12;
      if (array && !(spec.flags & kInnerMapFlag)) {
        const int err = constant_map_key(v, reg, spec.key_size, meta.const_map_key);
        if (err < 0) {
          meta.const_map_key = -1;
          return err == -EOPNOTSUPP ? 0 : err;
        }
      }
      return 0;
    }
    case kArgPtrToMapValue:
      if (may_be_null(type) && reg.is_null()) return 0;
      if (!meta.map.map) return v.bug("invalid map_ptr to access map->value");
      if (meta.helper_id == kFnMapPeekElem && meta.map.map->spec().type == kMtBloomFilter) {
        meta.raw_regno = 0;
      }
      return check_helper_mem_access(v, reg, arg, static_cast<s32>(meta.map.map->spec().value_size),
                                     access, false, &meta);
    case kArgPtrToPercpuBtfId:
      if (!reg.btf_id()) return v.refuse(EACCES, "Helper has invalid btf_id in R{}\n", i + 1);
      meta.ret_btf = reg.btf();
      meta.ret_btf_id = reg.btf_id();
      return 0;
    case kArgPtrToSpinLock:
      if (in_rbtree_lock_required_cb(v)) {
        return v.refuse(EACCES, "can't spin_{{lock,unlock}} in rbtree cb\n");
      }
      return process_spin_lock(v, reg, arg, meta.helper_id == kFnSpinLock, false, false);
    case kArgPtrToTimer:
      return check_map_field(v, reg, arg, kFieldTimer, meta.map);
    case kArgPtrToFunc:
      meta.subprogno = reg.subprogno();
      return 0;
    case kArgPtrToMem:
      if (!(type & kMemFixedSize)) return 0;
      if (int err = check_mem_reg(v, reg, arg, fn.arg_size[i], access, &meta)) return err;
      if (!(type & kMemAligned)) return 0;
      return check_ptr_alignment(v, reg, 0, static_cast<s32>(fn.arg_size[i]), true);
    case kArgMemSize:
    case kArgMemSizeOrZero: {
      const Access mem_access = fn.args[i - 1] & kMemWrite ? kWrite : kRead;
      return check_mem_size_reg(v, v.reg(i), reg, ArgNo::reg(i), arg, mem_access,
                                base_type(type) == kArgMemSizeOrZero, &meta);
    }
    case kArgPtrToDynptr:
      return process_dynptr(v, reg, arg, insn_idx, type, meta.ref_obj, &meta.dynptr);
    case kArgConstAllocSizeOrZero:
      return process_const_alloc_size(v, reg, arg, meta);
    case kArgPtrToConstStr:
      return check_const_str(v, reg, arg);
    case kArgKptrXchgDest:
      return process_kptr(v, reg, i + 1, meta);
    default:
      return 0;
  }
}

}  // namespace

int check_reg_type(Verifier& v, RegState& reg, ArgNo arg, ArgType type, const btf::Btf* arg_btf,
                   u32 arg_btf_id, CallMeta& meta) {
  const auto compatible = compatible_types(base_type(type));
  if (compatible.empty()) return v.bug("unsupported arg type {}", type);
  RegType plain = reg.type;
  if (type & kMemRdonly) plain &= ~kMemRdonly;
  if (type & kMaybeNull) plain &= ~kMaybeNull;
  if (base_type(type) == kArgPtrToMem) plain &= ~kDynptrFlags;
  if (meta.helper_id == kFnKptrXchg && is_alloc(plain) && arg.regno() == 2) {
    plain &= ~(kMemAlloc | kMemPercpu);
  }
  if (std::ranges::find(compatible, plain) == compatible.end()) {
    v.log("{} type={} expected=", arg.text(), reg_type_text(reg.type));
    for (std::size_t i = 0; i + 1 < compatible.size(); ++i) {
      v.log("{}, ", reg_type_text(compatible[i]));
    }
    return v.refuse(EACCES, "{}\n", reg_type_text(compatible.back()));
  }
  if (reg.base() != kPtrToBtfId) return 0;
  if (takes_memory(base_type(type))) {
    if (type & kMemRdonly) return 0;
    return v.refuse(EACCES, "{}() may write into memory pointed by {} type={}\n", helper_text(meta),
                    arg.text(), reg_type_text(reg.type));
  }
  return check_btf_argument(v, reg, arg, type, arg_btf, arg_btf_id, meta);
}

int check_func_arg_reg_off(Verifier& v, const RegState& reg, ArgNo arg, ArgType type,
                           bool btf_id_fixed_off_ok) {
  if (type & kObjRelease) {
    // A dynptr is released by its slot.
    if (base_type(type) == kArgPtrToDynptr && reg.type == kPtrToStack) return 0;
    if (!reg.is_const() || reg.const_value() != 0) {
      return v.refuse(EINVAL,
                      "{} must have zero offset when passed to release func or trusted arg to "
                      "kfunc\n",
                      arg.text());
    }
  }
  switch (reg.type) {
    case kPtrToStack:
    case kPtrToPacket:
    case kPtrToPacketMeta:
    case kPtrToMapKey:
    case kPtrToMapValue:
    case kPtrToMem:
    case kPtrToMem | kMemRdonly:
    case kPtrToMem | kMemRingbuf:
    case kPtrToBuf:
    case kPtrToBuf | kMemRdonly:
    case kPtrToArena:
    case kScalar:
      return 0;
    case kPtrToBtfId:
    case kPtrToBtfId | kMemAlloc:
    case kPtrToBtfId | kTrusted:
    case kPtrToBtfId | kMemRcu:
    case kPtrToBtfId | kMemAlloc | kNonOwnRef:
    case kPtrToBtfId | kMemAlloc | kNonOwnRef | kMemRcu:
      return check_ptr_off_reg(v, reg, arg, btf_id_fixed_off_ok);
    case kPtrToCtx:
      if (type != kArgPtrToCtx && var_ctx_off_allowed(v)) return 0;
      return check_ptr_off_reg(v, reg, arg, false);
    default:
      return check_ptr_off_reg(v, reg, arg, false);
  }
}

int check_map_field(Verifier& v, const RegState& reg, ArgNo arg, FieldType type, MapDesc& desc) {
  const Map& map = *reg.map();
  const std::string_view name = field_type_name(type);
  if (!reg.is_const()) {
    return v.refuse(EINVAL,
                    "{} doesn't have constant offset. {} has to be at the constant offset\n",
                    arg.text(), name);
  }
  if (!map.spec().btf) {
    return v.refuse(EINVAL, "map '{}' has to have BTF in order to use {}\n", map.spec().name, name);
  }
  const Record* record = v.records.of_map(map);
  if (!record || !record->has(type)) {
    return v.refuse(EINVAL, "map '{}' has no valid {}\n", map.spec().name, name);
  }
  const s32 off = record->offset_of(type);
  if (off != static_cast<s64>(reg.const_value())) {
    return v.refuse(EINVAL, "off {} doesn't point to 'struct {}' that is at {}\n",
                    static_cast<s64>(reg.const_value()), name, off);
  }
  if (desc.map) return v.bug("Two map pointers in a {} helper", name);
  desc = {&map, reg.map_uid};
  return 0;
}

int check_const_str(Verifier& v, RegState& reg, ArgNo arg) {
  if (reg.type != kPtrToMapValue) return -EINVAL;
  const Map& map = *reg.map();
  const MapSpec& spec = map.spec();
  if (spec.type == kMtInsnArray) {
    return v.refuse(EACCES, "{} points to insn_array map which cannot be used as const string\n",
                    arg.text());
  }
  if (spec.type == kMtPercpuArray) {
    return v.refuse(EACCES, "{} points to percpu_array map which cannot be used as const string\n",
                    arg.text());
  }
  if (!map_is_rdonly(map)) {
    return v.refuse(EACCES, "{} does not point to a readonly map'\n", arg.text());
  }
  if (!reg.is_const()) return v.refuse(EACCES, "{} is not a constant address'\n", arg.text());
  const u64 address = map_direct_address(map);
  if (!address) {
    return v.refuse(EACCES, "no direct value access support for this map type\n");
  }
  const auto off = static_cast<s64>(reg.const_value());
  const auto rest = static_cast<s32>(s64{spec.value_size} - off);
  if (int err = check_map_access(v, reg, arg, 0, rest, false, AccessSource::kHelper)) return err;
  const auto* text = reinterpret_cast<const char*>(address) + off;
  if (!std::memchr(text, 0, static_cast<std::size_t>(rest))) {
    return v.refuse(EINVAL, "string is not zero-terminated\n");
  }
  return 0;
}

int process_map_ptr(Verifier& v, const RegState& reg, ArgNo arg, CallMeta& meta) {
  if (meta.map.map && (meta.map.map != reg.map() || meta.map.uid != reg.map_uid)) {
    const Record* record = v.records.of_map(*meta.map.map);
    const char* object = "workqueue";
    if (record && record->has(kFieldTimer))
      object = "timer";
    else if (record && record->has(kFieldTaskWork))
      object = "bpf_task_work";
    v.log("{} pointer in {} map_uid={} ", object,
          ArgNo::reg(static_cast<u32>(arg.regno()) - 1).text(), meta.map.uid);
    return v.refuse(EINVAL, "doesn't match map pointer in {} map_uid={}\n", arg.text(),
                    reg.map_uid);
  }
  meta.map = {reg.map(), reg.map_uid};
  return 0;
}

int process_const_alloc_size(Verifier& v, const RegState& reg, ArgNo arg, CallMeta& meta) {
  if (meta.ret_mem_found) return v.bug("only one allocation size argument permitted");
  if (!reg.is_const()) return v.refuse(EINVAL, "{} is not a const\n", arg.text());
  if (reg.const_value() > 0xffffffffULL) {
    return v.refuse(EINVAL, "{} allocation size exceeds u32 max\n", arg.text());
  }
  const u64 size = reg.const_value();
  if (int err = mark_arg_precision(v, arg)) return err;
  meta.ret_mem_size = static_cast<u32>(size);
  meta.ret_mem_found = true;
  return 0;
}

/// Linux: check_func_arg.
int check_helper_arg(Verifier& v, u32 i, CallMeta& meta, u32 insn_idx) {
  const HelperProto& fn = *meta.helper;
  const u32 regno = i + 1;
  ArgType type = fn.args[i];
  if (type == kArgDontcare) return 0;
  if (int err = check_reg_arg(v, regno, ArgUse::kSrc)) return err;
  RegState& reg = v.reg(regno);
  const ArgNo arg = ArgNo::reg(regno);
  if (type == kArgAnything) {
    if (!v.is_pointer_value(reg)) return 0;
    return v.refuse(EACCES, "R{} leaks addr into helper function\n", regno);
  }
  if (is_packet_pointer(reg.type) && !may_access_packet_data(v, false, &fn)) {
    return v.refuse(EACCES, "helper access to the packet is not allowed\n");
  }
  if (base_type(type) == kArgPtrToMapValue) {
    if (int err = resolve_map_value_type(v, meta, type)) return err;
  }
  if (reg.is_null() && may_be_null(type)) {
    if (int err = mark_chain_precision(v, regno)) return err;
  } else {
    u32 btf_id = 0;
    if (base_type(type) == kArgPtrToBtfId && !fn.arg_btf[i].empty()) {
      btf_id = v.vmlinux.find_composite(fn.arg_btf[i]).value_or(0);
    }
    if (int err = check_reg_type(v, reg, arg, type, &v.vmlinux, btf_id, meta)) return err;
    if (int err = check_func_arg_reg_off(v, reg, arg, type, true)) return err;
  }
  if ((type & kObjRelease) && base_type(type) != kArgPtrToDynptr && !is_referenced(v, reg) &&
      !reg.is_null()) {
    return v.refuse(EINVAL, "release helper {} expects referenced PTR_TO_BTF_ID passed to {}\n",
                    helper_text(meta), arg.text());
  }
  if (is_referenced(v, reg)) meta.ref_obj.update(reg);
  return process_argument(v, i, reg, arg, type, insn_idx, meta);
}

s64 helper_stack_bytes(Verifier& v, const Insn& insn, u32 arg, u32 insn_idx) {
  const InsnAux& aux = v.aux[insn_idx];
  const HelperProto* fn = program_helper(v, insn.imm);
  if (!fn) return kStackAll;
  const ArgType type = fn->args[arg];
  auto sign = [&](s64 size) { return type & kMemUninit ? -size : size; };
  switch (base_type(type)) {
    case kArgPtrToMapKey:
    case kArgPtrToMapValue: {
      const bool key = base_type(type) == kArgPtrToMapKey;
      auto size_of = [&](const Map& map) {
        return s64{key ? map.spec().key_size : map.spec().value_size};
      };
      for (u32 i = 0; i < arg; ++i) {
        if (base_type(fn->args[i]) != kArgConstMapPtr) continue;
        if (!(aux.const_reg_map_mask >> (i + 1) & 1)) break;
        return sign(size_of(*v.used_maps[aux.const_reg_vals[i + 1]].map));
      }
      // Any of the program's maps.
      s64 largest = 0;
      for (const MapRef& ref : v.used_maps) {
        largest = std::max(largest, size_of(*ref.map));
        if (const Map* inner = ref.map->inner_map()) largest = std::max(largest, size_of(*inner));
      }
      return largest ? sign(largest) : kStackAll;
    }
    case kArgPtrToMem: {
      if (type & kMemFixedSize) return sign(fn->arg_size[arg]);
      const ArgType next = arg + 1 < fn->args.size() ? base_type(fn->args[arg + 1]) : kArgDontcare;
      if (next != kArgMemSize && next != kArgMemSizeOrZero) return kStackAll;
      if (aux.const_reg_mask >> (arg + 2) & 1) return sign(aux.const_reg_vals[arg + 2]);
      return type & kMemUninit ? 0 : kMaxStack;
    }
    case kArgPtrToDynptr:
      return sign(16);
    case kArgPtrToStack:
      return 0;
    default:
      return kStackAll;
  }
}

}  // namespace uscx::bpf::verifier
