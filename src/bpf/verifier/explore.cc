// SPDX-License-Identifier: GPL-2.0-only
// The walk: one path after another, depth first, until each is done or one is refused. Linux:
// do_check and what is around it.
#include "bpf/verifier/claims.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

std::unique_ptr<Pending> new_pending(Verifier& v, u32 insn, s32 prev_insn) {
  std::unique_ptr<Pending> entry;
  if (v.free_pending.empty()) {
    entry = std::make_unique<Pending>();
  } else {
    entry = std::move(v.free_pending.back());
    v.free_pending.pop_back();
  }
  entry->insn_idx = insn;
  entry->prev_insn_idx = prev_insn;
  entry->log_pos = v.log.end_pos();
  return entry;
}

/// Goes on with the path that was pushed last; false: there is none.
bool pop_state(Verifier& v) {
  if (v.pending.empty()) return false;
  std::unique_ptr<Pending> entry = std::move(v.pending.back());
  v.pending.pop_back();
  std::swap(*v.state, entry->state);
  v.pool.clear(entry->state);
  if (!v.log.all_paths()) v.log.reset(entry->log_pos);
  v.insn_idx = entry->insn_idx;
  v.prev_insn_idx = entry->prev_insn_idx;
  v.free_pending.push_back(std::move(entry));
  return true;
}

void account_path(Verifier& v) {
  for (u32 f = v.state->curframe + 1; f-- > 0;) {
    account_processed_insns(v, *v.state->frame[f], f ? v.state->frame[f - 1] : nullptr);
  }
}

void forget_states(Verifier& v) {
  v.pool.clear(*v.state);
  for (auto& entry : v.pending) v.pool.clear(entry->state);
  v.pending.clear();
  for (Explored* st = v.free_list; st;) {
    Explored* next = st->next;
    v.pool.free_explored(st);
    st = next;
  }
  v.free_list = nullptr;
  for (auto& visits : v.scc_visits) {
    for (SccVisit& visit : visits) free_backedges(v, visit);
    visits.clear();
  }
  for (Explored*& head : v.explored) {
    for (Explored* st = head; st;) {
      Explored* next = st->next;
      v.pool.free_explored(st);
      st = next;
    }
    head = nullptr;
  }
}

bool call_allowed_under_lock(const Verifier& v, const Insn& insn) {
  if (is_helper_call(insn)) return insn.imm == kFnSpinUnlock || insn.imm == kFnKptrXchg;
  if (!is_kfunc_call(insn)) return true;
  const KfuncDesc* kfunc = v.find_kfunc(insn);
  return kfunc && kfunc->known && kfunc->has(kKf_SpinlockSafe);
}

int check_call(Verifier& v, const Insn& insn) {
  if (v.state->active_locks && !call_allowed_under_lock(v, insn)) {
    return v.refuse(EINVAL, "function calls are not allowed while holding a lock\n");
  }
  v.scratch_reg(0);
  if (v.cur_subprog().in_stack_args()) v.cur().no_stack_arg_load = true;
  if (is_pseudo_call(insn)) return check_function_call(v, insn);
  if (is_kfunc_call(insn)) return check_kfunc_call(v, insn);
  return check_helper_call(v, insn);
}

int check_jump(Verifier& v, const Insn& insn, bool* do_print_state) {
  v.jmps_processed++;
  switch (insn.code & 0xf0) {
    case isa::kCall:
      return check_call(v, insn);
    case isa::kExit:
      return process_exit(v, do_print_state, false);
    case isa::kJa:
      if (insn.code & isa::kX) return check_indirect_jump(v, insn);
      v.insn_idx += static_cast<u32>(jump_offset(insn)) + 1;
      return kStepJumped;
    default:
      return check_cond_jump(v, insn);
  }
}

int check_insn(Verifier& v, const Insn& insn, bool* do_print_state) {
  const u8 mode = insn.code & 0xe0;
  switch (insn.code & 7) {
    case isa::kAlu:
    case isa::kAlu64:
      return check_alu(v, insn);
    case isa::kLdx:
      return check_load(v, insn, false, mode == isa::kMemsx, true, "ldx");
    case isa::kStx:
      return mode == isa::kAtomic ? check_atomic(v, insn) : check_store_reg(v, insn, false);
    case isa::kSt:
      return check_store_imm(v, insn);
    case isa::kJmp:
    case isa::kJmp32:
      return check_jump(v, insn, do_print_state);
    default:
      if (mode == isa::kAbs || mode == isa::kInd) return check_ld_abs(v, insn);
      if (mode != isa::kImm) return 0;
      if (int err = check_ld_imm64(v, insn)) return err;
      v.insn_idx++;
      v.cur_aux().seen = true;
      return 0;
  }
}

void log_insn(Verifier& v) {
  if (v.scratched_regs || v.scratched_slots) v.print_insn_state(*v.state, v.state->curframe);
  v.log_line(v.insn_idx, "; ");
  v.prev_log_pos = v.log.end_pos();
  v.log("{}: ", v.insn_idx);
  v.log.add(v.disassemble_at(v.insn_idx));
  v.log("\n");
  v.prev_insn_print_pos = v.log.end_pos() - v.prev_log_pos;
  v.prev_log_pos = v.log.end_pos();
}

/// Ends the current path. 0 and `more`: another one is current now.
int next_path(Verifier& v, bool& more) {
  account_path(v);
  v.scratch_all();
  if (int err = update_branch_counts(v, v.state.get())) return err;
  more = pop_state(v);
  return 0;
}

/// All paths from the current state. Linux: do_check.
int explore(Verifier& v) {
  bool do_print_state = false;
  s32 prev = -1;
  for (;;) {
    v.cur_hist = nullptr;
    v.prev_insn_idx = prev;
    if (v.insn_idx >= v.len()) {
      return v.refuse(EFAULT, "invalid insn idx {} insn_cnt {}\n", v.insn_idx, v.len());
    }
    const Insn& insn = v.insn();
    InsnAux& aux = v.cur_aux();
    v.insn_processed++;
    v.cur().insns_subtotal++;
    v.cur_subprog().insns_self++;
    if (v.insn_processed > kInsnLimit) {
      return v.refuse(E2BIG, "BPF program is too large. Processed {} insn\n", v.insn_processed);
    }
    v.state->last_insn_idx = v.prev_insn_idx;
    v.state->insn_idx = v.insn_idx;

    int step = kStepNext;
    if (aux.prune_point) {
      const int visited = state_visited(v, v.insn_idx);
      if (visited < 0) return visited;
      if (visited) {
        if (v.log.per_insn()) {
          if (do_print_state)
            v.log("\nfrom {} to {}: safe\n", v.prev_insn_idx, v.insn_idx);
          else
            v.log("{}: safe\n", v.insn_idx);
        }
        step = kStepExit;
      }
    }
    if (step != kStepExit) {
      if (aux.jmp_point) {
        if (int err = push_jmp_history(v, *v.state, 0, 0, 0, 0)) return err;
      }
      if (v.log.all_paths() && do_print_state) {
        v.log("\nfrom {} to {}:", v.prev_insn_idx, v.insn_idx);
        v.print_state(*v.state, v.state->curframe, true);
        do_print_state = false;
      }
      if (v.log.per_insn()) log_insn(v);
      v.log.trim();
      aux.seen = true;
      if (v.in.claims && v.in.claims->record) v.in.claims->add(v.insn_idx, *v.state);
      prev = static_cast<s32>(v.insn_idx);
      step = check_insn(v, insn, &do_print_state);
      if (step < 0) return step;
    }
    if (step == kStepNext) {
      v.insn_idx++;
    } else if (step == kStepExit) {
      bool more = false;
      if (int err = next_path(v, more)) return err;
      if (!more) return 0;
      prev = v.prev_insn_idx;
      do_print_state = true;
    }
  }
}

/// What a global function's argument may be, by its type alone.
int set_argument(Verifier& v, RegState& reg, const ArgInfo& info, u32 number) {
  auto pointer = [&](RegType type) {
    reg.set_known_zero();
    reg.precise = false;
    reg.type = type;
  };
  const u32 base = base_type(info.type);
  if (info.type == kArgPtrToCtx) {
    pointer(kPtrToCtx);
  } else if (info.type == kArgAnything || base == kArgPtrToArena) {
    v.mark_unknown(reg);
  } else if (info.type == kArgPtrToDynptr) {
    mark_dynptr_reg(reg, DynptrType::kLocal, true, v.new_id(), 0);
  } else if (base == kArgPtrToMem) {
    pointer(kPtrToMem | (info.type & (kMaybeNull | kUntrusted | kMemRdonly)));
    reg.a = info.mem_size;
    if (info.type & kMaybeNull) reg.id = v.new_id();
  } else if (base == kArgPtrToBtfId) {
    pointer(kPtrToBtfId | (info.type & (kMaybeNull | kUntrusted | kTrusted)));
    reg.set_btf(&v.vmlinux, info.btf_id);
    reg.id = v.new_id();
  } else {
    return v.bug("unhandled arg#{} type {}", number, info.type);
  }
  return 0;
}

int set_function_arguments(Verifier& v, u32 subprog) {
  Subprogram& sub = v.subprogs[subprog];
  FuncState& frame = v.cur();
  if (v.log.per_insn()) v.log("Validating {}() func#{}...\n", v.subprog_name(subprog), subprog);
  if (int err = prepare_function_args(v, subprog)) return err;
  if (sub.is_exception_cb) {
    frame.in_exception_callback_fn = true;
    if (subprog_returns_void(v, subprog)) {
      return v.refuse(EINVAL, "exception cb cannot return void\n");
    }
    if (sub.arg_cnt != 1 || sub.args[0].type != kArgAnything) {
      return v.refuse(EINVAL, "exception cb only supports single integer argument\n");
    }
  }
  for (u32 i = 0; i < std::min(sub.arg_cnt, kMaxRegArgs); ++i) {
    if (int err = set_argument(v, frame.regs[i + 1], sub.args[i], i + 1)) return err;
  }
  if (v.prog.type == kProgExt && sub.arg_cnt > kMaxRegArgs) {
    return v.refuse(EINVAL, "freplace programs with >{} args not supported yet\n", kMaxRegArgs);
  }
  return 0;
}

void set_context_argument(Verifier& v) {
  Subprogram& sub = v.subprogs[0];
  if (!v.in.functions.empty()) {
    const int err = prepare_function_args(v, 0);
    if (err || sub.arg_cnt != 1 || sub.args[0].type != kArgPtrToCtx) {
      sub.unreliable = true;
      sub.arg_cnt = 1;
      sub.stack_arg_cnt = 0;
    }
  }
  RegState& r1 = v.reg(1);
  r1.set_known_zero();
  r1.precise = false;
  r1.type = kPtrToCtx;
}

/// One function from its entry. Linux: do_check_common.
int explore_function(Verifier& v, u32 subprog, bool sleepable) {
  Subprogram& sub = v.subprogs[subprog];
  const u32 insns_total = sub.insns_total;
  const u32 processed = v.insn_processed;
  v.prev_line = nullptr;
  VerifierState& state = *v.state;
  v.pool.clear(state);
  state.branches = 1;
  state.in_sleepable = sleepable;
  state.frame[0] = v.pool.new_frame();
  init_frame(v, *state.frame[0], kMainFunction, 0, subprog);
  state.first_insn_idx = sub.start;
  state.last_insn_idx = -1;
  v.insn_idx = sub.start;

  int err = 0;
  if (subprog || v.prog.type == kProgExt)
    err = set_function_arguments(v, subprog);
  else
    set_context_argument(v);
  if (!err && !subprog && v.prog.type == kProgStructOps) {
    for (CtxArg& arg : v.attach.ctx_args) {
      arg.ref_id = arg.refcounted ? acquire_reference(v, 0, 0) : 0;
    }
  }
  if (!err) err = explore(v);
  account_path(v);
  if (!err && !v.log.all_paths()) v.log.reset(0);
  forget_states(v);
  sub.insns_total = insns_total + (v.insn_processed - processed);
  return err;
}

/// Global functions, in each kind of context that they are called in.
int explore_global_functions(Verifier& v) {
  if (v.in.functions.empty()) return 0;
  if (v.exception_callback) v.subprogs[v.exception_callback].called[v.prog.sleepable] = true;
  for (bool found = true; found;) {
    found = false;
    for (u32 i = 1; i < v.subprog_cnt; ++i) {
      if (!v.is_global(i)) continue;
      for (bool sleepable : {false, true}) {
        Subprogram& sub = v.subprogs[i];
        if (!sub.called[sleepable] || sub.verified[sleepable]) continue;
        if (int err = explore_function(v, i, sleepable)) return err;
        if (v.log.per_insn()) {
          v.log("Func#{} ('{}') is safe for any args that match its prototype\n", i,
                v.subprog_name(i));
        }
        sub.verified[sleepable] = true;
        found = true;
      }
    }
  }
  return 0;
}

}  // namespace

VerifierState* push_state(Verifier& v, u32 insn, s32 prev_insn) {
  v.pending.push_back(new_pending(v, insn, prev_insn));
  VerifierState& state = v.pending.back()->state;
  v.pool.copy(state, *v.state);
  if (v.pending.size() > kJumpSequenceLimit) {
    v.log("The sequence of {} jumps is too complex.\n", v.pending.size());
    return nullptr;
  }
  if (state.parent) state.parent->branches++;
  return &state;
}

VerifierState* push_async_callback(Verifier& v, u32 insn, s32 prev_insn, u32 subprog,
                                   bool sleepable) {
  v.pending.push_back(new_pending(v, insn, prev_insn));
  if (v.pending.size() > kJumpSequenceLimit) {
    v.log("The sequence of {} jumps is too complex for async cb.\n", v.pending.size());
    return nullptr;
  }
  VerifierState& state = v.pending.back()->state;
  v.pool.clear(state);
  state.branches = 1;
  state.in_sleepable = sleepable;
  state.frame[0] = v.pool.new_frame();
  init_frame(v, *state.frame[0], kMainFunction, 0, subprog);
  return &state;
}

void init_frame(Verifier& v, FuncState& frame, s32 callsite, u32 frameno, u32 subprog) {
  frame.reset();
  frame.callsite = callsite;
  frame.frameno = frameno;
  frame.subprogno = subprog;
  for (RegState& reg : frame.regs) v.mark_not_init(reg);
  RegState& fp = frame.regs[kFp];
  fp.set_known_zero();
  fp.precise = false;
  fp.type = kPtrToStack;
  fp.a = frameno;
  v.scratch_all();
}

void account_processed_insns(Verifier& v, FuncState& callee, FuncState* caller) {
  v.subprogs[callee.subprogno].insns_total += callee.insns_subtotal;
  if (caller) caller->insns_subtotal += callee.insns_subtotal;
  callee.insns_subtotal = 0;
}

int explore_program(Verifier& v) {
  if (int err = explore_function(v, 0, v.prog.sleepable)) return err;
  return explore_global_functions(v);
}

}  // namespace uscx::bpf::verifier
