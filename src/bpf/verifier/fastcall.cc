// SPDX-License-Identifier: GPL-2.0-only
// Calls that leave registers alone (bpf_fastcall): compilers save registers around them only for
// kernels that do not know. Our engines do clobber them, so the saves stay; what Linux says of the
// stack is said without them.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr u8 kSpill = isa::kStx | isa::kMem | isa::kDw;
constexpr u8 kFill = isa::kLdx | isa::kMem | isa::kDw;

/// Linux: mark_fastcall_pattern_for_call.
void mark_call(Verifier& v, Subprogram& sub, u32 call, s32 lowest) {
  const auto summary = call_summary(v, v.insns[call]);
  if (!summary) return;
  constexpr u32 kAllSaved = 0x3f;
  const u32 clobbered = (2u << summary->num_params) - (summary->is_void ? 2u : 1u);
  u32 expected = ~clobbered & kAllSaved;
  s32 off = lowest;
  u32 i = 1;
  for (; i <= kCallerSaved.size(); ++i, off += kSlotSize) {
    if (call < i || call + i >= v.len()) break;
    if (v.aux[call - i + 1].jump_target || v.aux[call + i].jump_target) break;
    const Insn& spill = v.insns[call - i];
    const Insn& fill = v.insns[call + i];
    if (spill.code != kSpill || fill.code != kFill || spill.dst != kFp || fill.src != kFp) break;
    if (spill.src != fill.dst || !(expected >> spill.src & 1)) break;
    if (spill.off != off || fill.off != off) break;
    expected &= ~(1u << spill.src);
    v.aux[call - i].fastcall_pattern = 1;
    v.aux[call + i].fastcall_pattern = 1;
  }
  if (i == 1) return;
  if (summary->fastcall)
    v.aux[call].fastcall_spills_num = static_cast<u8>(i - 1);
  else
    sub.keep_fastcall_stack = true;
  sub.fastcall_stack_off = std::min(sub.fastcall_stack_off, off);
}

}  // namespace

int mark_fastcall_patterns(Verifier& v) {
  for (u32 s = 0; s < v.subprog_cnt; ++s) {
    Subprogram& sub = v.subprogs[s];
    const u32 end = v.subprogs[s + 1].start;
    s32 lowest = 0;
    for (u32 i = sub.start; i < end; ++i) {
      const Insn& insn = v.insns[i];
      if (insn.code == kSpill && insn.dst == kFp) lowest = std::min<s32>(lowest, insn.off);
    }
    for (u32 i = sub.start; i < end; ++i) {
      if (isa::is_call(v.insns[i])) mark_call(v, sub, i, lowest);
    }
  }
  return 0;
}

int remove_fastcall_spills(Verifier& v) {
  for (u32 s = 0; s < v.subprog_cnt; ++s) {
    Subprogram& sub = v.subprogs[s];
    bool any = false;
    for (u32 i = sub.start; i < v.subprogs[s + 1].start; ++i) {
      any |= v.aux[i].fastcall_spills_num != 0;
    }
    if (any && !sub.keep_fastcall_stack) sub.stack_depth = -sub.fastcall_stack_off;
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
