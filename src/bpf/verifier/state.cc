// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

FuncState* StatePool::new_frame() {
  if (free_frames_.empty()) {
    frames_.push_back(std::make_unique<FuncState>());
    return frames_.back().get();
  }
  FuncState* frame = free_frames_.back();
  free_frames_.pop_back();
  return frame;
}

void StatePool::free_frame(FuncState* frame) {
  if (frame) free_frames_.push_back(frame);
}

Explored* StatePool::new_explored() {
  if (free_states_.empty()) {
    states_.push_back(std::make_unique<Explored>());
    return states_.back().get();
  }
  Explored* state = free_states_.back();
  free_states_.pop_back();
  state->prev = state->next = nullptr;
  state->miss_cnt = state->hit_cnt = 0;
  state->in_free_list = false;
  return state;
}

void StatePool::free_explored(Explored* state) {
  clear(*state);
  free_states_.push_back(state);
}

void StatePool::copy(VerifierState& to, const VerifierState& from) {
  for (u32 i = from.curframe + 1; i < kMaxFrames && to.frame[i]; ++i) {
    free_frame(to.frame[i]);
    to.frame[i] = nullptr;
  }
  for (u32 i = 0; i <= from.curframe; ++i) {
    if (!to.frame[i]) to.frame[i] = new_frame();
    *to.frame[i] = *from.frame[i];
    to.frame[i]->insns_subtotal = 0;
  }
  to.parent = from.parent;
  to.refs = from.refs;
  to.branches = from.branches;
  to.curframe = from.curframe;
  to.active_locks = from.active_locks;
  to.active_preempt_locks = from.active_preempt_locks;
  to.active_irq_id = from.active_irq_id;
  to.active_lock_id = from.active_lock_id;
  to.active_lock_ptr = from.active_lock_ptr;
  to.active_rcu_locks = from.active_rcu_locks;
  to.in_sleepable = from.in_sleepable;
  to.first_insn_idx = from.first_insn_idx;
  to.last_insn_idx = from.last_insn_idx;
  to.equal_state = from.equal_state;
  to.jmp_history = from.jmp_history;
  to.dfs_depth = from.dfs_depth;
  to.callback_unroll_depth = from.callback_unroll_depth;
  to.may_goto_depth = from.may_goto_depth;
}

void StatePool::clear(VerifierState& state) {
  for (FuncState*& frame : state.frame) {
    free_frame(frame);
    frame = nullptr;
  }
  state.refs.clear();
  state.jmp_history.clear();
  state.parent = nullptr;
  state.equal_state = nullptr;
  state.branches = 0;
  state.curframe = 0;
  state.insn_idx = 0;
  state.active_locks = state.active_preempt_locks = state.active_rcu_locks = 0;
  state.active_irq_id = state.active_lock_id = 0;
  state.active_lock_ptr = nullptr;
  state.in_sleepable = false;
  state.first_insn_idx = 0;
  state.last_insn_idx = 0;
  state.dfs_depth = state.callback_unroll_depth = state.may_goto_depth = 0;
}

}  // namespace uscx::bpf::verifier
