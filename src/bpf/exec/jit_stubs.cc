// SPDX-License-Identifier: GPL-2.0-only
// Machine code that all programs share: the way in and out, and the check of an access.
#if defined(__x86_64__)
#include "bpf/exec/jit_translator.h"

namespace uscx::bpf::jit {

namespace {

constexpr x86::Gp kSaved[] = {x86::rbp, x86::rbx, x86::r12, x86::r13, x86::r14, x86::r15};
constexpr x86::Gp kCallerSaved[] = {x86::rax, x86::rdi, x86::rsi, x86::rdx,
                                    x86::rcx, x86::r8,  x86::r9,  x86::r11};

x86::Mem field(x86::Gp base, std::size_t offset, u32 size) {
  return x86::ptr(base, static_cast<s32>(offset), size);
}

struct StubEmitter {
  x86::Assembler& a;
  Stubs stubs = {};
  asmjit::Label leave = a.newLabel();
  asmjit::Label unwind = a.newLabel();

  u64 here() const { return a.offset(); }
  void call(const void* function) {
    a.mov(x86::rax, reinterpret_cast<u64>(function));
    a.call(x86::rax);
  }

  void enter() {
    stubs.enter = reinterpret_cast<decltype(stubs.enter)>(here());
    for (const x86::Gp& r : kSaved) a.push(r);  // rsp is 8 off a multiple of 16
    a.push(x86::rax);
    a.push(static_cast<s32>(kMaxMayGoto));
    a.push(USCX_RUN(x86::rdi, stack));
    a.push(x86::rdi);
    a.mov(kFrame, x86::rdx);
    a.mov(kAddress, x86::rcx);
    a.mov(USCX_RUN(x86::rdi, unwind_sp), x86::rsp);
    a.mov(kLeft, USCX_RUN(x86::rdi, left));
    a.mov(kArena, USCX_RUN(x86::rdi, arena_base));
    a.mov(kScratch, x86::rsi);
    for (u32 i = 0; i < 5; i++) a.mov(kRegisters[1 + i], x86::qword_ptr(kScratch, 8 * i));
    for (u8 r : {0, 6, 7, 8, 9}) a.xor_(kRegisters[r].r32(), kRegisters[r].r32());
    a.call(kAddress);
    a.bind(leave);
    a.pop(kScratch);
    a.mov(USCX_RUN(kScratch, left), kLeft);
    a.add(x86::rsp, 8 * kNrSlots);  // the other slots, and what fills up
    for (u32 i = 6; i-- > 0;) a.pop(kSaved[i]);
    a.ret();
  }

  /// The host stack is a body's, and becomes as enter() left it: abandons with what `function`
  /// says.
  u64 abandon(const void* function) {
    const u64 at = here();
    a.mov(x86::rdi, frame_slot(kSlotRun));
    a.mov(USCX_RUN(x86::rdi, left), kLeft);
    a.mov(x86::rsp, USCX_RUN(x86::rdi, unwind_sp));
    a.mov(x86::rsi, kAddress);
    a.mov(x86::rdx, kScratch);
    a.mov(x86::rbx, x86::rdi);
    a.sub(x86::rsp, 8);
    call(function);
    a.jmp(unwind);
    return at;
  }

  void unwinding() {
    stubs.unwind = here();
    a.mov(x86::rbx, frame_slot(kSlotRun));
    a.bind(unwind);
    a.mov(x86::rsp, USCX_RUN(x86::rbx, unwind_sp));
    a.mov(kLeft, USCX_RUN(x86::rbx, left));
    a.xor_(x86::eax, x86::eax);
    a.jmp(leave);
  }

  /// AddressWindow::find and Extent::contains (may_write), instruction for instruction.
  u64 check(u32 bytes, bool store) {
    const u64 at = here();
    const asmjit::Label refuse = a.newLabel();
    const asmjit::Label ask = a.newLabel();
    constexpr s32 kPushed = 24;  // with the return address
    a.push(x86::rax);
    a.push(x86::rdx);
    a.mov(kScratch, AddressWindow::kBase);
    a.mov(x86::rax, kAddress);
    a.sub(x86::rax, kScratch);
    a.mov(x86::rdx, x86::rax);
    a.shr(x86::rdx, Span::kShift);
    a.cmp(x86::rdx, AddressWindow::kSize >> Span::kShift);
    a.jae(refuse);
    static_assert(sizeof(Span) == 16 && sizeof(Extent) == 24);
    a.shl(x86::rdx, 4);
    a.mov(kScratch, frame_slot(kSlotRun, kPushed));
    a.add(x86::rdx, USCX_RUN(kScratch, spans));
    a.movzx(x86::eax, x86::ax);
    a.movzx(kScratch.r32(), field(x86::rdx, offsetof(Span, lead), 2));
    a.add(x86::rax, kScratch);
    a.mov(kScratch, field(x86::rdx, offsetof(Span, extents), 8));
    a.test(kScratch, kScratch);
    a.jz(refuse);
    a.mov(x86::edx, field(x86::rdx, offsetof(Span, magic), 4));
    a.imul(x86::rax, x86::rdx);
    a.shr(x86::rax, 32);
    a.lea(x86::rax, x86::ptr(x86::rax, x86::rax, 1));
    a.lea(kScratch, x86::ptr(kScratch, x86::rax, 3));
    a.cmp(field(kScratch, offsetof(Extent, type), 8), 0);
    a.je(refuse);
    a.lea(x86::rax, x86::ptr(kAddress, static_cast<s32>(bytes)));
    a.sub(x86::rax, field(kScratch, offsetof(Extent, start), 8));
    a.cmp(x86::rax, field(kScratch, offsetof(Extent, size), 8));
    a.ja(refuse);
    if (store) {
      a.mov(x86::rax, field(kScratch, offsetof(Extent, type), 8));
      a.cmp(field(x86::rax, offsetof(ObjectType, program_memory), 1), 0);
      a.je(ask);
    }
    a.pop(x86::rdx);
    a.pop(x86::rax);
    a.xor_(kScratch.r32(), kScratch.r32());
    a.ret();
    a.bind(refuse);
    if (!store) {
      a.mov(kScratch, frame_slot(kSlotRun, kPushed));
      a.inc(USCX_RUN(kScratch, loads_to_zero));
    }
    a.pop(x86::rdx);
    a.pop(x86::rax);
    a.or_(kScratch.r32(), 1);
    a.ret();
    if (store) ask_type(ask, bytes);
    return at;
  }

  /// A store to a kernel object: its type decides.
  void ask_type(const asmjit::Label& ask, u32 bytes) {
    a.bind(ask);
    a.pop(x86::rdx);
    a.pop(x86::rax);  // rsp is 8 off a multiple of 16
    for (const x86::Gp& r : kCallerSaved) a.push(r);
    a.sub(x86::rsp, 8);
    a.mov(x86::rdi, frame_slot(kSlotRun, 8 * (static_cast<s32>(std::size(kCallerSaved)) + 2)));
    a.mov(x86::rsi, kAddress);
    a.mov(x86::edx, bytes);
    call(reinterpret_cast<const void*>(&uscx_jit_may_write));
    a.mov(kScratch, x86::rax);
    a.add(x86::rsp, 8);
    for (u32 i = std::size(kCallerSaved); i-- > 0;) a.pop(kCallerSaved[i]);
    a.xor_(kScratch.r32(), 1);
    a.ret();
  }
};

}  // namespace

Stubs emit_stubs(x86::Assembler& a) {
  StubEmitter e{.a = a};
  e.enter();
  e.stubs.abandon_store = e.abandon(reinterpret_cast<const void*>(&uscx_jit_abandon_store));
  e.stubs.abandon_load = e.abandon(reinterpret_cast<const void*>(&uscx_jit_abandon_load));
  e.stubs.abandon_long = e.abandon(reinterpret_cast<const void*>(&uscx_jit_abandon_long));
  e.stubs.abandon_deep = e.abandon(reinterpret_cast<const void*>(&uscx_jit_abandon_deep));
  e.stubs.abandon_jump = e.abandon(reinterpret_cast<const void*>(&uscx_jit_abandon_jump));
  e.stubs.abandon_trap = e.abandon(reinterpret_cast<const void*>(&uscx_jit_abandon_trap));
  e.unwinding();
  for (u32 i = 0; i < 4; i++) e.stubs.check_load[i] = e.check(1u << i, false);
  for (u32 i = 0; i < 4; i++) e.stubs.check_store[i] = e.check(1u << i, true);
  return e.stubs;
}

void relocate(Stubs& stubs, u64 base) {
  stubs.enter = reinterpret_cast<decltype(stubs.enter)>(reinterpret_cast<u64>(stubs.enter) + base);
  for (u64* at : {&stubs.abandon_store, &stubs.abandon_load, &stubs.abandon_long,
                  &stubs.abandon_deep, &stubs.abandon_jump, &stubs.abandon_trap, &stubs.unwind}) {
    *at += base;
  }
  for (u32 i = 0; i < 4; i++) {
    stubs.check_load[i] += base;
    stubs.check_store[i] += base;
  }
}

namespace {

ExecRun& run_of(RunState* state) {
  return static_cast<ExecRun&>(*state);
}
const Helper& helper_of(const ExecRun& run) {
  return *reinterpret_cast<const Helper*>(run.callee);
}

}  // namespace

extern "C" {

u64 uscx_jit_call_helper(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* state) {
  ExecRun& run = run_of(state);
  return run.call_helper(run.call_insn, helper_of(run), {r1, r2, r3, r4, r5});
}

u64 uscx_jit_map_lookup(u64 r1, u64 key, u64, u64, u64, RunState* state) {
  ExecRun& run = run_of(state);
  Map* map = reinterpret_cast<Map*>(r1);
  const u32 size = map->spec().key_size;
  if (key - run.stack > kStackBlock - size || size > kStackBlock) {
    const Extent* extent = run.env.window.find(key);
    if (!extent || !extent->contains(key, size)) {
      // The helper has the words for it.
      return run.call_helper(run.call_insn, helper_of(run), {map->address(), key, 0, 0, 0});
    }
  }
  return map->lookup(reinterpret_cast<const std::byte*>(key));
}

u64 uscx_jit_call_kfunc(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* state) {
  ExecRun& run = run_of(state);
  return run.call_kfunc(run.call_insn, *reinterpret_cast<const Kfunc*>(run.callee),
                        {r1, r2, r3, r4, r5}, false);
}

u64 uscx_jit_call_proven_kfunc(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* state) {
  ExecRun& run = run_of(state);
  return run.call_kfunc(run.call_insn, *reinterpret_cast<const Kfunc*>(run.callee),
                        {r1, r2, r3, r4, r5}, true);
}

u64 uscx_jit_call_plain_kfunc(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* state) {
  ExecRun& run = run_of(state);
  return run.call_plain_kfunc(run.call_insn, *reinterpret_cast<const Kfunc*>(run.callee),
                              {r1, r2, r3, r4, r5}, true);
}

u64 uscx_jit_call_register(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* state) {
  ExecRun& run = run_of(state);
  return run.call_helper_by_number(run.call_insn, run.callee, {r1, r2, r3, r4, r5});
}

u64 uscx_jit_tail_call(u64 r1, u64 r2, u64 r3, u64, u64, RunState* state) {
  return run_of(state).tail_call(state->call_insn, r1, r2, r3);
}

u64 uscx_jit_load_packet(u64 skb, u64 off, u64 bytes, u64, u64, RunState* state) {
  return run_of(state).load_packet(state->call_insn, skb, off, static_cast<u32>(bytes));
}

u64 uscx_jit_may_write(RunState* state, u64 addr, u64 bytes) {
  const Extent* extent = run_of(state).env.window.find(addr);
  return extent && extent->may_write(addr, static_cast<u32>(bytes));
}

void uscx_jit_abandon_store(RunState* state, u64 addr, u64 bytes) {
  run_of(state).abandon_store(state->call_insn, addr, static_cast<u32>(bytes));
}
void uscx_jit_abandon_load(RunState* state, u64 addr, u64 bytes) {
  run_of(state).abandon_load(state->call_insn, addr, static_cast<u32>(bytes));
}
void uscx_jit_abandon_long(RunState* state) {
  run_of(state).abandon_long(state->call_insn);
}
void uscx_jit_abandon_deep(RunState* state) {
  run_of(state).abandon_deep(state->call_insn);
}
void uscx_jit_abandon_jump(RunState* state) {
  run_of(state).abandon_jump(state->call_insn);
}
void uscx_jit_abandon_trap(RunState* state) {
  run_of(state).abandon_trap(state->call_insn);
}

}  // extern "C"

}  // namespace uscx::bpf::jit
#endif
