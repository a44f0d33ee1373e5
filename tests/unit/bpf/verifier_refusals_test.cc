// SPDX-License-Identifier: GPL-2.0-only
// Programs that are refused for their form, before or without a look at what pointers point to:
// errnos and messages are those of Linux 7.3's kernel/bpf.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/isa.h"
#include "bpf/verifier/prog_type.h"
#include "bpf/verifier/verifier.h"
#include "support/bpf_assembler.h"
#include "support/bpf_engine.h"

namespace uscx::bpf::verifier {
namespace {

using ::testing::HasSubstr;

class Refusals : public ::testing::Test {
 protected:
  Refusals() {
    program.type = kProgSocketFilter;
    program.gpl_compatible = true;
  }

  static std::vector<Insn> assemble(std::string_view source) {
    auto insns = test::Assembler::assemble(source);
    EXPECT_TRUE(insns.has_value()) << (insns ? "" : insns.error().message);
    return insns ? *insns : std::vector<Insn>{};
  }
  VerifyResult check(const std::vector<Insn>& insns) {
    return verify({.insns = insns, .program = program, .env = env, .log_level = 1});
  }
  void accepts(std::string_view source) {
    const VerifyResult result = check(assemble(source));
    EXPECT_EQ(result.errnum, 0) << result.log;
  }
  void refuses(const std::vector<Insn>& insns, int errnum, std::string_view reason) {
    const VerifyResult result = check(insns);
    EXPECT_EQ(result.errnum, errnum) << result.log;
    EXPECT_THAT(result.log, HasSubstr(std::string(reason) + "\n"));
  }
  void refuses(std::string_view source, int errnum, std::string_view reason) {
    refuses(assemble(source), errnum, reason);
  }

  test::TestEnvironment env;
  Program program;
};

TEST_F(Refusals, EncodingsThatAreNoInstructions) {
  auto with = [](Insn insn) { return std::vector<Insn>{insn, {isa::kExitOpcode, 0, 0, 0, 0}}; };
  refuses(with({0xff, 0, 0, 0, 0}), EINVAL, "unknown opcode ff");
  refuses(with({0x8d, 2, 0, 0, 0}), EINVAL, "BPF_CALL uses reserved fields");
  refuses(with({0xb7, 11, 0, 0, 0}), EINVAL, "R11 is invalid");
  refuses(with({0xbf, 0, 15, 0, 0}), EINVAL, "R15 is invalid");
  refuses(with({0xb7, 0, 1, 0, 0}), EINVAL, "BPF_MOV uses reserved fields");
  refuses(with({0xbf, 0, 1, 32, 1}), EINVAL, "BPF_MOV uses reserved fields");
  refuses(with({0xbc, 0, 1, 32, 0}), EINVAL, "BPF_MOV uses reserved fields");
  refuses(with({0x0f, 0, 1, 1, 0}), EINVAL, "BPF_ALU uses reserved fields");
  refuses(with({0x87, 0, 1, 0, 0}), EINVAL, "BPF_NEG uses reserved fields");
  refuses(with({0xd4, 0, 0, 0, 8}), EINVAL, "BPF_END uses reserved fields");
  refuses(with({0x85, 0, 3, 0, 1}), EINVAL, "BPF_CALL uses reserved fields");
  refuses(with({0x95, 0, 0, 0, 1}), EINVAL, "BPF_EXIT uses reserved fields");
  refuses(with({0x79, 0, 1, 0, 1}), EINVAL, "BPF_LDX uses reserved fields");
  refuses(with({0x7a, 1, 1, 0, 1}), EINVAL, "BPF_ST uses reserved fields");
  refuses(with({0x7b, 1, 1, 0, 1}), EINVAL, "BPF_STX uses reserved fields");
  refuses(with({0xe5, 0, 0, 0, 3}), EINVAL, "invalid may_goto imm 3");
  refuses(with({0x15, 0, 1, 0, 3}), EINVAL, "BPF_JMP/JMP32 uses reserved fields");
  refuses(with({0xbf, 1, 1, 1, 3}), EINVAL,
          "addr_space_cast insn can only convert between address space 1 and 0");
  refuses(with({0xbf, 0, 1, 1, 1}), EINVAL,
          "addr_space_cast insn can only be used in a program that has an associated arena");
}

TEST_F(Refusals, Atomics) {
  constexpr std::string_view kBefore = "stdw [%r10-8], 0\nmov %r0, 0\nmov %r1, 1\n";
  auto with = [&](Insn insn) {
    std::vector<Insn> insns = assemble(kBefore);
    insns.push_back(insn);
    insns.push_back({isa::kExitOpcode, 0, 0, 0, 0});
    return insns;
  };
  refuses(with({0xdb, 10, 1, -8, 0x20}), EINVAL, "BPF_ATOMIC uses invalid atomic opcode 20");
  refuses(with({0xd3, 10, 1, -8, 0x01}), EINVAL, "invalid atomic operand size");
}

TEST_F(Refusals, JumpsStayInsideTheirFunction) {
  refuses("mov %r0, 0\nja +5\nexit", EINVAL, "jump out of range from insn 1 to 7");
  refuses("mov %r0, 0\nja -5\nexit", EINVAL, "jump out of range from insn 1 to -3");
  refuses("call local sub\nmov %r0, 0\nja sub\nsub:\nmov %r0, 0\nexit", EINVAL,
          "jump out of range from insn 2 to 3");
  refuses("mov %r0, 0\njeq %r0, 0, +1\nlddw %r1, 5\nexit", EINVAL,
          "jump into the middle of ldimm64 insn 2");
}

TEST_F(Refusals, NothingFallsOffTheEnd) {
  refuses("mov %r0, 0", EINVAL, "last insn is not an exit or jmp");
  refuses("mov %r0, 0\njne %r0, 1, -2", EINVAL, "last insn is not an exit or jmp");
  refuses("call local sub\nmov %r0, 0\nsub:\nmov %r0, 0\nexit", EINVAL,
          "last insn is not an exit or jmp");
}

TEST_F(Refusals, UnreachableAndEndlessCode) {
  refuses("mov %r0, 0\nexit\nmov %r0, 1\nexit", EINVAL, "unreachable insn 2");
  refuses("mov %r0, 0\nja -1", EINVAL, "infinite loop detected at insn 1");
}

TEST_F(Refusals, RegistersMustBeSet) {
  refuses("add %r6, 1\nmov %r0, 0\nexit", EACCES, "R6 !read_ok");
  refuses("jeq %r3, 0, +0\nmov %r0, 0\nexit", EACCES, "R3 !read_ok");
  refuses("stxdw [%r10-8], %r4\nmov %r0, 0\nexit", EACCES, "R4 !read_ok");
  refuses("ldxdw %r0, [%r5+0]\nexit", EACCES, "R5 !read_ok");
  refuses("mov %r1, 0\nstdw [%r10-8], 0\nlock cmpxchg [%r10-8], %r1\nexit", EACCES, "R0 !read_ok");
  refuses("mov %r2, 0\ncall 7\nmov %r0, %r2\nexit", EACCES, "R2 !read_ok");
  refuses("mov %r10, 0\nmov %r0, 0\nexit", EACCES, "frame pointer is read only");
  refuses("call local sub\nexit\nsub:\nmov %r0, %r2\nexit", EACCES, "R2 !read_ok");
  accepts("mov %r2, 1\ncall local sub\nexit\nsub:\nmov %r0, %r2\nexit");
}

TEST_F(Refusals, Arithmetic) {
  refuses("mov %r0, 1\ndiv %r0, 0\nexit", EINVAL, "div by zero");
  refuses("mov %r0, 1\nsmod32 %r0, 0\nexit", EINVAL, "div by zero");
  refuses("mov %r0, 1\nlsh32 %r0, 32\nexit", EINVAL, "invalid shift 32");
  refuses("mov %r0, 1\narsh %r0, 64\nexit", EINVAL, "invalid shift 64");
  accepts("mov %r0, 1\narsh %r0, 63\nexit");
}

TEST_F(Refusals, Stack) {
  accepts("stdw [%r10-512], 0\nmov %r0, 0\nexit");
  refuses("stdw [%r10-4], 0\nmov %r0, 0\nexit", EACCES, "misaligned stack access off 0+-4 size 8");
  refuses("mov %r1, %r10\nadd %r1, -8\nldxw %r0, [%r1+8]\nexit", EACCES,
          "invalid read from stack R1 off=0 size=4");
  constexpr std::string_view kDeep =
      "stdw [%r10-256], 0\ncall local sub\nexit\nsub:\nstdw [%r10-264], 0\nmov %r0, 0\nexit";
  refuses(kDeep, EACCES, "combined stack size of 2 calls is 528. Too large");
}

TEST_F(Refusals, CallsThatGoNowhereOrTooDeep) {
  refuses("call local +5\nexit", EINVAL, "call to invalid destination");
  std::string chain = "call local f0\nexit\n";
  for (int i = 0; i < 16; i++) {
    chain += fmt::format("f{}:\n", i);
    chain += i < 15 ? fmt::format("call local f{}\nexit\n", i + 1) : "mov %r0, 0\nexit\n";
  }
  refuses(chain, E2BIG, "the call stack of 17 frames is too deep");
}

// Calls that libbpf could not resolve, in code that cannot run.

TEST_F(Refusals, UnresolvedCalls) {
  refuses("call 999\nexit", EINVAL, "invalid func unknown#999");
  refuses("call 2002000001\nexit", EINVAL, "invalid func unknown#2002000001");
  refuses("lddw %r1, 1\njeq %r1, 0, +1\ncall 2002000003\nmov %r0, 0\nexit", EINVAL,
          "invalid func unknown#2002000003");
  const VerifyResult result = check(assemble(R"(
      lddw %r1, 0
      jeq %r1, 0, old
      call 2002000003
    old:
      mov %r0, 0
      exit)"));
  ASSERT_EQ(result.errnum, 0) << result.log;
  EXPECT_EQ(result.program.insns[3], isa::kTrap);
}

TEST_F(Refusals, DeadCodeThroughFunctions) {
  constexpr std::string_view kSource = R"(
      mov %r1, {}
      call local pick
      jeq %r0, 3, fine
      call 195896080
    fine:
      mov %r0, 0
      exit
    pick:
      jne %r1, 2, other
      mov %r0, 3
      exit
    other:
      mov %r0, 4
      exit)";
  accepts(fmt::format(kSource, 2));
  refuses(fmt::format(kSource, 5), EINVAL, "invalid func unknown#195896080");
}

TEST_F(Refusals, CallbacksAreFunctionsOfTheProgram) {
  std::vector<Insn> insns = {{isa::kLdImm64, 1, isa::kPseudoFunc, 0, 3}, {0, 0, 0, 0, 0}};
  for (const Insn& insn : assemble("mov %r0, 0\nexit\nmov %r0, %r3\nexit")) insns.push_back(insn);
  refuses(insns, EINVAL, "missing btf func_info");
}

}  // namespace
}  // namespace uscx::bpf::verifier
