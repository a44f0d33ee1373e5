// SPDX-License-Identifier: GPL-2.0-only
// Accesses to the program's context: by its type's table, or by the BTF of what it is attached to.
#include <algorithm>

#include "bpf/verifier/internal.h"
#include "bpf/verifier/raw_tp_null_args.h"

namespace uscx::bpf::verifier {

namespace {

struct CtxInfo {
  RegType type = kScalar;
  const btf::Btf* btf = nullptr;
  u32 btf_id = 0;
  u32 ref_id = 0;
  bool is_retval = false;
};

bool args_trusted(const Verifier& v) {
  switch (v.prog.type) {
    case kProgTracing:
      return v.prog.attach_type == kTraceRawTp || v.prog.attach_type == kTraceIter;
    case kProgLsm:
      return lsm_hook_is_trusted(v.attach.name);
    case kProgStructOps:
      return true;
    default:
      return false;
  }
}

bool returns_value_to_program(u32 attach_type) {
  return attach_type == kLsmMac || attach_type == kLsmCgroup || attach_type == kTraceFexit ||
         attach_type == kTraceFsession;
}

bool is_pointer_like(btf::Kind kind) {
  return kind == btf::Kind::kPtr;
}

/// A pointer argument that is a struct's. False after a message.
bool struct_pointer(Verifier& v, u32 arg, const btf::Param& param, CtxInfo& info) {
  const btf::Btf& btf = *v.attach.btf;
  info.type = kPtrToBtfId;
  if (args_trusted(v)) info.type |= kTrusted;
  if (has_suffix(param.name, "__nullable")) info.type |= kMaybeNull;
  bool may_be_error = false;
  if (v.prog.attach_type == kTraceRawTp && v.prog.type == kProgTracing) {
    const RawTpNullArgs* known = raw_tp_null_args(v.attach.name);
    if (known) {
      if (known->mask & (1ull << (arg * 4))) info.type |= kMaybeNull;
      may_be_error = known->mask & (2ull << (arg * 4));
    } else if (&btf != &v.vmlinux) {
      info.type |= kMaybeNull;  // of a module: nobody looked
    }
  }
  static constexpr TypeTag kTags[] = {{"user", kMemUser}, {"percpu", kMemPercpu}};
  const auto walk = walk_type_tags(btf, param.type, kTags);
  if (!walk) {
    v.log("func '{}' arg{} type {} has multiple type tags\n", v.attach.name, arg, "PTR");
    return false;
  }
  info.type |= walk->flags;
  info.btf = &btf;
  info.btf_id = walk->id;
  if (!is_composite(btf.kind(walk->id))) {
    v.log("func '{}' arg{} type {} is not a struct\n", v.attach.name, arg,
          btf::kind_name(btf.kind(walk->id)));
    return false;
  }
  v.log("func '{}' arg{} has btf_id {} type {} '{}'\n", v.attach.name, arg, info.btf_id,
        btf::kind_name(btf.kind(walk->id)), btf.name(walk->id));
  if (may_be_error) {
    v.log("marking pointer arg{} as scalar as it may encode error", arg);
    info.type = kScalar;
  }
  return true;
}

/// Linux: btf_ctx_access.
bool btf_ctx_access(Verifier& v, s32 off, s32 size, CtxInfo& info) {
  const AttachTarget& attach = v.attach;
  if (off % 8) {
    v.log("func '{}' offset {} is not multiple of 8\n", attach.name, off);
    return false;
  }
  const u32 arg = ctx_arg_index(attach.btf ? *attach.btf : v.vmlinux, attach.proto, off);
  const u32 nr_args = attach.proto ? static_cast<u32>(attach.proto->params.size()) : kMaxRegArgs;
  auto no_argument = [&] {
    v.log("func '{}' doesn't have {}-th argument\n", attach.name, arg + 1);
    return false;
  };
  if (arg > nr_args) return no_argument();
  u32 type;
  if (arg == nr_args) {
    if (v.prog.attach_type == kLsmMac) info.is_retval = true;
    if (returns_value_to_program(v.prog.attach_type) && v.prog.type != kProgStructOps) {
      if (!attach.proto) return true;
      type = attach.proto->result;
    } else if (v.prog.attach_type == kModifyReturn && v.prog.type == kProgTracing) {
      if (!attach.proto) return false;
      type = attach.btf->resolve(attach.proto->result);
      if (!is_small_int(attach.btf->type(type))) {
        v.log("ret type {} not allowed for fmod_ret\n", btf::kind_name(attach.btf->kind(type)));
        return false;
      }
    } else {
      return no_argument();
    }
  } else {
    if (!attach.proto) return true;
    type = attach.proto->params[arg].type;
  }
  const btf::Btf& btf = *attach.btf;
  const u32 plain = btf.resolve(type);
  const btf::Kind kind = btf.kind(plain);
  if (is_small_int(btf.type(plain)) || is_enum(kind) || is_composite(kind)) return true;
  if (!is_pointer_like(kind)) {
    v.log("func '{}' arg{} '{}' has type {}. Only pointer access is allowed\n", attach.name, arg,
          btf.name(plain), btf::kind_name(kind));
    return false;
  }
  if (size != 8) {
    v.log("func '{}' size {} must be 8\n", attach.name, size);
    return false;
  }
  for (const CtxArg& known : attach.ctx_args) {
    if (known.offset != static_cast<u32>(off)) continue;
    const u32 base = base_type(known.type);
    if (base == kPtrToArena || (base == kPtrToBuf && may_be_null(known.type))) {
      info.type = known.type;
      return true;
    }
  }
  if (!is_composite_pointer(btf, plain)) return true;
  for (const CtxArg& known : attach.ctx_args) {
    if (known.offset != static_cast<u32>(off)) continue;
    info.type = known.type;
    info.btf = known.btf;
    info.btf_id = known.btf_id;
    info.ref_id = known.ref_id;
    return true;
  }
  return struct_pointer(v, arg, arg == nr_args ? btf::Param{"", type} : attach.proto->params[arg],
                        info);
}

bool table_access(Verifier& v, s32 off, s32 size, Access type, bool ldsx, CtxInfo& info) {
  CtxAccess out;
  if (!ctx_access(v.prog, off, static_cast<u32>(size), type == kWrite, ldsx, out)) return false;
  info.type = out.reg_type;
  info.is_retval = out.is_retval;
  if (base_type(out.reg_type) == kPtrToBtfId) {
    const auto id = v.vmlinux.find(out.btf_type, btf::Kind::kStruct);
    if (!id) return false;
    info.btf = &v.vmlinux;
    info.btf_id = *id;
  }
  return true;
}

/// The list of packets to free, which a packet scheduler's enqueue is given. Linux:
/// bpf_qdisc_is_valid_access.
bool qdisc_access(Verifier& v, s32 off, Access type, CtxInfo& info) {
  constexpr u32 kToFree = 2;
  if (v.prog.struct_ops_type != "Qdisc_ops" || v.in.program.member_name != "enqueue") return false;
  const u32 arg = ctx_arg_index(v.attach.btf ? *v.attach.btf : v.vmlinux, v.attach.proto, off);
  const auto id = v.vmlinux.find("bpf_sk_buff_ptr", btf::Kind::kStruct);
  if (arg != kToFree || type != kRead || !id) return false;
  info.type = kPtrToBtfId | kTrusted;
  info.btf = &v.vmlinux;
  info.btf_id = *id;
  return true;
}

bool is_valid_access(Verifier& v, s32 off, s32 size, Access type, bool ldsx, CtxInfo& info) {
  if (context_rule(v.prog) == ContextRule::kTable) {
    return table_access(v, off, size, type, ldsx, info);
  }
  if (qdisc_access(v, off, type, info)) return true;
  // Linux: bpf_tracing_btf_ctx_access and its like.
  constexpr s32 kLimit = 8 * 12;  // MAX_BPF_FUNC_ARGS
  if (off < 0 || off >= kLimit) return false;
  if (type != kRead) return false;
  if (off % size) return false;
  return btf_ctx_access(v, off, size, info);
}

}  // namespace

int check_ctx_access(Verifier& v, u32 insn_idx, RegState& reg, ArgNo arg, s32 off, s32 size,
                     Access type, s32 value_regno, bool ldsx) {
  // A context that the kernel converts has no place to add to.
  const bool fixed_off_ok = context_rule(v.prog) == ContextRule::kBtf;
  const int off_err = var_ctx_off_allowed(v)
                          ? check_mem_region(v, reg, arg, off, size, 0xffff, false)
                          : check_ptr_off_reg(v, reg, arg, fixed_off_ok);
  if (off_err) return off_err;
  off += static_cast<s32>(reg.value.umax());
  CtxInfo info;
  int err = 0;
  if (!is_valid_access(v, off, size, type, ldsx, info)) {
    err = v.refuse(EACCES, "invalid bpf_context access off={} size={}\n", off, size);
  } else if (base_type(info.type) == kPtrToBtfId && info.ref_id &&
             !has_reference(*v.state, info.ref_id)) {
    err = v.refuse(EACCES, "invalid bpf_context access off={}. Reference may already be released\n",
                   off);
  }
  if (err) {
    v.log_line(insn_idx, "; ");
    return err;
  }
  if (type != kRead || value_regno < 0) return 0;
  RegState& dst = v.reg(static_cast<u32>(value_regno));
  if (info.type == kScalar) {
    v.mark_unknown(dst);
    if (info.is_retval && v.prog.type == kProgLsm && v.prog.attach_type == kLsmMac) {
      if (const auto range = return_range(v.prog)) dst.value.limit_s32(range->min, range->max);
    }
    return 0;
  }
  dst.set_known_zero();
  dst.precise = false;
  if (base_type(info.type) == kPtrToBtfId) {
    const bool shared = v.is_kernel(info.btf) && info.btf_id < v.vmlinux.type_count();
    dst.set_btf(shared ? &v.vmlinux : info.btf, info.btf_id);
    dst.id = info.ref_id;
  }
  if (may_be_null(info.type) && !dst.id) dst.id = v.new_id();
  dst.type = info.type;
  return 0;
}

}  // namespace uscx::bpf::verifier
