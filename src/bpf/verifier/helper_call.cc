// SPDX-License-Identifier: GPL-2.0-only
// Calls of helpers. Linux: check_helper_call.
#include <algorithm>
#include <cctype>
#include <cstring>

#include "bpf/uapi.h"
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

namespace {

bool acquires(u32 id, const Map* map) {
  switch (id) {
    case kFnSkLookupTcp:
    case kFnSkLookupUdp:
    case kFnSkcLookupTcp:
    case kFnRingbufReserve:
    case kFnKptrXchg:
      return true;
    case kFnMapLookupElem:
      return map && (map->spec().type == kMtSockmap || map->spec().type == kMtSockhash);
    default:
      return false;
  }
}

bool casts_pointer(u32 id) {
  switch (id) {
    case kFnTcpSock:
    case kFnSkFullsock:
    case kFnSkcToTcpSock:
    case kFnSkcToTcp6Sock:
    case kFnSkcToUdp6Sock:
    case kFnSkcToMptcpSock:
    case kFnSkcToTcpTimewaitSock:
    case kFnSkcToTcpRequestSock:
      return true;
    default:
      return false;
  }
}

bool records_map(u32 id) {
  switch (id) {
    case kFnTailCall:
    case kFnMapLookupElem:
    case kFnMapUpdateElem:
    case kFnMapDeleteElem:
    case kFnMapPushElem:
    case kFnMapPopElem:
    case kFnMapPeekElem:
    case kFnForEachMapElem:
    case kFnRedirectMap:
    case kFnMapLookupPercpuElem:
      return true;
    default:
      return false;
  }
}

int record_map(Verifier& v, CallMeta& meta, u32 insn_idx) {
  const u32 id = meta.helper_id;
  if (!records_map(id)) return 0;
  const Map* map = meta.map.map;
  if (!map) return v.bug("expected map for helper call");
  if ((map->spec().flags & uapi::kRdonlyProg) &&
      (id == kFnMapDeleteElem || id == kFnMapUpdateElem || id == kFnMapPushElem ||
       id == kFnMapPopElem)) {
    return v.refuse(EACCES, "write into map forbidden\n");
  }
  InsnAux& aux = v.aux[insn_idx];
  if (aux.call_map && aux.call_map != map) aux.call_map_poisoned = true;
  aux.call_map = map;
  if (id != kFnTailCall) return 0;
  if (map->spec().type != kMtProgArray) {
    return v.refuse(EINVAL, "expected prog array map for tail call");
  }
  const RegState& index = v.reg(3);
  if (index.is_scalar() && index.is_const() && index.const_value() < map->spec().max_entries) {
    return mark_chain_precision(v, 3);
  }
  return 0;
}

int check_map_helper(Verifier& v, const Map* map, u32 id) {
  if (!map) return 0;
  const u32 type = map->spec().type;
  std::string why;
  const bool allowed = map_allows_helper(v.prog, type, id, why);
  v.log.add(why);
  if (allowed) return 0;
  return v.refuse(EINVAL, "cannot pass map_type {} into func {}#{}\n", type, helper_name(id), id);
}

/// bpf_loop can be inlined where its flags are 0 on all paths; then R4 matters.
int note_loop(Verifier& v, u32 subprog) {
  InsnAux& aux = v.cur_aux();
  const bool first = !aux.loop_seen;
  if (!first && !aux.loop_fits) return 0;
  const bool zero = v.reg(4).is_null();
  if (zero) {
    if (int err = mark_chain_precision(v, 4)) return err;
  }
  if (first) {
    aux.loop_seen = true;
    aux.loop_fits = zero;
    aux.loop_callback = subprog;
  } else {
    aux.loop_fits = zero && aux.loop_callback == subprog;
  }
  return 0;
}

int check_loop(Verifier& v, const Insn& insn, u32 insn_idx, u32 subprog) {
  if (int err = note_loop(v, subprog)) return err;
  if (int err = mark_chain_precision(v, 1)) return err;
  if (v.cur().callback_depth < v.reg(1).value.umax()) {
    return push_callback_call(v, insn, insn_idx, subprog, SetCallee::kLoop);
  }
  v.cur().callback_depth = 0;
  if (v.log.all_paths()) {
    v.log("frame{} bpf_loop iteration limit reached\n", v.state->curframe);
  }
  return 0;
}

int check_set_retval(Verifier& v) {
  const RegState& r1 = v.reg(1);
  if (!r1.is_scalar()) return v.refuse(EINVAL, "R1 is not a scalar\n");
  if (v.prog.type == kProgCgroupSockopt && v.prog.attach_type == kCgroupGetsockopt) return 0;
  s32 min = -static_cast<s32>(kMaxErrno), max = 0;
  if (v.prog.type == kProgLsm && v.prog.attach_type == kLsmCgroup) {
    if (v.prog.attach_returns_void) {
      return v.refuse(EINVAL,
                      "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return "
                      "value!\n");
    }
    ProgContext as_mac = v.prog;
    as_mac.attach_type = kLsmMac;
    if (const auto range = return_range(as_mac)) {
      min = range->min;
      max = range->max;
    }
  }
  if (int err = mark_chain_precision(v, 1)) return err;
  if (min <= r1.value.s32_min() && r1.value.s32_max() <= max) return 0;
  return refuse_value(v, r1, {min, max}, "At bpf_set_retval", "R1");
}

/// Could bpf_snprintf print this with so many arguments? Linux: bpf_bprintf_prepare.
bool format_is_valid(std::string_view fmt, u32 args) {
  auto at = [&](std::size_t i) { return i < fmt.size() ? fmt[i] : '\0'; };
  auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  auto ends_pointer = [](char c) { return !c || std::ispunct(c) || std::isspace(c); };
  u32 used = 0;
  for (std::size_t i = 0; i < fmt.size(); ++i) {
    const auto c = static_cast<unsigned char>(fmt[i]);
    if (c >= 128 || (!std::isprint(c) && !std::isspace(c))) return false;
    if (c != '%') continue;
    if (at(i + 1) == '%') {
      ++i;
      continue;
    }
    if (used++ >= args) return false;
    ++i;
    while (at(i) && std::strchr("0+- ", at(i))) ++i;
    while (is_digit(at(i))) ++i;
    if (at(i) == 's' || at(i) == 'c') continue;
    if (at(i) == 'p') {
      const char kind = at(i + 1);
      if (ends_pointer(kind)) continue;
      if ((kind == 'k' || kind == 'u') && at(i + 2) == 's') {
        i += 2;
      } else if (std::strchr("KxsSB", kind)) {
        ++i;
      } else if ((kind == 'i' || kind == 'I') && (at(i + 2) == '4' || at(i + 2) == '6')) {
        i += 2;
      } else {
        return false;
      }
      continue;
    }
    for (int l = 0; l < 2 && at(i) == 'l'; ++l) ++i;
    if (!at(i) || !std::strchr("iduxX", at(i))) return false;
  }
  return true;
}

int check_snprintf(Verifier& v) {
  const RegState& fmt_reg = v.reg(3);
  const u64 data_len = v.reg(5).const_value();
  if (data_len % 8) return -EINVAL;
  const Map& map = *fmt_reg.map();
  const u64 address = map_direct_address(map);
  if (!address) return v.refuse(EFAULT, "failed to retrieve map value address\n");
  const auto* text = reinterpret_cast<const char*>(address) + fmt_reg.const_value();
  if (!format_is_valid(text, static_cast<u32>(data_len / 8))) {
    return v.refuse(EINVAL, "Invalid format string\n");
  }
  return 0;
}

/// What particular helpers need beyond their prototype.
int check_special(Verifier& v, const Insn& insn, u32 insn_idx, CallMeta& meta, bool& changes_data,
                  bool& cpu_specific) {
  switch (meta.helper_id) {
    case kFnTailCall:
      return check_resource_leak(v, false, true, "tail_call");
    case kFnGetLocalStorage:
      if (!v.reg(2).is_null()) {
        return v.refuse(EINVAL, "get_local_storage() doesn't support non-zero flags\n");
      }
      return mark_chain_precision(v, 2);
    case kFnForEachMapElem:
      return push_callback_call(v, insn, insn_idx, meta.subprogno, SetCallee::kMapElem);
    case kFnTimerSetCallback:
      return push_callback_call(v, insn, insn_idx, meta.subprogno, SetCallee::kTimer);
    case kFnFindVma:
      return push_callback_call(v, insn, insn_idx, meta.subprogno, SetCallee::kFindVma);
    case kFnUserRingbufDrain:
      return push_callback_call(v, insn, insn_idx, meta.subprogno, SetCallee::kUserRingbuf);
    case kFnSnprintf:
      return check_snprintf(v);
    case kFnLoop:
      return check_loop(v, insn, insn_idx, meta.subprogno);
    case kFnDynptrFromMem:
      if (v.reg(1).type == kPtrToMapValue) return 0;
      return v.refuse(EACCES, "Unsupported reg type {} for bpf_dynptr_from_mem data\n",
                      reg_type_text(v.reg(1).type));
    case kFnSetRetval:
      return check_set_retval(v);
    case kFnDynptrWrite:
      if (meta.dynptr.type == DynptrType::kInvalid) return -EFAULT;
      if (meta.dynptr.type == DynptrType::kSkb || meta.dynptr.type == DynptrType::kSkbMeta) {
        changes_data = true;
      }
      return 0;
    case kFnPerCpuPtr:
    case kFnThisCpuPtr: {
      const RegState& reg = v.reg(1);
      if (!(reg.type & kMemRcu)) return 0;
      if (!is_composite(reg.btf()->kind(reg.btf()->resolve(reg.btf_id())))) {
        return v.refuse(EFAULT, "Helper has invalid btf/btf_id in R1\n");
      }
      cpu_specific = true;
      return 0;
    }
    default:
      return 0;
  }
}

/// A map's value as this map gives it. Linux: refine_map_lookup_value.
void refine_lookup(Verifier&, RegState& r0) {
  const Map& map = *r0.map();
  const u32 null = r0.type & kMaybeNull;
  if (const Map* inner = map.inner_map()) {
    r0.type = kConstPtrToMap | null;
    r0.set_map(inner);
    r0.map_uid = r0.id;
  } else if (map.spec().type == kMtXskmap) {
    r0.type = kPtrToXdpSock | null;
    r0.map_uid = 0;
  } else if (map.spec().type == kMtSockmap || map.spec().type == kMtSockhash) {
    r0.type = kPtrToSocket | null;
    r0.map_uid = 0;
  }
}

int set_map_value_result(Verifier& v, CallMeta& meta, u32 flags) {
  RegState& r0 = v.reg(0);
  r0.set_known_zero();
  const Map* map = meta.map.map;
  if (!map) return v.bug("unexpected null map_ptr");
  const MapSpec& spec = map->spec();
  constexpr u32 kInnerMapFlag = 1u << 12;
  const bool array =
      (spec.type == kMtArray || spec.type == kMtPercpuArray) && !(spec.flags & kInnerMapFlag);
  // An element of an array is there.
  if (meta.helper_id == kFnMapLookupElem && array && meta.const_map_key >= 0 &&
      meta.const_map_key < s64{spec.max_entries}) {
    flags &= ~kMaybeNull;
  }
  r0.set_map(map);
  r0.map_uid = meta.map.uid;
  r0.type = kPtrToMapValue | flags;
  const Record* record = v.records.of_map(*map);
  if (may_be_null(flags) || (record && record->has(kFieldSpinLock | kFieldResSpinLock))) {
    r0.id = v.new_id();
  }
  refine_lookup(v, r0);
  return 0;
}

int set_mem_or_btf_result(Verifier& v, CallMeta& meta, u32 flags, bool cpu_specific) {
  RegState& r0 = v.reg(0);
  r0.set_known_zero();
  const btf::Btf& btf = *meta.ret_btf;
  const u32 type = btf.resolve(meta.ret_btf_id);
  if (is_composite(btf.kind(type))) {
    r0.type =
        cpu_specific ? kPtrToBtfId | kMemAlloc | kMemRcu : kPtrToBtfId | (flags & ~kMemRdonly);
    r0.set_btf(&btf, type);
    return 0;
  }
  const auto size = btf.size_of(type);
  if (!size) {
    return v.refuse(EINVAL, "unable to resolve the size of type '{}': {}\n", btf.name(type),
                    -EINVAL);
  }
  r0.type = kPtrToMem | flags;
  r0.a = *size;
  return 0;
}

int set_btf_result(Verifier& v, CallMeta& meta, u32 flags) {
  RegState& r0 = v.reg(0);
  r0.set_known_zero();
  r0.type = kPtrToBtfId | flags;
  if (meta.helper_id == kFnKptrXchg) {
    const RecordField& field = *meta.kptr_field;
    if (!v.is_kernel(field.btf)) {
      r0.type |= kMemAlloc;
      if (field.type == kFieldKptrPercpu) r0.type |= kMemPercpu;
    }
    r0.set_btf(field.btf, field.btf_id);
    return 0;
  }
  const auto id = v.vmlinux.find_composite(meta.helper->ret_btf);
  if (!id) {
    return v.refuse(EINVAL, "invalid return type {} of func {}#{}\n", base_type(meta.helper->ret),
                    helper_name(meta.helper_id), meta.helper_id);
  }
  r0.set_btf(&v.vmlinux, *id);
  return 0;
}

int set_result(Verifier& v, CallMeta& meta, bool cpu_specific) {
  RegState& r0 = v.reg(0);
  const u32 flags = type_flags(meta.helper->ret);
  auto pointer = [&](RegType base) {
    r0.set_known_zero();
    r0.type = base | flags;
    return 0;
  };
  switch (base_type(meta.helper->ret)) {
    case kRetInteger:
      v.mark_unknown(r0);
      return 0;
    case kRetVoid:
      r0.type = kNotInit;
      return 0;
    case kRetPtrToMapValue:
      return set_map_value_result(v, meta, flags);
    case kRetPtrToSocket:
      return pointer(kPtrToSocket);
    case kRetPtrToSockCommon:
      return pointer(kPtrToSockCommon);
    case kRetPtrToTcpSock:
      return pointer(kPtrToTcpSock);
    case kRetPtrToMem:
      pointer(kPtrToMem);
      r0.a = meta.ret_mem_size;
      return 0;
    case kRetPtrToMemOrBtfId:
      return set_mem_or_btf_result(v, meta, flags, cpu_specific);
    case kRetPtrToBtfId:
      return set_btf_result(v, meta, flags);
    default:
      return v.refuse(EINVAL, "unknown return type {} of func {}#{}\n", base_type(meta.helper->ret),
                      helper_name(meta.helper_id), meta.helper_id);
  }
}

void limit(RegState& reg, s64 min, s64 max) {
  reg.value.r64 = Range64::of_signed(min, max);
  reg.value.r32 = Range32::of_signed(static_cast<s32>(min), static_cast<s32>(max));
  reg.value.sync();
}

/// Integers of which more is known. Linux: do_refine_retval_range.
int refine_result(Verifier& v, CallMeta& meta) {
  if (meta.helper->ret != kRetInteger) return 0;
  RegState& r0 = v.reg(0);
  switch (meta.helper_id) {
    case kFnGetStack:
    case kFnGetTaskStack:
    case kFnProbeReadStr:
    case kFnProbeReadKernelStr:
    case kFnProbeReadUserStr:
      limit(r0, -kMaxErrno, static_cast<s64>(meta.msize_max));
      break;
    case kFnGetSmpProcessorId:
      limit(r0, 0, s64{v.in.env.nr_cpu_ids()} - 1);
      break;
    case kFnGetRetval: {
      if (v.prog.type == kProgCgroupSockopt && v.prog.attach_type == kCgroupGetsockopt) break;
      s64 min = -kMaxErrno, max = 0;
      if (v.prog.type == kProgLsm && v.prog.attach_type == kLsmCgroup) {
        if (v.prog.attach_returns_void) break;
        ProgContext as_mac = v.prog;
        as_mac.attach_type = kLsmMac;
        if (const auto range = return_range(as_mac)) {
          min = range->min;
          max = range->max;
        }
      }
      limit(r0, min, max);
      break;
    }
    default:
      break;
  }
  return check_invariants(v, r0, "retval");
}

/// References: a cast shares its argument's, a lookup makes one.
int set_reference(Verifier& v, CallMeta& meta, u32 insn_idx) {
  RegState& r0 = v.reg(0);
  if (may_be_null(r0.type) && !r0.id) r0.id = v.new_id();
  if (casts_pointer(meta.helper_id) && has_reference(*v.state, meta.ref_obj.id)) {
    if (meta.ref_obj.cnt > 1) {
      return v.bug("function expects only one referenced object but got {}\n", meta.ref_obj.cnt);
    }
    // It may give null for an object that is there: two ways.
    VerifierState* branch = push_state(v, v.insn_idx + 1, static_cast<s32>(v.insn_idx));
    if (!branch) return -E2BIG;
    RegState& null = branch->cur().regs[0];
    null.set_known_zero();
    null.type = kScalar;
    r0.type &= ~kMaybeNull;
    r0.id = meta.ref_obj.id;
  } else if (acquires(meta.helper_id, meta.map.map)) {
    r0.id = acquire_reference(v, insn_idx, 0);
  }
  if (meta.helper_id == kFnDynptrData) r0.parent_id = meta.dynptr.id;
  return 0;
}

int after_tail_call(Verifier& v, bool& changes_data) {
  if (!v.state->curframe) {
    changes_data = false;  // nothing runs after it
    return 0;
  }
  if (v.cur().in_callback_fn) return v.refuse(EINVAL, "cannot tail call within callback\n");
  v.scratch_reg(0);
  if (!push_state(v, v.insn_idx + 1, static_cast<s32>(v.insn_idx))) return -E2BIG;
  // The called program ran to its end: this function returns whatever that did.
  clear_all_packet_pointers(v);
  v.mark_unknown(v.reg(0));
  if (int err = prepare_function_exit(v)) return err;
  v.insn_idx--;
  return 0;
}

int check_get_func_ip(Verifier& v, u32 id) {
  if (v.prog.type == kProgKprobe) return 0;
  if (v.prog.type == kProgTracing) {
    switch (v.prog.attach_type) {
      case kTraceFentry:
      case kTraceFexit:
      case kModifyReturn:
      case kTraceFsession:
      case kTraceFentryMulti:
      case kTraceFexitMulti:
      case kTraceFsessionMulti:
        return 0;
      default:
        return v.refuse(kErrNotSupp,
                        "func {}#{} supported only for fentry/fexit/fsession/fmod_ret programs\n",
                        helper_name(id), id);
    }
  }
  return v.refuse(kErrNotSupp, "func {}#{} not supported for program type {}\n", helper_name(id),
                  id, v.prog.type);
}

}  // namespace

const HelperProto* program_helper(const Verifier& v, s32 id) {
  if (id <= 0 || id > static_cast<s32>(kMaxHelperId)) return nullptr;
  return helper_for(v.prog, static_cast<u32>(id));
}

int check_helper_call(Verifier& v, const Insn& insn) {
  const u32 insn_idx = v.insn_idx;
  const u32 id = static_cast<u32>(insn.imm);
  const std::string name(insn.imm > 0 && id <= kMaxHelperId ? helper_name(id) : "unknown");
  if (insn.imm < 0 || id > kMaxHelperId) {
    return v.refuse(EINVAL, "invalid func {}#{}\n", name, insn.imm);
  }
  const HelperProto* fn = program_helper(v, insn.imm);
  if (!fn) {
    return v.refuse(EINVAL, "program of this type cannot use helper {}#{}\n",
                    name.empty() ? "unknown" : name, id);
  }
  if (!v.prog.gpl_compatible && fn->gpl_only) {
    return v.refuse(EINVAL,
                    "cannot call GPL-restricted function from non-GPL compatible program\n");
  }
  if (fn->allowed && !fn->allowed(v.prog)) {
    return v.refuse(EINVAL, "helper call is not allowed in probe\n");
  }
  if (fn->might_sleep && !v.in_sleepable_context()) {
    return v.refuse(EINVAL, "sleepable helper {}#{} in {}\n", name, id, v.non_sleepable_text());
  }
  if (!v.in_sleepable_context()) v.aux[insn_idx].non_sleepable = true;
  bool changes_data = fn->changes_pkt_data;
  CallMeta meta;
  meta.helper_id = id;
  meta.helper = fn;
  for (u32 i = 0; i < fn->args.size(); ++i) {
    const ArgType type = fn->args[i];
    const u32 base = base_type(type);
    if ((base == kArgPtrToMem || base == kArgPtrToMapValue) && (type & kMemUninit)) {
      meta.raw_regno = i + 1;
    }
    if (type & kObjRelease) meta.release_regno = i + 1;
  }
  for (u32 i = 0; i < fn->args.size(); ++i) {
    if (int err = check_helper_arg(v, i, meta, insn_idx)) return err;
  }
  if (int err = record_map(v, meta, insn_idx)) return err;
  if (planted(v, PlantedFault::kHelperWriteUnseen)) meta.raw_size = 0;
  for (s32 i = 0; i < meta.raw_size; ++i) {
    if (int err = check_mem_access(v, insn_idx, v.reg(meta.raw_regno), ArgNo::reg(meta.raw_regno),
                                   i, 1, kWrite, -1, false, false)) {
      return err;
    }
  }
  if (meta.release_regno) {
    RegState& reg = v.reg(meta.release_regno);
    const bool to_rcu =
        id == kFnKptrXchg && v.in_rcu_cs() && (reg.type & kMemAlloc) && (reg.type & kMemPercpu);
    if (int err = release_argument(v, reg, to_rcu, meta.dynptr.id != 0)) return err;
  }
  bool cpu_specific = false;
  if (int err = check_special(v, insn, insn_idx, meta, changes_data, cpu_specific)) return err;
  if (!planted(v, PlantedFault::kCallKeepsRegisters)) clear_caller_saved(v, v.cur());
  invalidate_outgoing_stack_args(v, v.cur());
  if (int err = set_result(v, meta, cpu_specific)) return err;
  if (planted(v, PlantedFault::kNullUnchecked)) v.reg(0).type &= ~kMaybeNull;
  if (int err = set_reference(v, meta, insn_idx)) return err;
  if (int err = refine_result(v, meta)) return err;
  if (int err = check_map_helper(v, meta.map.map, id)) return err;
  if (id == kFnGetFuncIp) {
    if (check_get_func_ip(v, id)) return -kErrNotSupp;
  }
  if (id == kFnTailCall) {
    if (int err = after_tail_call(v, changes_data)) return err;
  }
  if (changes_data) clear_all_packet_pointers(v);
  return 0;
}

}  // namespace uscx::bpf::verifier
