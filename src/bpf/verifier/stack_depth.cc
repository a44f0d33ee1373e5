// SPDX-License-Identifier: GPL-2.0-only
// The stacks of a chain of calls together, and what may not be in such a chain.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr s32 kPrivateStackMin = 64;      // BPF_PRIV_STACK_MIN_SIZE
constexpr s32 kTailCallStackLimit = 256;  // of the frames before

s32 rounded(s32 depth) {
  return (depth + 15) / 16 * 16;
}

/// Do functions with much stack get one of their own? Linux: bpf_enable_priv_stack.
bool private_stacks(const Verifier& v) {
  for (const Subprogram& sub : v.subprogs) {
    if (sub.has_tail_call) return false;
  }
  switch (v.prog.type) {
    case kProgKprobe:
    case kProgTracepoint:
    case kProgPerfEvent:
    case kProgRawTracepoint:
      return true;
    case kProgTracing:
      return v.prog.attach_type != kTraceIter || v.in.program.priv_stack_requested;
    case kProgLsm:
    case kProgStructOps:
      return v.in.program.priv_stack_requested;
    default:
      return false;
  }
}

/// One walk over the calls from a function that nothing calls. Linux:
/// check_max_stack_depth_subprog.
class DepthWalk {
 public:
  DepthWalk(Verifier& v, bool private_stacks) : v_(v), private_stacks_(private_stacks) {}

  int enter(u32 idx, u32 frame) {
    Subprogram& sub = v_.subprogs[idx];
    chain_.push_back(idx);
    if (!private_stacks_) sub.priv_stack = PrivStack::kNo;
    if (sub.has_ld_abs && in_callback()) {
      return v_.refuse(EINVAL, "cannot use BPF_LD_[ABS|IND] within callback\n");
    }
    if (idx && sub.has_tail_call && depth_ >= kTailCallStackLimit) {
      return v_.refuse(EACCES,
                       "tail_calls are not allowed when call stack of previous frames is {} "
                       "bytes. Too large\n",
                       depth_);
    }
    if (int err = add_stack(idx, sub)) return err;
    bool tail = idx ? sub.has_tail_call : false;
    for (u32 i = sub.start; i < v_.subprogs[idx + 1].start; ++i) {
      bool callee_tail = false;
      if (int err = visit(idx, i, frame, callee_tail)) return err;
      tail |= callee_tail;
    }
    if (int err = leave(idx, tail)) return err;
    if (sub.priv_stack != PrivStack::kAdaptive) depth_ -= rounded(sub.stack_depth);
    chain_.pop_back();
    return 0;
  }

 private:
  bool in_callback() const {
    return std::ranges::any_of(chain_, [&](u32 s) { return v_.subprogs[s].is_cb; });
  }

  int add_stack(u32 idx, Subprogram& sub) {
    const s32 own = rounded(sub.stack_depth);
    if (sub.stack_arg_cnt) {
      sub.priv_stack = PrivStack::kNo;
    } else if (private_stacks_ && sub.priv_stack == PrivStack::kUnknown &&
               own >= kPrivateStackMin) {
      sub.priv_stack = PrivStack::kAdaptive;
    }
    if (sub.priv_stack == PrivStack::kAdaptive) {
      note(own);
      if (own <= kMaxStack) return 0;
      return v_.refuse(EACCES, "stack size of subprog {} is {}. Too large\n", idx, own);
    }
    depth_ += own;
    note(depth_);
    if (depth_ <= kMaxStack) return 0;
    return v_.refuse(EACCES, "combined stack size of {} calls is {}. Too large\n", chain_.size(),
                     depth_);
  }

  void note(s32 depth) {
    v_.max_stack_depth = std::max(v_.max_stack_depth, static_cast<u32>(depth));
  }

  int visit(u32 idx, u32 i, u32 frame, bool& callee_tail) {
    const Insn& insn = v_.insns[i];
    if (is_kfunc_call(insn) && !insn.off) {
      const KfuncDesc* kfunc = v_.find_kfunc(insn);
      if (!kfunc || kfunc->special != SpecialKfunc::kThrow || !in_callback()) return 0;
      return v_.refuse(
          EINVAL, "bpf_throw kfunc (insn {}) cannot be called from callback subprog {}\n", i, idx);
    }
    if (!is_pseudo_call(insn) && !is_pseudo_func(insn)) return 0;
    const s32 found = v_.find_subprog(s64{i} + insn.imm + 1);
    if (found < 0) return v_.bug("callee not found at insn {}", s64{i} + insn.imm + 1);
    const u32 callee = static_cast<u32>(found);
    const Subprogram& sub = v_.subprogs[callee];
    if (sub.is_async_cb) {
      if (!is_pseudo_call(insn)) return 0;  // it starts with a stack of its own
      if (sub.is_exception_cb) {
        return v_.refuse(EINVAL, "insn {} cannot call exception cb directly", i);
      }
    }
    const u32 next = v_.is_global(callee) ? 0 : frame + 1;
    if (next >= kMaxFrames) {
      return v_.refuse(E2BIG, "the call stack of {} frames is too deep !\n", next);
    }
    if (int err = enter(callee, next)) return err;
    callee_tail = v_.subprogs[idx].tail_call_reachable;
    return 0;
  }

  int leave(u32 idx, bool tail) {
    constexpr std::string_view kStackArgs =
        "tail_calls are not allowed in programs with stack args\n";
    if (tail) {
      for (std::size_t i = chain_.size(); i-- > 0;) {
        Subprogram& sub = v_.subprogs[chain_[i]];
        if (sub.is_cb) return v_.refuse(EINVAL, "cannot tail call within callback\n");
        if (sub.stack_arg_cnt) return v_.refuse(EINVAL, "{}", kStackArgs);
        sub.tail_call_reachable = true;
      }
    } else if (!idx && v_.subprogs[0].has_tail_call && v_.subprogs[0].stack_arg_cnt) {
      return v_.refuse(EINVAL, "{}", kStackArgs);
    }
    return 0;
  }

  Verifier& v_;
  bool private_stacks_;
  s32 depth_ = 0;
  std::vector<u32> chain_ = {};
};

}  // namespace

int check_max_stack_depth(Verifier& v) {
  const bool own_stacks = private_stacks(v);
  for (u32 i = v.subprog_cnt; i-- > 0;) {
    if (i && !v.subprogs[i].is_async_cb) continue;
    DepthWalk walk(v, !i && own_stacks);
    if (int err = walk.enter(i, 0)) return err;
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
