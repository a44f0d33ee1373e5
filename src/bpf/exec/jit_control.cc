// SPDX-License-Identifier: GPL-2.0-only
// Jumps and calls. A basic block counts its instructions as it ends (count_block), before the jump
// or call that ends it; who leaves one in the middle counts what was executed.
#if defined(__x86_64__)
#include "base/assert.h"
#include "bpf/exec/jit_translator.h"

namespace uscx::bpf::jit {

void Translator::far_call(u64 target) {
  a_.mov(kScratch, target);
  a_.call(kScratch);
}

void Translator::far_jump(u64 target) {
  a_.mov(kScratch, target);
  a_.jmp(kScratch);
}

/// For instructions that end their block: all of it was executed.
void Translator::abandon_at(u32 index, u64 stub) {
  a_.mov(kScratch, frame_slot(kSlotRun));
  a_.mov(USCX_RUN(kScratch, call_insn), index);
  far_jump(stub);
}

void Translator::compare(OpCode base, u32 form, const Op& op) {
  const bool from_register = form & 1;
  const bool wide = !(form & 2);
  const x86::Gp dst = reg(op.dst, wide);
  const x86::Gp src = reg(from_register ? op.src : 0, wide);
  const s32 imm = static_cast<s32>(op.imm);
  if (base == OpCode::k_jset64k) {
    from_register ? a_.test(dst, src) : a_.test(dst, imm);
  } else if (from_register) {
    a_.cmp(dst, src);
  } else if (imm == 0) {
    a_.test(dst, dst);  // unsigned comparisons with 0 need no carry either: test
                        // clears it
  } else {
    a_.cmp(dst, imm);
  }
}

namespace {

x86::CondCode condition(OpCode base) {
  switch (base) {
    case OpCode::k_jeq64k:
      return x86::CondCode::kE;
    case OpCode::k_jne64k:
    case OpCode::k_jset64k:
      return x86::CondCode::kNE;
    case OpCode::k_jgt64k:
      return x86::CondCode::kA;
    case OpCode::k_jge64k:
      return x86::CondCode::kAE;
    case OpCode::k_jlt64k:
      return x86::CondCode::kB;
    case OpCode::k_jle64k:
      return x86::CondCode::kBE;
    case OpCode::k_jsgt64k:
      return x86::CondCode::kG;
    case OpCode::k_jsge64k:
      return x86::CondCode::kGE;
    case OpCode::k_jslt64k:
      return x86::CondCode::kL;
    default:
      USCX_ASSERT(base == OpCode::k_jsle64k);
      return x86::CondCode::kLE;
  }
}

}  // namespace

void Translator::branch(u32 index, OpCode base, u32 form, const Op& op) {
  const asmjit::Label target = labels_[index + static_cast<u32>(op.off)];
  if (op.off <= 0 && !decoded_.bounded) {
    // A run that is too long ends at a backward jump that is taken; proof.h: not where loops end by
    // themselves. The flags are count_block()'s.
    const asmjit::Label long_run = a_.newLabel();
    const asmjit::Label next = labels_[index + 1];
    a_.js(long_run);
    later([=, this] {
      a_.bind(long_run);
      compare(base, form, op);
      a_.j(x86::negateCond(condition(base)), next);
      abandon_at(index, stubs_.abandon_long);
    });
  }
  compare(base, form, op);
  a_.j(condition(base), target);
}

void Translator::jump(u32 index, const Op& op) {
  if (op.off <= 0 && !decoded_.bounded) {
    const asmjit::Label long_run = a_.newLabel();
    a_.js(long_run);
    later([=, this] {
      a_.bind(long_run);
      abandon_at(index, stubs_.abandon_long);
    });
  }
  if (op.off != 1) a_.jmp(labels_[index + static_cast<u32>(op.off)]);
}

void Translator::may_goto(u32 index, const Op& op) {
  const asmjit::Label target = labels_[index + static_cast<u32>(op.off)];
  const asmjit::Label out = a_.newLabel();
  a_.mov(kScratch, frame_slot(kSlotRun));
  a_.cmp(frame_slot(kSlotMayGoto), 0);
  a_.je(out);
  a_.cmp(kLeft, USCX_RUN(kScratch, half_left));
  a_.jl(out);
  a_.dec(frame_slot(kSlotMayGoto));
  later([=, this] {
    a_.bind(out);
    a_.inc(USCX_RUN(kScratch, may_goto_timeouts));
    a_.test(kLeft, kLeft);
    a_.jns(target);
    abandon_at(index, stubs_.abandon_long);
  });
}

void Translator::call_local(u32 index, const Op& op) {
  const asmjit::Label deep = a_.newLabel();
  const asmjit::Label long_run = a_.newLabel();
  a_.mov(kScratch, frame_slot(kSlotRun));
  a_.mov(kAddress, frame_slot(kSlotStack));
  a_.cmp(USCX_RUN(kScratch, depth), kMaxFrames);
  a_.jae(deep);
  a_.test(kLeft, kLeft);
  a_.js(long_run);
  later([=, this] {
    a_.bind(deep);
    abandon_at(index, stubs_.abandon_deep);
    a_.bind(long_run);
    abandon_at(index, stubs_.abandon_long);
  });
  a_.inc(USCX_RUN(kScratch, depth));
  for (u8 r = 6; r < 10; r++) a_.push(reg(r));
  a_.push(static_cast<s32>(kMaxMayGoto));
  a_.push(kAddress);
  a_.push(kScratch);
  static_assert((4 + kNrSlots + 1) % 2 == 0);  // with the return address: a multiple of 16
  a_.sub(kFrame, kStackSize);
  a_.call(labels_[index + static_cast<u32>(op.off)]);
  a_.add(kFrame, kStackSize);
  a_.pop(kScratch);
  a_.add(x86::rsp, 16);
  for (u8 r = 10; r-- > 6;) a_.pop(reg(r));
  a_.dec(USCX_RUN(kScratch, depth));
}

/// Calls C: `thunk` calls the record of a helper or kfunc that is `callee`.
void Translator::call_out(u32 index, const void* thunk, u64 callee) {
  a_.mov(x86::rax, callee);
  call_out(index, thunk, x86::rax);
}

void Translator::call_out(u32 index, const void* thunk, const x86::Gp& callee) {
  a_.mov(kScratch, frame_slot(kSlotRun));
  a_.mov(USCX_RUN(kScratch, call_insn), index);
  a_.mov(USCX_RUN(kScratch, left), kLeft);
  a_.mov(USCX_RUN(kScratch, callee), callee);
  a_.mov(x86::r9, kScratch);
  a_.mov(x86::rax, reinterpret_cast<u64>(thunk));
  a_.call(x86::rax);
  a_.mov(kScratch, frame_slot(kSlotRun));
  const asmjit::Label stopped = a_.newLabel();
  a_.cmp(USCX_RUN(kScratch, stopped), 0);
  a_.mov(kLeft, USCX_RUN(kScratch, left));
  a_.jne(stopped);
  later([=, this] {
    a_.bind(stopped);
    far_jump(stubs_.unwind);
  });
  check_length(index);
  clear_arguments();
}

/// Ends a run that is too long.
void Translator::check_length(u32 index) {
  const asmjit::Label long_run = a_.newLabel();
  a_.test(kLeft, kLeft);
  a_.js(long_run);
  later([=, this] {
    a_.bind(long_run);
    abandon_at(index, stubs_.abandon_long);
  });
}

const void* Translator::thunk_of(const Kfunc& kfunc) const {
  auto* thunk = &uscx_jit_call_kfunc;
  if (proof_) thunk = kfunc.plain() ? &uscx_jit_call_plain_kfunc : &uscx_jit_call_proven_kfunc;
  return reinterpret_cast<const void*>(thunk);
}

/// As the interpreter does after calls (USCX_CALL).
void Translator::clear_arguments() {
  for (u8 r = 1; r <= 5; r++) a_.xor_(reg(r).r32(), reg(r).r32());
}

void Translator::call_helper(u32 index, const Op& op) {
  constexpr u32 kMapLookup = 1;  // BPF_FUNC_map_lookup_elem
  const Map* map =
      reinterpret_cast<const Helper*>(op.imm)->id == kMapLookup ? known_map(1) : nullptr;
  if (map) return lookup(index, op, *map);
  call_out(index, reinterpret_cast<const void*>(&uscx_jit_call_helper), op.imm);
}

/// The program's map whose address the register is known to hold.
const Map* Translator::known_map(u8 r) const {
  if (known_[r].kind != Known::kNumber) return nullptr;
  for (const auto& map : program_.maps) {
    if (map->address() == static_cast<u64>(known_[r].value)) return map.get();
  }
  return nullptr;
}

/// A lookup without the way through the table of maps: inline in an array, else a direct call.
void Translator::lookup(u32 index, const Op& op, const Map& map) {
  const auto layout = map.array_layout();
  if (!layout) {
    a_.mov(x86::rdi, reinterpret_cast<u64>(&map));
    return call_out(index, reinterpret_cast<const void*>(&uscx_jit_map_lookup), op.imm);
  }
  const asmjit::Label elsewhere = a_.newLabel();
  const asmjit::Label done = a_.newLabel();
  x86::Mem key = x86::dword_ptr(reg(2));
  const Known known = known_[2];
  // proof.h: a call reaches a helper with arguments that its prototype allows, so the key is there.
  const bool readable = proof_ || (known.kind == Known::kStack && known.value >= -s64{kStackSize} &&
                                   known.value + 4 <= 0);
  if (!readable) check_stack(reg(2), 4, elsewhere);
  a_.mov(kScratch.r32(), key);
  a_.xor_(x86::eax, x86::eax);
  a_.cmp(kScratch.r32(), static_cast<s32>(layout->max_entries));
  a_.jae(done);
  a_.imul(kScratch, kScratch, static_cast<s32>(layout->stride));
  a_.mov(x86::rax, layout->base);
  a_.add(x86::rax, kScratch);
  a_.bind(done);
  check_length(index);
  clear_arguments();
  if (readable) return;
  const asmjit::Label next = a_.newLabel();
  a_.bind(next);
  later([=, this, callee = op.imm] {
    a_.bind(elsewhere);
    call_out(index, reinterpret_cast<const void*>(&uscx_jit_call_helper), callee);
    a_.jmp(next);
  });
}

void Translator::call_register(u32 index, const Op& op) {
  call_out(index, reinterpret_cast<const void*>(&uscx_jit_call_register), reg(op.dst));
}

}  // namespace uscx::bpf::jit
#endif
