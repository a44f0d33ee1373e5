// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs as a program's calls see them: prototype, flags, what each argument is.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using btf::Btf;
using btf::Kind;

namespace {

/// The runtime's flags of a registered kfunc in the kernel's numbers.
u32 kernel_flags(u32 flags) {
  static constexpr std::pair<u32, u32> kBits[] = {
      {kKfAcquire, kKf_Acquire},
      {kKfRelease, kKf_Release},
      {kKfRetNull, kKf_RetNull},
      {kKfSleepable, kKf_Sleepable},
      {kKfRcu, kKf_Rcu},
      {kKfRcuProtected, kKf_RcuProtected},
      {kKfImplicitArgs, kKf_ImplicitArgs},
      {kKfIterNew, kKf_IterNew},
      {kKfIterNext, kKf_IterNext},
      {kKfIterDestroy, kKf_IterDestroy},
      {kKfDestructive, kKf_Destructive},
  };
  u32 out = 0;
  for (auto [from, to] : kBits) {
    if (flags & from) out |= to;
  }
  return out;
}

bool points_to(const Btf& btf, const btf::Param& param, std::string_view struct_name) {
  const auto target = pointee(btf, param.type);
  return target && btf.kind(*target) == Kind::kStruct && btf.name(*target) == struct_name;
}

struct ByType {
  std::string_view name;
  KfArg kind;
};
constexpr ByType kByType[] = {
    {"bpf_list_head", KfArg::kListHead},
    {"bpf_list_node", KfArg::kListNode},
    {"bpf_rb_root", KfArg::kRbRoot},
    {"bpf_rb_node", KfArg::kRbNode},
};
constexpr ByType kByTypeLater[] = {
    {"bpf_wq", KfArg::kWorkqueue},
    {"bpf_timer", KfArg::kTimer},
    {"bpf_task_work", KfArg::kTaskWork},
};

class ArgClassifier {
 public:
  ArgClassifier(Verifier& v, const KfuncDesc& desc) : v_(v), d_(desc), btf_(*desc.btf) {}

  int classify(u32 i, KfArgInfo& out) {
    const btf::Param& param = d_.proto.params[i];
    if (points_to(btf_, param, "bpf_prog_aux") || has_suffix(param.name, "__ign") ||
        (d_.has(kKf_ImplicitArgs) && i >= d_.public_args)) {
      return 0;
    }
    const u32 type = btf_.resolve(param.type);
    const ArgNo arg = ArgNo::arg(i + 1);
    if (is_number(btf_.kind(type))) {
      out.kind = number(param);
      return 0;
    }
    if (btf_.kind(type) != Kind::kPtr) {
      return v_.refuse(EINVAL, "Unrecognized {} type {}\n", arg.text(),
                       btf::kind_name(btf_.kind(type)));
    }
    if (int err = pointer(i, param, type, arg, out)) return err;
    out.nullable = has_suffix(param.name, "__nullable") || has_suffix(param.name, "__arena");
    return 0;
  }

 private:
  KfArg number(const btf::Param& param) const {
    if (has_suffix(param.name, "__k")) return KfArg::kConst;
    if (has_suffix(param.name, "__szk")) return KfArg::kConstMemSize;
    if (has_suffix(param.name, "__sz")) return KfArg::kMemSize;
    if (param.name == "rdonly_buf_size" || param.name == "rdwr_buf_size") {
      return KfArg::kConstAllocSizeOrZero;
    }
    return KfArg::kAnything;
  }

  bool is_size(u32 i) const {
    if (i >= d_.nr_args()) return false;
    const btf::Param& p = d_.proto.params[i];
    return is_number(btf_.kind(btf_.resolve(p.type))) &&
           (has_suffix(p.name, "__sz") || has_suffix(p.name, "__szk"));
  }

  int pointer(u32 i, const btf::Param& param, u32 type, ArgNo arg, KfArgInfo& out) {
    const u32 target = *pointee(btf_, type);
    const SpecialKfunc s = d_.special;
    if (s == SpecialKfunc::kCastToKernCtx || s == SpecialKfunc::kSessionIsReturn ||
        s == SpecialKfunc::kSessionCookie || is_prog_ctx_type(v_, btf_, type)) {
      out.kind = KfArg::kCtx;
    } else if (has_suffix(param.name, "__alloc")) {
      out.kind = KfArg::kAllocBtfId;
    } else if (has_suffix(param.name, "__refcounted_kptr")) {
      out.kind = KfArg::kRefcountedKptr;
    } else if (points_to(btf_, param, "bpf_dynptr")) {
      out.kind = KfArg::kDynptr;
    } else if (is_iter(i, param)) {
      out.kind = KfArg::kIter;
    } else if (const ByType* row = by_type(kByType, param)) {
      out.kind = row->kind;
    } else if (has_suffix(param.name, "__str")) {
      out.kind = KfArg::kConstStr;
    } else if (has_suffix(param.name, "__const_map")) {
      out.kind = KfArg::kConstMapPtr;
    } else if (has_suffix(param.name, "__map")) {
      out.kind = KfArg::kBtfId;
    } else if (const ByType* later = by_type(kByTypeLater, param)) {
      out.kind = later->kind;
    } else if (has_suffix(param.name, "__irq_flag")) {
      out.kind = KfArg::kIrqFlag;
    } else if (points_to(btf_, param, "bpf_res_spin_lock")) {
      out.kind = KfArg::kResSpinLock;
    } else if (btf_.kind(target) == Kind::kFuncProto) {
      out.kind = KfArg::kCallback;
    } else if (has_suffix(param.name, "__arena__nullable") || has_suffix(param.name, "__arena")) {
      return arena(arg, out);
    } else {
      return memory_or_object(i, target, arg, out);
    }
    return 0;
  }

  template <std::size_t N>
  const ByType* by_type(const ByType (&rows)[N], const btf::Param& param) const {
    for (const ByType& row : rows) {
      if (points_to(btf_, param, row.name)) return &row;
    }
    return nullptr;
  }

  bool is_iter(u32 i, const btf::Param& param) const {
    if (d_.has(kKf_IterNew | kKf_IterNext | kKf_IterDestroy)) return i == 0;
    return has_suffix(param.name, "__iter");
  }

  int arena(ArgNo arg, KfArgInfo& out) {
    if (!v_.arena) {
      return v_.refuse(EINVAL, "{} arena pointer requires a program with an associated arena\n",
                       arg.text());
    }
    if (arg.regno() < 0) {
      return v_.refuse(EINVAL, "{} arena pointer cannot be a stack argument\n", arg.text());
    }
    out.kind = KfArg::kArena;
    return 0;
  }

  int memory_or_object(u32 i, u32 target, ArgNo arg, KfArgInfo& out) {
    const Kind kind = btf_.kind(target);
    const bool plain = is_number(kind);
    if (is_size(i + 1)) {
      if (kind != Kind::kVoid && !plain && !is_scalar_struct(v_.log, btf_, target)) {
        return v_.refuse(EINVAL,
                         "{} pointer type {} {} must point to void, scalar, or struct with "
                         "scalar\n",
                         arg.text(), btf::kind_name(kind), btf_.name(target));
      }
      out.kind = KfArg::kMem;
      return 0;
    }
    if (is_composite(kind)) {
      out.kind = KfArg::kBtfId;
      return 0;
    }
    if (!plain && !is_scalar_struct(v_.log, btf_, target)) {
      return v_.refuse(EINVAL,
                       "{} pointer type {} {} must point to scalar, or struct with scalar\n",
                       arg.text(), btf::kind_name(kind), btf_.name(target));
    }
    out.kind = KfArg::kMem;
    out.fixed_size = true;
    return 0;
  }

  Verifier& v_;
  const KfuncDesc& d_;
  const Btf& btf_;
};

/// NAME_impl stands in the BTF for the whole prototype of a kfunc NAME with implicit arguments; the
/// kernel has no function of that name.
bool is_only_prototype(Verifier& v, const Btf& btf, std::string_view name, s16 off) {
  constexpr std::string_view kSuffix = "_impl";
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  const auto id = btf.find(name, Kind::kFunc);
  if (!id) return false;
  std::string why;
  const auto whole = v.in.env.kfunc(*id, off, why);
  const KfuncProto* known = whole && whole->proto ? whole->proto : kfunc_proto(name);
  return known && known->has(kKf_ImplicitArgs);
}

}  // namespace

int describe_kfunc(Verifier& v, u32 func_id, s16 off, KfuncDesc& out) {
  if (static_cast<s32>(func_id) <= 0) {
    return v.refuse(EINVAL, "invalid kernel function btf_id {}\n", static_cast<s32>(func_id));
  }
  if (off < 0) {
    v.log("negative offset disallowed for kernel module function call\n");
    return v.refuse(EINVAL, "failed to find BTF for kernel function\n");
  }
  std::string why;
  const auto ref = v.in.env.kfunc(func_id, off, why);
  v.log.add(why);
  if (!ref) {
    if (off) v.log("failed to find BTF for kernel function\n");
    return -ref.error().value;
  }
  out.func_id = func_id;
  out.off = off;
  out.name = ref->name;
  out.kfunc = ref->kfunc;
  out.btf = ref->btf ? ref->btf : &v.vmlinux;
  if (func_id >= out.btf->type_count() || out.btf->kind(func_id) != Kind::kFunc) {
    return v.refuse(EINVAL, "kernel btf_id {} is not a function\n", func_id);
  }
  out.special = off == 0 ? special_kfunc(out.name) : SpecialKfunc::kNone;
  const auto proto = out.btf->func_proto(func_id);
  if (!proto) {
    return v.refuse(EINVAL, "kernel function btf_id {} does not have a valid func_proto\n",
                    func_id);
  }
  out.proto = *proto;
  out.public_args = out.nr_args();

  if (!ref->proto && !out.kfunc && is_only_prototype(v, *out.btf, out.name, off)) {
    return v.refuse(EINVAL, "cannot find address for kernel function {}\n", out.name);
  }
  const KfuncProto* known = ref->proto ? ref->proto : off == 0 ? kfunc_proto(out.name) : nullptr;
  const bool hooked = known && kfunc_allowed(*known, v.prog);
  if (known)
    out.flags = known->flags;
  else if (out.kfunc)
    out.flags = kernel_flags(out.kfunc->flags);
  out.known = known ? hooked : out.kfunc != nullptr;
  out.allowed =
      out.known && (!out.kfunc || v.in.env.kfuncs().allowed(v.in.program, *out.kfunc) == 0);
  if (out.has(kKf_ImplicitArgs)) {
    // Its full prototype, where the kernel's BTF has one.
    if (const auto impl = out.btf->find(out.name + "_impl", Kind::kFunc)) {
      out.proto = *out.btf->func_proto(*impl);
    }
  }
  const u32 nargs = out.nr_args();
  if (nargs > kMaxFuncArgs) {
    return v.refuse(EINVAL, "Function {} has {} > {} args\n", out.name, nargs, kMaxFuncArgs);
  }
  ArgClassifier classifier(v, out);
  for (u32 i = 0; i < nargs; ++i) {
    if (int err = classifier.classify(i, out.args[i])) return err;
  }
  return 0;
}

const KfuncDesc* Verifier::find_kfunc(const Insn& insn) const {
  if (!is_kfunc_call(insn)) return nullptr;
  auto it = kfuncs.find({static_cast<u32>(insn.imm), insn.off});
  return it == kfuncs.end() ? nullptr : &it->second;
}

bool is_sync_callback_call(const Verifier& v, const Insn& insn) {
  if (is_helper_call(insn)) {
    return insn.imm == kFnForEachMapElem || insn.imm == kFnFindVma || insn.imm == kFnLoop ||
           insn.imm == kFnUserRingbufDrain;
  }
  const KfuncDesc* kfunc = v.find_kfunc(insn);
  return kfunc && calls_back_at_once(kfunc->special);
}

bool is_async_callback_call(const Verifier& v, const Insn& insn) {
  if (is_helper_call(insn)) return insn.imm == kFnTimerSetCallback;
  const KfuncDesc* kfunc = v.find_kfunc(insn);
  return kfunc && calls_back_later(kfunc->special);
}

bool is_throw(const Verifier& v, const Insn& insn) {
  const KfuncDesc* kfunc = v.find_kfunc(insn);
  return kfunc && kfunc->special == SpecialKfunc::kThrow;
}

std::optional<CallSummary> call_summary(const Verifier& v, const Insn& insn) {
  if (is_helper_call(insn)) {
    const HelperProto* fn = program_helper(v, insn.imm);
    if (!fn) return std::nullopt;
    CallSummary out;
    out.num_params = fn->nr_args();
    out.is_void = fn->ret == kRetVoid;
    // What x86-64 inlines.
    out.fastcall =
        fn->allow_fastcall && (insn.imm == kFnGetSmpProcessorId ||
                               insn.imm == kFnGetCurrentTaskBtf || insn.imm == kFnGetCurrentTask);
    return out;
  }
  const KfuncDesc* kfunc = v.find_kfunc(insn);
  if (!kfunc || !kfunc->allowed) return std::nullopt;
  return CallSummary{kfunc->nr_args(), kfunc->btf->resolve(kfunc->proto.result) == 0,
                     kfunc->has(kKf_Fastcall)};
}

s64 kfunc_stack_bytes(Verifier& v, const Insn& insn, u32 arg, u32 insn_idx) {
  const KfuncDesc* kfunc = v.find_kfunc(insn);
  if (!kfunc || !kfunc->allowed) return kStackAll;
  const InsnAux& aux = v.aux[insn_idx];
  if (arg >= kfunc->nr_args()) return 0;
  const btf::Param& param = kfunc->proto.params[arg];
  const auto target = pointee(*kfunc->btf, param.type);
  if (!target) return 0;
  auto sign = [&](s64 size) {
    const bool fills = (arg == 0 && kfunc->has(kKf_IterNew)) || has_suffix(param.name, "__uninit");
    return fills ? -size : size;
  };
  if (points_to(*kfunc->btf, param, "bpf_dynptr")) return sign(16);
  if (arg + 1 < kfunc->nr_args()) {
    const std::string_view next = kfunc->proto.params[arg + 1].name;
    if (has_suffix(next, "__sz") || has_suffix(next, "__szk")) {
      const u32 size_reg = arg + 2;
      if (size_reg < aux.const_reg_vals.size() && (aux.const_reg_mask >> size_reg & 1)) {
        return sign(aux.const_reg_vals[size_reg]);
      }
      return kMaxStack;
    }
  }
  const auto size = kfunc->btf->size_of(*target);
  return size ? sign(*size) : kStackAll;
}

}  // namespace uscx::bpf::verifier
