// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/exec/decode.h"

#include <algorithm>

#include "bpf/isa.h"
#include "bpf/maps/arena.h"
#include "bpf/maps/insn_array.h"
#include "bpf/verifier/proof.h"

namespace uscx::bpf {

namespace {

using namespace isa;

/// The form of a four-fold operation whose 64-bit immediate form is `base`.
OpCode form(OpCode base, bool wide, bool from_register) {
  return static_cast<OpCode>(static_cast<u16>(base) + (wide ? 0 : 2) + (from_register ? 1 : 0));
}

/// To address space 0 a pointer is cut to 32 bits; to space 1 it becomes the user's.
OpCode cast_code(const Insn& insn, const ArenaMap* arena) {
  if (!arena) return OpCode::k_trap;
  if (insn.imm == 1 || (arena->spec().flags & uapi::kNoUserConv)) return OpCode::k_mov32x;
  return insn.imm == 1 << 16 ? OpCode::k_cast_user : OpCode::k_trap;
}

OpCode move_code(const Insn& insn) {
  const bool wide = class_of(insn) == kAlu64;
  if (!is_x(insn) || insn.off == 0) return form(OpCode::k_mov64k, wide, is_x(insn));
  if (insn.off == 8) return wide ? OpCode::k_movsx8_64 : OpCode::k_movsx8_32;
  if (insn.off == 16) return wide ? OpCode::k_movsx16_64 : OpCode::k_movsx16_32;
  if (insn.off == 32 && wide) return OpCode::k_movsx32_64;
  return OpCode::k_trap;
}

/// Byte order operations; the machine is little-endian.
OpCode end_code(const Insn& insn) {
  const bool swap = class_of(insn) == kAlu64 || is_x(insn);
  switch (insn.imm) {
    case 16:
      return swap ? OpCode::k_swap16 : OpCode::k_zext16;
    case 32:
      return swap ? OpCode::k_swap32 : OpCode::k_zext32;
    case 64:
      return swap ? OpCode::k_swap64 : OpCode::k_nop;
    default:
      return OpCode::k_trap;
  }
}

OpCode alu_code(const Insn& insn) {
  const bool wide = class_of(insn) == kAlu64;
  const bool sign = insn.off == 1;
  auto four = [&](OpCode base) { return form(base, wide, is_x(insn)); };
  switch (op_of(insn)) {
    case kAdd:
      return four(OpCode::k_add64k);
    case kSub:
      return four(OpCode::k_sub64k);
    case kMul:
      return four(OpCode::k_mul64k);
    case kDiv:
      return four(sign ? OpCode::k_sdiv64k : OpCode::k_div64k);
    case kMod:
      return four(sign ? OpCode::k_smod64k : OpCode::k_mod64k);
    case kOr:
      return four(OpCode::k_or64k);
    case kAnd:
      return four(OpCode::k_and64k);
    case kXor:
      return four(OpCode::k_xor64k);
    case kLsh:
      return four(OpCode::k_lsh64k);
    case kRsh:
      return four(OpCode::k_rsh64k);
    case kArsh:
      return four(OpCode::k_arsh64k);
    case kMov:
      return move_code(insn);
    case kNeg:
      return wide ? OpCode::k_neg64 : OpCode::k_neg32;
    case kEnd:
      return end_code(insn);
    default:
      return OpCode::k_trap;
  }
}

/// The form of `one_byte` for the size of the access.
OpCode sized(OpCode one_byte, const Insn& insn) {
  const u16 step = size_of(insn) == kB ? 0 : size_of(insn) == kH ? 1 : size_of(insn) == kW ? 2 : 3;
  return static_cast<OpCode>(static_cast<u16>(one_byte) + step);
}

bool is_read_modify_write(s32 imm) {
  switch (imm & ~kFetch) {
    case kAdd:
    case kOr:
    case kAnd:
    case kXor:
      return true;
    default:
      return imm == kXchg || imm == kCmpxchg;
  }
}

OpCode memory_code(const Insn& insn) {
  switch (class_of(insn)) {
    case kLdx:
      if (mode_of(insn) == kMem) return sized(OpCode::k_ldx1, insn);
      if (mode_of(insn) == kMemsx && size_of(insn) != kDw) return sized(OpCode::k_ldsx1, insn);
      return OpCode::k_trap;
    case kSt:
      return mode_of(insn) == kMem ? sized(OpCode::k_st1, insn) : OpCode::k_trap;
    default:
      if (mode_of(insn) == kMem) return sized(OpCode::k_stx1, insn);
      if (mode_of(insn) != kAtomic) return OpCode::k_trap;
      // One CPU runs at a time, so plain accesses have acquire and release semantics.
      if (insn.imm == kLoadAcquire) return sized(OpCode::k_ldx1, insn);
      if (insn.imm == kStoreRelease) return sized(OpCode::k_stx1, insn);
      if (!is_read_modify_write(insn.imm)) return OpCode::k_trap;
      if (size_of(insn) == kW) return OpCode::k_atomic4;
      return size_of(insn) == kDw ? OpCode::k_atomic8 : OpCode::k_trap;
  }
}

OpCode jump_code(const Insn& insn) {
  const bool wide = class_of(insn) == kJmp;
  auto four = [&](OpCode base) { return form(base, wide, is_x(insn)); };
  if (insn == kTrap) return OpCode::k_trap;
  if (insn.code == kGotox) return OpCode::k_gotox;
  if (is_goto(insn)) return OpCode::k_ja;
  if (is_exit(insn)) return OpCode::k_exit;
  if (insn.code == kMayGoto) return OpCode::k_may_goto;
  switch (op_of(insn)) {
    case kJeq:
      return four(OpCode::k_jeq64k);
    case kJne:
      return four(OpCode::k_jne64k);
    case kJgt:
      return four(OpCode::k_jgt64k);
    case kJge:
      return four(OpCode::k_jge64k);
    case kJlt:
      return four(OpCode::k_jlt64k);
    case kJle:
      return four(OpCode::k_jle64k);
    case kJset:
      return four(OpCode::k_jset64k);
    case kJsgt:
      return four(OpCode::k_jsgt64k);
    case kJsge:
      return four(OpCode::k_jsge64k);
    case kJslt:
      return four(OpCode::k_jslt64k);
    case kJsle:
      return four(OpCode::k_jsle64k);
    default:
      return OpCode::k_trap;
  }
}

void decode_call(const Program& program, const HelperTable& helpers, const Insn& insn, Op& op) {
  if (insn.src == kPseudoCall) {
    op.code = OpCode::k_call_local;
    op.off = insn.imm + 1;
  } else if (insn.src == kPseudoKfuncCall) {
    const u32 index = static_cast<u32>(insn.imm);
    if (index >= program.kfuncs.size()) return;
    op.code = OpCode::k_call_kfunc;
    op.imm = reinterpret_cast<u64>(program.kfuncs[index]);
  } else {
    const Helper* helper = helpers.find(static_cast<u32>(insn.imm));
    if (!helper || !helper->fn) return;
    constexpr u32 kTailCall = 12;  // BPF_FUNC_tail_call
    op.code = helper->id == kTailCall ? OpCode::k_tail_call : OpCode::k_call_helper;
    op.imm = reinterpret_cast<u64>(helper);
  }
}

bool registers_exist(const Insn& insn) {
  return insn.dst < kNrRegisters && (insn.src < kNrRegisters);
}

Op decode(const Program& program, const HelperTable& helpers, const ArenaMap* arena,
          const Insn& insn, u32 index) {
  Op op;
  op.dst = insn.dst;
  op.src = insn.src;
  op.off = insn.off;
  op.imm = static_cast<u64>(static_cast<s64>(insn.imm));
  if (!registers_exist(insn)) return op;
  if (is_call(insn)) {
    decode_call(program, helpers, insn, op);
  } else if (insn.code == (kCallOpcode | kX)) {
    op.code = OpCode::k_call_register;
  } else if (is_alu(insn)) {
    op.code = alu_code(insn);
    if (insn.code == (kAlu64 | kMov | kX) && insn.off == kAddrSpaceCast) {
      op.code = cast_code(insn, arena);
      if (arena) op.imm = arena->user_vm_start() >> 32 << 32;
    }
    // Other uses of off on a move are trapped by move_code; the frame pointer is never written.
    if (insn.dst == kFramePointer) op.code = OpCode::k_trap;
  } else if (is_jump_class(insn)) {
    op.code = jump_code(insn);
    op.off = jump_distance(insn) + 1;
  } else if (class_of(insn) == kLd && (mode_of(insn) == kAbs || mode_of(insn) == kInd)) {
    op.code = OpCode::k_ld_packet;
    op.dst = static_cast<u8>(bytes_of(insn));
    op.off = mode_of(insn) == kInd;
  } else if (class_of(insn) == kLd) {
    if (insn.code != kLdImm64 || insn.dst == kFramePointer) return op;
    if (index + 1 >= program.insns.size()) return op;
    op.code = OpCode::k_ld_imm64;
    op.imm = static_cast<u64>(static_cast<u32>(program.insns[index + 1].imm)) << 32 |
             static_cast<u32>(insn.imm);
  } else {
    op.code = memory_code(insn);
    const bool loads = class_of(insn) == kLdx || (is_atomic(insn) && insn.imm == kLoadAcquire);
    const bool fetches = is_atomic(insn) && (insn.imm & kFetch) && insn.imm != kCmpxchg;
    if ((loads && insn.dst == kFramePointer) || (fetches && insn.src == kFramePointer)) {
      op.code = OpCode::k_trap;
    }
  }
  return op;
}

}  // namespace

bool is_jump(OpCode code) {
  return code == OpCode::k_ja || code == OpCode::k_may_goto || code == OpCode::k_call_local ||
         (code >= OpCode::k_jeq64k && code <= OpCode::k_jsle32x);
}

bool ends_block(OpCode code) {
  switch (code) {
    case OpCode::k_call_helper:
    case OpCode::k_call_kfunc:
    case OpCode::k_call_register:
    case OpCode::k_exit:
    case OpCode::k_tail_call:
    case OpCode::k_ld_packet:
    case OpCode::k_gotox:
    case OpCode::k_trap:
      return true;
    default:
      return is_jump(code);
  }
}

namespace {

/// Where the program's INSN_ARRAY maps point, as far as there is an instruction.
std::vector<u32> find_jump_targets(const Program& program) {
  std::vector<u32> targets;
  for (const auto& map : program.maps) {
    if (map->spec().type != uapi::kMapInsnArray) continue;
    const auto& array = static_cast<const InsnArrayMap&>(*map);
    for (u32 i = 0; i < map->spec().max_entries; i++) {
      const u32 at = array.target(i);
      const bool begins =
          at == 0 || (at < program.insns.size() && program.insns[at - 1].code != kLdImm64);
      if (begins && at < program.insns.size()) targets.push_back(at);
    }
  }
  std::ranges::sort(targets);
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  return targets;
}

}  // namespace

std::shared_ptr<DecodedProgram> decode_program(const Program& program, const HelperTable& helpers) {
  auto decoded = std::make_shared<DecodedProgram>();
  decoded->bounded = program.proof != nullptr;
  for (const auto& map : program.maps) {
    if (map->spec().type == uapi::kMapArena) decoded->arena = static_cast<ArenaMap*>(map.get());
    if (decoded->arena) decoded->arena_base = decoded->arena->kern_vm_start();
  }
  decoded->jump_targets = find_jump_targets(program);
  const u32 count = static_cast<u32>(program.insns.size());
  decoded->ops.reserve(count + 1);
  for (u32 i = 0; i < count; i++) {
    Insn insn = program.insns[i];
    if (program.proof && i < program.proof->insns.size() && program.proof->insns[i].arena_alu &&
        class_of(insn) == kAlu64 && !(insn.code == (kAlu64 | kMov | kX) && insn.off)) {
      insn.code = static_cast<u8>((insn.code & ~0x07) | kAlu);  // Linux: aux->needs_zext
    }
    Op op = decode(program, helpers, decoded->arena, insn, i);
    const s64 target = static_cast<s64>(i) + op.off;
    if (is_jump(op.code) && (target < 0 || target >= count)) op = Op{};
    decoded->ops.push_back(op);
  }
  decoded->ops.push_back(Op{});  // falling off the end
  return decoded;
}

}  // namespace uscx::bpf
