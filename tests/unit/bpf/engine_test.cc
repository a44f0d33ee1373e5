// SPDX-License-Identifier: GPL-2.0-only
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "bpf/bpf.h"
#include "bpf/exec/exec.h"
#include "support/bpf_assembler.h"
#include "support/bpf_engine.h"

namespace uscx::bpf {
namespace {

using testing::HasSubstr;

bool first_word_only(u64 offset, u32 size) {
  return offset + size <= 8;
}
constexpr ObjectType kThing{"thing", &first_word_only};

u64 sum_of_arguments(HelperCall& call) {
  u64 sum = 0;
  for (u64 arg : call.args) sum += arg;
  return sum;
}
/// Calls the callback in R1 with R2; twice that is its result.
u64 call_twice(HelperCall& call) {
  return call.call_back(call.args[0], {call.args[1]}) +
         call.call_back(call.args[0], {call.args[1]});
}
u64 read_context(HelperCall& call) {
  return call.context;
}
u64 refuse(HelperCall& call) {
  call.fault("not today");
  return 1;
}
/// Its first argument must be eight writable bytes; they become 99.
u64 fill(HelperCall& call) {
  u64* word = call.memory<u64>(0, true);
  if (word) *word = 99;
  return word != nullptr;
}

enum : u32 { kSum = 1, kTwice, kContext, kRefuse, kFill };

/// Each test runs with both engines.
class Engines : public testing::TestWithParam<EngineKind> {
 protected:
  Engines() {
    env.helper_table.add({.id = kSum, .name = "bpf_sum", .fn = &sum_of_arguments});
    env.helper_table.add({.id = kTwice, .name = "bpf_twice", .fn = &call_twice});
    env.helper_table.add({.id = kContext, .name = "bpf_context", .fn = &read_context});
    env.helper_table.add({.id = kRefuse, .name = "bpf_refuse", .fn = &refuse});
    env.helper_table.add({.id = kFill, .name = "bpf_fill", .fn = &fill});
  }

  /// A program that is not checked: what the engine does with it is its own doing.
  Program unchecked(std::string_view source) {
    auto insns = test::Assembler::assemble(source);
    EXPECT_TRUE(insns.has_value()) << (insns ? "" : insns.error().message);
    Program program;
    program.name = "test";
    if (insns) program.insns = *insns;
    program.subprogram_starts = {0};
    for (u32 i = 0; i < program.insns.size(); i++) {
      const Insn& insn = program.insns[i];
      if (isa::is_call(insn) && insn.src == isa::kPseudoCall) {
        program.subprogram_starts.push_back(static_cast<u32>(s64{i} + insn.imm + 1));
      }
    }
    std::ranges::sort(program.subprogram_starts);
    return program;
  }
  u64 run(std::string_view source, std::vector<u64> args = {}) {
    return engine.run(unchecked(source), args);
  }
  std::string only_fault() {
    EXPECT_EQ(host.faults.size(), 1u);
    return host.faults.empty() ? "" : host.faults[0];
  }
  u64 object(std::size_t size, const ObjectType& type) {
    return reinterpret_cast<u64>(window->allocate(size, type));
  }

  std::unique_ptr<AddressWindow> window = std::move(AddressWindow::create().value());
  test::RecordingHost host;
  test::TestEnvironment env;
  Bpf bpf{host, *window, btf::kDefaultVersion};
  Engine engine{{&bpf, host, *window, env.helper_table}, GetParam()};
};

TEST_P(Engines, ArgumentsAreTheContext) {
  EXPECT_EQ(run("ldxdw %r0, [%r1+0]\nldxdw %r2, [%r1+8]\nlsh %r2, 8\nor %r0, %r2\nexit", {5, 7}),
            0x705u);
  EXPECT_EQ(run("ldxdw %r0, [%r1+16]\nexit", {5, 7}), 0u);
  EXPECT_TRUE(host.faults.empty());
}

TEST_P(Engines, TheContextIsReadOnly) {
  EXPECT_EQ(run("mov %r0, 7\nstxdw [%r1+0], %r0\nexit", {5}), 0u);
  EXPECT_THAT(only_fault(), HasSubstr("insn 1: (7b) *(u64 *)(r1 +0) = r0: store of 8 bytes at"));
  EXPECT_THAT(only_fault(), HasSubstr("not writable: offset 0 of read-only memory"));
}

TEST_P(Engines, LoadsOutsideEveryObjectAreZeroAndCounted) {
  EXPECT_EQ(run("lddw %r1, 0xffff888000001234\nldxdw %r0, [%r1+8]\nadd %r0, 1\nexit"), 1u);
  EXPECT_EQ(run("mov %r1, 0\nldxw %r0, [%r1+0]\nexit"), 0u);
  EXPECT_TRUE(host.faults.empty());
  EXPECT_EQ(engine.faults_to_zero(), 2u);
}

TEST_P(Engines, LoadsAcrossTheEndOfAnObjectAreZero) {
  const u64 memory = object(12, kProgramMemory);
  std::memset(reinterpret_cast<void*>(memory), 0xff, 12);
  EXPECT_EQ(run("ldxdw %r1, [%r1+0]\nldxw %r0, [%r1+8]\nexit", {memory}), 0xffffffffu);
  EXPECT_EQ(run("ldxdw %r1, [%r1+0]\nldxdw %r0, [%r1+8]\nexit", {memory}), 0u);
  EXPECT_EQ(engine.faults_to_zero(), 1u);
}

TEST_P(Engines, StoresObeyTheTypeOfTheObject) {
  const u64 thing = object(64, kThing);
  EXPECT_EQ(run("ldxdw %r1, [%r1+0]\nmov %r2, 3\nstxw [%r1+4], %r2\nmov %r0, 1\nexit", {thing}),
            1u);
  EXPECT_EQ(reinterpret_cast<u32*>(thing)[1], 3u);
  EXPECT_EQ(run("ldxdw %r1, [%r1+0]\nstw [%r1+8], 3\nmov %r0, 1\nexit", {thing}), 0u);
  EXPECT_THAT(only_fault(), HasSubstr("offset 8 of thing (64 bytes)"));
  host.faults.clear();
  EXPECT_EQ(run("ldxdw %r1, [%r1+0]\nmov %r2, 1\nlock add [%r1+16], %r2\nexit", {thing}), 0u);
  EXPECT_THAT(only_fault(), HasSubstr("lock *(u64 *)(r1 +16) += r2"));
}

TEST_P(Engines, StoresToNowhereAreFaults) {
  run("mov %r1, 0\nstdw [%r1+16], 1\nexit");
  EXPECT_THAT(only_fault(), HasSubstr("store of 8 bytes at 0x10, which is no object"));
  EXPECT_EQ(engine.program_faults(), 1u);
}

TEST_P(Engines, FreedObjectsAreGone) {
  const u64 memory = object(64, kProgramMemory);
  window->free(reinterpret_cast<void*>(memory));
  run("ldxdw %r1, [%r1+0]\nstdw [%r1+0], 1\nexit", {memory});
  EXPECT_THAT(only_fault(), HasSubstr("which is no object"));
}

TEST_P(Engines, MisalignedAccessesWorkAsOnX86) {
  EXPECT_EQ(run("lddw %r2, 0x1122334455667788\nstxdw [%r10-13], %r2\nldxw %r0, [%r10-12]\nexit"),
            0x44556677u);
}

TEST_P(Engines, AtomicsOf32BitsExtendWithZeros) {
  // A cmpxchg that fails still zero-extends R0.
  EXPECT_EQ(run("stdw [%r10-8], -1\nlddw %r0, 0x1111111122222222\nmov %r1, 5\n"
                "lock cmpxchg32 [%r10-8], %r1\nexit"),
            0xffffffffu);
  EXPECT_EQ(run("stdw [%r10-8], -2\nlddw %r0, 0x11111111fffffffe\nmov %r1, 5\n"
                "lock cmpxchg32 [%r10-8], %r1\nexit"),
            0xfffffffeu);
  // Fetching into R0, and from R0.
  EXPECT_EQ(run("stdw [%r10-8], 12\nlddw %r0, 0xff0000000a\nlock fetch and32 [%r10-8], %r0\nexit"),
            12u);
  EXPECT_EQ(run("stdw [%r10-8], 12\nmov %r0, 3\nlock fetch or [%r10-8], %r0\n"
                "ldxdw %r1, [%r10-8]\nlsh %r1, 8\nor %r0, %r1\nexit"),
            0xf0cu);
}

TEST_P(Engines, LoadAcquireAndStoreRelease) {
  Program program = unchecked("mov %r1, 77\nstxw [%r10-8], %r1\nldxw %r0, [%r10-8]\nexit");
  program.insns[1] = {isa::kStx | isa::kAtomic | isa::kW, 10, 1, -8, isa::kStoreRelease};
  program.insns[2] = {isa::kStx | isa::kAtomic | isa::kW, 0, 10, -8, isa::kLoadAcquire};
  EXPECT_EQ(engine.run(program, {}), 77u);
}

TEST_P(Engines, LocalCallsHaveFramesOfTheirOwn) {
  EXPECT_EQ(run(R"(
      mov %r6, 60
      stdw [%r10-8], 5
      mov %r1, %r10
      add %r1, -8
      call local callee
      ldxdw %r1, [%r10-8]
      add %r0, %r1
      add %r0, %r6
      exit
    callee:
      mov %r6, 1
      stdw [%r10-8], 9
      stdw [%r1+0], 7
      ldxdw %r0, [%r10-8]
      exit)"),
            9u + 7u + 60u);
}

TEST_P(Engines, SixteenFramesAndNoMore) {
  const char* recursion = R"(
      mov %r1, 15
      call local down
      exit
    down:
      mov %r0, %r1
      jeq %r1, LAST, done
      sub %r1, 1
      call local down
    done:
      exit)";
  auto with = [&](const char* last) {
    std::string source = recursion;
    return source.replace(source.find("LAST"), 4, last);
  };
  run(with("1"));  // main and 15 below it
  EXPECT_TRUE(host.faults.empty());
  run(with("0"));
  EXPECT_THAT(only_fault(), HasSubstr("more than 16 nested calls"));
}

TEST_P(Engines, CallbacksRunInTheSameRun) {
  Program program = unchecked(R"(
      lddw %r1, 0
      mov %r2, 20
      call 2
      exit
    add_one:
      mov %r0, %r1
      add %r0, 1
      exit)");
  const u64 callback = encode_callback(5);
  program.insns[0].imm = static_cast<s32>(callback);
  program.insns[1].imm = static_cast<s32>(callback >> 32);
  program.subprogram_starts = {0, 5};
  EXPECT_EQ(engine.run(program, {}), 42u);
  EXPECT_EQ(program.insns_executed, 4u + 2 * 3u);
  EXPECT_EQ(program.run_count, 1u);
  EXPECT_EQ(engine.run_callback(program, callback, {1}), 2u);
  // Only functions of the program are callbacks.
  for (u64 bad : {encode_callback(6), encode_callback(500), u64{5}, u64{0}}) {
    host.faults.clear();
    program.insns[0].imm = static_cast<s32>(bad);
    program.insns[1].imm = static_cast<s32>(bad >> 32);
    program.decoded = nullptr;
    EXPECT_EQ(engine.run(program, {}), 0u);
    EXPECT_THAT(only_fault(), HasSubstr("is no function of the program"));
  }
}

TEST_P(Engines, HelpersGetArgumentsAndContext) {
  EXPECT_EQ(run("mov %r1, 1\nmov %r2, 2\nmov %r3, 3\nmov %r4, 4\nmov %r5, 5\ncall 1\nexit"), 15u);
  EXPECT_EQ(run("mov %r6, %r1\ncall 3\nsub %r0, %r6\nadd %r0, 1\nexit", {0}), 1u);
}

TEST_P(Engines, ArgumentsOfHelpersAreChecked) {
  EXPECT_EQ(run("mov %r1, %r10\nadd %r1, -8\ncall 5\nldxdw %r0, [%r10-8]\nexit"), 99u);
  EXPECT_TRUE(host.faults.empty());
  EXPECT_EQ(run("mov %r6, 1\ncall 5\nmov %r0, 1\nexit", {0}), 0u);  // the context
  EXPECT_THAT(only_fault(), HasSubstr("(85) call bpf_fill#5: argument 1 "));
  EXPECT_THAT(only_fault(), HasSubstr("is not 8 bytes of writable memory"));
}

TEST_P(Engines, AHelperCanEndTheRun) {
  EXPECT_EQ(run("call 4\nmov %r0, 9\nexit"), 0u);
  EXPECT_EQ(only_fault(), "insn 0: (85) call bpf_refuse#4: not today");
}

TEST_P(Engines, KfuncsAreCalledByIndex) {
  KfuncRegistry registry;
  registry.add({.name = "double_it", .fn = [](KfuncCall& call) { return call.args[0] * 2; }});
  Program program = unchecked("mov %r1, 21\ncall 0\nexit");
  program.insns[1].src = isa::kPseudoKfuncCall;
  program.kfuncs = {registry.find("double_it")};
  EXPECT_EQ(engine.run(program, {}), 42u);
}

TEST_P(Engines, NestedRunsDoNotDisturbEachOther) {
  Program inner = unchecked("stdw [%r10-8], 1\nldxdw %r0, [%r1+0]\nexit");
  KfuncRegistry registry;
  registry.add({.name = "nest", .fn = [&](KfuncCall& call) {
                  return engine.run(inner, std::array{call.args[0]});
                }});
  Program program = unchecked(
      "stdw [%r10-8], 30\nmov %r1, 12\ncall 0\nldxdw %r1, [%r10-8]\n"
      "add %r0, %r1\nexit");
  program.insns[2].src = isa::kPseudoKfuncCall;
  program.kfuncs = {registry.find("nest")};
  EXPECT_EQ(engine.run(program, {}), 42u);
  EXPECT_EQ(host.charged, 9u);
}

TEST_P(Engines, InstructionsAreCountedAndCharged) {
  Program program = unchecked(
      "mov %r1, 10\nlddw %r2, 0\nagain:\nsub %r1, 1\njne %r1, 0, again\n"
      "mov %r0, 0\nexit");
  engine.run(program, {});
  EXPECT_EQ(program.insns_executed, 2u + 20u + 2u);
  EXPECT_EQ(host.charged, 24u);
}

TEST_P(Engines, EndlessProgramsAreEnded) {
  run("again:\nadd %r0, 1\nja again\nexit");
  EXPECT_THAT(only_fault(), HasSubstr("ran too long"));
  EXPECT_LE(host.charged, kMaxRunInsns + 2);
}

TEST_P(Engines, MayGotoEndsLoopsWithoutAFault) {
  EXPECT_EQ(run("again:\nadd %r0, 1\nmay_goto out\nja again\nout:\nexit"), kMaxMayGoto + 1);
  EXPECT_TRUE(host.faults.empty());
  // Long bodies: by instructions.
  EXPECT_GT(run("again:\nadd %r0, 1\nadd %r1, 1\nadd %r1, 1\nadd %r1, 1\nadd %r1, 1\nmay_goto out\n"
                "ja again\nout:\nexit"),
            1'000'000u);
  EXPECT_TRUE(host.faults.empty());
}

TEST_P(Engines, WhatIsNoInstructionIsAFault) {
  Program program = unchecked("mov %r0, 1\nexit");
  program.insns[0].code = 0xff;
  engine.run(program, {});
  EXPECT_THAT(only_fault(), HasSubstr("not reachable, or not an instruction"));
  host.faults.clear();
  program = unchecked("mov %r0, 1");
  engine.run(program, {});
  EXPECT_THAT(only_fault(), HasSubstr("past the last instruction"));
}

std::vector<EngineKind> all_engines() {
  std::vector<EngineKind> engines = {EngineKind::kInterpreter};
  if (default_engine() != EngineKind::kInterpreter) engines.push_back(default_engine());
  return engines;
}
INSTANTIATE_TEST_SUITE_P(Both, Engines, testing::ValuesIn(all_engines()), [](const auto& info) {
  return info.param == EngineKind::kJit ? "Jit" : "Interpreter";
});

}  // namespace
}  // namespace uscx::bpf
