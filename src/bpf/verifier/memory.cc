// SPDX-License-Identifier: GPL-2.0-only
// Accesses to memory, by what the pointer points to.
#include <algorithm>

#include "bpf/uapi.h"
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

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

}  // namespace

int leak(Verifier& v, s32 regno, std::string_view where) {
  return v.refuse(EACCES, "R{} leaks addr into {}\n", regno, where);
}

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
    if (planted(v, PlantedFault::kLoadTooNarrow) && size > 1) value.value.truncate(size / 2);
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
