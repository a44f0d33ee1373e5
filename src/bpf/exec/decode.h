// SPDX-License-Identifier: GPL-2.0-only
// The engines' own form of a program: one dense operation number per instruction, jump targets and
// callees resolved. Index for index the same as Program::insns.
#pragma once

#include <memory>
#include <vector>

#include "base/types.h"
#include "bpf/exec/jit.h"
#include "bpf/helper.h"
#include "bpf/program.h"

namespace uscx::bpf {

// Each ALU operation exists four times (64 or 32 bits, immediate or register), so does each
// comparison. The order of these lists is the order of the interpreter's label table.
#define USCX_ALU_OPS(X) \
  X(add)                \
  X(sub)                \
  X(mul) X(div) X(sdiv) X(mod) X(smod) X(or) X(and) X(xor) X(lsh) X(rsh) X(arsh) X(mov)
#define USCX_JMP_OPS(X) \
  X(jeq)                \
  X(jne) X(jgt) X(jge) X(jlt) X(jle) X(jset) X(jsgt) X(jsge) X(jslt) X(jsle)
// clang-format off
#define USCX_OTHER_OPS(X) \
  X(neg64) X(neg32) X(movsx8_64) X(movsx16_64) X(movsx32_64) X(movsx8_32) X(movsx16_32) \
  X(zext16) X(zext32) X(nop) X(swap16) X(swap32) X(swap64) X(ld_imm64) \
  X(ldx1) X(ldx2) X(ldx4) X(ldx8) X(ldsx1) X(ldsx2) X(ldsx4) \
  X(stx1) X(stx2) X(stx4) X(stx8) X(st1) X(st2) X(st4) X(st8) X(atomic4) X(atomic8) \
  X(ja) X(may_goto) X(call_helper) X(call_kfunc) X(call_local) X(call_register) X(exit) \
  X(cast_user) X(tail_call) X(ld_packet) X(gotox) X(trap)
// clang-format on

enum class OpCode : u16 {
#define USCX_FOUR(name) k_##name##64k, k_##name##64x, k_##name##32k, k_##name##32x,
#define USCX_ONE(name) k_##name,
  USCX_ALU_OPS(USCX_FOUR) USCX_JMP_OPS(USCX_FOUR) USCX_OTHER_OPS(USCX_ONE)
#undef USCX_FOUR
#undef USCX_ONE
};

struct Op {
  OpCode code = OpCode::k_trap;
  u8 dst = 0;
  u8 src = 0;
  s32 off = 0;  // of memory: displacement; of jumps and local calls: target
                // minus this index; of ld_packet: is `src` added?
  u64 imm = 0;  // sign-extended immediate, 64-bit constant, or the address of
                // the callee's record
};
static_assert(sizeof(Op) == 16);

/// Does control leave the straight line at (or after) this operation? It ends a basic block.
bool ends_block(OpCode code);
/// Does `off` lead to another operation of the program?
bool is_jump(OpCode code);

class ArenaMap;

/// Operations below this number exist four times; the number of the first is a multiple of 4.
inline constexpr u32 kNrFourfold = static_cast<u32>(OpCode::k_neg64);

/// What Program::decoded points to.
struct DecodedProgram {
  std::vector<Op> ops;
  std::shared_ptr<const JitCode> jit = {};  // null: interpreted
  ArenaMap* arena = nullptr;                // the program's; it has one at most
  std::vector<u32> jump_targets = {};       // of indirect jumps, ascending: its INSN_ARRAY maps'
  u64 arena_base = 0;                       // its kern_vm_start()
  /// Loops that neither call nor have a may_goto end by themselves (verifier/proof.h), so that a
  /// run that is too long is noticed after calls alone; in others at each backward jump, too.
  bool bounded = false;
};

/// Decodes a checked program. What it does not know becomes a trap.
std::shared_ptr<DecodedProgram> decode_program(const Program& program, const HelperTable& helpers);

}  // namespace uscx::bpf
