// SPDX-License-Identifier: GPL-2.0-only
// What a function of the program takes, by its BTF and the tags on it. Linux:
// btf_prepare_func_args.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using btf::Btf;
using btf::Kind;

namespace {

enum ArgTag : u32 {
  kTagCtx = 1,
  kTagNonnull = 2,
  kTagTrusted = 4,
  kTagUntrusted = 8,
  kTagNullable = 16,
  kTagArena = 32,
};

int scan_decl_tags(Verifier& v, u32 func_id, u32 arg, bool is_global, u32& tags) {
  static constexpr std::pair<std::string_view, u32> kTags[] = {
      {"ctx", kTagCtx},         {"trusted", kTagTrusted},   {"untrusted", kTagUntrusted},
      {"nonnull", kTagNonnull}, {"nullable", kTagNullable}, {"arena", kTagArena},
  };
  constexpr std::string_view kKey = "arg:";
  for (std::string_view tag : v.prog_btf->decl_tags(func_id, static_cast<s32>(arg))) {
    if (!tag.starts_with(kKey)) continue;
    if (!is_global) {
      return v.refuse(EOPNOTSUPP, "arg#{} type tag is not supported in static functions\n", arg);
    }
    tag.remove_prefix(kKey.size());
    auto it = std::ranges::find(kTags, tag, [](const auto& row) { return row.first; });
    if (it == std::end(kTags)) {
      return v.refuse(EOPNOTSUPP, "arg#{} has unsupported set of tags\n", arg);
    }
    tags |= it->second;
  }
  return 0;
}

int scan_type_tags(Verifier& v, u32 type, u32& tags) {
  const u32 plain = v.prog_btf->resolve(type);
  if (v.prog_btf->kind(plain) != Kind::kPtr) return 0;
  static constexpr TypeTag kTags[] = {{"arena", kTagArena}};
  const auto walk = walk_type_tags(*v.prog_btf, plain, kTags);
  if (!walk) return v.refuse(EINVAL, "function signature member has multiple type tags\n");
  tags |= walk->flags;
  return 0;
}

bool is_dynptr_pointer(const Btf& btf, u32 pointer) {
  const auto target = pointee(btf, pointer);
  if (!target) return false;
  const btf::Type& t = btf.type(*target);
  const bool structish = is_composite(t.kind) || (t.kind == Kind::kFwd && !t.kflag);
  return structish && t.name == "bpf_dynptr";
}

/// A kernel struct by the name the program has for it. Linux: btf_get_ptr_to_btf_id.
int kernel_struct(Verifier& v, u32 arg, u32 pointer, u32& out) {
  const auto target = pointee(*v.prog_btf, pointer);
  std::string_view name = v.prog_btf->name(*target);
  const std::string_view kind = btf::kind_name(v.prog_btf->kind(*target));
  // "task_struct___local" means task_struct.
  std::string_view essential = name.substr(0, name.find("___"));
  const auto id = v.vmlinux.find(
      essential, v.prog_btf->kind(*target) == Kind::kUnion ? Kind::kUnion : Kind::kStruct);
  if (!id || essential.empty()) {
    return v.refuse(ENOENT, "arg#{} reference type('{} {}') has no matches\n", arg, kind, name);
  }
  out = *id;
  return 0;
}

class ArgReader {
 public:
  ArgReader(Verifier& v, u32 subprog)
      : v_(v), sub_(v.subprogs[subprog]), is_global_(v.is_global(subprog)) {}

  int read(u32 i, const btf::Param& param) {
    u32 tags = 0;
    if (int err = scan_decl_tags(v_, sub_.type_id, i, is_global_, tags)) return err;
    if (int err = scan_type_tags(v_, param.type, tags)) return err;
    ArgInfo& arg = sub_.args[i];
    const Btf& btf = *v_.prog_btf;
    const u32 type = btf.resolve(param.type);
    if (btf.kind(type) == Kind::kPtr) {
      bool done = true;
      const int err = read_pointer(i, type, tags, arg, done);
      if (err || done) return err;
    }
    if (tags) {
      return v_.refuse(EINVAL, "arg#{} has pointer tag, but is not a pointer type\n", i);
    }
    if (is_number(btf.kind(type))) {
      arg.type = kArgAnything;
      return 0;
    }
    if (!is_global_) return -EINVAL;
    return v_.refuse(EINVAL, "Arg#{} type {} in {}() is not supported yet.\n", i,
                     btf::kind_name(btf.kind(type)), btf.name(sub_.type_id));
  }

 private:
  int bad_tags(u32 i) { return v_.refuse(EINVAL, "arg#{} has invalid combination of tags\n", i); }

  int read_pointer(u32 i, u32 type, u32 tags, ArgInfo& arg, bool& done) {
    const Btf& btf = *v_.prog_btf;
    if ((tags & kTagCtx) || is_prog_ctx_type(v_, btf, type)) {
      if (tags & ~kTagCtx) return bad_tags(i);
      if ((tags & kTagCtx) && validate_ctx(i, type)) return -EINVAL;
      arg.type = kArgPtrToCtx;
      return 0;
    }
    if (is_dynptr_pointer(btf, type)) {
      if (tags) return bad_tags(i);
      arg.type = kArgPtrToDynptr;
      return 0;
    }
    if (tags & kTagTrusted) {
      if (tags & kTagNonnull) return bad_tags(i);
      if (int err = kernel_struct(v_, i, type, arg.btf_id)) return err;
      arg.type = kArgPtrToBtfId | kTrusted | (tags & kTagNullable ? u32{kMaybeNull} : 0);
      return 0;
    }
    if (tags & kTagUntrusted) return read_untrusted(i, type, tags, arg);
    if (tags & kTagArena) {
      if (tags & ~kTagArena) {
        return v_.refuse(EINVAL, "arg#{} arena cannot be combined with any other tags\n", i);
      }
      arg.type = kArgPtrToArena;
      return 0;
    }
    if (!is_global_) {
      done = false;
      return 0;
    }
    if (tags & kTagNullable) return bad_tags(i);
    const u32 target = *pointee(btf, type);
    const auto size = btf.size_of(target);
    if (!size) {
      return v_.refuse(EINVAL, "arg#{} reference type('{} {}') size cannot be determined: {}\n", i,
                       btf::kind_name(btf.kind(target)), btf.name(target), -EINVAL);
    }
    arg.type = kArgPtrToMem | (tags & kTagNonnull ? 0 : u32{kMaybeNull});
    arg.mem_size = *size;
    return 0;
  }

  int read_untrusted(u32 i, u32 type, u32 tags, ArgInfo& arg) {
    const Btf& btf = *v_.prog_btf;
    if (tags & ~kTagUntrusted) {
      return v_.refuse(EINVAL, "arg#{} untrusted cannot be combined with any other tags\n", i);
    }
    const u32 target = *pointee(btf, type);
    const btf::Type& t = btf.type(target);
    if (t.kind == Kind::kVoid || is_small_int(t) || is_enum(t.kind)) {
      arg.type = kArgPtrToMem | kMemRdonly | kUntrusted;
      arg.mem_size = 0;
      return 0;
    }
    if (int err = kernel_struct(v_, i, type, arg.btf_id)) return err;
    if (!is_composite(v_.vmlinux.kind(arg.btf_id))) {
      return v_.refuse(EINVAL,
                       "arg#{} has type {} '{}', but only struct or primitive types are allowed\n",
                       i, btf::kind_name(v_.vmlinux.kind(arg.btf_id)), t.name);
    }
    arg.type = kArgPtrToBtfId | kUntrusted;
    return 0;
  }

  /// Is what is tagged as the context one? Linux: btf_validate_prog_ctx_type.
  int validate_ctx(u32 i, u32 type) {
    const Btf& btf = *v_.prog_btf;
    u32 id = btf.type(type).type;
    const u32 prog = v_.prog.type;
    if (prog == kProgKprobe || prog == kProgPerfEvent) {
      u32 t = id;
      while (is_modifier(btf.kind(t)) && btf.kind(t) != Kind::kTypedef) t = btf.type(t).type;
      if (btf.kind(t) == Kind::kTypedef && btf.name(t) == "bpf_user_pt_regs_t") return 0;
    }
    id = btf.resolve(id);
    const btf::Type& t = btf.type(id);
    if (t.kind == Kind::kVoid) return 0;
    if (t.name.empty()) return v_.refuse(EINVAL, "arg#{} type doesn't have a name\n", i);
    const bool is_struct = t.kind == Kind::kStruct;
    const bool is_u64 = t.kind == Kind::kInt && t.size == 8;
    switch (prog) {
      case kProgKprobe:
      case kProgPerfEvent:
        if (is_struct && t.name == "pt_regs") return 0;
        break;
      case kProgRawTracepoint:
      case kProgRawTracepointWritable:
      case kProgLsm:
      case kProgStructOps:
        if (is_u64) return 0;
        break;
      case kProgTracing:
        if (v_.prog.attach_type == kTraceRawTp && is_struct &&
            t.name == "bpf_raw_tracepoint_args") {
          return 0;
        }
        if (v_.prog.attach_type == kTraceIter) {
          if (is_struct && t.name.starts_with("bpf_iter__")) return 0;
        } else if (is_u64) {
          return 0;
        }
        break;
      case kProgTracepoint:
      case kProgSyscall:
      case kProgExt:
        return 0;
      default:
        break;
    }
    const std::string_view ctx = context_type_name(prog);
    if (ctx.empty()) return v_.refuse(EINVAL, "arg#{} should be void pointer\n", i);
    if (!is_struct || t.name != ctx) {
      return v_.refuse(EINVAL, "arg#{} should be `struct {} *`\n", i, ctx);
    }
    return 0;
  }

  Verifier& v_;
  Subprogram& sub_;
  bool is_global_;
};

}  // namespace

bool is_prog_ctx_type(Verifier& v, const Btf& btf, u32 pointer_id) {
  u32 id = btf.type(btf.resolve(pointer_id)).type;
  if (v.prog.type == kProgKprobe) {
    u32 t = id;
    while (is_modifier(btf.kind(t)) && btf.kind(t) != Kind::kTypedef) t = btf.type(t).type;
    if (btf.kind(t) == Kind::kTypedef && btf.name(t) == "bpf_user_pt_regs_t") return true;
  }
  id = btf.resolve(id);
  if (!is_composite(btf.kind(id))) return false;
  const std::string_view name = btf.name(id);
  const std::string_view ctx = context_type_name(v.prog.type);
  if (ctx.empty()) return false;
  if (name == ctx || is_projection_of(ctx, name)) return true;
  // The context may be a typedef: bpf_user_pt_regs_t of struct pt_regs.
  const auto alias = v.vmlinux.find(ctx, Kind::kTypedef);
  return alias && !name.empty() && v.vmlinux.name(v.vmlinux.resolve(*alias)) == name;
}

bool subprog_returns_void(const Verifier& v, u32 subprog) {
  const u32 id = v.subprogs[subprog].type_id;
  if (!v.prog_btf || !id) return false;
  const auto proto = v.prog_btf->func_proto(id);
  return proto && v.prog_btf->resolve(proto->result) == 0;
}

int prepare_function_args(Verifier& v, u32 subprog) {
  Subprogram& sub = v.subprogs[subprog];
  if (sub.args_cached) return 0;
  if (v.in.functions.empty() || !v.prog_btf) return v.bug("func_info undefined");
  const bool is_global = v.is_global(subprog);
  if (!sub.type_id) {
    if (!is_global) return -EINVAL;
    return v.refuse(EFAULT, "Global functions need valid BTF\n");
  }
  const Btf& btf = *v.prog_btf;
  const std::string_view name = btf.name(sub.type_id);
  if (sub.unreliable) return v.bug("unreliable BTF for function {}()", name);
  const auto proto = btf.func_proto(sub.type_id);
  if (!proto) return v.refuse(EFAULT, "Invalid type of function {}()\n", name);
  const auto nargs = static_cast<u32>(proto->params.size());
  sub.arg_cnt = nargs;
  if (nargs > kMaxFuncArgs) {
    return v.refuse(EFAULT, "kernel supports at most {} parameters, function {} has {}\n",
                    kMaxFuncArgs, name, nargs);
  }
  if (nargs > kMaxRegArgs) {
    sub.stack_arg_cnt = nargs - kMaxRegArgs;
    if (is_global) {
      return v.refuse(EINVAL, "global function {} has {} > {} args, stack args not supported\n",
                      name, nargs, kMaxRegArgs);
    }
  }
  u32 tags = 0;
  if (int err = scan_type_tags(v, proto->result, tags)) return err;
  const Kind result = btf.kind(btf.resolve(proto->result));
  const bool arena_result = subprog && (tags & kTagArena) && result == Kind::kPtr;
  if (!arena_result && result != Kind::kVoid && !is_number(result)) {
    if (is_global) {
      v.log("Global function {}() return value not void or scalar. Only those are supported.\n",
            name);
    }
    return -EOPNOTSUPP;
  }
  ArgReader reader(v, subprog);
  for (u32 i = 0; i < nargs; ++i) {
    if (int err = reader.read(i, proto->params[i])) return err;
  }
  sub.args_cached = true;
  return 0;
}

}  // namespace uscx::bpf::verifier
