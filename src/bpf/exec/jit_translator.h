// SPDX-License-Identifier: GPL-2.0-only
// One program's way into machine code. For the files jit_*.cc.
//
// Registers of generated code (the assignment is Linux's, so that its calling convention is C's):
//   R0 rax  R1 rdi  R2 rsi  R3 rdx  R4 rcx  R5 r8  R6 rbx  R7 r13  R8 r14  R9 r15  R10 rbp
//   r12  where the arena begins      r9  RunState::left, as of the block's begin
//   r10, r11  scratch; r11 has the address wherever an access is checked
// In the body of a program rsp is a multiple of 16, and above the return address are the slots of
// the frame (FrameSlot). A local call saves its caller's R6-R9 and makes the slots before the call
// instruction, so that any instruction can be called: there is no prologue.
#pragma once

#include <asmjit/x86.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "bpf/exec/decode.h"
#include "bpf/exec/run.h"
#include "bpf/maps/map.h"

namespace uscx::bpf::jit {

namespace x86 = asmjit::x86;

inline constexpr x86::Gp kRegisters[11] = {x86::rax, x86::rdi, x86::rsi, x86::rdx,
                                           x86::rcx, x86::r8,  x86::rbx, x86::r13,
                                           x86::r14, x86::r15, x86::rbp};
inline constexpr x86::Gp kFrame = x86::rbp;
inline constexpr x86::Gp kArena = x86::r12;
inline constexpr x86::Gp kLeft = x86::r9;
inline constexpr x86::Gp kScratch = x86::r10;
inline constexpr x86::Gp kAddress = x86::r11;

/// What lies above a body's return address, 8 bytes each.
enum FrameSlot : s32 { kSlotRun, kSlotStack, kSlotMayGoto, kNrSlots };
/// The slot, with `pushed` bytes more on the host's stack than in the body.
inline x86::Mem frame_slot(FrameSlot slot, s32 pushed = 0) {
  return x86::qword_ptr(x86::rsp, 8 + 8 * slot + pushed);
}

/// A field of the RunState that the register points to.
#define USCX_RUN(reg, field) \
  x86::ptr(reg, static_cast<s32>(offsetof(RunState, field)), sizeof(RunState::field))

/// Code that all programs of one Jit share.
struct Stubs {
  /// u64 enter(RunState*, const u64 registers[5], u64 frame_pointer, const void* code)
  u64 (*enter)(RunState*, const u64*, u64, const void*) = nullptr;
  /// Called with an address in r11: ZF where `1 << i` bytes there may be read (written). Nothing
  /// but r10 and the flags changes; a load that may not be is counted.
  u64 check_load[4] = {};
  u64 check_store[4] = {};
  // Jumped to; the run is abandoned at RunState::call_insn.
  u64 abandon_store = 0;  // r11: address, r10: bytes
  u64 abandon_load = 0;   // likewise
  u64 abandon_long = 0;
  u64 abandon_deep = 0;
  u64 abandon_jump = 0;
  u64 abandon_trap = 0;
  u64 unwind = 0;  // the run is abandoned already
};

/// Emits the shared code; Stubs has offsets from its start until relocate().
Stubs emit_stubs(x86::Assembler& a);
void relocate(Stubs& stubs, u64 base);

/// Machine code that may fault: offsets in its program.
struct Fault {
  static constexpr u8 kNoRegister = 255;
  u32 begin = 0;
  u32 end = 0;
  u32 resume = 0;
  u8 zeroed = kNoRegister;  // the register of BPF that a load would have set
  bool store = false;
  /// The address is a register of BPF plus `off`, or r11, from the start of the kernel's view (or,
  /// of a larger number, not).
  u8 base = kNoRegister;
  s32 off = 0;
};

/// Lets the SIGSEGV handler of the process know code that may fault, as long as it lives.
class FaultingCode {
 public:
  FaultingCode(const void* code, u64 size, std::vector<Fault> faults, ArenaMap* arena);
  ~FaultingCode();
  FaultingCode(const FaultingCode&) = delete;
  FaultingCode& operator=(const FaultingCode&) = delete;

  u64 begin;
  u64 end;
  std::vector<Fault> faults;  // ascending
  ArenaMap* arena;
};

/// What is known of a register in the middle of a basic block.
struct Known {
  enum Kind : u8 { kNothing, kStack, kNumber } kind = kNothing;
  s64 value = 0;  // kStack: distance from R10; kNumber: the register's value
};

/// Registers, a bit each.
using RegisterSet = u16;

struct RegisterUse {
  RegisterSet reads;
  RegisterSet writes;  // for sure, and whatever they were
};
RegisterUse use_of(const Op& op);

/// For each instruction that begins a basic block, the registers whose upper half is zero there,
/// however it is reached.
std::vector<RegisterSet> find_short_registers(const Program& program, const DecodedProgram& decoded,
                                              const std::vector<bool>& leader);
/// What of them are so after `op`.
RegisterSet short_after(const Op& op, RegisterSet before);

class Translator {
 public:
  Translator(const Program& program, const DecodedProgram& decoded, const Stubs& stubs,
             asmjit::CodeHolder& code, bool trust_proof);

  void translate();
  /// Offset of the code of each instruction at which a run may begin: those that begin a
  /// subprogram. JitCode::kNoEntry of the others.
  std::vector<u32> entries(const asmjit::CodeHolder& code) const;
  std::vector<Fault> faults(const asmjit::CodeHolder& code) const;

 private:
  void find_leaders();
  void start_block(u32 index);
  /// Counts the block's instructions, of which `executed_` were translated.
  void count_block();
  void instruction(u32 index, const Op& op);
  void emit_cold_paths();
  /// The instruction that follows in the straight line.
  u32 after(u32 index) const;

  // jit_fuse.cc
  /// Emits `index` and some of those after it as one instruction; how many, or 0.
  u32 fuse(u32 index);
  u32 fuse_move(u32 index);
  u32 fuse_shift(u32 index, u32 shift_at, u8 from);
  const Op* in_block(u32 index) const;
  u32 fuse_lowest_bit(u32 index);

  // jit_live.cc
  void find_live_registers();
  RegisterSet live_before(u32 index) const;
  bool dead_after(u32 index, u8 r) const;

  // jit_alu.cc
  void alu(OpCode base, u32 form, const Op& op);
  void unary(const Op& op);
  void shift(OpCode base, bool wide, bool from_register, const Op& op);
  void divide(bool wide, bool from_register, bool sign, bool modulo, const Op& op);
  void load_number(u8 dst, u64 value);
  void cast_user(const Op& op);
  void follow(const Op& op);  // keeps known_ up to date

  // jit_memory.cc
  void load(u32 index, const Op& op, u32 bytes, bool sign);
  void store(u32 index, const Op& op, u32 bytes, bool from_register);
  void atomic(u32 index, const Op& op, u32 bytes);
  void atomic_operation(const x86::Mem& at, const Op& op, bool wide);
  void emit_load(u8 dst, x86::Mem at, u32 bytes, bool sign);
  /// The operand, where the access needs no check.
  std::optional<x86::Mem> proven(u32 index, u8 base, s32 off, u32 bytes) const;
  void address(u8 base, s32 off);
  /// A memory access of a program with an arena; `emit` is given the operand.
  void arena_access(u32 index, u8 base, s32 off, u32 bytes, u8 zeroed, bool store,
                    const std::function<void(const x86::Mem&)>& emit);
  void may_fault(Fault fault, const asmjit::Label& resume, const std::function<void()>& emit);
  void emit_store(x86::Mem at, const Op& op, u32 bytes, bool from_register);
  void check_store(u32 index, u32 bytes);
  void refuse(u64 stub, u32 index, u32 bytes, u32 executed);
  void refuse_load(u32 index, u8 dst, u32 bytes, u32 executed, const asmjit::Label& done);
  /// To `elsewhere` where the `bytes` at r11 are not all in the run's own stack.
  void check_stack(const x86::Gp& at, u32 bytes, const asmjit::Label& elsewhere);

  // jit_leave.cc
  void may_leave();
  void tail_call(u32 index);
  void load_packet(u32 index, const Op& op);
  void jump_indirect(u32 index, const Op& op);
  void emit_jump_table();

  // jit_control.cc
  void branch(u32 index, OpCode base, u32 form, const Op& op);
  void jump(u32 index, const Op& op);
  void may_goto(u32 index, const Op& op);
  void call_local(u32 index, const Op& op);
  void call_out(u32 index, const void* thunk, u64 callee);
  void call_out(u32 index, const void* thunk, const x86::Gp& callee);
  void call_helper(u32 index, const Op& op);
  void lookup(u32 index, const Op& op, const Map& map);
  const Map* known_map(u8 r) const;
  /// Which of the functions below calls it.
  const void* thunk_of(const Kfunc& kfunc) const;
  void clear_arguments();
  void check_length(u32 index);
  void call_register(u32 index, const Op& op);
  void compare(OpCode base, u32 form, const Op& op);
  void abandon_at(u32 index, u64 stub);
  void forget_known() { known_.fill({}); }

  x86::Gp reg(u8 r) const { return kRegisters[r]; }
  x86::Gp reg(u8 r, bool wide) const { return wide ? kRegisters[r] : kRegisters[r].r32(); }
  bool is_short(u8 r) const { return short_ >> r & 1; }
  void far_call(u64 target);
  void far_jump(u64 target);
  void later(std::function<void()> emit) { cold_.push_back(std::move(emit)); }

  const Program& program_;
  const verifier::Proof* proof_ = nullptr;  // null: every access is checked
  const DecodedProgram& decoded_;
  const Stubs& stubs_;
  x86::Assembler a_;
  std::vector<bool> leader_;
  std::vector<bool> second_half_;      // of an ld_imm64
  std::vector<u32> odd_;               // leaders that are such
  std::vector<asmjit::Label> labels_;  // of leaders
  std::deque<std::function<void()>> cold_;
  struct FaultLabel {
    Fault fault;
    asmjit::Label resume;
  };
  std::vector<FaultLabel> faults_;
  ArenaMap* arena_ = nullptr;
  std::optional<asmjit::Label> jump_table_;
  u32 executed_ = 0;  // instructions of the block so far, and of them not counted
  std::array<Known, 11> known_ = {};
  std::vector<RegisterSet> short_at_;  // by leader
  std::vector<RegisterSet> live_at_;   // likewise: registers that are read later; empty: not known
  RegisterSet short_ = 0;              // registers whose upper half is zero
  bool has_bmi1_ = false;
  bool has_bmi2_ = false;
};

// What generated code calls. R1-R5 are C's first five arguments; the run is the sixth.
extern "C" {
u64 uscx_jit_call_helper(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* run);
u64 uscx_jit_map_lookup(u64 map, u64 key, u64, u64, u64, RunState* run);
u64 uscx_jit_call_kfunc(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* run);
/// The same where the program's proof is trusted.
u64 uscx_jit_call_proven_kfunc(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* run);
/// And where it is a Kfunc::plain() one.
u64 uscx_jit_call_plain_kfunc(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* run);
u64 uscx_jit_call_register(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* run);
u64 uscx_jit_tail_call(u64 r1, u64 r2, u64 r3, u64 r4, u64 r5, RunState* run);
u64 uscx_jit_load_packet(u64 skb, u64 off, u64 bytes, u64 r4, u64 r5, RunState* run);
u64 uscx_jit_may_write(RunState* run, u64 addr, u64 bytes);
void uscx_jit_abandon_store(RunState* run, u64 addr, u64 bytes);
void uscx_jit_abandon_load(RunState* run, u64 addr, u64 bytes);
void uscx_jit_abandon_long(RunState* run);
void uscx_jit_abandon_deep(RunState* run);
void uscx_jit_abandon_jump(RunState* run);
void uscx_jit_abandon_trap(RunState* run);
}

}  // namespace uscx::bpf::jit
