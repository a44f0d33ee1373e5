// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "bpf/disasm.h"
#include "bpf/isa.h"
#include "support/bpf_assembler.h"

namespace uscx::bpf {
namespace {

std::string text(std::string_view source) {
  auto insns = test::Assembler::assemble(source);
  EXPECT_TRUE(insns.has_value()) << (insns ? "" : insns.error().message);
  return insns ? disassemble(*insns, 0) : "";
}
std::string text(Insn insn) {
  return disassemble(std::span(&insn, 1), 0);
}

TEST(Disassembler, WritesAsTheKernelDoes) {
  EXPECT_EQ(text("mov %r1, %r6"), "(bf) r1 = r6");
  EXPECT_EQ(text("mov32 %r1, -1"), "(b4) w1 = -1");
  EXPECT_EQ(text("add %r2, -8"), "(07) r2 += -8");
  EXPECT_EQ(text("arsh32 %r2, %r3"), "(cc) w2 s>>= w3");
  EXPECT_EQ(text("sdiv %r2, %r3"), "(3f) r2 s/= r3");
  EXPECT_EQ(text("smod32 %r2, 7"), "(94) w2 s%= 7");
  EXPECT_EQ(text("movsx832 %r2, %r3"), "(bc) w2 = (s8)w3");
  EXPECT_EQ(text("movsx3264 %r2, %r3"), "(bf) r2 = (s32)r3");
  EXPECT_EQ(text("neg32 %r2"), "(84) w2 = -w2");
  EXPECT_EQ(text("be16 %r2"), "(dc) r2 = be16 r2");
  EXPECT_EQ(text("le64 %r2"), "(d4) r2 = le64 r2");
  EXPECT_EQ(text("bswap32 %r2"), "(d7) r2 = bswap32 r2");
  EXPECT_EQ(text("ldxdw %r1, [%r6+8]"), "(79) r1 = *(u64 *)(r6 +8)");
  EXPECT_EQ(text("ldxsh %r1, [%r6-2]"), "(89) r1 = *(s16 *)(r6 -2)");
  EXPECT_EQ(text("stxw [%r10-4], %r1"), "(63) *(u32 *)(r10 -4) = r1");
  EXPECT_EQ(text("stb [%r1], 5"), "(72) *(u8 *)(r1 +0) = 5");
  EXPECT_EQ(text("lock add [%r1], %r2"), "(db) lock *(u64 *)(r1 +0) += r2");
  EXPECT_EQ(text("lock fetch xor32 [%r1], %r2"), "(c3) r2 = atomic_fetch_xor((u32 *)(r1 +0), r2)");
  EXPECT_EQ(text("lock xchg [%r1+8], %r2"), "(db) r2 = atomic64_xchg((u64 *)(r1 +8), r2)");
  EXPECT_EQ(text("lock cmpxchg [%r1], %r2"), "(db) r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)");
  EXPECT_EQ(text("lddw %r1, 0x1122334455667788"), "(18) r1 = 0x1122334455667788");
  EXPECT_EQ(text("ja +3"), "(05) goto pc+3");
  EXPECT_EQ(text("gotol -3"), "(06) gotol pc-3");
  EXPECT_EQ(text("may_goto +2"), "(e5) may_goto pc+2");
  EXPECT_EQ(text("jne %r1, -1, +3"), "(55) if r1 != 0xffffffff goto pc+3");
  EXPECT_EQ(text("jsle32 %r1, %r2, -3"), "(de) if w1 s<= w2 goto pc-3");
  EXPECT_EQ(text("jge %r1, 0, +0"), "(35) if r1 >= 0x0 goto pc+0");
  EXPECT_EQ(text("call 7"), "(85) call unknown#7");
  EXPECT_EQ(text("call local +7"), "(85) call pc+7");
  EXPECT_EQ(text("exit"), "(95) exit");
  EXPECT_EQ(text(Insn{0xbf, 1, 2, 1, 0x10000}), "(bf) r1 = addr_space_cast(r2, 1, 0)");
  EXPECT_EQ(text(Insn{0xdb, 1, 2, 8, 0x100}), "(db) r1 = load_acquire((u64 *)(r2 +8))");
  EXPECT_EQ(text(Insn{0xd3, 1, 2, 8, 0x110}), "(d3) store_release((u8 *)(r1 +8), r2)");
  EXPECT_EQ(text(Insn{0x0d, 3, 0, 0, 0}), "(0d) gotox r3");
  EXPECT_EQ(text(Insn{0xdb, 1, 2, 8, 0x77}), "BUG_db");
  EXPECT_EQ(text(Insn{0x9f, 1, 2, 8, 0x77}), "(9f) r1 %= r2");
}

TEST(Disassembler, NamesWhatIsCalled) {
  const Insn call{0x85, 0, 0, 0, 14};
  EXPECT_EQ(disassemble(std::span(&call, 1), 0, [](const Insn&) { return "bpf_get_it"; }),
            "(85) call bpf_get_it#14");
}

TEST(Isa, JumpsByKind) {
  EXPECT_TRUE(isa::is_conditional({isa::kMayGoto, 0, 0, 1, 0}));
  EXPECT_TRUE(isa::is_conditional({isa::kJmp32 | isa::kJeq, 0, 0, 1, 0}));
  EXPECT_FALSE(isa::is_conditional({isa::kGotol, 0, 0, 0, 5}));
  EXPECT_FALSE(isa::is_conditional({isa::kCallOpcode, 0, 0, 0, 5}));
  EXPECT_EQ(isa::jump_distance({isa::kGotol, 0, 0, 0, 500000}), 500000);
  EXPECT_EQ(isa::jump_distance({isa::kGoto, 0, 0, -5, 0}), -5);
}

}  // namespace
}  // namespace uscx::bpf
