// SPDX-License-Identifier: GPL-2.0-only
// The verifier by itself, without a kernel: one rule a test. The kernel's own tests are
// tests/conformance/verifier.
#include "bpf/verifier/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/isa.h"
#include "bpf/verifier/prog_type.h"
#include "support/bpf_assembler.h"
#include "support/bpf_engine.h"

namespace uscx::bpf::verifier {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class VerifierTest : public ::testing::Test {
 protected:
  VerifierTest() {
    program.type = kProgSocketFilter;
    program.gpl_compatible = true;
  }

  VerifyResult check(std::string_view source, u32 log_level = 1) {
    auto insns = test::Assembler::assemble(source);
    EXPECT_TRUE(insns.has_value()) << (insns ? "" : insns.error().message);
    return verify({.insns = *insns, .program = program, .env = env, .log_level = log_level});
  }
  void accepts(std::string_view source) {
    const VerifyResult result = check(source);
    EXPECT_EQ(result.errnum, 0) << result.log;
  }
  void refuses(std::string_view source, int errnum, std::string_view reason) {
    const VerifyResult result = check(source);
    EXPECT_EQ(result.errnum, errnum) << result.log;
    EXPECT_THAT(result.log, HasSubstr(std::string(reason) + "\nprocessed "));
  }

  test::TestEnvironment env;
  Program program;
};

TEST_F(VerifierTest, TheLogOfAGoodProgramIsItsLastLine) {
  EXPECT_EQ(check("mov %r0, 0\nexit").log,
            "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 "
            "mark_read 0\n");
}

TEST_F(VerifierTest, TheLogOfABadProgramShowsItsPath) {
  EXPECT_THAT(check("mov %r0, 0\nmov %r1, %r7\nexit").log,
              StartsWith("0: R1=ctx() R10=fp0\n"
                         "0: (b7) r0 = 0                        ; R0=0\n"
                         "1: (bf) r1 = r7\n"
                         "R7 !read_ok\n"));
}

TEST_F(VerifierTest, RegistersAndStackAreWrittenFirst) {
  refuses("mov %r0, %r2\nexit", EACCES, "R2 !read_ok");
  refuses("exit", EACCES, "R0 !read_ok");
  accepts("stdw [%r10-8], 1\nldxdw %r0, [%r10-8]\nand %r0, 1\nexit");
  refuses("stdw [%r10-520], 1\nmov %r0, 0\nexit", EACCES,
          "invalid write to stack R10 off=-520 size=8");
}

TEST_F(VerifierTest, NumbersAreNoPointers) {
  refuses("mov %r1, 4096\nldxdw %r0, [%r1+0]\nexit", EACCES, "R1 invalid mem access 'scalar'");
}

TEST_F(VerifierTest, WhatAComparisonTeachesBoundsAnOffset) {
  constexpr std::string_view kSource =
      "mov %r0, 0\nstdw [%r10-8], 0\nstdw [%r10-16], 0\nldxw %r2, [%r1+0]\n{}mov %r3, %r10\nadd "
      "%r3, -16\n"
      "add %r3, %r2\nldxb %r0, [%r3+0]\nmov %r0, 0\nexit";
  accepts(fmt::format(kSource, "jgt %r2, 15, exit\n"));
  EXPECT_EQ(check(fmt::format(kSource, "jgt %r2, 16, exit\n")).errnum, EINVAL);
  EXPECT_EQ(check(fmt::format(kSource, "")).errnum, EACCES);
}

TEST_F(VerifierTest, ASpilledNumberKeepsItsBounds) {
  accepts(
      "mov %r2, 4\nstxdw [%r10-24], %r2\nldxdw %r3, [%r10-24]\nstdw [%r10-8], 0\nmov %r4, %r10\n"
      "add %r4, -8\nadd %r4, %r3\nldxb %r0, [%r4+0]\nmov %r0, 0\nexit");
}

TEST_F(VerifierTest, LoopsThatEndAreWalked) {
  const VerifyResult result = check("mov %r0, 0\nloop:\nadd %r0, 1\njlt %r0, 10, loop\nexit");
  EXPECT_EQ(result.errnum, 0);
  EXPECT_EQ(result.stats.insns, 22u);
}

TEST_F(VerifierTest, LoopsThatDoNotAreRefused) {
  const VerifyResult result =
      check("mov %r0, 0\nldxw %r6, [%r1+0]\nloop:\njeq %r6, 5, exit\nja loop\nexit");
  EXPECT_EQ(result.errnum, EINVAL);
  EXPECT_THAT(result.log, HasSubstr("infinite loop detected at insn 2"));
}

TEST_F(VerifierTest, PathsThatTellNothingNewAreCutShort) {
  // 2^12 paths, were they all walked.
  std::string source = "ldxw %r6, [%r1+0]\nmov %r0, 0\n";
  for (int i = 0; i < 12; ++i) {
    source += fmt::format("jset %r6, {}, +1\nmov %r7, 0\nmov %r7, 0\nmov %r8, 0\n", 1 << i);
  }
  const VerifyResult result = check(source + "exit");
  EXPECT_EQ(result.errnum, 0);
  EXPECT_LT(result.stats.insns, 1000u);
}

TEST_F(VerifierTest, CodeThatIsNeverReachedBecomesATrap) {
  const VerifyResult result = check("mov %r1, 1\nmov %r0, 0\njeq %r1, 1, exit\nmov %r0, %r9\nexit");
  ASSERT_EQ(result.errnum, 0) << result.log;
  EXPECT_EQ(result.program.insns[3], isa::kTrap);
  EXPECT_FALSE(result.proof->insns[3].reached);
}

TEST_F(VerifierTest, TheProofNamesTheMemory) {
  const VerifyResult result = check("stdw [%r10-8], 1\nldxw %r0, [%r1+0]\nand %r0, 1\nexit");
  ASSERT_EQ(result.errnum, 0) << result.log;
  EXPECT_EQ(result.proof->insns[0].memory, Memory::kStack);
  EXPECT_EQ(result.proof->insns[1].memory, Memory::kContext);
  EXPECT_EQ(result.proof->insns[2].memory, Memory::kUnproven);
}

TEST_F(VerifierTest, FunctionsAreWalkedWhereTheyAreCalled) {
  accepts("mov %r1, 3\ncall local sub\nexit\nsub:\nmov %r0, %r1\nexit");
  refuses("mov %r0, 0\ncall local sub\nexit\nsub:\nmov %r0, %r6\nexit", EACCES, "R6 !read_ok");
  refuses("call local sub\nmov %r0, %r1\nexit\nsub:\nmov %r0, 0\nexit", EACCES, "R1 !read_ok");
}

TEST_F(VerifierTest, HelpersTakeWhatTheirTypesSay) {
  accepts("call 7\nmov %r0, 0\nexit");
  refuses("mov %r1, 0\nmov %r2, 0\ncall 1\nexit", EACCES, "R1 type=scalar expected=map_ptr");
}

}  // namespace
}  // namespace uscx::bpf::verifier
