// SPDX-License-Identifier: GPL-2.0-only
// Tail calls, loads from a packet and indirect jumps, as leave.cc has them.
#if defined(__x86_64__)
#include <algorithm>

#include "bpf/exec/jit_translator.h"
#include "bpf/exec/jump_target.h"

namespace uscx::bpf::jit {

/// Ends the function, with what was called out to gave, where that says so.
void Translator::may_leave() {
  const asmjit::Label stay = a_.newLabel();
  a_.mov(kScratch, frame_slot(kSlotRun));
  a_.cmp(USCX_RUN(kScratch, leave), 0);
  a_.je(stay);
  a_.mov(USCX_RUN(kScratch, leave), 0);
  a_.ret();
  a_.bind(stay);
}

void Translator::tail_call(u32 index) {
  call_out(index, reinterpret_cast<const void*>(&uscx_jit_tail_call), x86::rax);
  may_leave();
}

void Translator::load_packet(u32 index, const Op& op) {
  a_.mov(kScratch, op.imm);
  if (op.off) a_.add(kScratch, reg(op.src));
  a_.mov(reg(1), reg(6));
  a_.mov(reg(2), kScratch);
  a_.mov(reg(3).r32(), op.dst);
  call_out(index, reinterpret_cast<const void*>(&uscx_jit_load_packet), x86::rax);
  may_leave();
}

void Translator::jump_indirect(u32 index, const Op& op) {
  if (!jump_table_) jump_table_ = a_.newLabel();
  const asmjit::Label bad = a_.newLabel();
  a_.mov(kAddress, reg(op.dst));
  a_.shr(kAddress, 32);
  a_.cmp(kAddress.r32(), static_cast<s32>(kJumpTag >> 32));
  a_.jne(bad);
  a_.mov(kScratch.r32(), reg(op.dst).r32());
  a_.cmp(kScratch.r32(), static_cast<s32>(decoded_.ops.size()));
  a_.jae(bad);
  a_.lea(kAddress, x86::ptr(*jump_table_));
  a_.movsxd(kScratch, x86::dword_ptr(kAddress, kScratch, 2));
  a_.test(kScratch, kScratch);
  a_.jz(bad);
  if (!decoded_.bounded) check_length(index);
  a_.add(kScratch, kAddress);
  a_.jmp(kScratch);
  later([=, this] {
    a_.bind(bad);
    abandon_at(index, stubs_.abandon_jump);
  });
}

/// By instruction, the distance from the table to its code; 0 of those that are no target.
void Translator::emit_jump_table() {
  if (!jump_table_) return;
  a_.align(asmjit::AlignMode::kData, 4);
  a_.bind(*jump_table_);
  for (u32 i = 0; i < decoded_.ops.size(); i++) {
    if (std::ranges::binary_search(decoded_.jump_targets, i)) {
      a_.embedLabelDelta(labels_[i], *jump_table_, 4);
    } else {
      a_.embedUInt32(0);
    }
  }
}

}  // namespace uscx::bpf::jit
#endif
