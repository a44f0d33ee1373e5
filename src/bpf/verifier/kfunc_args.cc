// SPDX-License-Identifier: GPL-2.0-only
// The arguments of a kfunc. Linux: check_kfunc_args.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using btf::Btf;
using btf::Kind;

namespace {

class KfuncArgs {
 public:
  KfuncArgs(Verifier& v, CallMeta& meta, u32 insn_idx)
      : v_(v), meta_(meta), d_(*meta.kfunc), btf_(*d_.btf), insn_idx_(insn_idx) {}

  int check(u32 i) {
    const btf::Param& param = d_.proto.params[i];
    const KfArgInfo& info = d_.args[i];
    const ArgNo arg = ArgNo::arg(i + 1);
    RegState& reg = func_arg_reg(v_.cur(), i);
    if (info.kind == KfArg::kNone) return note_program(param, arg);
    const u32 type = btf_.resolve(param.type);
    const bool is_pointer = btf_.kind(type) == Kind::kPtr;
    if (is_pointer && (reg.is_null() || may_be_null(reg.type)) && !info.nullable) {
      return v_.refuse(EACCES, "Possibly NULL pointer passed to trusted {}\n", arg.text());
    }
    const bool released =
        meta_.release_regno && arg.regno() == static_cast<s32>(meta_.release_regno);
    if (released && info.kind != KfArg::kDynptr && !is_referenced(v_, reg) && !reg.is_null()) {
      return v_.refuse(EINVAL, "release kfunc {} expects referenced PTR_TO_BTF_ID passed to {}\n",
                       d_.name, arg.text());
    }
    if (is_referenced(v_, reg)) meta_.ref_obj.update(reg);
    if (reg.is_null() && info.nullable) return mark_arg_precision(v_, arg);
    ArgType as = info.kind == KfArg::kDynptr           ? u32{kArgPtrToDynptr}
                 : info.kind == KfArg::kCtx            ? u32{kArgPtrToCtx}
                 : info.kind == KfArg::kRefcountedKptr ? u32{kArgPtrToBtfId}
                                                       : u32{kArgDontcare};
    if (released) as |= kObjRelease;
    if (int err = check_func_arg_reg_off(v_, reg, arg, as, info.kind != KfArg::kRefcountedKptr)) {
      return err;
    }
    return by_kind(i, param, info, reg, arg);
  }

 private:
  int note_program(const btf::Param& param, ArgNo arg) {
    const auto target = pointee(btf_, param.type);
    if (!target || btf_.name(*target) != "bpf_prog_aux") return 0;
    if (meta_.arg_prog) return v_.bug("Only 1 prog->aux argument supported per-kfunc");
    if (arg.regno() < 0) {
      return v_.refuse(EINVAL, "{} prog->aux cannot be a stack argument\n", arg.text());
    }
    meta_.arg_prog = true;
    return 0;
  }

  int by_kind(u32 i, const btf::Param& param, const KfArgInfo& info, RegState& reg, ArgNo arg) {
    switch (info.kind) {
      case KfArg::kConst:
        if (!reg.is_scalar()) return not_scalar(arg);
        return constant(reg, arg);
      case KfArg::kAnything:
        return reg.is_scalar() ? 0 : not_scalar(arg);
      case KfArg::kConstAllocSizeOrZero:
        if (!reg.is_scalar()) return not_scalar(arg);
        if (param.name == "rdonly_buf_size") meta_.r0_rdonly = true;
        return process_const_alloc_size(v_, reg, arg, meta_);
      case KfArg::kCtx:
        return context(reg, arg);
      case KfArg::kArena:
        if (reg.type == kPtrToArena || reg.is_scalar()) return 0;
        return v_.refuse(EINVAL, "{} is not a pointer to arena or scalar\n", arg.text());
      case KfArg::kAllocBtfId:
        return alloc_object(reg, arg);
      case KfArg::kDynptr:
        return dynptr(param, reg, arg);
      case KfArg::kIter:
        if (d_.special == SpecialKfunc::kIterCssTaskNew && !css_task_iter_allowed()) {
          return v_.refuse(EINVAL,
                           "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable "
                           "progs\n");
        }
        return process_iter_arg(v_, reg, arg, insn_idx_, meta_);
      case KfArg::kListHead:
        return graph_root(reg, arg, kFieldListHead, meta_.list_head);
      case KfArg::kRbRoot:
        return graph_root(reg, arg, kFieldRbRoot, meta_.rb_root);
      case KfArg::kListNode:
        return list_node(param, reg, arg);
      case KfArg::kRbNode:
        return rb_node(reg, arg);
      case KfArg::kConstMapPtr:
        if (reg.base() != kConstPtrToMap || may_be_null(reg.type)) {
          return v_.refuse(EINVAL, "pointer in {} isn't map pointer\n", arg.text());
        }
        return process_map_ptr(v_, reg, arg, meta_);
      case KfArg::kBtfId:
        return object(param, reg, arg);
      case KfArg::kMem:
        return info.fixed_size ? fixed_memory(*pointee(btf_, param.type), reg, arg) : 0;
      case KfArg::kConstMemSize:
        if (int err = constant(reg, arg)) return err;
        return memory_size(i, reg, arg);
      case KfArg::kMemSize:
        return memory_size(i, reg, arg);
      case KfArg::kCallback:
        if (reg.type != kPtrToFunc) {
          return v_.refuse(EINVAL, "{} expected pointer to func\n", arg.text());
        }
        meta_.subprogno = reg.subprogno();
        return 0;
      case KfArg::kRefcountedKptr:
        return refcounted(reg, arg);
      case KfArg::kConstStr:
        if (reg.type != kPtrToMapValue) {
          return v_.refuse(EINVAL, "{} doesn't point to a const string\n", arg.text());
        }
        return check_const_str(v_, reg, arg);
      case KfArg::kWorkqueue:
        return map_field(reg, arg, kFieldWorkqueue);
      case KfArg::kTimer:
        return map_field(reg, arg, kFieldTimer);
      case KfArg::kTaskWork:
        return map_field(reg, arg, kFieldTaskWork);
      case KfArg::kIrqFlag:
        if (reg.type != kPtrToStack) {
          return v_.refuse(EINVAL, "{} doesn't point to an irq flag on stack\n", arg.text());
        }
        return process_irq_flag(v_, reg, arg, meta_);
      case KfArg::kResSpinLock:
        return res_spin_lock(reg, arg);
      default:
        return v_.bug("unknown kfunc arg type {}", static_cast<u32>(info.kind));
    }
  }

  int not_scalar(ArgNo arg) { return v_.refuse(EINVAL, "{} is not a scalar\n", arg.text()); }

  int constant(const RegState& reg, ArgNo arg) {
    if (meta_.const_found) return v_.bug("only one constant argument permitted");
    if (!reg.is_const()) {
      return v_.refuse(EINVAL, "{} must be a known constant\n", arg.text());
    }
    const u64 value = reg.const_value();
    if (reg.is_scalar()) {
      if (int err = mark_arg_precision(v_, arg)) return err;
    }
    meta_.const_found = true;
    meta_.const_value = value;
    return 0;
  }

  int context(const RegState& reg, ArgNo arg) {
    if (reg.type != kPtrToCtx) {
      return v_.refuse(EINVAL, "{} expected pointer to ctx, but got {}\n", arg.text(),
                       reg_type_text(reg.type));
    }
    if (d_.special == SpecialKfunc::kCastToKernCtx) {
      const auto id = kernel_ctx_type(v_);
      if (!id) return -EINVAL;
      meta_.ret_btf_id = *id;
    }
    return 0;
  }

  int alloc_object(const RegState& reg, ArgNo arg) {
    if (reg.type == (kPtrToBtfId | kMemAlloc)) {
      if (d_.special != SpecialKfunc::kObjDrop) {
        return v_.refuse(EINVAL, "{} expected for bpf_obj_drop()\n", arg.text());
      }
    } else if (reg.type == (kPtrToBtfId | kMemAlloc | kMemPercpu)) {
      if (d_.special != SpecialKfunc::kPercpuObjDrop) {
        return v_.refuse(EINVAL, "{} expected for bpf_percpu_obj_drop()\n", arg.text());
      }
    } else {
      return v_.refuse(EINVAL, "{} expected pointer to allocated object\n", arg.text());
    }
    if (!is_referenced(v_, reg)) {
      return v_.refuse(EINVAL, "allocated object must be referenced\n");
    }
    meta_.arg_btf = reg.btf();
    meta_.arg_btf_id = reg.btf_id();
    return 0;
  }

  int dynptr(const btf::Param& param, RegState& reg, ArgNo arg) {
    ArgType type = kArgPtrToDynptr;
    if (has_suffix(param.name, "__uninit")) type |= kMemUninit;
    switch (d_.special) {
      case SpecialKfunc::kDynptrFromSkb:
        type |= kDynptrSkb;
        break;
      case SpecialKfunc::kDynptrFromXdp:
        type |= kDynptrXdp;
        break;
      case SpecialKfunc::kDynptrFromSkbMeta:
        type |= kDynptrSkbMeta;
        break;
      case SpecialKfunc::kDynptrFromFile:
        type |= kDynptrFile;
        break;
      case SpecialKfunc::kDynptrFileDiscard:
        type |= kDynptrFile | kObjRelease;
        break;
      case SpecialKfunc::kDynptrClone:
        if (!(type & kMemUninit)) break;
        if (meta_.dynptr.type == DynptrType::kInvalid) {
          return v_.bug("no dynptr type for parent of clone");
        }
        type |= dynptr_flag_of(meta_.dynptr.type);
        break;
      default:
        break;
    }
    return process_dynptr(v_, reg, arg, insn_idx_, type, meta_.ref_obj, &meta_.dynptr);
  }

  bool css_task_iter_allowed() const {
    if (v_.prog.type == kProgLsm) return true;
    if (v_.prog.type == kProgTracing && v_.prog.attach_type == kTraceIter) return true;
    return v_.state->in_sleepable;
  }

  int owned_or_map(const RegState& reg, ArgNo arg) {
    if (reg.type != kPtrToMapValue && reg.type != (kPtrToBtfId | kMemAlloc)) {
      return v_.refuse(EINVAL, "{} expected pointer to map value or allocated object\n",
                       arg.text());
    }
    if (reg.type == (kPtrToBtfId | kMemAlloc) && !is_referenced(v_, reg)) {
      return v_.refuse(EINVAL, "allocated object must be referenced\n");
    }
    return 0;
  }

  /// Is the lock held that is in the same object? Linux: check_reg_allocation_locked.
  bool locked(const RegState& reg) {
    if (!v_.state->active_locks) return false;
    if (find_lock(*v_.state, Reference::kLockMask, reg.id, reg.object)) return true;
    v_.log("held lock and object are not in the same allocation\n");
    return false;
  }

  int graph_root(RegState& reg, ArgNo arg, FieldType type, const RecordField*& out) {
    if (int err = owned_or_map(reg, arg)) return err;
    const std::string_view name = field_type_name(type);
    const bool api = type == kFieldListHead ? is_list_api(d_.special) : is_rbtree_api(d_.special);
    if (!api) {
      return v_.refuse(EFAULT, "verifier internal error: {} head arg for unknown kfunc\n", name);
    }
    if (!reg.is_const()) {
      return v_.refuse(EINVAL,
                       "{} doesn't have constant offset. {} has to be at the constant offset\n",
                       arg.text(), name);
    }
    const Record* record = v_.record_of(reg);
    const auto off = static_cast<u32>(reg.const_value());
    const RecordField* field = record ? record->find(off, type) : nullptr;
    if (!field) return v_.refuse(EINVAL, "{} not found at offset={}\n", name, off);
    if (!locked(reg)) {
      return v_.refuse(EINVAL, "bpf_spin_lock at off={} must be held for {}\n",
                       record->offset_of(kFieldSpinLock), name);
    }
    if (out) return v_.bug("repeating {} arg", name);
    out = field;
    return 0;
  }

  int graph_node(RegState& reg, ArgNo arg, FieldType head_type, FieldType node_type,
                 const RecordField* root) {
    const std::string_view name = field_type_name(node_type);
    if (!reg.is_const()) {
      return v_.refuse(EINVAL,
                       "{} doesn't have constant offset. {} has to be at the constant offset\n",
                       arg.text(), name);
    }
    const Record* record = v_.record_of(reg);
    const auto off = static_cast<u32>(reg.const_value());
    if (!record || !record->find(off, node_type)) {
      return v_.refuse(EINVAL, "{} not found at offset={}\n", name, off);
    }
    if (!root) return v_.bug("graph node without its root");
    if (!struct_ids_match(v_, *reg.btf(), reg.btf_id(), 0, *root->btf, root->btf_id, true,
                          !is_alloc(reg.type))) {
      return v_.refuse(EINVAL,
                       "operation on {} expects arg#1 {} at offset={} in struct {}, but arg is at "
                       "offset={} in struct {}\n",
                       field_type_name(head_type), name, root->node_offset,
                       root->btf->name(root->btf_id), off, reg.btf()->name(reg.btf_id()));
    }
    meta_.arg_btf = reg.btf();
    meta_.arg_btf_id = reg.btf_id();
    if (off != root->node_offset) {
      return v_.refuse(EINVAL, "arg#1 offset={}, but expected {} at offset={} in struct {}\n", off,
                       name, root->node_offset, root->btf->name(root->btf_id));
    }
    return 0;
  }

  int owned(const RegState& reg, ArgNo arg) {
    if (reg.type != (kPtrToBtfId | kMemAlloc)) {
      return v_.refuse(EINVAL, "{} expected pointer to allocated object\n", arg.text());
    }
    if (!is_referenced(v_, reg)) {
      return v_.refuse(EINVAL, "allocated object must be referenced\n");
    }
    return 0;
  }

  int list_node(const btf::Param& param, RegState& reg, ArgNo arg) {
    const bool borrowed = has_suffix(param.name, "__nonown_allowed") && is_non_owning(reg.type) &&
                          !is_referenced(v_, reg);
    if (!borrowed) {
      if (int err = owned(reg, arg)) return err;
    }
    return graph_node(reg, arg, kFieldListHead, kFieldListNode, meta_.list_head);
  }

  int rb_node(RegState& reg, ArgNo arg) {
    if (d_.special == SpecialKfunc::kRbtreeAdd) {
      if (int err = owned(reg, arg)) return err;
    } else {
      if (!is_non_owning(reg.type) && !is_referenced(v_, reg)) {
        return v_.refuse(EINVAL, "{} can only take non-owning or refcounted bpf_rb_node pointer\n",
                         d_.name);
      }
      if (in_rbtree_lock_required_cb(v_)) {
        return v_.refuse(EINVAL, "{} not allowed in rbtree cb\n", d_.name);
      }
    }
    return graph_node(reg, arg, kFieldRbRoot, kFieldRbNode, meta_.rb_root);
  }

  /// A kernel object, or, where it holds nothing but numbers, memory as good as one.
  int object(const btf::Param& param, RegState& reg, ArgNo arg) {
    u32 target = *pointee(btf_, param.type);
    const Btf* target_btf = &btf_;
    if (has_suffix(param.name, "__map")) {
      target_btf = &v_.vmlinux;
      target = v_.vmlinux.find("bpf_map", Kind::kStruct).value_or(target);
    }
    const std::string_view stands_for = reg_btf_struct(reg.base());
    if (reg.base() == kPtrToBtfId || !stands_for.empty()) {
      if (!is_trusted(v_, reg) || has_unsafe_modifiers(reg.type)) {
        if (!d_.has(kKf_Rcu)) {
          return v_.refuse(EINVAL, "{} must be referenced or trusted\n", arg.text());
        }
        if (!(reg.type & kMemRcu)) {
          return v_.refuse(EINVAL, "{} must be a rcu pointer\n", arg.text());
        }
      }
      return match_object(*target_btf, target, reg, arg);
    }
    if (is_scalar_struct(v_.log, *target_btf, target)) return fixed_memory(target, reg, arg);
    v_.log("{} is {} expected {} {}", arg.text(), reg_type_text(reg.type),
           btf::kind_name(target_btf->kind(target)), target_btf->name(target));
    for (RegType base = 0; base < kRegBaseCount; ++base) {
      if (reg_btf_struct(base) == target_btf->name(target)) {
        v_.log(" or {}", reg_type_text(base));
        break;
      }
    }
    return v_.refuse(EINVAL, "\n");
  }

  int match_object(const Btf& btf, u32 target, RegState& reg, ArgNo arg) {
    const Btf* reg_btf = &v_.vmlinux;
    u32 reg_id;
    if (reg.base() == kPtrToBtfId) {
      reg_btf = reg.btf();
      reg_id = reg.btf_id();
    } else {
      reg_id = v_.vmlinux.find(reg_btf_struct(reg.base()), Kind::kStruct).value_or(0);
    }
    const std::string_view target_name = btf.name(target);
    // bpf_list_push() of an owned object, and types that only look alike, must match exactly.
    const bool strict = (d_.has(kKf_Release) && is_referenced(v_, reg)) ||
                        nocast_alias(reg_btf->name(reg_id), target_name);
    reg_id = reg_btf->resolve(reg_id);
    const std::string_view reg_name = reg_btf->name(reg_id);
    const bool same = struct_ids_match(v_, *reg_btf, reg_id, static_cast<s32>(reg.const_value()),
                                       btf, target, strict, !is_alloc(reg.type));
    if (same || is_projection_of(target_name, reg_name)) return 0;
    return v_.refuse(EINVAL,
                     "kernel function {} {} expected pointer to {} {} but {} has a pointer to {} "
                     "{}\n",
                     d_.name, arg.text(), btf::kind_name(btf.kind(target)), target_name, arg.text(),
                     btf::kind_name(reg_btf->kind(reg_id)), reg_name);
  }

  int fixed_memory(u32 target, RegState& reg, ArgNo arg) {
    const auto size = btf_.size_of(target);
    if (!size) {
      return v_.refuse(EINVAL, "{} reference type('{} {}') size cannot be determined: {}\n",
                       arg.text(), btf::kind_name(btf_.kind(target)), btf_.name(target), -EINVAL);
    }
    return check_mem_reg(v_, reg, arg, *size, kRead | kWrite, &meta_);
  }

  int memory_size(u32 i, RegState& reg, ArgNo arg) {
    if (!reg.is_scalar()) return not_scalar(arg);
    RegState& memory = func_arg_reg(v_.cur(), i - 1);
    if (memory.is_null()) return 0;
    const ArgNo memory_arg = ArgNo::arg(i);
    const int err =
        check_mem_size_reg(v_, memory, reg, memory_arg, arg, kRead | kWrite, true, &meta_);
    if (!err) return 0;
    v_.log("{} and ", memory_arg.text());
    v_.log("{} memory, len pair leads to invalid memory access\n", arg.text());
    return err;
  }

  int refcounted(const RegState& reg, ArgNo arg) {
    if (!is_alloc_object(reg.type)) {
      return v_.refuse(EINVAL, "{} is neither owning or non-owning ref\n", arg.text());
    }
    if (!is_non_owning(reg.type) && is_referenced(v_, reg)) meta_.arg_owning_ref = true;
    const Record* record = v_.record_of(reg);
    if (!record) return v_.bug("Couldn't find btf_record");
    if (record->offset_of(kFieldRefcount) < 0) {
      return v_.refuse(EINVAL, "{} doesn't point to a type with bpf_refcount field\n", arg.text());
    }
    meta_.arg_btf = reg.btf();
    meta_.arg_btf_id = reg.btf_id();
    return 0;
  }

  int map_field(const RegState& reg, ArgNo arg, FieldType type) {
    if (reg.type != kPtrToMapValue) {
      return v_.refuse(EINVAL, "{} doesn't point to a map value\n", arg.text());
    }
    return check_map_field(v_, reg, arg, type, meta_.map);
  }

  int res_spin_lock(RegState& reg, ArgNo arg) {
    if (in_rbtree_lock_required_cb(v_)) {
      return v_.refuse(EACCES, "can't res_spin_{{lock,unlock}} in rbtree cb\n");
    }
    if (reg.type != kPtrToMapValue && reg.type != (kPtrToBtfId | kMemAlloc)) {
      return v_.refuse(EINVAL, "{} doesn't point to map value or allocated object\n", arg.text());
    }
    const SpecialKfunc s = d_.special;
    if (!is_res_spin_lock(s)) return -EFAULT;
    const bool lock = s == SpecialKfunc::kResSpinLock || s == SpecialKfunc::kResSpinLockIrqsave;
    const bool irq =
        s == SpecialKfunc::kResSpinLockIrqsave || s == SpecialKfunc::kResSpinUnlockIrqrestore;
    return process_spin_lock(v_, reg, arg, lock, true, irq);
  }

  Verifier& v_;
  CallMeta& meta_;
  const KfuncDesc& d_;
  const Btf& btf_;
  u32 insn_idx_;
};

}  // namespace

int check_kfunc_args(Verifier& v, CallMeta& meta, u32 insn_idx) {
  const u32 nargs = meta.kfunc->nr_args();
  if (int err = check_outgoing_stack_args(v, v.cur(), nargs)) return err;
  KfuncArgs args(v, meta, insn_idx);
  for (u32 i = 0; i < nargs; ++i) {
    if (int err = args.check(i)) return err;
  }
  return 0;
}

std::optional<u32> kernel_ctx_type(Verifier& v) {
  // Linux: bpf_ctx_convert, the kernel's side.
  static constexpr std::pair<std::string_view, std::string_view> kKernel[] = {
      {"__sk_buff", "sk_buff"},
      {"xdp_md", "xdp_buff"},
      {"bpf_sock", "sock"},
      {"bpf_sock_addr", "bpf_sock_addr_kern"},
      {"bpf_sock_ops", "bpf_sock_ops_kern"},
      {"sk_msg_md", "sk_msg"},
      {"bpf_perf_event_data", "bpf_perf_event_data_kern"},
      {"bpf_sysctl", "bpf_sysctl_kern"},
      {"bpf_sockopt", "bpf_sockopt_kern"},
      {"sk_reuseport_md", "sk_reuseport_kern"},
      {"bpf_sk_lookup", "bpf_sk_lookup_kern"},
      {"bpf_nf_ctx", "bpf_nf_ctx"},
      {"bpf_user_pt_regs_t", "pt_regs"},
      {"pt_regs", "pt_regs"},
      {"bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"},
  };
  const std::string_view ctx = context_type_name(v.prog.type);
  for (auto [user, kernel] : kKernel) {
    if (user != ctx) continue;
    const auto id = v.vmlinux.find(kernel, Kind::kStruct);
    if (id) return id;
  }
  v.log("kern ctx type id {} is not a struct\n", 0);
  return std::nullopt;
}

}  // namespace uscx::bpf::verifier
