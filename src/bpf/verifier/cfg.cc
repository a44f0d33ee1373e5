// SPDX-License-Identifier: GPL-2.0-only
// The control flow: every instruction can be reached, loops only where they are allowed, where the
// walk compares states, and which instructions form loops together.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

enum : u8 { kDiscovered = 0x10, kExplored = 0x20, kFallthrough = 1, kBranch = 2 };
enum Visit : int { kDone = 0, kMore = 1 };

/// A depth-first walk that notes, for each instruction, which of its ways were taken.
/// Linux: bpf_check_cfg.
class CfgWalk {
 public:
  explicit CfgWalk(Verifier& v) : v_(v), state_(v.len(), 0) {}

  int run() {
    start(0);
    if (int err = walk()) return err;
    if (v_.exception_callback) {
      const u32 callback = v_.subprogs[v_.exception_callback].start;
      if (state_[callback] != kExplored) {
        start(callback);
        if (int err = walk()) return err;
      }
    }
    return check_all_reached();
  }

 private:
  void start(u32 at) {
    state_[at] = kDiscovered;
    stack_.assign(1, at);
  }

  int walk() {
    while (!stack_.empty()) {
      const u32 t = stack_.back();
      const int visit = visit_insn(t);
      if (visit < 0) return visit;
      if (visit == kDone) {
        state_[t] = kExplored;
        stack_.pop_back();
      }
    }
    return 0;
  }

  int check_all_reached() {
    for (u32 i = 0; i < v_.len(); ++i) {
      if (state_[i] != kExplored) return v_.refuse(EINVAL, "unreachable insn {}\n", i);
      if (is_ld_imm64(v_.insns[i])) {
        if (state_[i + 1]) {
          return v_.refuse(EINVAL, "jump into the middle of ldimm64 insn {}\n", i);
        }
        ++i;
      }
    }
    return 0;
  }

  int push(u32 t, s64 w, u8 edge) {
    if (state_[t] >= (kDiscovered | edge)) return kDone;
    if (w < 0 || w >= v_.len()) {
      v_.log_line(t, fmt::format("{}: ", t));
      return v_.refuse(EINVAL, "jump out of range from insn {} to {}\n", t, w);
    }
    if (edge == kBranch) {
      v_.aux[w].prune_point = v_.aux[w].jmp_point = v_.aux[w].jump_target = true;
    }
    if (state_[w] == 0) {
      state_[t] = kDiscovered | edge;
      state_[w] = kDiscovered;
      stack_.push_back(static_cast<u32>(w));
      return kMore;
    }
    if ((state_[w] & 0xf0) == kDiscovered) {
      if (v_.bpf_capable) return kDone;
      v_.log_line(t, fmt::format("{}: ", t));
      v_.log_line(static_cast<u32>(w), fmt::format("{}: ", w));
      return v_.refuse(EINVAL, "back-edge from insn {} to {}\n", t, w);
    }
    state_[t] = kDiscovered | edge;
    return kDone;
  }

  int visit_call(u32 t, bool into_callee) {
    const Insn& insn = v_.insns[t];
    const u32 next = t + (is_ld_imm64(insn) ? 2 : 1);
    if (int visit = push(t, next, kFallthrough)) return visit;
    v_.aux[next].prune_point = v_.aux[next].jmp_point = true;
    if (!into_callee) return kDone;
    const s64 w = s64{t} + insn.imm + 1;
    v_.aux[t].prune_point = true;
    Subprogram& caller = v_.subprogs[v_.containing_subprog(t)];
    const Subprogram& callee = v_.subprogs[v_.containing_subprog(static_cast<u32>(w))];
    caller.changes_pkt_data |= callee.changes_pkt_data;
    caller.might_sleep |= callee.might_sleep;
    caller.might_throw |= callee.might_throw;
    return push(t, w, kBranch);
  }

  /// tail_call and LD_ABS may leave the function as well.
  void visit_abnormal_return(u32 t) {
    if (v_.aux[t].jump_table >= 0) return;
    const Subprogram& sub = v_.subprogs[v_.containing_subprog(t)];
    v_.aux[t].jump_table = static_cast<s32>(v_.jump_tables.size());
    v_.jump_tables.push_back({t + 1, sub.exit_idx});
  }

  int visit_gotox(u32 t) {
    if (v_.aux[t].jump_table < 0) {
      if (int err = make_jump_table(t)) return err;
    }
    v_.aux[t].prune_point = true;
    bool more = false;
    for (u32 w : v_.jump_tables[v_.aux[t].jump_table]) {
      if (w >= v_.len()) {
        return v_.refuse(EINVAL, "indirect jump out of range from insn {} to {}\n", t, w);
      }
      v_.aux[w].jmp_point = v_.aux[w].jump_target = true;
      if (state_[w]) continue;
      stack_.push_back(w);
      state_[w] |= kDiscovered;
      more = true;
    }
    return more ? kMore : kDone;
  }

  int make_jump_table(u32 t) {
    const u32 s = v_.containing_subprog(t);
    const u32 start = v_.subprogs[s].start;
    const u32 end = v_.subprogs[s + 1].start;
    std::vector<u32> all;
    for (const Map* map : v_.insn_array_maps) {
      std::vector<u32> one;
      if (int err = insn_array_targets(v_, *map, 0, map->spec().max_entries - 1, one)) return err;
      if (!one.empty() && one[0] >= start && one[0] < end) {
        all.insert(all.end(), one.begin(), one.end());
      }
    }
    if (all.empty()) {
      return v_.refuse(EINVAL, "no jump tables found for subprog starting at {}\n", start);
    }
    std::ranges::sort(all);
    all.erase(std::unique(all.begin(), all.end()), all.end());
    for (u32 w : all) {
      if (w < start || w >= end) {
        return v_.refuse(EINVAL, "jump table for insn {} points outside of the subprog [{},{}]\n",
                         t, start, end);
      }
    }
    v_.aux[t].jump_table = static_cast<s32>(v_.jump_tables.size());
    v_.jump_tables.push_back(std::move(all));
    return 0;
  }

  void note_call(u32 t) {
    const Insn& insn = v_.insns[t];
    InsnAux& aux = v_.aux[t];
    Subprogram& sub = v_.subprogs[v_.containing_subprog(t)];
    if (is_async_callback_call(v_, insn)) aux.prune_point = true;
    if (is_sync_callback_call(v_, insn)) {
      aux.calls_callback = aux.force_checkpoint = aux.prune_point = aux.jmp_point = true;
    }
    if (is_helper_call(insn)) {
      if (const HelperProto* proto = program_helper(v_, insn.imm)) {
        sub.might_sleep |= proto->might_sleep;
        sub.changes_pkt_data |= proto->changes_pkt_data;
      }
      if (insn.imm == kFnTailCall) visit_abnormal_return(t);
    } else if (const KfuncDesc* desc = v_.find_kfunc(insn); desc && desc->allowed) {
      if (desc->has(kKf_IterNext)) aux.prune_point = aux.force_checkpoint = true;
      sub.might_sleep |= desc->has(kKf_Sleepable);
      sub.changes_pkt_data |= desc->special == SpecialKfunc::kXdpPullData;
      sub.might_throw |= desc->special == SpecialKfunc::kThrow;
    }
  }

  int visit_insn(u32 t) {
    const Insn& insn = v_.insns[t];
    if (is_pseudo_func(insn)) return visit_call(t, true);
    if (!isa::is_jump_class(insn)) {
      if (isa::class_of(insn) == isa::kLd &&
          (isa::mode_of(insn) == isa::kAbs || isa::mode_of(insn) == isa::kInd)) {
        visit_abnormal_return(t);
      }
      return push(t, t + (is_ld_imm64(insn) ? 2 : 1), kFallthrough);
    }
    switch (isa::op_of(insn)) {
      case isa::kExit:
        return kDone;
      case isa::kCall:
        note_call(t);
        return visit_call(t, is_pseudo_call(insn));
      case isa::kJa: {
        if (insn.code == isa::kGotox) return visit_gotox(t);
        const s64 w = s64{t} + jump_offset(insn) + 1;
        if (int visit = push(t, w, kFallthrough)) return visit;
        v_.aux[w].prune_point = v_.aux[w].jmp_point = v_.aux[w].jump_target = true;
        return kDone;
      }
      default:
        v_.aux[t].prune_point = true;
        if (is_may_goto(insn)) v_.aux[t].force_checkpoint = true;
        if (int visit = push(t, t + 1, kFallthrough)) return visit;
        return push(t, s64{t} + insn.off + 1, kBranch);
    }
  }

  Verifier& v_;
  std::vector<u8> state_;
  std::vector<u32> stack_;
};

}  // namespace

std::span<const u32> Verifier::successors(u32 idx) {
  const InsnAux& a = aux[idx];
  if (a.jump_table >= 0) return jump_tables[a.jump_table];
  const Insn& insn = insns[idx];
  u32 n = 0;
  bool falls = true;
  bool jumps = false;
  if (isa::is_jump_class(insn)) {
    const u8 op = isa::op_of(insn);
    falls = op != isa::kExit && op != isa::kJa;
    jumps = op != isa::kExit && op != isa::kCall;
  }
  if (falls) succ_buf[n++] = idx + (is_ld_imm64(insn) ? 2 : 1);
  if (jumps) succ_buf[n++] = static_cast<u32>(s64{idx} + jump_offset(insn) + 1);
  return {succ_buf.data(), n};
}

int check_cfg(Verifier& v) {
  return CfgWalk(v).run();
}

int compute_postorder(Verifier& v) {
  v.postorder.clear();
  std::vector<u8> state(v.len(), 0);
  std::vector<u32> stack;
  for (u32 s = 0; s < v.subprog_cnt; ++s) {
    v.subprogs[s].postorder_start = static_cast<u32>(v.postorder.size());
    stack.assign(1, v.subprogs[s].start);
    while (!stack.empty()) {
      const u32 top = stack.back();
      state[top] |= kDiscovered;
      if (state[top] & kExplored) {
        v.postorder.push_back(top);
        stack.pop_back();
        continue;
      }
      for (u32 next : v.successors(top)) {
        if (next >= v.len() || state[next]) continue;
        stack.push_back(next);
        state[next] |= kDiscovered;
      }
      state[top] |= kExplored;
    }
  }
  v.subprogs[v.subprog_cnt].postorder_start = static_cast<u32>(v.postorder.size());
  return 0;
}

/// Tarjan's algorithm, without recursion; only components that are loops get a number.
int compute_scc(Verifier& v) {
  constexpr u32 kNotOnStack = ~0u;
  const u32 n = v.len();
  std::vector<u32> stack, dfs;
  std::vector<u32> pre(n, 0), low(n, 0);
  u32 next_pre = 1;
  u32 next_scc = 1;
  for (u32 root = 0; root < n; ++root) {
    if (pre[root]) continue;
    dfs.assign(1, root);
    while (!dfs.empty()) {
      const u32 w = dfs.back();
      if (!pre[w]) {
        low[w] = pre[w] = next_pre++;
        stack.push_back(w);
      }
      const auto succ = v.successors(w);
      bool deeper = false;
      for (u32 s : succ) {
        if (s >= n) continue;
        if (pre[s]) {
          low[w] = std::min(low[w], low[s]);
        } else {
          dfs.push_back(s);
          deeper = true;
          break;
        }
      }
      if (deeper) continue;
      if (low[w] < pre[w]) {
        dfs.pop_back();
        continue;
      }
      const bool is_loop =
          stack.back() != w || std::ranges::find(succ, w) != succ.end() || v.aux[w].calls_callback;
      u32 t;
      do {
        t = stack.back();
        stack.pop_back();
        low[t] = kNotOnStack;
        if (is_loop) v.aux[t].scc = next_scc;
      } while (t != w);
      if (is_loop) ++next_scc;
      dfs.pop_back();
    }
  }
  v.scc_cnt = next_scc;
  v.scc_visits.resize(next_scc);
  return 0;
}

}  // namespace uscx::bpf::verifier
