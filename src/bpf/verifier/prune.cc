// SPDX-License-Identifier: GPL-2.0-only
// States that were explored, and whether the current one adds anything. Linux: states.c.
#include <algorithm>

#include "bpf/verifier/claims.h"
#include "bpf/verifier/inclusion.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr u32 kMaxBackedgeRounds = 64;

void update_peak(Verifier& v) {
  v.peak_states = std::max(v.peak_states, v.explored_states + v.free_list_size + v.num_backedges);
}

// -- loops: states in a strongly connected component are complete only when all of it is

/// The calls that lead into the innermost... outermost component that `st` is in; false: none.
bool scc_callchain(const Verifier& v, const VerifierState& st, SccVisit& key, u32& scc) {
  key.callsites.fill(0);
  for (u32 i = 0; i <= st.curframe; ++i) {
    const u32 insn = st.frame_insn_idx(i);
    scc = v.aux[insn].scc;
    if (scc) return true;
    if (i < st.curframe) key.callsites[i] = insn;
  }
  return false;
}

SccVisit* find_visit(Verifier& v, const VerifierState& st, u32* scc_out = nullptr,
                     SccVisit* key_out = nullptr) {
  SccVisit key;
  u32 scc = 0;
  if (!scc_callchain(v, st, key, scc)) return nullptr;
  if (scc_out) *scc_out = scc;
  if (key_out) key_out->callsites = key.callsites;
  for (SccVisit& visit : v.scc_visits[scc]) {
    if (visit.callsites == key.callsites) return &visit;
  }
  return nullptr;
}

std::string callchain_text(const SccVisit& visit, u32 scc) {
  std::string out = "(";
  for (u32 callsite : visit.callsites) {
    if (!callsite) break;
    out += fmt::format("{},", callsite);
  }
  return out + fmt::format("{})", scc);
}

void enter_scc(Verifier& v, const VerifierState& st) {
  u32 scc = 0;
  SccVisit key;
  SccVisit* visit = find_visit(v, st, &scc, &key);
  if (!scc) return;
  if (!visit) {
    v.scc_visits[scc].push_back(std::move(key));
    visit = &v.scc_visits[scc].back();
  }
  if (!visit->entry_state) {
    visit->entry_state = &st;
    if (v.log.all_paths()) v.log("SCC enter {}\n", callchain_text(*visit, scc));
  }
}

int propagate_precision(Verifier& v, const VerifierState& old, VerifierState& cur, bool* changed) {
  for (u32 f = old.curframe + 1; f-- > 0;) {
    const FuncState& func = *old.frame[f];
    std::string names;
    for (u32 r = 0; r < kFp; ++r) {
      if (!func.regs[r].is_scalar() || !func.regs[r].precise) continue;
      if (v.log.all_paths()) names += fmt::format("{}r{}", names.empty() ? "" : ",", r);
      v.bt.set_reg(f, r);
    }
    for (u32 s = 0; s < func.stack.size(); ++s) {
      if (!func.stack[s].is_scalar_spill() || !func.stack[s].spilled.precise) continue;
      if (v.log.all_paths()) {
        names += fmt::format("{}fp{}", names.empty() ? "" : ",", -static_cast<s32>(s + 1) * 8);
      }
      v.bt.set_slot(f, s);
    }
    if (!names.empty()) v.log("frame {}: propagating {}\n", f, names);
  }
  const int err = mark_chain_precision(v, cur, -1, changed);
  return err < 0 ? err : 0;
}

int propagate_backedges(Verifier& v, SccVisit& visit) {
  for (u32 round = 0;; ++round) {
    if (round > kMaxBackedgeRounds) {
      if (v.log.all_paths()) v.log("propagate_backedges: too many iterations\n");
      for (auto& edge : visit.backedges) mark_all_scalars_precise(v, edge->state);
      break;
    }
    bool changed = false;
    for (auto it = visit.backedges.rbegin(); it != visit.backedges.rend(); ++it) {
      VerifierState& st = (*it)->state;
      if (int err = propagate_precision(v, *st.equal_state, st, &changed)) return err;
    }
    if (!changed) break;
  }
  free_backedges(v, visit);
  return 0;
}

int exit_scc(Verifier& v, const VerifierState& st) {
  u32 scc = 0;
  SccVisit* visit = find_visit(v, st, &scc);
  if (!scc) return 0;
  if (!visit) return v.bug("scc exit: no visit info for call chain");
  if (visit->entry_state != &st) return 0;
  if (v.log.all_paths()) v.log("SCC exit {}\n", callchain_text(*visit, scc));
  visit->entry_state = nullptr;
  v.num_backedges -= visit->num_backedges;
  visit->num_backedges = 0;
  update_peak(v);
  return propagate_backedges(v, *visit);
}

int add_backedge(Verifier& v, const VerifierState& old, u32 insn_idx) {
  u32 scc = 0;
  SccVisit* visit = find_visit(v, old, &scc);
  if (!visit) return v.bug("add backedge: no visit info, insn_idx {}", old.insn_idx);
  auto edge = std::make_unique<SccBackedge>();
  v.pool.copy(edge->state, *v.state);
  edge->state.equal_state = &old;
  edge->state.insn_idx = insn_idx;
  if (v.log.all_paths()) v.log("SCC backedge {}\n", callchain_text(*visit, scc));
  visit->backedges.push_back(std::move(edge));
  visit->num_backedges++;
  v.num_backedges++;
  update_peak(v);
  return 0;
}

bool incomplete_read_marks(Verifier& v, const VerifierState& st) {
  if (!v.num_backedges) return false;
  const SccVisit* visit = find_visit(v, st);
  return visit && !visit->backedges.empty();
}

// -- lists of states

void unlink(Explored*& head, Explored* state) {
  if (state->prev)
    state->prev->next = state->next;
  else
    head = state->next;
  if (state->next) state->next->prev = state->prev;
  state->prev = state->next = nullptr;
}
void push_front(Explored*& head, Explored* state) {
  state->prev = nullptr;
  state->next = head;
  if (head) head->prev = state;
  head = state;
}

void maybe_free(Verifier& v, Explored* state) {
  if (!state->in_free_list || state->branches || incomplete_read_marks(v, *state)) return;
  unlink(v.free_list, state);
  v.pool.free_explored(state);
  v.free_list_size--;
}

// -- what a state need not remember

void clean_stack(Verifier& v, FuncState& func, u32 frameno) {
  if (func.stack.empty()) return;
  const HalfSlots live = v.liveness.live(v, frameno);
  for (u32 i = 0; i < func.stack.size(); ++i) {
    const bool low_live = live.has(i * 2);
    const bool high_live = live.has(i * 2 + 1);
    if (low_live && high_live) continue;
    StackSlot& slot = func.stack[i];
    const u8 kind = slot.type[7];
    if (kind == kSlotDynptr || kind == kSlotIter || kind == kSlotIrqFlag) continue;
    if (!high_live) {
      RegState& spill = slot.spilled;
      if (low_live && kind == kSlotSpill) {
        // A pointer must stay whole; half a number is just some number.
        if (!spill.is_scalar() || spill.is_null()) continue;
        for (u32 j = 0; j < 4; ++j) {
          if (slot.type[j] == kSlotSpill) slot.type[j] = kSlotMisc;
        }
      }
      v.mark_not_init(spill);
    }
    for (u32 j = low_live ? 4 : 0; j < (high_live ? 4u : 8u); ++j) slot.type[j] = kSlotPoison;
  }
}

void clean_state(Verifier& v, VerifierState& st) {
  v.liveness.query(v, st);
  for (u32 f = 0; f <= st.curframe; ++f) {
    FuncState& func = *st.frame[f];
    const u16 live = v.aux[st.frame_insn_idx(f)].live_regs_before;
    for (u32 r = 0; r < kFp; ++r) {
      if (!(live >> r & 1)) v.mark_not_init(func.regs[r]);
    }
    clean_stack(v, func, f);
  }
}

void mark_scalars_imprecise(VerifierState& st) {
  for (u32 f = 0; f <= st.curframe; ++f) {
    FuncState& func = *st.frame[f];
    for (u32 r = 0; r < kFp; ++r) {
      if (func.regs[r].is_scalar()) func.regs[r].precise = false;
    }
    for (StackSlot& slot : func.stack) {
      if (slot.is_scalar_spill()) slot.spilled.precise = false;
    }
  }
}

/// Ids that one scalar alone has link nothing.
void clear_singular_ids(VerifierState& st) {
  std::array<std::pair<u32, u32>, 128> counts;
  u32 n = 0;
  for_each_reg(st, [&](RegState& reg) {
    if (!reg.is_scalar() || !reg.id) return;
    const u32 id = reg.id & ~kAddConst;
    for (u32 i = 0; i < n; ++i) {
      if (counts[i].first == id) {
        counts[i].second++;
        return;
      }
    }
    if (n < counts.size()) counts[n++] = {id, 1};
  });
  if (!n) return;
  for_each_reg(st, [&](RegState& reg) {
    if (!reg.is_scalar() || !reg.id) return;
    const u32 id = reg.id & ~kAddConst;
    for (u32 i = 0; i < n; ++i) {
      if (counts[i].first == id && counts[i].second == 1) {
        reg.clear_scalar_id();
        return;
      }
    }
  });
}

bool maybe_looping(const VerifierState& old, const VerifierState& cur) {
  if (old.curframe != cur.curframe) return false;
  const auto& a = old.cur().regs;
  const auto& b = cur.cur().regs;
  for (u32 r = 0; r < kNrRegs; ++r) {
    if (!a[r].same_but_precision(b[r])) return false;
  }
  return true;
}

bool iter_depths_differ(const VerifierState& old, const VerifierState& cur) {
  for (u32 f = 0; f <= old.curframe; ++f) {
    const auto& stack = old.frame[f]->stack;
    for (u32 i = 0; i < stack.size(); ++i) {
      if (stack[i].type[0] != kSlotIter) continue;
      if (stack[i].spilled.iter_state() != IterState::kActive) continue;
      if (cur.frame[f]->stack[i].spilled.iter_depth() != stack[i].spilled.iter_depth()) {
        return true;
      }
    }
  }
  return false;
}

enum class Match : u8 { kMiss, kHit, kHitLoop, kError };

/// A state that is still being explored: a loop. Is it one that ends?
Match match_open_state(Verifier& v, Explored& old, u32 insn_idx, bool& keep) {
  VerifierState& cur = *v.state;
  const FuncState& frame = old.cur();
  keep = false;
  if (frame.in_async_callback_fn && frame.async_entry_cnt != cur.cur().async_entry_cnt) {
    return Match::kMiss;  // another run of the callback
  }
  if (v.aux[insn_idx].is_iter_next) {
    if (states_equal(v, old, cur, Exactness::kRangeWithin)) {
      const RegState& r1 = cur.cur().regs[1];
      const u32 spi = spi_of(static_cast<s64>(r1.const_value()));
      const RegState& iter = cur.frame[r1.frameno()]->stack[spi].spilled;
      if (iter.iter_state() == IterState::kActive) return Match::kHitLoop;
    }
    return Match::kMiss;
  }
  if (is_may_goto(v.insns[insn_idx])) {
    if (old.may_goto_depth != cur.may_goto_depth &&
        states_equal(v, old, cur, Exactness::kRangeWithin)) {
      return Match::kHitLoop;
    }
  }
  if (v.aux[insn_idx].calls_callback) {
    return states_equal(v, old, cur, Exactness::kRangeWithin) ? Match::kHitLoop : Match::kMiss;
  }
  if (maybe_looping(old, cur) && states_equal(v, old, cur, Exactness::kExact) &&
      !iter_depths_differ(old, cur) && old.may_goto_depth == cur.may_goto_depth &&
      old.callback_unroll_depth == cur.callback_unroll_depth) {
    if (planted(v, PlantedFault::kLoopEnds)) return Match::kHit;
    v.log_line(insn_idx, "; ");
    v.log("infinite loop detected at insn {}\n", insn_idx);
    v.log("cur state:");
    v.print_state(cur, cur.curframe, true);
    v.log("old state:");
    v.print_state(old, cur.curframe, true);
    return Match::kError;
  }
  return Match::kMiss;
}

int on_hit(Verifier& v, Explored& old, u32 insn_idx, bool loop) {
  old.hit_cnt++;
  if (v.aux[v.insn_idx].jmp_point) {
    if (int err = push_jmp_history(v, *v.state, 0, 0, 0, 0)) return err;
  }
  if (int err = propagate_precision(v, old, *v.state, nullptr)) return err;
  if (loop) {
    if (int err = add_backedge(v, old, insn_idx)) return err;
  }
  return 1;
}

}  // namespace

void free_backedges(Verifier& v, SccVisit& visit) {
  for (auto& edge : visit.backedges) v.pool.clear(edge->state);
  visit.backedges.clear();
}

Explored*& explored_head(Verifier& v, u32 insn_idx) {
  const u32 key = insn_idx ^ static_cast<u32>(v.state->cur().callsite);
  return v.explored[key % v.explored.size()];
}

int update_branch_counts(Verifier& v, VerifierState* st) {
  Explored* done = nullptr;
  while (st) {
    const u32 branches = --st->branches;
    if (branches) break;
    if (int err = exit_scc(v, *st)) return err;
    VerifierState* parent = st->parent;
    if (done) maybe_free(v, done);
    done = static_cast<Explored*>(parent);
    st = parent;
  }
  return 0;
}

int state_visited(Verifier& v, u32 insn_idx) {
  VerifierState& cur = *v.state;
  const bool force =
      v.test_state_freq || v.aux[insn_idx].force_checkpoint || cur.jmp_history.size() > 40;
  bool add_new = force || (v.jmps_processed - v.prev_jmps_processed >= 2 &&
                           v.insn_processed - v.prev_insn_processed >= 8);
  clean_state(v, cur);
  u32 states = 0;
  Explored*& head = explored_head(v, insn_idx);
  for (Explored *old = head, *next; old; old = next) {
    next = old->next;
    ++states;
    if (old->insn_idx != insn_idx) continue;
    if (old->branches) {
      bool keep = false;
      switch (match_open_state(v, *old, insn_idx, keep)) {
        case Match::kError:
          return -EINVAL;
        case Match::kHit:
        case Match::kHitLoop:
          return on_hit(v, *old, insn_idx, true);
        case Match::kMiss:
          // While a loop is unrolled, states of its turns only slow it down.
          if (!force && v.jmps_processed - v.prev_jmps_processed < 20 &&
              v.insn_processed - v.prev_insn_processed < 100) {
            add_new = false;
          }
      }
    } else {
      const bool loop = incomplete_read_marks(v, *old);
      const bool all_numbers = loop || (v.in.claims && v.in.claims->record);
      if (states_equal(v, *old, cur,
                       all_numbers ? Exactness::kRangeWithin : Exactness::kNotExact)) {
        return on_hit(v, *old, insn_idx, loop);
      }
    }
    if (add_new) old->miss_cnt++;
    const u32 n = v.aux[insn_idx].force_checkpoint && old->branches > 0 ? 64 : 3;
    if (old->miss_cnt > old->hit_cnt * n + n) {
      old->in_free_list = true;
      unlink(head, old);
      push_front(v.free_list, old);
      v.free_list_size++;
      v.explored_states--;
      maybe_free(v, old);
    }
  }
  v.max_states_per_insn = std::max(v.max_states_per_insn, states);
  constexpr u32 kUnprivilegedStates = 64;  // BPF_COMPLEXITY_LIMIT_STATES
  if (!v.bpf_capable && states > kUnprivilegedStates) return 0;
  if (!add_new) return 0;

  Explored* kept = v.pool.new_explored();
  v.total_states++;
  v.explored_states++;
  update_peak(v);
  v.prev_jmps_processed = v.jmps_processed;
  v.prev_insn_processed = v.insn_processed;
  if (v.bpf_capable) mark_scalars_imprecise(cur);
  clear_singular_ids(cur);
  v.pool.copy(*kept, cur);
  kept->insn_idx = insn_idx;
  enter_scc(v, *kept);
  cur.parent = kept;
  cur.first_insn_idx = insn_idx;
  cur.dfs_depth = kept->dfs_depth + 1;
  cur.jmp_history.clear();
  push_front(head, kept);
  return 0;
}

VerifierState* find_prev_entry(Verifier& v, const VerifierState& cur, u32 insn_idx) {
  auto same_callsites = [&](const VerifierState& a) {
    if (a.curframe != cur.curframe) return false;
    for (u32 f = 0; f <= a.curframe; ++f) {
      if (a.frame[f]->callsite != cur.frame[f]->callsite) return false;
    }
    return true;
  };
  for (Explored* st = explored_head(v, insn_idx); st; st = st->next) {
    if (st->insn_idx == insn_idx && st->branches && same_callsites(*st) &&
        st->dfs_depth < cur.dfs_depth) {
      return st;
    }
  }
  return nullptr;
}

void widen_imprecise_scalars(Verifier& v, const VerifierState& old, VerifierState& cur) {
  auto widen = [&](const RegState& a, RegState& b) {
    if (!a.is_scalar() || !b.is_scalar()) return;
    if (a.precise || b.precise || a.same_but_ids(b)) return;
    v.mark_unknown(b);
  };
  for (u32 f = 0; f <= old.curframe; ++f) {
    const FuncState& a = *old.frame[f];
    FuncState& b = *cur.frame[f];
    for (u32 r = 0; r < kNrRegs; ++r) widen(a.regs[r], b.regs[r]);
    const std::size_t n = std::min(a.stack.size(), b.stack.size());
    for (std::size_t i = 0; i < n; ++i) {
      if (a.stack[i].is_spill() && b.stack[i].is_spill()) {
        widen(a.stack[i].spilled, b.stack[i].spilled);
      }
    }
  }
}

}  // namespace uscx::bpf::verifier
