// SPDX-License-Identifier: GPL-2.0-only
// Arithmetic: of numbers, which scalar.h knows; of pointers, whose offset moves; and of the two.
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

constexpr std::string_view kAluText[] = {"+=",  "-=", "*=", "/=", "|=",   "&=",     "<<=", ">>=",
                                         "neg", "%=", "^=", "=",  "s>>=", "endian", "",    ""};

/// Is the offset one that keeps a pointer's arithmetic within 32 bits?
bool offset_scalar_sane(Verifier& v, const RegState& off, RegType type) {
  const auto val = static_cast<s64>(off.const_value());
  const s64 smin = off.value.smin();
  if (off.is_const() && (val >= kMaxVarOff || val <= -kMaxVarOff)) {
    v.log("math between {} pointer and {} is not allowed\n", reg_type_text(type), val);
    return false;
  }
  if (smin == std::numeric_limits<s64>::min()) {
    v.log("math between {} pointer and register with unbounded min value is not allowed\n",
          reg_type_text(type));
    return false;
  }
  if (smin >= kMaxVarOff || smin <= -kMaxVarOff) {
    v.log("value {} makes {} pointer be out of bounds\n", smin, reg_type_text(type));
    return false;
  }
  return true;
}

bool offset_pointer_sane(Verifier& v, const RegState& ptr, RegType type) {
  const auto val = static_cast<s64>(ptr.const_value());
  const s64 smin = ptr.value.smin();
  if (ptr.is_const() && (val >= kMaxVarOff || val <= -kMaxVarOff)) {
    v.log("{} pointer offset {} is not allowed\n", reg_type_text(type), val);
    return false;
  }
  if (smin >= kMaxVarOff || smin <= -kMaxVarOff) {
    v.log("{} pointer offset {} is not allowed\n", reg_type_text(type), smin);
    return false;
  }
  return true;
}

/// May this kind of pointer be moved by `off`?
bool may_move(const RegState& ptr, const RegState& off, u8 op) {
  switch (ptr.base()) {
    case kPtrToCtx:
    case kPtrToMapValue:
    case kPtrToMapKey:
    case kPtrToStack:
    case kPtrToPacketMeta:
    case kPtrToPacket:
    case kPtrToTpBuffer:
    case kPtrToBtfId:
    case kPtrToMem:
    case kPtrToBuf:
    case kPtrToFunc:
    case kConstPtrToDynptr:
      return true;
    case kPtrToFlowKeys:
      if (off.is_const()) return true;
      [[fallthrough]];
    case kConstPtrToMap:
      return off.is_const() && off.value.smin() == 0 && op == kAdd;
    default:
      return false;
  }
}

/// dst = ptr op off. `ptr` and `off` are copies: dst is one of the two. Linux:
/// adjust_ptr_min_max_vals.
int pointer_arithmetic(Verifier& v, const Insn& insn, const RegState& ptr, const RegState& off,
                       bool dst_is_ptr) {
  const u32 dst_no = insn.dst;
  RegState& dst = v.reg(dst_no);
  const u8 op = op_of(insn);
  const bool known = off.is_const();
  const s64 smin = off.value.smin(), smax = off.value.smax();
  const u64 umin = off.value.umin(), umax = off.value.umax();
  if ((known && (smin != smax || umin != umax)) || smin > smax || umin > umax) {
    v.mark_unknown(dst);  // cannot happen on a live path
    return 0;
  }
  if (class_of(insn) != kAlu64) {
    if (op == kSub && v.allow_ptr_leaks) {
      v.mark_unknown(dst);
      return 0;
    }
    return v.refuse(EACCES, "R{} 32-bit pointer arithmetic prohibited\n", dst_no);
  }
  if (may_be_null(ptr.type)) {
    return v.refuse(EACCES, "R{} pointer arithmetic on {} prohibited, null-check it first\n",
                    dst_no, reg_type_text(ptr.type));
  }
  if (!may_move(ptr, off, op)) {
    return v.refuse(EACCES, "R{} pointer arithmetic on {} prohibited\n", dst_no,
                    reg_type_text(ptr.type));
  }
  if (!dst_is_ptr) dst = ptr;
  if (ptr.base() == kPtrToMem && (ptr.type & kUntrusted)) return 0;  // checked nowhere anyway
  if (!offset_scalar_sane(v, off, ptr.type)) return -EINVAL;
  if (!offset_pointer_sane(v, ptr, ptr.type)) return -EINVAL;
  dst.value.r32 = Range32::all();
  const bool packet = is_packet_pointer(ptr.type);
  switch (op) {
    case kAdd:
      dst.value.r64 = add(ptr.value.r64, off.value.r64);
      dst.value.var_off = tnum_add(ptr.value.var_off, off.value.var_off);
      if (packet) {
        if (!known) dst.id = v.new_id();
        // An unknown step: what was known of the packet's end is of no use any more.
        if (!known || dst.range() < 0) dst.clear_payload();
      }
      break;
    case kSub:
      if (!dst_is_ptr) {
        return v.refuse(EACCES, "R{} tried to subtract pointer from scalar\n", dst_no);
      }
      if (ptr.type == kPtrToStack) {
        return v.refuse(EACCES, "R{} subtraction from stack pointer prohibited\n", dst_no);
      }
      dst.value.r64 = add(ptr.value.r64, negate(off.value.r64));
      dst.value.var_off = tnum_sub(ptr.value.var_off, off.value.var_off);
      if (packet) {
        if (!known) dst.id = v.new_id();
        if ((!known && smin < 0) || dst.range() < 0) dst.clear_payload();
      }
      break;
    case kAnd:
    case kOr:
    case kXor:
      return v.refuse(EACCES, "R{} bitwise operator {} on pointer prohibited\n", dst_no,
                      kAluText[op >> 4]);
    default:
      return v.refuse(EACCES, "R{} pointer arithmetic with {} operator prohibited\n", dst_no,
                      kAluText[op >> 4]);
  }
  if (!offset_pointer_sane(v, dst, ptr.type)) return -EINVAL;
  // A range of the packet counts from the largest offset, which must stay what it was then.
  if (packet && (known || dst.range() > 0))
    dst.value.narrow32_by_bits();
  else
    dst.value.sync();
  return 0;
}

/// A number that is -1 or 0 and a constant: both halves are walked, each with a known value.
int fork_scalar(Verifier& v, const Insn& insn, RegState& dst, const RegState& src) {
  const Fork fork = alu_fork(insn, dst.value, src.value);
  if (fork == Fork::kNone) return 0;
  VerifierState* branch = push_state(v, v.insn_idx, static_cast<s32>(v.insn_idx));
  if (!branch) return -E2BIG;
  RegState& other = branch->cur().regs[insn.dst];
  if (fork == Fork::k64) {
    other.set_known(0);
    dst.set_known(~0ull);
  } else {
    set_forked(other.value, fork, 0);
    set_forked(dst.value, fork, ~0ull);
  }
  return 0;
}

/// Ids: "x + constant" stays linked to x. Linux: the end of adjust_reg_min_max_vals.
void link_sum(Verifier& v, const Insn& insn, RegState& dst, const RegState& src, u64 old_umax) {
  const bool alu32 = class_of(insn) != kAlu64;
  const u8 op = op_of(insn);
  const bool self = is_x(insn) && insn.src == insn.dst;
  if (!v.bpf_capable || (op != kAdd && op != kSub) || !dst.id || !src.is_scalar() ||
      !src.value.is_const(alu32) || self) {
    dst.clear_scalar_id();
    return;
  }
  const u64 val = src.value.value(alu32);
  const auto sval = static_cast<s64>(val);
  auto off = static_cast<s32>(val);
  const bool fits = alu32 ? old_umax <= 0xffffffffULL : sval == static_cast<s32>(sval);
  if (!fits || (op == kSub && off == std::numeric_limits<s32>::min()) || (dst.id & kAddConst)) {
    dst.clear_scalar_id();
    return;
  }
  if (op == kSub) off = -off;
  dst.id |= alu32 ? kAddConst32 : kAddConst64;
  dst.delta = off;
}

/// The instruction that `insn` is taken for.
Insn taken_for(const Verifier& v, Insn insn) {
  if (planted(v, PlantedFault::kShiftUnsigned) && op_of(insn) == kArsh) insn.code ^= kArsh ^ kRsh;
  if (planted(v, PlantedFault::kSubregNotExtended) && op_of(insn) != kEnd) insn.code |= kAlu64;
  return insn;
}

void falsify(const Verifier& v, const Insn& insn, Scalar& result) {
  if (result.is_const()) return;
  if (planted(v, PlantedFault::kSumNarrow) && op_of(insn) == kAdd && result.umax() < kMaxVarOff) {
    result = Scalar::of_unsigned(result.umin(), result.umax() - 1);
  }
  if (planted(v, PlantedFault::kAndForgetsBit) && op_of(insn) == kAnd) {
    result.var_off.mask &= result.var_off.mask - 1;
    result.sync();
  }
}

int scalar_arithmetic(Verifier& v, const Insn& insn, RegState& dst, const RegState& src) {
  if (op_of(insn) == kAnd || op_of(insn) == kOr) {
    if (src.is_const()) {
      if (int err = fork_scalar(v, insn, dst, src)) return err;
    }
  }
  if (op_of(insn) == kEnd && end_changes_value(insn)) dst.clear_scalar_id();
  if (!apply_alu(taken_for(v, insn), dst.value, src.value)) v.mark_unknown(dst);
  falsify(v, insn, dst.value);
  return 0;
}

/// Arena pointers are numbers of 32 bits: 64-bit operations on them are done in 32.
int note_arena_alu(Verifier& v, const Insn& insn, bool arena_operand) {
  if (class_of(insn) != kAlu64) return 0;
  InsnAux& aux = v.cur_aux();
  if (arena_operand ? aux.prevent_zext : aux.needs_zext) {
    return v.refuse(EINVAL, "same insn cannot be used with and without arena pointer\n");
  }
  (arena_operand ? aux.needs_zext : aux.prevent_zext) = true;
  return 0;
}

/// Two operands. Linux: adjust_reg_min_max_vals.
int binary(Verifier& v, const Insn& insn) {
  RegState& dst = v.reg(insn.dst);
  RegState* src = is_x(insn) ? &v.reg(insn.src) : nullptr;
  if (dst.type == kPtrToArena || (src && src->type == kPtrToArena)) {
    if (dst.type != kPtrToArena) dst = *src;
    return note_arena_alu(v, insn, true);
  }
  if (v.arena) {
    if (int err = note_arena_alu(v, insn, false)) return err;
  }
  RegState imm;
  if (!src) {
    imm.set_scalar(static_cast<u64>(s64{insn.imm}));
    if (!dst.is_scalar()) {
      const RegState ptr = dst;
      return pointer_arithmetic(v, insn, ptr, imm, true);
    }
  } else if (!src->is_scalar()) {
    if (!dst.is_scalar()) {
      if (op_of(insn) == kSub && v.allow_ptr_leaks) {
        v.mark_unknown(dst);
        return 0;
      }
      return v.refuse(EACCES, "R{} pointer {} pointer prohibited\n", +insn.dst,
                      kAluText[op_of(insn) >> 4]);
    }
    if (int err = mark_chain_precision(v, insn.dst)) return err;
    const RegState off = dst;
    const RegState ptr = *src;
    return pointer_arithmetic(v, insn, ptr, off, false);
  } else if (!dst.is_scalar()) {
    if (int err = mark_chain_precision(v, insn.src)) return err;
    const RegState ptr = dst;
    const RegState off = *src;
    return pointer_arithmetic(v, insn, ptr, off, true);
  } else if (dst.precise) {
    if (int err = mark_chain_precision(v, insn.src)) return err;
  }
  const RegState operand = src ? *src : imm;
  const u64 old_umax = dst.value.umax();
  if (int err = scalar_arithmetic(v, insn, dst, operand)) return err;
  link_sum(v, insn, dst, operand, old_umax);
  return 0;
}

int move_register64(Verifier& v, const Insn& insn, RegState& dst, RegState& src) {
  if (insn.imm) {  // addr_space_cast
    v.mark_unknown(dst);
    if (insn.imm == 1) dst.type = kPtrToArena;
    return 0;
  }
  if (insn.off == 0) {
    assign_scalar_id_before_mov(v, src);
    dst = src;
    return 0;
  }
  if (v.is_pointer_value(src)) {
    return v.refuse(EACCES, "R{} sign-extension part of pointer\n", +insn.src);
  }
  if (!src.is_scalar()) {
    v.mark_unknown(dst);
    return 0;
  }
  const u32 bytes = static_cast<u32>(insn.off) / 8;
  const bool unchanged = src.value.fits_unsigned_before_sign(bytes);
  if (unchanged) assign_scalar_id_before_mov(v, src);
  dst = src;
  if (!unchanged) dst.clear_scalar_id();
  dst.value.sign_extend(bytes);
  return 0;
}

int move_register32(Verifier& v, const Insn& insn, RegState& dst, RegState& src) {
  if (v.is_pointer_value(src)) {
    return v.refuse(EACCES, "R{} partial copy of pointer\n", +insn.src);
  }
  if (!src.is_scalar()) {
    v.mark_unknown(dst);
  } else if (insn.off == 0) {
    const bool is_u32 = src.value.width() <= 32;
    if (is_u32) assign_scalar_id_before_mov(v, src);
    dst = src;
    if (!is_u32) dst.clear_scalar_id();
  } else {
    const u32 bytes = static_cast<u32>(insn.off) / 8;
    const bool unchanged = src.value.fits_unsigned_before_sign(bytes);
    if (unchanged) assign_scalar_id_before_mov(v, src);
    dst = src;
    if (!unchanged) dst.clear_scalar_id();
    dst.value.sign_extend32(bytes);
  }
  dst.value.zero_extend32();
  return 0;
}

int move(Verifier& v, const Insn& insn) {
  if (is_x(insn)) {
    if (insn.off == kAddrSpaceCast && class_of(insn) == kAlu64 && !v.arena) {
      return v.refuse(EINVAL,
                      "addr_space_cast insn can only be used in a program that has an associated "
                      "arena\n");
    }
    if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  }
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return err;
  RegState& dst = v.reg(insn.dst);
  if (!is_x(insn)) {
    v.mark_unknown(dst);
    dst.set_known(class_of(insn) == kAlu64 ? static_cast<u64>(s64{insn.imm})
                                           : u64{static_cast<u32>(insn.imm)});
    return 0;
  }
  RegState& src = v.reg(insn.src);
  return class_of(insn) == kAlu64 ? move_register64(v, insn, dst, src)
                                  : move_register32(v, insn, dst, src);
}

int unary(Verifier& v, const Insn& insn) {
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  RegState& dst = v.reg(insn.dst);
  if (v.is_pointer_value(dst)) {
    return v.refuse(EACCES, "R{} pointer arithmetic prohibited\n", +insn.dst);
  }
  if (!dst.is_scalar()) return check_reg_arg(v, insn.dst, ArgUse::kDst);
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return err;
  if (op_of(insn) == kNeg) {
    const Scalar old = dst.value;
    dst.set_known(0);
    dst.value = old;
  }
  const RegState src = dst;
  return scalar_arithmetic(v, insn, dst, src);
}

}  // namespace

int check_alu(Verifier& v, const Insn& insn) {
  const u8 op = op_of(insn);
  int err;
  if (op == kEnd || op == kNeg) {
    err = unary(v, insn);
  } else if (op == kMov) {
    err = move(v, insn);
  } else {
    if (is_x(insn)) {
      if (int e = check_reg_arg(v, insn.src, ArgUse::kSrc)) return e;
    }
    if (int e = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return e;
    if ((op == kMod || op == kDiv) && !is_x(insn) && insn.imm == 0) {
      return v.refuse(EINVAL, "div by zero\n");
    }
    if ((op == kLsh || op == kRsh || op == kArsh) && !is_x(insn)) {
      const s32 width = class_of(insn) == kAlu64 ? 64 : 32;
      if (insn.imm < 0 || insn.imm >= width) {
        return v.refuse(EINVAL, "invalid shift {}\n", insn.imm);
      }
    }
    if (int e = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return e;
    err = binary(v, insn);
  }
  if (err) return err;
  return check_invariants(v, v.reg(insn.dst), "alu");
}

}  // namespace uscx::bpf::verifier
