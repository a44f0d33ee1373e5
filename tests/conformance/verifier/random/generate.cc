// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/generate.h"

#include "conformance/verifier/random/generator.h"

namespace uscx::conformance {

bpf::Insn& Generator::emit(u8 code, u32 dst, u32 src, s32 off, s32 imm) {
  Insn insn{};
  insn.code = code;
  insn.dst = static_cast<u8>(dst & 15);
  insn.src = static_cast<u8>(src & 15);
  insn.off = static_cast<s16>(off);
  insn.imm = imm;
  out_.push_back(insn);
  return out_.back();
}

void Generator::mov_imm(u32 dst, s32 imm) {
  emit(kAlu64 | kMov | kImm, dst, 0, 0, imm);
  reg(dst) = {Kind::kScalar, static_cast<u32>(imm)};
}

void Generator::mov_frame(u32 dst, s32 off) {
  mov(dst, 10);
  emit(kAlu64 | kAdd | kImm, dst, 0, 0, off);
  reg(dst) = {Kind::kFrame, 0};
}

void Generator::ld_map(u32 dst, u32 map) {
  emit(kLd | kDw, dst, 1, 0, links_.map_fds[map]);
  emit(0, 0, 0, 0, 0);
}

void Generator::clobber() {
  for (u32 r = 0; r <= 5; ++r) reg(r) = {};
}

void Generator::call(s32 helper) {
  emit(kJmp | kCall, 0, 0, 0, helper);
  clobber();
  reg(0) = {Kind::kScalar, ~0u};
}

u32 Generator::any(Kind kind) {
  u32 found[10], n = 0;
  for (u32 r = 0; r < 10; ++r) {
    if (regs_[r].kind == kind && !(reserved_ & (1u << r))) found[n++] = r;
  }
  return n ? found[random_.below(n)] : 16;
}

u32 Generator::target() {
  u32 r = random_.below(10);
  while (r == 6 || (reserved_ & (1u << r))) r = random_.below(10);
  return r;
}

u32 Generator::scalar() {
  const u32 r = any(Kind::kScalar);
  if (r < 16 && random_.percent(75)) return r;
  const u32 fresh = target();
  if (random_.percent(50)) {
    const s32 number = static_cast<s32>(random_.below(64));
    mov_imm(fresh, number - (random_.percent(20) ? 32 : 0));
  } else {
    unknown_scalar(fresh);
  }
  return fresh;
}

u32 Generator::scalar_but(u32 base) {
  const u32 r = any(Kind::kScalar);
  if (r < 16 && r != base) return r;
  return 10;  // a pointer: a leak, where that matters
}

void Generator::unknown_scalar(u32 dst) {
  emit(kLdx | kMem | kDw, dst, 10, -8 * static_cast<s32>(1 + random_.below(4)), 0);
  reg(dst) = {Kind::kScalar, ~0u};
  if (random_.percent(50)) {
    call(7);  // get_prandom_u32
    mov(dst, 0);
    reg(dst) = {Kind::kScalar, ~0u};
  }
}

u8 Generator::size() {
  constexpr u8 kSizes[] = {kW, kH, kB, kDw, kDw};
  return random_.pick(kSizes);
}

GeneratedProgram generate_program(u64 seed, const GeneratorLinks& links) {
  return Generator(seed, links).run();
}

}  // namespace uscx::conformance
