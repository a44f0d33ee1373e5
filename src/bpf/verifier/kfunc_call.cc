// SPDX-License-Identifier: GPL-2.0-only
// Calls of kfuncs. Linux: check_kfunc_call.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using btf::Btf;
using btf::Kind;

namespace {

bool is_tracing_type(u32 type) {
  switch (type) {
    case kProgKprobe:
    case kProgTracepoint:
    case kProgPerfEvent:
    case kProgRawTracepoint:
    case kProgRawTracepointWritable:
      return true;
    default:
      return false;
  }
}

/// An attempt to take a resilient lock may fail: then R0 is an errno and nothing is held.
int fork_failed_lock(Verifier& v) {
  VerifierState* branch = push_state(v, v.insn_idx + 1, static_cast<s32>(v.insn_idx));
  if (!branch) {
    v.log("failed to push state for failed lock acquisition\n");
    return -E2BIG;
  }
  for (u32 r : kCallerSaved) v.mark_not_init(branch->cur().regs[r]);
  RegState& r0 = branch->cur().regs[0];
  v.mark_unknown(r0);
  r0.value.limit_s32(-static_cast<s32>(kMaxErrno), -1);
  return 0;
}

int check_context(Verifier& v, const KfuncDesc& d) {
  if (d.has(kKf_Perfmon) && !v.allow_ptr_leaks) {
    return v.refuse(EPERM, "{} is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n", d.name);
  }
  if (d.has(kKf_Sleepable) && !v.state->in_sleepable) {
    return v.refuse(EACCES, "program must be sleepable to call sleepable kfunc {}\n", d.name);
  }
  return 0;
}

/// RCU and preemption sections. Linux: the middle of check_kfunc_call.
int note_sections(Verifier& v, const KfuncDesc& d) {
  VerifierState& state = *v.state;
  switch (d.special) {
    case SpecialKfunc::kRcuReadLock:
      state.active_rcu_locks++;
      break;
    case SpecialKfunc::kRcuReadUnlock:
      if (!state.active_rcu_locks) {
        return v.refuse(EINVAL, "unmatched rcu read unlock (kernel function {})\n", d.name);
      }
      state.active_rcu_locks--;
      if (!v.in_rcu_cs()) invalidate_rcu_protected_refs(v);
      break;
    case SpecialKfunc::kPreemptDisable:
      state.active_preempt_locks++;
      break;
    case SpecialKfunc::kPreemptEnable:
      if (!state.active_preempt_locks) {
        return v.refuse(EINVAL, "unmatched attempt to enable preemption (kernel function {})\n",
                        d.name);
      }
      state.active_preempt_locks--;
      if (!v.in_rcu_cs()) invalidate_rcu_protected_refs(v);
      break;
    default:
      break;
  }
  if (d.has(kKf_Sleepable) && !v.in_sleepable_context()) {
    return v.refuse(EACCES, "kernel func {} is sleepable within {}\n", d.name,
                    v.non_sleepable_text());
  }
  const bool rcu =
      d.special == SpecialKfunc::kRcuReadLock || d.special == SpecialKfunc::kRcuReadUnlock;
  if (rcu && in_rbtree_lock_required_cb(v)) {
    return v.refuse(EACCES,
                    "Calling bpf_rcu_read_{{lock,unlock}} in unnecessary rbtree callback\n");
  }
  if (d.has(kKf_RcuProtected) && !v.in_rcu_cs()) {
    return v.refuse(EACCES, "kernel func {} requires RCU critical section protection\n", d.name);
  }
  return 0;
}

int call_back(Verifier& v, const Insn& insn, u32 insn_idx, const CallMeta& meta) {
  SetCallee set;
  switch (meta.special()) {
    case SpecialKfunc::kRbtreeAdd:
      set = SetCallee::kRbtreeAdd;
      break;
    case SpecialKfunc::kWqSetCallback:
      set = SetCallee::kTimer;
      break;
    case SpecialKfunc::kTaskWorkSignal:
    case SpecialKfunc::kTaskWorkResume:
      set = SetCallee::kTaskWork;
      break;
    default:
      return 0;
  }
  const int err = push_callback_call(v, insn, insn_idx, meta.subprogno, set);
  if (err) {
    v.log("kfunc {}#{} failed callback verification\n", meta.kfunc->name, meta.kfunc->func_id);
  }
  return err;
}

/// An object that goes into a list or tree is borrowed from it from now on.
void to_non_owning(Verifier& v, u32 id) {
  release_reference_nomark(*v.state, id);
  for_each_reg(*v.state, [&](RegState& reg) {
    if (reg.id != id) return;
    reg.id = 0;
    set_non_owning(v, reg);
  });
}

int new_object(Verifier& v, CallMeta& meta, RegState& r0) {
  constexpr u32 kMaxPercpuObject = 512;  // BPF_GLOBAL_PERCPU_MA_MAX_SIZE
  const bool percpu = meta.special() == SpecialKfunc::kPercpuObjNew;
  if (meta.const_value != static_cast<u32>(meta.const_value)) {
    return v.refuse(EINVAL, "local type ID argument must be in range [0, U32_MAX]\n");
  }
  if (!v.prog_btf) {
    return v.refuse(EINVAL, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF\n");
  }
  const auto id = static_cast<u32>(meta.const_value);
  if (id >= v.prog_btf->type_count() || v.prog_btf->kind(id) != Kind::kStruct) {
    return v.refuse(EINVAL,
                    "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct\n");
  }
  if (percpu) {
    const u32 size = v.prog_btf->type(id).size;
    if (size > kMaxPercpuObject) {
      return v.refuse(EINVAL, "bpf_percpu_obj_new type size ({}) is greater than {}\n", size,
                      kMaxPercpuObject);
    }
    if (!is_scalar_struct(v.log, *v.prog_btf, id)) {
      return v.refuse(EINVAL,
                      "bpf_percpu_obj_new type ID argument must be of a struct of scalars\n");
    }
    if (v.records.of_struct(*v.prog_btf, id)) {
      return v.refuse(EINVAL,
                      "bpf_percpu_obj_new type ID argument must not contain special fields\n");
    }
  }
  r0.set_known_zero();
  r0.type = kPtrToBtfId | kMemAlloc | (percpu ? u32{kMemPercpu} : 0);
  r0.set_btf(v.prog_btf, id);
  return 1;
}

int rdonly_cast(Verifier& v, CallMeta& meta, RegState& r0) {
  const u64 id = meta.const_value;
  const Btf& btf = *meta.kfunc->btf;
  if (id >= btf.type_count()) {
    return v.refuse(EINVAL, "Unknown type ID {} passed to kfunc bpf_rdonly_cast\n",
                    static_cast<s64>(id));
  }
  r0.set_known_zero();
  const Kind kind = btf.kind(static_cast<u32>(id));
  if (is_composite(kind)) {
    r0.type = kPtrToBtfId | kUntrusted;
    r0.set_btf(&btf, static_cast<u32>(id));
    return 1;
  }
  if (kind == Kind::kVoid) {
    r0.type = kPtrToMem | kMemRdonly | kUntrusted;
    return 1;
  }
  return v.refuse(EINVAL, "kfunc bpf_rdonly_cast type ID argument must be of a struct or void\n");
}

int dynptr_slice(Verifier& v, CallMeta& meta, RegState& r0) {
  if (!meta.const_found) return v.bug("bpf_dynptr_slice(_rdwr) no constant size");
  r0.set_known_zero();
  r0.a = static_cast<u32>(meta.const_value);
  r0.type = kPtrToMem | dynptr_flag_of(meta.dynptr.type);
  if (meta.special() == SpecialKfunc::kDynptrSlice) {
    r0.type |= kMemRdonly;
  } else if (!may_access_packet_data(v, true, nullptr)) {
    return v.refuse(EINVAL, "the prog does not allow writes to packet data\n");
  }
  if (!meta.dynptr.id) return v.bug("no dynptr id");
  r0.parent_id = meta.dynptr.id;
  return 1;
}

/// Results that no prototype can describe: 1 set, 0 not special. Linux: check_special_kfunc.
int special_result(Verifier& v, CallMeta& meta, const Btf& btf, u32 pointee_type) {
  RegState& r0 = v.reg(0);
  if (meta.kfunc->off) return 0;
  switch (meta.special()) {
    case SpecialKfunc::kObjNew:
    case SpecialKfunc::kPercpuObjNew:
      return new_object(v, meta, r0);
    case SpecialKfunc::kRefcountAcquire:
      r0.set_known_zero();
      r0.type = kPtrToBtfId | kMemAlloc;
      r0.set_btf(meta.arg_btf, meta.arg_btf_id);
      return 1;
    case SpecialKfunc::kCastToKernCtx:
      r0.set_known_zero();
      r0.type = kPtrToBtfId | kTrusted;
      r0.set_btf(&v.vmlinux, meta.ret_btf_id);
      return 1;
    case SpecialKfunc::kRdonlyCast:
      return rdonly_cast(v, meta, r0);
    case SpecialKfunc::kDynptrSlice:
    case SpecialKfunc::kDynptrSliceRdwr:
      return dynptr_slice(v, meta, r0);
    default:
      break;
  }
  const std::string_view name = btf.name(pointee_type);
  const RecordField* root = name == "bpf_list_node" ? meta.list_head
                            : name == "bpf_rb_node" ? meta.rb_root
                                                    : nullptr;
  if (!root) return 0;
  mark_graph_node(r0, *root);
  return 1;
}

bool is_graph_node(const Btf& btf, u32 type) {
  return btf.kind(type) == Kind::kStruct &&
         (btf.name(type) == "bpf_list_node" || btf.name(type) == "bpf_rb_node");
}

int memory_result(Verifier& v, CallMeta& meta, const Btf& btf, u32 type) {
  const KfuncDesc& d = *meta.kfunc;
  RegState& r0 = v.reg(0);
  if (!meta.ret_mem_found) {
    if (const auto size = btf.size_of(type)) {
      meta.ret_mem_found = true;
      meta.ret_mem_size = *size;
      meta.r0_rdonly = d.special != SpecialKfunc::kSessionCookie;
    }
  }
  if (!meta.ret_mem_found) {
    return v.refuse(EINVAL, "kernel function {} returns pointer type {} {} is not supported\n",
                    d.name, btf::kind_name(btf.kind(type)), btf.name(type));
  }
  r0.set_known_zero();
  r0.type = kPtrToMem;
  r0.a = meta.ret_mem_size;
  if (meta.r0_rdonly) r0.type |= kMemRdonly;
  if (meta.ref_obj.id) {
    if (meta.ref_obj.cnt > 1) {
      return v.bug("function expects only one referenced object but got {}\n", meta.ref_obj.cnt);
    }
    r0.parent_id = meta.ref_obj.id;
  }
  if (d.has(kKf_RcuProtected)) r0.type |= kMemRcu;
  return 0;
}

void object_result(Verifier& v, CallMeta& meta, const Btf& btf, u32 type) {
  const KfuncDesc& d = *meta.kfunc;
  RegState& r0 = v.reg(0);
  u32 flags = kTrusted;
  const bool rcu_iter =
      d.has(kKf_IterNext) &&
      (v.state->frame[meta.iter_frameno]->stack[meta.iter_spi].spilled.type & kMemRcu);
  if (d.special == SpecialKfunc::kGetKmemCache)
    flags = kUntrusted;
  else if (d.has(kKf_RcuProtected) || rcu_iter)
    flags = kMemRcu;
  mark_btf_load(v, r0, kPtrToBtfId, &btf, type, flags);
}

int pointer_result(Verifier& v, CallMeta& meta, u32 insn_idx, u32 result) {
  const KfuncDesc& d = *meta.kfunc;
  const Btf& btf = *d.btf;
  RegState& r0 = v.reg(0);
  const u32 type = btf.resolve(btf.type(result).type);
  const int special = special_result(v, meta, btf, type);
  if (special < 0) return special;
  if (!special) {
    if (btf.kind(type) == Kind::kVoid) {
      v.mark_unknown(r0);
    } else if (btf.kind(type) != Kind::kStruct) {
      if (int err = memory_result(v, meta, btf, type)) return err;
    } else {
      object_result(v, meta, btf, type);
    }
  }
  // An arena pointer is a number to the program.
  const bool ret_null =
      d.has(kKf_RetNull) && !(d.special == SpecialKfunc::kRefcountAcquire && meta.arg_owning_ref);
  if (ret_null) {
    r0.type |= kMaybeNull;
    r0.id = v.new_id();
  }
  if (d.has(kKf_Acquire)) {
    r0.id = acquire_reference(v, insn_idx, 0);
  } else if (is_graph_node(btf, type)) {
    if (int err = set_non_owning(v, r0)) return err;
  }
  const Record* record = v.record_of(r0);
  if (record && record->has(kFieldSpinLock | kFieldResSpinLock) && !r0.id) r0.id = v.new_id();
  return 0;
}

int set_result(Verifier& v, CallMeta& meta, u32 insn_idx) {
  const KfuncDesc& d = *meta.kfunc;
  const u32 result = d.btf->resolve(d.proto.result);
  if (d.has(kKf_Acquire) && !is_composite_pointer(*d.btf, result) &&
      d.special != SpecialKfunc::kObjNew && d.special != SpecialKfunc::kPercpuObjNew &&
      d.special != SpecialKfunc::kRefcountAcquire) {
    return v.refuse(EINVAL, "acquire kernel function does not return PTR_TO_BTF_ID\n");
  }
  RegState& r0 = v.reg(0);
  if (is_number(d.btf->kind(result))) {
    v.mark_unknown(r0);
    if (d.special == SpecialKfunc::kResSpinLock || d.special == SpecialKfunc::kResSpinLockIrqsave) {
      v.mark_const_zero(r0);
    }
    return 0;
  }
  return d.btf->kind(result) == Kind::kPtr ? pointer_result(v, meta, insn_idx, result) : 0;
}

int check_drop(Verifier& v, const CallMeta& meta) {
  const SpecialKfunc s = meta.special();
  if (s != SpecialKfunc::kObjDrop && s != SpecialKfunc::kPercpuObjDrop) return 0;
  const bool tracing =
      is_tracing_type(v.prog.type) ||
      (v.prog.type == kProgTracing && v.prog.attach_type != kTraceIter && !v.prog.sleepable);
  if (!tracing) return 0;
  const Record* record = v.records.of_struct(*meta.arg_btf, meta.arg_btf_id);
  constexpr u32 kNmiSafe = kFieldSpinLock | kFieldResSpinLock | kFieldTimer | kFieldWorkqueue |
                           kFieldTaskWork | kFieldKptrUnref | kFieldRefcount;
  if (record && record->has(~kNmiSafe)) {
    return v.refuse(EINVAL,
                    "{} cannot be used in tracing programs on types with NMI unsafe fields\n",
                    meta.kfunc->name);
  }
  return 0;
}

}  // namespace

void mark_graph_node(RegState& reg, const RecordField& root) {
  reg.set_known(root.node_offset);
  reg.type = kPtrToBtfId | kMemAlloc;
  reg.set_btf(root.btf, root.btf_id);
}

int set_non_owning(Verifier& v, RegState& reg) {
  if (!v.state->active_locks) return v.bug("ref_set_non_owning w/o active lock");
  if (reg.type & kNonOwnRef) return v.bug("NON_OWN_REF already set");
  const Record* record = v.record_of(reg);
  reg.type |= kNonOwnRef;
  if (record && record->offset_of(kFieldRefcount) >= 0) reg.type |= kMemRcu;
  return 0;
}

int release_argument(Verifier& v, RegState& reg, bool convert_rcu, bool release_dynptr_slot) {
  if (reg.is_null()) return 0;
  if (release_dynptr_slot) return release_dynptr(v, reg);
  if (convert_rcu) {
    // A percpu object stays readable until the RCU section ends.
    const u32 id = reg.id;
    if (int err = release_reference_nomark(*v.state, id)) return err;
    for_each_reg(*v.state, [&](RegState& r) {
      if (r.id != id || !(r.type & kMemAlloc) || !(r.type & kMemPercpu)) return;
      r.id = 0;
      r.type &= ~kMemAlloc;
      r.type |= kMemRcu;
    });
    return 0;
  }
  return is_referenced(v, reg) ? release_reference(v, reg.id) : -EINVAL;
}

int check_kfunc_call(Verifier& v, const Insn& insn) {
  const u32 insn_idx = v.insn_idx;
  if (!insn.imm) return 0;  // poisoned; must be dead, which the end checks
  const KfuncDesc* desc = v.find_kfunc(insn);
  if (!desc) return v.bug("kfunc descriptor not found for func_id {}", insn.imm);
  const KfuncDesc& d = *desc;
  if (!d.allowed) {
    return v.refuse(EACCES, "calling kernel function {} is not allowed\n", d.name);
  }
  CallMeta meta;
  meta.kfunc = desc;
  if (d.has(kKf_Release)) meta.release_regno = 1;
  v.cur_aux().is_iter_next = d.has(kKf_IterNext);
  if (d.special == SpecialKfunc::kResSpinLock || d.special == SpecialKfunc::kResSpinLockIrqsave) {
    if (int err = fork_failed_lock(v)) return err;
  } else if (d.special == SpecialKfunc::kTrap) {
    return v.refuse(EFAULT, "unexpected __bpf_trap() due to uninitialized variable?\n");
  }
  if (int err = check_context(v, d)) return err;
  if (!v.in_sleepable_context()) v.cur_aux().non_sleepable = true;
  if (int err = check_kfunc_args(v, meta, insn_idx)) return err;
  if (int err = check_drop(v, meta)) return err;
  if (int err = call_back(v, insn, insn_idx, meta)) return err;
  if (int err = note_sections(v, d)) return err;
  if (meta.release_regno) {
    if (int err = release_argument(v, v.reg(meta.release_regno), false, meta.dynptr.id != 0)) {
      return err;
    }
  }
  if (is_list_push(d.special) || d.special == SpecialKfunc::kRbtreeAdd) {
    to_non_owning(v, v.reg(2).id);
  }
  if (d.special == SpecialKfunc::kThrow) {
    v.seen_exception = true;
    if (!v.exception_callback) {
      if (int err = check_return_code(v, 1, "R1")) return err;
    }
  }
  for (u32 r : kCallerSaved) v.mark_not_init(v.reg(r));
  invalidate_outgoing_stack_args(v, v.cur());
  if (int err = set_result(v, meta, insn_idx)) return err;
  if (d.special == SpecialKfunc::kXdpPullData) clear_all_packet_pointers(v);
  if (d.nr_args() > kMaxRegArgs) {
    Subprogram& sub = v.cur_subprog();
    sub.stack_arg_cnt =
        std::max(sub.stack_arg_cnt, sub.in_stack_args() + d.nr_args() - kMaxRegArgs);
  }
  if (d.has(kKf_IterNext)) {
    if (int err = process_iter_next(v, insn_idx, meta)) return err;
  }
  if (d.special == SpecialKfunc::kThrow) return process_exit(v, nullptr, true);
  return 0;
}

}  // namespace uscx::bpf::verifier
