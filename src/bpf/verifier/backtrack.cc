// SPDX-License-Identifier: GPL-2.0-only
// Precision on demand: a scalar is only a number to pruning until its value decides something. Then
// the path is walked backwards, and what that value was made of becomes precise in all states that
// were kept on the way. Linux: backtrack.c.
#include "bpf/verifier/backtrack.h"

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

constexpr u32 kArgRegs = 0x3e;  // R1 ... R5

bool is_fetch(const Insn& insn) {
  return is_atomic(insn) && (insn.imm & kFetch);
}
bool is_load_acquire(const Insn& insn) {
  return is_atomic(insn) && insn.imm == kLoadAcquire;
}

/// The instruction executed before `i`; -ENOENT at the state's first one.
s32 previous_insn(const VerifierState& st, s32 i, u32& history) {
  if (i == static_cast<s32>(st.first_insn_idx)) {
    if (history == 0) return -ENOENT;
    if (history == 1 && static_cast<s32>(st.jmp_history[0].idx) == i) return -ENOENT;
  }
  if (history && static_cast<s32>(st.jmp_history[history - 1].idx) == i) {
    --history;
    return static_cast<s32>(st.jmp_history[history].prev_idx);
  }
  return i - 1;
}

const HistoryEntry* history_entry(const VerifierState& st, u32 end, s32 insn) {
  if (end && static_cast<s32>(st.jmp_history[end - 1].idx) == insn) {
    return &st.jmp_history[end - 1];
  }
  return nullptr;
}

/// If one of the scalars that share an id matters, all do.
void sync_linked(BacktrackState& bt, const HistoryEntry* hist) {
  if (!hist || !hist->linked_regs) return;
  const LinkedRegs linked = LinkedRegs::unpack(hist->linked_regs);
  bool any = false;
  for (u32 i = 0; i < linked.cnt; ++i) {
    const LinkedReg& e = linked.entries[i];
    any |= e.is_reg ? bt.has_reg(e.frameno, e.index) : bt.has_slot(e.frameno, e.index);
  }
  if (!any) return;
  for (u32 i = 0; i < linked.cnt; ++i) {
    const LinkedReg& e = linked.entries[i];
    if (e.is_reg)
      bt.set_reg(e.frameno, e.index);
    else
      bt.set_slot(e.frameno, e.index);
  }
}

/// One instruction backwards. -kErrNotSupp: give up and make everything precise.
class BackStep {
 public:
  BackStep(Verifier& v, s32 idx, s32 next, const HistoryEntry* hist)
      : v_(v), bt_(v.bt), insn_(v.insns[idx]), idx_(idx), next_(next), hist_(hist) {}

  int run() {
    if (insn_.code == 0) return 0;  // the second half of a 16-byte one
    if (v_.log.all_paths()) {
      v_.log("mark_precise: frame{}: regs={} stack={} before {}: {}\n", bt_.frame,
             reg_mask_text(bt_.reg_masks[bt_.frame]), stack_mask_text(bt_.stack_masks[bt_.frame]),
             idx_, v_.disassemble_at(static_cast<u32>(idx_)));
    }
    sync_linked(bt_, hist_);
    bool done = false;
    const int err = step(done);
    if (err || done) return err;
    sync_linked(bt_, hist_);
    return 0;
  }

 private:
  /// `done`: the instruction has nothing to do with what is looked for.
  int step(bool& done) {
    done = true;
    const u8 c = class_of(insn_);
    if (c == kAlu || c == kAlu64) return alu(done);
    if (c == kLdx || is_load_acquire(insn_) || is_fetch(insn_)) return load(done);
    if (c == kStx || c == kSt) return store(done);
    if (c == kJmp || c == kJmp32) return jump(done);
    if (c == kLd) {
      if (mode_of(insn_) == kImm) {
        bt_.clear(insn_.dst);
        return 0;
      }
      if (bt_.has(insn_.dst)) return -kErrNotSupp;
      // It may have left the function.
      return next_ != idx_ + 1 ? enter() : 0;
    }
    return 0;
  }

  int alu(bool& done) {
    if (!bt_.has(insn_.dst)) return 0;
    const u8 op = op_of(insn_);
    if (op == kEnd || op == kNeg) return 0;
    done = false;
    if (op == kMov) bt_.clear(insn_.dst);
    if (is_x(insn_) && insn_.src != kFp) bt_.set(insn_.src);
    return 0;
  }

  int load(bool& done) {
    u32 reg = insn_.dst;
    if (is_fetch(insn_)) reg = insn_.imm == kCmpxchg ? 0 : insn_.src;
    if (!bt_.has(reg)) return 0;
    bt_.clear(reg);
    if (hist_ && (hist_->flags & HistoryEntry::kStackArgAccess)) {
      bt_.set_arg(bt_.frame - 1, hist_->spi);
      return 0;
    }
    if (!hist_ || !(hist_->flags & HistoryEntry::kStackAccess)) return 0;
    bt_.set_slot(hist_->frame, hist_->spi);
    done = false;
    return 0;
  }

  int store(bool& done) {
    if (bt_.has(insn_.dst)) return -kErrNotSupp;  // a scalar as an address
    if (hist_ && (hist_->flags & HistoryEntry::kStackArgAccess)) {
      if (!bt_.has_arg(bt_.frame, hist_->spi)) return 0;
      bt_.clear_arg(bt_.frame, hist_->spi);
      if (class_of(insn_) == kStx) bt_.set(insn_.src);
      return 0;
    }
    if (!hist_ || !(hist_->flags & HistoryEntry::kStackAccess)) return 0;
    if (!bt_.has_slot(hist_->frame, hist_->spi)) return 0;
    bt_.clear_slot(hist_->frame, hist_->spi);
    if (class_of(insn_) == kStx) bt_.set(insn_.src);
    done = false;
    return 0;
  }

  int jump(bool& done) {
    if (is_pseudo_call(insn_)) return call_subprogram();
    if (is_sync_callback_call(v_, insn_) && idx_ != next_ - 1) return leave_callback();
    if (op_of(insn_) == kCall) {
      if (is_kfunc_call(insn_) && insn_.imm == 0) return -kErrNotSupp;
      bt_.clear(0);
      if (bt_.reg_masks[bt_.frame] & kArgRegs) {
        return v_.bug("backtracking call unexpected regs {:x}", bt_.reg_masks[bt_.frame]);
      }
      if (is_helper_call(insn_) && insn_.imm == kFnTailCall && next_ - idx_ != 1) return enter();
      done = false;
      return 0;
    }
    if (op_of(insn_) == kExit) return enter_by_exit();
    if (is_x(insn_) && op_of(insn_) != kJa) {
      if (!bt_.has(insn_.dst) && !bt_.has(insn_.src)) return 0;
      if (!hist_ || !(hist_->flags & HistoryEntry::kSrcStack)) bt_.set(insn_.src);
      if (!hist_ || !(hist_->flags & HistoryEntry::kDstStack)) bt_.set(insn_.dst);
    }
    done = false;
    return 0;
  }

  int enter() {
    if (bt_.frame == kMaxFrames - 1) {
      return v_.bug("subprog enter from frame {}", bt_.frame);
    }
    ++bt_.frame;
    return 0;
  }
  int leave() {
    if (bt_.frame == 0) return v_.bug("subprog exit from frame 0");
    --bt_.frame;
    return 0;
  }

  int call_subprogram() {
    const s32 subprog = v_.find_subprog(s64{idx_} + insn_.imm + 1);
    if (subprog < 0) return -EFAULT;
    const u32 regs = bt_.reg_masks[bt_.frame];
    if (v_.is_global(static_cast<u32>(subprog))) {
      if (regs & kArgRegs) return v_.bug("global subprog unexpected regs {:x}", regs);
      bt_.clear(0);
      return 0;
    }
    if (regs & ~kArgRegs) return v_.bug("static subprog unexpected regs {:x}", regs);
    if (bt_.stack_masks[bt_.frame]) {
      return v_.bug("static subprog leftover stack slots {:x}", bt_.stack_masks[bt_.frame]);
    }
    for (u32 r = 1; r <= 5; ++r) {
      if (!bt_.has(r)) continue;
      bt_.clear(r);
      bt_.set_reg(bt_.frame - 1, r);
    }
    return leave();
  }

  int leave_callback() {
    const u32 regs = bt_.reg_masks[bt_.frame];
    if (regs & ~kArgRegs) return v_.bug("callback unexpected regs {:x}", regs);
    if (bt_.stack_masks[bt_.frame]) {
      return v_.bug("callback leftover stack slots {:x}", bt_.stack_masks[bt_.frame]);
    }
    for (u32 r = 1; r <= 5; ++r) bt_.clear(r);
    return leave();
  }

  int enter_by_exit() {
    const bool from_call = next_ - 1 >= 0 && is_pseudo_call(v_.insns[next_ - 1]);
    const bool r0_precise = from_call && bt_.has(0);
    if (from_call && (bt_.reg_masks[bt_.frame] & kArgRegs)) {
      return v_.bug("backtracking exit unexpected regs {:x}", bt_.reg_masks[bt_.frame]);
    }
    bt_.clear(0);
    if (int err = enter()) return err;
    if (r0_precise) bt_.set(0);
    return 0;
  }

  Verifier& v_;
  BacktrackState& bt_;
  const Insn& insn_;
  s32 idx_;
  s32 next_;
  const HistoryEntry* hist_;
};

/// Marks what is looked for in a state that was kept; what already is precise is done.
int mark_in_state(Verifier& v, VerifierState& st, bool& changed) {
  BacktrackState& bt = v.bt;
  for (u32 f = bt.frame + 1; f-- > 0;) {
    FuncState& func = *st.frame[f];
    for (u32 r = 0; r < kNrRegs; ++r) {
      if (!bt.has_reg(f, r)) continue;
      RegState& reg = func.regs[r];
      if (!reg.is_scalar() || reg.precise) {
        bt.clear_reg(f, r);
      } else {
        reg.precise = changed = true;
      }
    }
    for (u64 mask = bt.stack_masks[f]; mask; mask &= mask - 1) {
      const u32 spi = static_cast<u32>(__builtin_ctzll(mask));
      if (spi >= func.stack.size()) {
        return v.bug("stack slot {}, total slots {}", spi, func.stack.size());
      }
      StackSlot& slot = func.stack[spi];
      if (!slot.is_scalar_spill() || slot.spilled.precise) {
        bt.clear_slot(f, spi);
      } else {
        slot.spilled.precise = changed = true;
      }
    }
    for (u32 a = 0; a < func.stack_args.size(); ++a) {
      if (!bt.has_arg(f, a)) continue;
      RegState& reg = func.stack_args[a];
      if (!reg.is_scalar() || reg.precise) {
        bt.clear_arg(f, a);
      } else {
        reg.precise = changed = true;
      }
    }
    if (v.log.all_paths()) {
      v.log("mark_precise: frame{}: parent state regs={} stack={}: ", f,
            reg_mask_text(bt.reg_masks[f]), stack_mask_text(bt.stack_masks[f]));
      v.print_state(st, f, true);
    }
  }
  return 0;
}

/// The path's very beginning: only arguments of a global function can be left.
int at_entry(Verifier& v, VerifierState& st, bool& changed) {
  BacktrackState& bt = v.bt;
  const u32 regs = bt.reg_masks[bt.frame];
  if (st.curframe == 0 && st.frame[0]->subprogno > 0 && st.frame[0]->callsite == kMainFunction &&
      !bt.stack_masks[bt.frame] && !(regs & ~kArgRegs)) {
    for (u32 r = 1; r <= 5; ++r) {
      if (!bt.has(r)) continue;
      bt.clear(r);
      if (st.frame[0]->regs[r].is_scalar()) {
        st.frame[0]->regs[r].precise = changed = true;
      }
    }
    return 0;
  }
  const u64 slots = bt.stack_masks[bt.frame];
  bt.reset();
  return v.bug("backtracking func entry subprog {} reg_mask {:x} stack_mask {:x}",
               st.frame[0]->subprogno, regs, slots);
}

}  // namespace

u64 LinkedRegs::pack() const {
  u64 packed = 0;
  for (u32 i = 0; i < cnt; ++i) {
    const LinkedReg& e = entries[i];
    packed = packed << 11 | e.frameno | u64{e.index} << 4 | u64{e.is_reg} << 10;
  }
  return packed << 4 | cnt;
}

LinkedRegs LinkedRegs::unpack(u64 packed) {
  LinkedRegs out;
  out.cnt = packed & 15;
  packed >>= 4;
  for (u32 i = 0; i < out.cnt; ++i, packed >>= 11) {
    out.entries[i] = {static_cast<u8>(packed & 15), static_cast<u8>(packed >> 4 & 63),
                      static_cast<bool>(packed >> 10 & 1)};
  }
  return out;
}

int push_jmp_history(Verifier& v, VerifierState& state, u8 flags, u32 spi, u32 frame,
                     u64 linked_regs) {
  if (v.cur_hist) {
    v.cur_hist->flags |= flags;
    v.cur_hist->spi = static_cast<u8>(spi);
    v.cur_hist->frame = static_cast<u8>(frame);
    v.cur_hist->linked_regs = linked_regs;
    return 0;
  }
  state.jmp_history.push_back({v.insn_idx, static_cast<u32>(v.prev_insn_idx),
                               static_cast<u8>(frame), static_cast<u8>(spi), flags, linked_regs});
  v.cur_hist = &state.jmp_history.back();
  return 0;
}

void mark_all_scalars_precise(Verifier& v, VerifierState& starting) {
  if (v.log.all_paths()) {
    v.log("mark_precise: frame{}: falling back to forcing all scalars precise\n",
          starting.curframe);
  }
  for (VerifierState* st = starting.parent; st; st = st->parent) {
    for (u32 f = 0; f <= st->curframe; ++f) {
      FuncState& func = *st->frame[f];
      for (u32 r = 0; r < kFp; ++r) {
        RegState& reg = func.regs[r];
        if (!reg.is_scalar() || reg.precise) continue;
        reg.precise = true;
        if (v.log.all_paths()) {
          v.log("force_precise: frame{}: forcing r{} to be precise\n", f, r);
        }
      }
      for (u32 s = 0; s < func.stack.size(); ++s) {
        StackSlot& slot = func.stack[s];
        if (!slot.is_scalar_spill() || slot.spilled.precise) continue;
        slot.spilled.precise = true;
        if (v.log.all_paths()) {
          v.log("force_precise: frame{}: forcing fp{} to be precise\n", f,
                -static_cast<s32>(s + 1) * 8);
        }
      }
    }
  }
}

int mark_chain_precision(Verifier& v, VerifierState& starting, s32 regno, bool* changed_out) {
  if (!v.bpf_capable) return 0;
  bool unused = false;
  bool& changed = changed_out ? *changed_out : unused;
  BacktrackState& bt = v.bt;
  VerifierState* st = &starting;
  s32 first_idx = static_cast<s32>(st->first_insn_idx);
  s32 last_idx = static_cast<s32>(starting.insn_idx);
  s32 next_idx = -1;
  bool skip_first = true;

  bt.frame = starting.curframe;
  if (regno >= 0) {
    if (!st->frame[bt.frame]->regs[regno].is_scalar()) return v.bug("backtracking misuse");
    bt.set(static_cast<u32>(regno));
  }
  if (bt.empty()) return 0;
  for (;;) {
    if (v.log.all_paths()) {
      v.log("mark_precise: frame{}: last_idx {} first_idx {} subseq_idx {} \n", bt.frame, last_idx,
            first_idx, next_idx);
    }
    if (last_idx < 0) return at_entry(v, *st, changed);
    u32 history = static_cast<u32>(st->jmp_history.size());
    for (s32 i = last_idx;;) {
      int err = 0;
      if (skip_first) {
        skip_first = false;
      } else {
        err = BackStep(v, i, next_idx, history_entry(*st, history, i)).run();
      }
      if (err == -kErrNotSupp) {
        mark_all_scalars_precise(v, starting);
        bt.reset();
        return 0;
      }
      if (err) return err;
      if (bt.empty()) return 0;
      next_idx = i;
      i = previous_insn(*st, i, history);
      if (i == -ENOENT) break;
      if (i < 0 || i >= static_cast<s32>(v.len())) return v.bug("backtracking idx {}", i);
    }
    st = st->parent;
    if (!st) break;
    if (int err = mark_in_state(v, *st, changed)) return err;
    if (bt.empty()) return 0;
    next_idx = first_idx;
    last_idx = st->last_insn_idx;
    first_idx = static_cast<s32>(st->first_insn_idx);
  }
  // Values that come from the stack of a state that is no longer there.
  if (!bt.empty()) {
    mark_all_scalars_precise(v, starting);
    bt.reset();
  }
  return 0;
}

int mark_chain_precision(Verifier& v, u32 regno) {
  return mark_chain_precision(v, *v.state, static_cast<s32>(regno), nullptr);
}

int mark_chain_precision_batch(Verifier& v, VerifierState& starting) {
  return mark_chain_precision(v, starting, -1, nullptr);
}

int mark_arg_precision(Verifier& v, ArgNo arg) {
  if (const s32 regno = arg.regno(); regno >= 0) {
    return mark_chain_precision(v, static_cast<u32>(regno));
  }
  v.bt.set_arg(v.cur().frameno, static_cast<u32>(arg.argno()) - 1 - kMaxRegArgs);
  return mark_chain_precision_batch(v, *v.state);
}

}  // namespace uscx::bpf::verifier
