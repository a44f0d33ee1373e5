// SPDX-License-Identifier: GPL-2.0-only
// Calls of the program's own functions: static ones are walked through, global ones are taken by
// their BTF; callbacks are walked as if they were called where they are passed.
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

/// Do the caller's registers fit the function's arguments? Linux: btf_check_func_arg_match.
int check_argument(Verifier& v, u32 subprog, RegState& reg, ArgNo arg, const ArgInfo& info,
                   RefObj& ref_obj) {
  const u32 base = base_type(info.type);
  if (info.type == kArgAnything) {
    if (reg.is_scalar()) return 0;
    return v.refuse(EINVAL, "{} is not a scalar\n", arg.text());
  }
  if (info.type & kUntrusted) return 0;  // anything goes: loads from it may fault
  if (info.type == kArgPtrToCtx) {
    if (int err = check_func_arg_reg_off(v, reg, arg, kArgPtrToCtx, true)) return err;
    if (reg.type == kPtrToCtx) return 0;
    return v.refuse(EINVAL, "{} expects pointer to ctx\n", arg.text());
  }
  if (base == kArgPtrToMem) {
    if (int err = check_func_arg_reg_off(v, reg, arg, kArgDontcare, true)) return err;
    if (check_mem_reg(v, reg, arg, info.mem_size, kRead | kWrite, nullptr)) return -EINVAL;
    const bool slice =
        reg.base() == kPtrToMem && (reg.type & (kDynptrSkb | kDynptrXdp | kDynptrSkbMeta));
    if ((is_packet_pointer(reg.type) || reg.type == kPtrToPacketEnd || slice) &&
        v.subprogs[subprog].changes_pkt_data) {
      return v.refuse(EINVAL, "{} is a packet pointer, but func#{} may change packet data\n",
                      arg.text(), subprog);
    }
    if (!may_be_null(info.type) && (may_be_null(reg.type) || reg.is_null())) {
      return v.refuse(EINVAL, "{} is expected to be non-NULL\n", arg.text());
    }
    return 0;
  }
  if (base == kArgPtrToArena) {
    if (reg.type == kPtrToArena || reg.is_scalar()) return 0;
    return v.refuse(EINVAL, "{} is not a pointer to arena or scalar.\n", arg.text());
  }
  if (info.type == kArgPtrToDynptr) {
    if (int err = check_func_arg_reg_off(v, reg, arg, kArgPtrToDynptr, true)) return err;
    return process_dynptr(v, reg, arg, v.insn_idx, info.type, ref_obj, nullptr);
  }
  if (base == kArgPtrToBtfId) {
    if (reg.is_null() && may_be_null(info.type)) return mark_arg_precision(v, arg);
    CallMeta meta;
    if (int err = check_reg_type(v, reg, arg, info.type, &v.vmlinux, info.btf_id, meta)) {
      return err;
    }
    return check_func_arg_reg_off(v, reg, arg, info.type, true);
  }
  return v.bug("unrecognized {} type {}", arg.text(), info.type);
}

int match_arguments(Verifier& v, u32 subprog, FuncState& caller) {
  Subprogram& sub = v.subprogs[subprog];
  RefObj ref_obj;
  if (int err = prepare_function_args(v, subprog)) {
    if (sub.in_stack_args() > 0) {
      if (int e = check_outgoing_stack_args(v, caller, sub.arg_cnt)) return e;
    }
    return err;
  }
  if (int err = check_outgoing_stack_args(v, caller, sub.arg_cnt)) return err;
  for (u32 i = 0; i < sub.arg_cnt; ++i) {
    if (int err = check_argument(v, subprog, func_arg_reg(caller, i), ArgNo::arg(i + 1),
                                 sub.args[i], ref_obj)) {
      return err;
    }
  }
  return 0;
}

int call_global(Verifier& v, u32 subprog, int args_err) {
  Subprogram& sub = v.subprogs[subprog];
  const std::string_view name = v.subprog_name(subprog);
  FuncState& caller = v.cur();
  if (v.state->active_locks) {
    return v.refuse(EINVAL,
                    "global function calls are not allowed while holding a lock,\n"
                    "use static function instead\n");
  }
  if (sub.might_sleep && !v.in_sleepable_context()) {
    return v.refuse(EINVAL, "sleepable global function {}() called in {}\n", name,
                    v.non_sleepable_text());
  }
  if (args_err) {
    v.log("Caller passes invalid args into func#{} ('{}')\n", subprog, name);
    return args_err;
  }
  if (v.log.per_insn()) {
    v.log("Func#{} ('{}') is global and assumed valid.\n", subprog, name);
  }
  sub.called[v.in_sleepable_context()] = true;
  if (sub.changes_pkt_data) clear_all_packet_pointers(v);
  clear_caller_saved(v, caller);
  invalidate_outgoing_stack_args(v, caller);
  if (!subprog_returns_void(v, subprog)) v.mark_unknown(caller.regs[0]);
  if (sub.might_throw) {
    if (!push_state(v, v.insn_idx + 1, static_cast<s32>(v.insn_idx))) return -E2BIG;
    return process_exit(v, nullptr, true);
  }
  return 0;
}

void set_plain(FuncState& callee, u32 to, const FuncState& caller, u32 from) {
  callee.regs[to] = caller.regs[from];
}

/// (map, key, value) as timers, work queues and task works get them.
void set_map_triple(Verifier& v, FuncState& callee, const Map* map, u32 uid) {
  static constexpr RegType kTypes[] = {kConstPtrToMap, kPtrToMapKey, kPtrToMapValue};
  for (u32 i = 0; i < 3; ++i) {
    RegState& reg = callee.regs[1 + i];
    reg.set_known_zero();
    reg.precise = false;
    reg.type = kTypes[i];
    reg.set_map(map);
    reg.map_uid = uid;
  }
  callee.regs[3].id = v.new_id();
}

void clear_from(Verifier& v, FuncState& callee, u32 first) {
  for (u32 r = first; r <= 5; ++r) v.mark_not_init(callee.regs[r]);
}

int set_for_each(Verifier& v, const FuncState& caller, FuncState& callee, u32 insn_idx) {
  const Map* map = v.aux[insn_idx].call_map;
  switch (map->spec().type) {
    case kMtHash:
    case kMtPercpuHash:
    case kMtLruHash:
    case kMtLruPercpuHash:
    case kMtArray:
    case kMtPercpuArray:
    case kMtRhash:
      break;
    default:
      return v.refuse(kErrNotSupp, "callback function not allowed for map\n");
  }
  const RegState map_reg = caller.regs[1];
  const RegState context = caller.regs[3];
  set_map_triple(v, callee, map_reg.map(), map_reg.map_uid);
  callee.regs[1] = map_reg;
  callee.regs[4] = context;
  clear_from(v, callee, 5);
  return 0;
}

int set_rbtree_less(Verifier& v, const FuncState& caller, FuncState& callee) {
  const RegState& root = caller.regs[1];
  const Record* record = v.record_of(root);
  const RecordField* field =
      record ? record->find(static_cast<u32>(root.const_value()), kFieldRbRoot) : nullptr;
  if (!field || !field->btf_id) return -EFAULT;
  for (u32 r : {1u, 2u}) {
    mark_graph_node(callee.regs[r], *field);
    if (int err = set_non_owning(v, callee.regs[r])) return err;
  }
  clear_from(v, callee, 3);
  return 0;
}

/// The callee's registers. Linux: set_callee_state and its like.
int set_callee(Verifier& v, SetCallee set, const FuncState& caller, FuncState& callee,
               u32 insn_idx) {
  callee.callback_ret_range = {0, 1};
  switch (set) {
    case SetCallee::kCall:
      callee.callback_ret_range = {0, 0};
      for (u32 r = 1; r <= 5; ++r) set_plain(callee, r, caller, r);
      return 0;
    case SetCallee::kMapElem:
      if (int err = set_for_each(v, caller, callee, insn_idx)) return err;
      break;
    case SetCallee::kLoop:
      callee.regs[1].type = kScalar;
      set_plain(callee, 2, caller, 3);
      clear_from(v, callee, 3);
      break;
    case SetCallee::kFindVma: {
      set_plain(callee, 1, caller, 1);
      RegState& vma = callee.regs[2];
      vma.set_known_zero();
      vma.precise = false;
      vma.type = kPtrToBtfId;
      vma.set_btf(&v.vmlinux, v.vmlinux.find("vm_area_struct", btf::Kind::kStruct).value_or(0));
      set_plain(callee, 3, caller, 4);
      clear_from(v, callee, 4);
      break;
    }
    case SetCallee::kUserRingbuf:
      v.mark_not_init(callee.regs[0]);
      mark_dynptr_reg(callee.regs[1], DynptrType::kLocal, true, v.new_id(), 0);
      set_plain(callee, 2, caller, 3);
      clear_from(v, callee, 3);
      break;
    case SetCallee::kRbtreeAdd:
      if (int err = set_rbtree_less(v, caller, callee)) return err;
      break;
    case SetCallee::kTimer:
    case SetCallee::kTaskWork: {
      const RegState& owner = caller.regs[set == SetCallee::kTimer ? 1 : 3];
      set_map_triple(v, callee, owner.map(), owner.map_uid);
      clear_from(v, callee, 4);
      callee.in_async_callback_fn = true;
      callee.callback_ret_range = {0, 0};
      if (set == SetCallee::kTaskWork) {
        callee.callback_ret_range = {std::numeric_limits<s32>::min(),
                                     std::numeric_limits<s32>::max()};
      }
      return 0;
    }
  }
  callee.in_callback_fn = true;
  return 0;
}

bool async_callback_sleeps(const Verifier& v, const Insn& insn) {
  return !is_helper_call(insn) && is_async_callback_call(v, insn);  // timers do not
}

}  // namespace

RegState& func_arg_reg(FuncState& caller, u32 arg) {
  return arg < kMaxRegArgs ? caller.regs[arg + 1] : caller.stack_args[arg - kMaxRegArgs];
}

int check_outgoing_stack_args(Verifier& v, FuncState& caller, u32 nargs) {
  for (u32 i = kMaxRegArgs; i < nargs; ++i) {
    const u32 slot = i - kMaxRegArgs;
    if (slot >= caller.stack_args.size() || caller.stack_args[slot].type == kNotInit) {
      return v.refuse(EFAULT, "callee expects {} args, stack arg{} is not initialized\n", nargs,
                      slot + 1);
    }
  }
  return 0;
}

int check_subprog_call(Verifier& v, u32 subprog, FuncState& caller) {
  Subprogram& sub = v.subprogs[subprog];
  if (v.in.functions.empty()) return -EINVAL;
  if (!sub.type_id) return -EFAULT;
  if (sub.unreliable) return -EINVAL;
  const int err = match_arguments(v, subprog, caller);
  if (err) sub.unreliable = true;
  return err;
}

int setup_function_entry(Verifier& v, u32 subprog, s32 callsite, SetCallee set,
                         VerifierState& state) {
  if (state.curframe + 1 >= kMaxFrames) {
    return v.refuse(E2BIG, "the call stack of {} frames is too deep\n", state.curframe + 2);
  }
  FuncState* callee = v.pool.new_frame();
  state.frame[state.curframe + 1] = callee;
  init_frame(v, *callee, callsite, state.curframe + 1, subprog);
  if (int err = set_callee(v, set, state.cur(), *callee, static_cast<u32>(callsite))) {
    v.pool.free_frame(callee);
    state.frame[state.curframe + 1] = nullptr;
    return err;
  }
  state.curframe++;
  return 0;
}

int push_callback_call(Verifier& v, const Insn& insn, u32 insn_idx, u32 subprog, SetCallee set) {
  FuncState& caller = v.cur();
  if (check_subprog_call(v, subprog, caller) == -EFAULT) return -EFAULT;
  Subprogram& sub = v.subprogs[subprog];
  sub.is_cb = true;
  if (is_async_callback_call(v, insn)) {
    sub.is_async_cb = true;
    VerifierState* async = push_async_callback(v, sub.start, static_cast<s32>(insn_idx), subprog,
                                               async_callback_sleeps(v, insn));
    if (!async) return -E2BIG;
    FuncState& callee = *async->frame[0];
    callee.async_entry_cnt = caller.async_entry_cnt + 1;
    return set_callee(v, set, caller, callee, insn_idx);
  }
  VerifierState* callback = push_state(v, sub.start, static_cast<s32>(insn_idx));
  if (!callback) return -E2BIG;
  if (int err = setup_function_entry(v, subprog, static_cast<s32>(insn_idx), set, *callback)) {
    return err;
  }
  callback->callback_unroll_depth++;
  callback->frame[callback->curframe - 1]->callback_depth++;
  caller.callback_depth = 0;
  return 0;
}

int check_function_call(Verifier& v, const Insn& insn) {
  const s64 target = s64{v.insn_idx} + insn.imm + 1;
  const s32 found = v.find_subprog(target);
  if (found < 0) return v.bug("target of func call at insn {} is not a program", target);
  const u32 subprog = static_cast<u32>(found);
  VerifierState& state = *v.state;
  FuncState& caller = state.cur();
  const int err = check_subprog_call(v, subprog, caller);
  if (err == -EFAULT) return err;
  if (v.is_global(subprog)) return call_global(v, subprog, err);

  Subprogram& caller_sub = v.subprogs[caller.subprogno];
  const u32 stack_args = caller_sub.in_stack_args() + v.subprogs[subprog].in_stack_args();
  caller_sub.stack_arg_cnt = std::max(caller_sub.stack_arg_cnt, stack_args);
  if (int e =
          setup_function_entry(v, subprog, static_cast<s32>(v.insn_idx), SetCallee::kCall, state)) {
    return e;
  }
  clear_caller_saved(v, caller);
  v.insn_idx = v.subprogs[subprog].start - 1;
  if (v.log.per_insn()) {
    v.log("caller:\n");
    v.print_state(state, caller.frameno, true);
    v.log("callee:\n");
    v.print_state(state, state.curframe, true);
  }
  return 0;
}

int prepare_function_exit(Verifier& v) {
  VerifierState& state = *v.state;
  FuncState& callee = state.cur();
  FuncState& caller = *state.frame[state.curframe - 1];
  RegState& r0 = callee.regs[0];
  if (r0.type == kPtrToStack) {
    return v.refuse(EINVAL, "cannot return stack pointer to the caller\n");
  }
  const bool callback = callee.in_callback_fn;
  if (callback) {
    if (!r0.is_scalar()) return v.refuse(EACCES, "R0 not a scalar value\n");
    if (int err = mark_chain_precision(v, 0)) return err;
    const RetvalRange range = callee.callback_ret_range;
    if (r0.value.smin() < range.min || r0.value.smax() > range.max) {
      return refuse_value(v, r0, range, "At callback return", "R0");
    }
    if (!v.aux[callee.callsite].calls_callback) {
      return v.bug("in callback at {}, callsite {} !calls_callback", v.insn_idx, callee.callsite);
    }
  } else {
    caller.regs[0] = r0;
  }
  v.insn_idx = static_cast<u32>(callee.callsite) + (callback ? 0 : 1);
  if (v.log.per_insn()) {
    v.log("returning from callee:\n");
    v.print_state(state, callee.frameno, true);
    v.log("to caller at {}:\n", v.insn_idx);
    v.print_state(state, caller.frameno, true);
  }
  account_processed_insns(v, callee, &caller);
  v.pool.free_frame(&callee);
  state.frame[state.curframe--] = nullptr;
  invalidate_outgoing_stack_args(v, caller);
  // The callback ran once; what it changed may change again.
  if (callback) {
    if (VerifierState* prev = find_prev_entry(v, state, v.insn_idx)) {
      widen_imprecise_scalars(v, *prev, state);
    }
  }
  return 0;
}

bool in_rbtree_lock_required_cb(const Verifier& v) {
  for (u32 f = v.state->curframe; f; --f) {
    const FuncState& callee = *v.state->frame[f];
    if (!callee.in_callback_fn) continue;
    const KfuncDesc* kfunc = v.find_kfunc(v.insns[callee.callsite]);
    if (kfunc && is_rbtree_api(kfunc->special)) return true;
  }
  return false;
}

}  // namespace uscx::bpf::verifier
