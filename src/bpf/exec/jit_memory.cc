// SPDX-License-Identifier: GPL-2.0-only
// Loads, stores and atomic operations. An access that nothing proves is checked as the interpreter
// checks it: the run's own stack at once, any other extent out of line. One that is proven is a
// plain instruction; what is proven is written in verifier/proof.h.
#if defined(__x86_64__)
#include <bit>

#include "base/assert.h"
#include "bpf/exec/jit_translator.h"
#include "bpf/maps/arena.h"
#include "bpf/verifier/proof.h"

namespace uscx::bpf::jit {

std::optional<x86::Mem> Translator::proven(u32 index, u8 base, s32 off, u32 bytes) const {
  // verifier/proof.h: Memory::kStack, kMapValue, kContext and kInBounds.
  if (proof_ && verifier::proven(proof_->insns[index].memory)) {
    return x86::ptr(reg(base), off, bytes);
  }
  // Distance from R10, of which kStackSize bytes below are the frame's own.
  const Known known = base == 10 ? Known{Known::kStack, 0} : known_[base];
  if (known.kind == Known::kStack) {
    const s64 at = known.value + off;
    if (at >= -s64{kStackSize} && at + s64{bytes} <= 0) return x86::ptr(reg(base), off, bytes);
  }
  return std::nullopt;
}

void Translator::address(u8 base, s32 off) {
  if (off) {
    a_.lea(kAddress, x86::ptr(reg(base), off));
  } else {
    a_.mov(kAddress, reg(base));
  }
}

void Translator::emit_load(u8 dst, x86::Mem at, u32 bytes, bool sign) {
  at.setSize(bytes);
  if (bytes == 8) {
    a_.mov(reg(dst), at);
  } else if (bytes == 4) {
    sign ? a_.movsxd(reg(dst), at) : a_.mov(reg(dst).r32(), at);
  } else {
    sign ? a_.movsx(reg(dst), at) : a_.movzx(reg(dst).r32(), at);
  }
}

void Translator::load(u32 index, const Op& op, u32 bytes, bool sign) {
  if (auto at = proven(index, op.src, op.off, bytes)) return emit_load(op.dst, *at, bytes, sign);
  if (arena_) {
    return arena_access(index, op.src, op.off, bytes, op.dst, false,
                        [=, this](const x86::Mem& at) { emit_load(op.dst, at, bytes, sign); });
  }
  const asmjit::Label elsewhere = a_.newLabel();
  const asmjit::Label good = a_.newLabel();
  const asmjit::Label done = a_.newLabel();
  address(op.src, op.off);
  check_stack(kAddress, bytes, elsewhere);
  a_.bind(good);
  emit_load(op.dst, x86::ptr(kAddress), bytes, sign);
  a_.bind(done);
  later([=, this, dst = op.dst, executed = executed_] {
    a_.bind(elsewhere);
    far_call(stubs_.check_load[std::countr_zero(bytes)]);
    a_.jz(good);
    refuse_load(index, dst, bytes, executed, done);
  });
}

void Translator::check_stack(const x86::Gp& at, u32 bytes, const asmjit::Label& elsewhere) {
  a_.mov(kScratch, at);
  a_.sub(kScratch, frame_slot(kSlotStack));
  a_.cmp(kScratch, kStackBlock - bytes);
  a_.ja(elsewhere);
}

/// With the address in r11: goes on where the program may write there.
void Translator::check_store(u32 index, u32 bytes) {
  const asmjit::Label elsewhere = a_.newLabel();
  const asmjit::Label good = a_.newLabel();
  check_stack(kAddress, bytes, elsewhere);
  a_.bind(good);
  later([=, this, executed = executed_] {
    a_.bind(elsewhere);
    far_call(stubs_.check_store[std::countr_zero(bytes)]);
    a_.jz(good);
    refuse(stubs_.abandon_store, index, bytes, executed);
  });
}

/// A load of nothing gives 0. It ends the run where the verifier had proven it.
void Translator::refuse_load(u32 index, u8 dst, u32 bytes, u32 executed,
                             const asmjit::Label& done) {
  if (program_.proof && verifier::proven(program_.proof->insns[index].memory)) {
    return refuse(stubs_.abandon_load, index, bytes, executed);
  }
  a_.xor_(reg(dst).r32(), reg(dst).r32());
  a_.jmp(done);
}

/// Ends the run: r11 has the address; `executed` instructions of the block are to be counted.
void Translator::refuse(u64 stub, u32 index, u32 bytes, u32 executed) {
  a_.sub(kLeft, executed);
  a_.mov(kScratch, frame_slot(kSlotRun));
  a_.mov(USCX_RUN(kScratch, call_insn), index);
  a_.mov(kScratch.r32(), bytes);
  // r10 has the bytes, so the jump needs another register; R0 is lost, as the run is.
  a_.mov(x86::rax, stub);
  a_.jmp(x86::rax);
}

void Translator::store(u32 index, const Op& op, u32 bytes, bool from_register) {
  if (auto at = proven(index, op.dst, op.off, bytes)) {
    emit_store(*at, op, bytes, from_register);
  } else if (arena_) {
    arena_access(index, op.dst, op.off, bytes, Fault::kNoRegister, true,
                 [=, this](const x86::Mem& where) { emit_store(where, op, bytes, from_register); });
  } else {
    address(op.dst, op.off);
    check_store(index, bytes);
    emit_store(x86::ptr(kAddress), op, bytes, from_register);
  }
}

void Translator::emit_store(x86::Mem at, const Op& op, u32 bytes, bool from_register) {
  at.setSize(bytes);
  if (!from_register) {
    a_.mov(at, static_cast<s32>(op.imm));
    return;
  }
  const x86::Gp src = reg(op.src);
  switch (bytes) {
    case 1:
      a_.mov(at, src.r8());
      break;
    case 2:
      a_.mov(at, src.r16());
      break;
    case 4:
      a_.mov(at, src.r32());
      break;
    default:
      a_.mov(at, src);
  }
}

void Translator::atomic(u32 index, const Op& op, u32 bytes) {
  const bool safe = proven(index, op.dst, op.off, bytes).has_value();
  if (!safe && arena_) {
    const u8 fetched = !(op.imm & 1) ? Fault::kNoRegister : op.imm == 0xf1 ? u8{0} : op.src;
    return arena_access(index, op.dst, op.off, bytes, fetched, true,
                        [=, this](const x86::Mem& at) {
                          // The scratch registers are needed for what was there.
                          a_.lea(kAddress, at);
                          atomic_operation(x86::ptr(kAddress, 0, bytes), op, bytes == 8);
                        });
  }
  address(op.dst, op.off);
  if (!safe) check_store(index, bytes);
  atomic_operation(x86::ptr(kAddress, 0, bytes), op, bytes == 8);
}

/// What `emit` emits may fault, and then goes on at `resume`.
void Translator::may_fault(Fault fault, const asmjit::Label& resume,
                           const std::function<void()>& emit) {
  fault.begin = static_cast<u32>(a_.offset());
  emit();
  fault.end = static_cast<u32>(a_.offset());
  faults_.push_back({fault, resume});
}

/// An address below 4 GiB (and beside it, as far as an offset reaches) is the arena's: the window
/// is far away. So is every access through a register whose upper half is zero, which is what a
/// cast leaves: this holds whatever the verifier said. Others are looked at, and checked as in
/// other programs where they are not the arena's.
void Translator::arena_access(u32 index, u8 base, s32 off, u32 bytes, u8 zeroed, bool store,
                              const std::function<void(const x86::Mem&)>& emit) {
  const asmjit::Label done = a_.newLabel();
  if (is_short(base)) {
    may_fault({.zeroed = zeroed, .store = store, .base = base, .off = off}, done,
              [&] { emit(x86::ptr(kArena, reg(base), 0, off, bytes)); });
    a_.bind(done);
    return;
  }
  constexpr s32 kGuard = static_cast<s32>(ArenaMap::kGuard);
  const asmjit::Label elsewhere = a_.newLabel();
  const asmjit::Label in_arena = a_.newLabel();
  address(base, off);
  a_.lea(kScratch, x86::ptr(kAddress, kGuard));
  a_.shr(kScratch, 32);
  a_.jnz(elsewhere);
  a_.bind(in_arena);
  may_fault({.zeroed = zeroed, .store = store}, done,
            [&] { emit(x86::ptr(kArena, kAddress, 0, 0, bytes)); });
  a_.bind(done);
  later([=, this, executed = executed_] {
    const asmjit::Label good = a_.newLabel();
    const asmjit::Label check = a_.newLabel();
    a_.bind(elsewhere);
    a_.lea(kScratch, x86::ptr(kAddress, kGuard));
    a_.shr(kScratch, 16);
    a_.cmp(kScratch, static_cast<s32>(((u64{1} << 32) + 2 * ArenaMap::kGuard) >> 16));
    a_.jb(in_arena);
    check_stack(kAddress, bytes, check);
    a_.bind(good);
    emit(x86::ptr(kAddress, 0, bytes));
    a_.jmp(done);
    a_.bind(check);
    far_call(store ? stubs_.check_store[std::countr_zero(bytes)]
                   : stubs_.check_load[std::countr_zero(bytes)]);
    a_.jz(good);
    if (store) {
      refuse(stubs_.abandon_store, index, bytes, executed);
    } else {
      refuse_load(index, zeroed, bytes, executed, done);
    }
  });
}

/// A Kernel runs on one thread, so nothing is locked: what one instruction, or two, do cannot be
/// seen in between.
void Translator::atomic_operation(const x86::Mem& at, const Op& op, bool wide) {
  const x86::Gp src = reg(op.src, wide);
  const x86::Gp old = wide ? kScratch : kScratch.r32();
  const bool fetch = op.imm & 1;
  switch (op.imm) {
    case 0x00:
      a_.add(at, src);
      return;
    case 0x01:
      a_.xadd(at, src);
      return;
    case 0xf1:
      a_.cmpxchg(at, src);
      if (!wide) a_.mov(x86::eax, x86::eax);  // eax is not written where they were equal
      return;
    default:
      break;
  }
  if (fetch) a_.mov(old, at);
  switch (op.imm & 0xf0) {
    case 0x40:
      a_.or_(at, src);
      break;
    case 0x50:
      a_.and_(at, src);
      break;
    case 0xa0:
      a_.xor_(at, src);
      break;
    default:
      USCX_ASSERT(op.imm == 0xe1);
      a_.mov(at, src);
  }
  if (fetch) a_.mov(src, old);
}

}  // namespace uscx::bpf::jit
#endif
