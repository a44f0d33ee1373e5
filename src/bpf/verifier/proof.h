// SPDX-License-Identifier: GPL-2.0-only
// What the verifier proves, the JIT relies on. A check that the JIT leaves out cites a line of this
// file; the checking interpreter relies on none of it.
#pragma once

#include <vector>

#include "base/types.h"

namespace uscx::bpf::verifier {

/// What is proven about the memory that a load, store or atomic operation touches, on every path
/// that reaches it. Linux: insn_aux_data.ptr_type and what bpf_convert_ctx_accesses makes of it.
enum class Memory : u8 {
  /// Nothing: the instruction is no memory access, or is never reached, or the program was not
  /// verified. An engine that meets one must check it.
  kUnproven,
  /// Bytes of the program's own frames, or of a caller's: inside the 512 bytes, aligned to the
  /// access's size, below the frame pointer of a live frame; a load reads what this program wrote.
  kStack,
  /// [address, address + size) lies inside the value of one live element of one map, outside its
  /// special fields but for whole kptrs, which only a load or a store of a checked value touches.
  kMapValue,
  /// Inside the context, at an offset and of a size that the program type allows.
  kContext,
  /// Inside memory of known size that lives as long as the pointer: a map key, a BTF object that is
  /// trusted, under RCU or owned, a dynptr slice, a packet within its checked range, a kernel
  /// variable; or several of the proven kinds on different paths. Never faults.
  kInBounds,
  /// A load through a pointer that may be null, stale or wrong (walked from a struct, untrusted
  /// kptr, rdonly cast): must not harm; gives 0 where the memory is not there.
  /// Linux: BPF_PROBE_MEM.
  kMayFault,
  /// Of the arena: the address is the low 32 bits of register + offset, from the arena's base. May
  /// fault: a load then gives 0, a store does nothing. Linux: BPF_PROBE_MEM32.
  kArena,
};

/// Is nothing left to check at run time? An engine that leaves a check out cites the line above of
/// the kind it relies on; one that checks all the same ends the run where such an access misses.
constexpr bool proven(Memory memory) {
  switch (memory) {
    case Memory::kStack:
    case Memory::kMapValue:
    case Memory::kContext:
    case Memory::kInBounds:
      return true;
    case Memory::kUnproven:
    case Memory::kMayFault:
    case Memory::kArena:
      return false;
  }
  return false;
}

/// Facts about one instruction; by its index in Program::insns.
struct InsnProof {
  Memory memory = Memory::kUnproven;
  /// Reached on some path. Instructions that are not are replaced by isa::kTrap.
  bool reached = false;
  /// A 64-bit ALU operation with an arena pointer as an operand: it is done in 32 bits and the
  /// upper half of the result is zero. Linux: aux->needs_zext.
  bool arena_alu = false;
};

/// Facts about a program.
///
/// Beside the above, of every program that was accepted, on every path:
///  - each register read was written before; R10 is never written;
///  - a call reaches a helper or kfunc of the table with arguments that its prototype allows, or
///  the
///    first instruction of a subprogram; at most 16 frames, whose stacks together (each for itself
///    under priv_stack) have at most 512 bytes;
///  - a loop that has neither a may_goto nor a call of a helper or kfunc in it ends by itself: all
///  its
///    turns were walked, of at most 1,000,000 instructions together (DecodedProgram::bounded);
///  - no jump leaves its subprogram or lands in the second half of an ld_imm64; the last
///  instruction
///    is no fall-through;
///  - at exit no reference, lock, RCU, preempt or IRQ section is held; the return value is in its
///    member's range;
///  - divisions, modulos and shifts by a register may have any operand: the engine gives Linux's
///    results for 0 and for counts above the width.
struct Proof {
  std::vector<InsnProof> insns;
  u32 stack_depth = 0;  // bytes of the deepest chain of calls
  bool uses_arena = false;
};

}  // namespace uscx::bpf::verifier
