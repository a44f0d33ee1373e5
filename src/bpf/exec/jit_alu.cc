// SPDX-License-Identifier: GPL-2.0-only
// Arithmetic. 32-bit operations of x86-64 clear the upper half of their result, as BPF's do.
#if defined(__x86_64__)
#include "base/assert.h"
#include "bpf/exec/jit_translator.h"

namespace uscx::bpf::jit {

void Translator::load_number(u8 dst, u64 value) {
  if (value == 0) {
    a_.xor_(reg(dst).r32(), reg(dst).r32());
  } else if (value <= ~u32{0}) {
    a_.mov(reg(dst).r32(), static_cast<u32>(value));
  } else {
    a_.mov(reg(dst), value);  // sign-extended 32 bits where that is enough
  }
}

void Translator::alu(OpCode base, u32 form, const Op& op) {
  const bool from_register = form & 1;
  const bool wide = !(form & 2);
  const x86::Gp dst = reg(op.dst, wide);
  const x86::Gp src = reg(from_register ? op.src : 0, wide);
  const s32 imm = static_cast<s32>(op.imm);
  switch (base) {
    case OpCode::k_add64k:
      from_register ? a_.add(dst, src) : a_.add(dst, imm);
      break;
    case OpCode::k_sub64k:
      from_register ? a_.sub(dst, src) : a_.sub(dst, imm);
      break;
    case OpCode::k_mul64k:
      from_register ? a_.imul(dst, src) : a_.imul(dst, dst, imm);
      break;
    case OpCode::k_or64k:
      from_register ? a_.or_(dst, src) : a_.or_(dst, imm);
      break;
    case OpCode::k_and64k:
      from_register ? a_.and_(dst, src) : a_.and_(dst, imm);
      break;
    case OpCode::k_xor64k:
      from_register ? a_.xor_(dst, src) : a_.xor_(dst, imm);
      break;
    case OpCode::k_mov64k:
      if (from_register) {
        a_.mov(dst, src);
      } else {
        load_number(op.dst, wide ? op.imm : static_cast<u32>(imm));
      }
      break;
    case OpCode::k_lsh64k:
    case OpCode::k_rsh64k:
    case OpCode::k_arsh64k:
      shift(base, wide, from_register, op);
      break;
    case OpCode::k_div64k:
      divide(wide, from_register, false, false, op);
      break;
    case OpCode::k_sdiv64k:
      divide(wide, from_register, true, false, op);
      break;
    case OpCode::k_mod64k:
      divide(wide, from_register, false, true, op);
      break;
    default:
      USCX_ASSERT(base == OpCode::k_smod64k);
      divide(wide, from_register, true, true, op);
  }
}

/// Counts are taken modulo the width by the processor, as by BPF.
void Translator::shift(OpCode base, bool wide, bool from_register, const Op& op) {
  const x86::Gp dst = reg(op.dst, wide);
  auto by = [&](const x86::Gp& value, const auto& count) {
    if (base == OpCode::k_lsh64k) {
      a_.shl(value, count);
    } else if (base == OpCode::k_rsh64k) {
      a_.shr(value, count);
    } else {
      a_.sar(value, count);
    }
  };
  if (!from_register) {
    const u32 count = static_cast<u32>(op.imm) & (wide ? 63 : 31);
    if (count) {
      by(dst, static_cast<s32>(count));
    } else if (!wide) {
      a_.mov(dst, dst);
    }
    return;
  }
  if (has_bmi2_) {
    const x86::Gp count = reg(op.src, wide);
    if (base == OpCode::k_lsh64k) {
      a_.shlx(dst, dst, count);
    } else if (base == OpCode::k_rsh64k) {
      a_.shrx(dst, dst, count);
    } else {
      a_.sarx(dst, dst, count);
    }
    return;
  }
  const x86::Gp value = wide ? kAddress : kAddress.r32();
  a_.mov(value, dst);
  a_.mov(kScratch, x86::rcx);
  a_.mov(x86::ecx, reg(op.src).r32());
  by(value, x86::cl);
  a_.mov(x86::rcx, kScratch);
  a_.mov(dst, value);
  if (!wide) a_.mov(dst, dst);  // a shift by 0 leaves the upper half of `value` alone
}

/// Division by zero gives 0, modulo by zero the dividend. Signed by -1 is done without dividing:
/// the smallest number has no opposite.
void Translator::divide(bool wide, bool from_register, bool sign, bool modulo, const Op& op) {
  const x86::Gp dst = reg(op.dst, wide);
  const x86::Gp divisor = wide ? kAddress : kAddress.r32();
  const x86::Gp low = reg(0, wide);
  const s32 imm = static_cast<s32>(op.imm);
  const asmjit::Label done = a_.newLabel();
  auto by_zero = [=, this] {
    if (!modulo) {
      a_.xor_(dst.r32(), dst.r32());
    } else if (!wide) {
      a_.mov(dst, dst);
    }
  };
  auto by_minus_one = [=, this] {
    if (modulo) {
      a_.xor_(dst.r32(), dst.r32());
    } else {
      a_.neg(dst);
    }
  };
  if (!from_register && imm == 0) return by_zero();
  if (!from_register && sign && imm == -1) return by_minus_one();
  if (from_register) {
    a_.mov(divisor, reg(op.src, wide));
    const asmjit::Label zero = a_.newLabel();
    a_.test(divisor, divisor);
    a_.jz(zero);
    later([=, this] {
      a_.bind(zero);
      by_zero();
      a_.jmp(done);
    });
    if (sign) {
      const asmjit::Label minus_one = a_.newLabel();
      a_.cmp(divisor, -1);
      a_.je(minus_one);
      later([=, this] {
        a_.bind(minus_one);
        by_minus_one();
        a_.jmp(done);
      });
    }
  } else {
    a_.mov(divisor, imm);
  }
  const bool in_rax = op.dst == 0;
  const bool in_rdx = op.dst == 3;
  if (!in_rax) a_.mov(kScratch, x86::rax);
  if (!in_rdx) a_.push(x86::rdx);
  if (!in_rax) a_.mov(low, dst);
  if (sign) {
    wide ? a_.cqo() : a_.cdq();
    a_.idiv(divisor);
  } else {
    a_.xor_(x86::edx, x86::edx);
    a_.div(divisor);
  }
  a_.mov(divisor, modulo ? reg(3, wide) : low);
  if (!in_rdx) a_.pop(x86::rdx);
  if (!in_rax) a_.mov(x86::rax, kScratch);
  a_.mov(dst, divisor);
  a_.bind(done);
}

void Translator::unary(const Op& op) {
  const x86::Gp dst = reg(op.dst);
  const x86::Gp src = reg(op.src);
  switch (op.code) {
    case OpCode::k_neg64:
      a_.neg(dst);
      break;
    case OpCode::k_neg32:
      a_.neg(dst.r32());
      break;
    case OpCode::k_movsx8_64:
      a_.movsx(dst, src.r8());
      break;
    case OpCode::k_movsx16_64:
      a_.movsx(dst, src.r16());
      break;
    case OpCode::k_movsx32_64:
      a_.movsxd(dst, src.r32());
      break;
    case OpCode::k_movsx8_32:
      a_.movsx(dst.r32(), src.r8());
      break;
    case OpCode::k_movsx16_32:
      a_.movsx(dst.r32(), src.r16());
      break;
    case OpCode::k_zext16:
      a_.movzx(dst.r32(), dst.r16());
      break;
    case OpCode::k_zext32:
      a_.mov(dst.r32(), dst.r32());
      break;
    case OpCode::k_swap16:
      a_.bswap(dst.r32());
      a_.shr(dst.r32(), 16);
      break;
    case OpCode::k_swap32:
      a_.bswap(dst.r32());
      break;
    case OpCode::k_swap64:
      a_.bswap(dst);
      break;
    default:
      USCX_ASSERT(op.code == OpCode::k_nop);
  }
}

/// The user's address of the low 32 bits; null stays null.
void Translator::cast_user(const Op& op) {
  const asmjit::Label null = a_.newLabel();
  a_.mov(reg(op.dst).r32(), reg(op.src).r32());
  a_.mov(kScratch, op.imm);
  a_.test(reg(op.dst).r32(), reg(op.dst).r32());
  a_.jz(null);
  a_.or_(reg(op.dst), kScratch);
  a_.bind(null);
}

/// What an operation that is no call leaves known.
void Translator::follow(const Op& op) {
  const Known before = known_[op.dst];
  Known& after = known_[op.dst];
  short_ = short_after(op, short_);
  after = {};
  switch (op.code) {
    case OpCode::k_mov64x:
      after = op.src == 10 ? Known{Known::kStack, 0} : known_[op.src];
      if (op.src == op.dst) after = before;
      break;
    case OpCode::k_mov64k:
    case OpCode::k_ld_imm64:
      after = {Known::kNumber, static_cast<s64>(op.imm)};
      break;
    case OpCode::k_add64k:
      if (before.kind != Known::kNothing) {
        after = {before.kind,
                 static_cast<s64>(static_cast<u64>(before.value) + static_cast<u64>(op.imm))};
      }
      break;
    default:
      break;
  }
}

}  // namespace uscx::bpf::jit
#endif
