// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "bpf/exec/exec.h"
#include "support/bpf_assembler.h"
#include "support/bpf_engine.h"

namespace uscx::bpf {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr u32 kSyscall = 31;    // BPF_PROG_TYPE_SYSCALL
constexpr u32 kStructOps = 27;  // BPF_PROG_TYPE_STRUCT_OPS

u64 nothing(HelperCall&) {
  return 0;
}

class Checker : public testing::Test {
 protected:
  Checker() {
    program.type = kSyscall;
    env.helper_table.add({.id = 1,
                          .name = "bpf_two_args",
                          .fn = &nothing,
                          .args = {ArgKind::kAnything, ArgKind::kAnything}});
    env.helper_table.add({.id = 2, .name = "bpf_sleeper", .fn = &nothing, .might_sleep = true});
    env.helper_table.add({.id = 3, .name = "bpf_refused", .fn = &nothing});
    env.helper_table.add({.id = 4, .name = "bpf_unserved"});
    env.refused_helper = 3;
    env.registry.add({.name = "good", .fn = [](KfuncCall&) { return 0; }});
    env.registry.add({.name = "sleepy", .flags = kKfSleepable, .fn = [](KfuncCall&) { return 0; }});
    env.registry.add({.name = "filtered", .fn = [](KfuncCall&) { return 0; }});
    env.registry.add_filter(
        [](const Program&, const Kfunc& kfunc) { return kfunc.name == "filtered" ? EACCES : 0; });
    env.kfunc_refs[10] = {env.registry.find("good"), "good", 2, false};
    env.kfunc_refs[11] = {env.registry.find("sleepy"), "sleepy", 0, false};
    env.kfunc_refs[12] = {env.registry.find("filtered"), "filtered", 0, false};
    env.kfunc_refs[13] = {nullptr, "unregistered", 0, false};
    env.kfunc_refs[14] = {env.registry.find("good"), "gives_nothing", 0, true};
    env.ksyms[20] = 0x2000'0000'4000;
    // A frozen read-only map {1, 0, -1} and one that may change, both of 12 bytes.
    for (s32 fd : {3, 4}) {
      env.maps[fd] = {.map = nullptr,
                      .object_address = 0x2000'0001'0000 + static_cast<u64>(fd) * 256,
                      .value_size = 12,
                      .max_entries = 1,
                      .value_address = 0x2000'0002'0000 + static_cast<u64>(fd) * 4096};
    }
    env.maps[3].constant = std::as_bytes(std::span(rodata));
    env.maps[5] = {.map = nullptr, .object_address = 0x2000'0003'0000, .value_size = 8};
  }

  static std::vector<Insn> assemble(std::string_view source) {
    auto insns = test::Assembler::assemble(source);
    EXPECT_TRUE(insns.has_value()) << (insns ? "" : insns.error().message);
    return insns ? *insns : std::vector<Insn>{};
  }

  std::expected<CheckedProgram, CheckFailure> check(const std::vector<Insn>& insns) {
    return check_program({.insns = insns, .program = program, .env = env, .functions = functions});
  }
  void accepts(const std::vector<Insn>& insns) {
    auto result = check(insns);
    EXPECT_TRUE(result.has_value()) << result.error().log;
  }
  void accepts(std::string_view source) { accepts(assemble(source)); }
  void refuses(const std::vector<Insn>& insns, int errnum, std::string_view reason) {
    auto result = check(insns);
    ASSERT_FALSE(result.has_value()) << reason;
    EXPECT_EQ(result.error().errnum, errnum) << result.error().log;
    EXPECT_THAT(result.error().log, HasSubstr(std::string(reason) + "\nprocessed "));
  }
  void refuses(std::string_view source, int errnum, std::string_view reason) {
    refuses(assemble(source), errnum, reason);
  }

  /// ld_imm64 with a pseudo source in front of `rest`.
  static std::vector<Insn> with_load(u8 dst, u8 src, s32 imm, s32 next_imm, std::string_view rest) {
    std::vector<Insn> insns = {
        {isa::kLdImm64, static_cast<u8>(dst & 15), static_cast<u8>(src & 15), 0, imm},
        {0, 0, 0, 0, next_imm}};
    for (const Insn& insn : assemble(rest)) insns.push_back(insn);
    return insns;
  }
  static void call_kfunc(std::vector<Insn>& insns, std::size_t at) {
    insns.at(at).src = isa::kPseudoKfuncCall;
  }

  const std::array<s32, 3> rodata = {1, 0, -1};
  test::TestEnvironment env;
  Program program;
  std::vector<FunctionInfo> functions;
};

TEST_F(Checker, TheLogEndsAsTheKernelsDoes) {
  auto result = check(assemble("mov %r0, 0\nexit"));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->log,
            "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 "
            "mark_read 0\n");
  auto refused = check(assemble("mov %r0, 0\nmov %r1, %r7\nexit"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().log,
              HasSubstr("0: (b7) r0 = 0\n1: (bf) r1 = r7\nR7 !read_ok\nprocessed 2 insns"));
}

TEST_F(Checker, EmptyProgramsAreRefused) {
  EXPECT_EQ(check({}).error().errnum, E2BIG);
}

TEST_F(Checker, EncodingsThatAreNoInstructions) {
  auto with = [](Insn insn) { return std::vector<Insn>{insn, {isa::kExitOpcode, 0, 0, 0, 0}}; };
  refuses(with({0xff, 0, 0, 0, 0}), EINVAL, "unknown opcode ff");
  refuses(with({0x8d, 2, 0, 0, 0}), EINVAL, "unknown opcode 8d");
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
  refuses(with({0xdb, 1, 1, 0, 0x20}), EINVAL, "BPF_ATOMIC uses invalid atomic opcode 20");
  refuses(with({0xd3, 1, 1, 0, 0x01}), EINVAL, "invalid atomic operand size");
  refuses(with({0xe5, 0, 0, 0, 3}), EINVAL, "invalid may_goto imm 3");
  refuses(with({0x15, 0, 1, 0, 3}), EINVAL, "BPF_JMP/JMP32 uses reserved fields");
  refuses(with({0xbf, 1, 1, 1, 3}), EINVAL,
          "addr_space_cast insn can only convert between address space 1 and 0");
}

TEST_F(Checker, JumpsStayInsideTheirFunction) {
  refuses("mov %r0, 0\nja +5\nexit", EINVAL, "jump out of range from insn 1 to 7");
  refuses("mov %r0, 0\nja -5\nexit", EINVAL, "jump out of range from insn 1 to -3");
  refuses("call local sub\nmov %r0, 0\nja sub\nsub:\nmov %r0, 0\nexit", EINVAL,
          "jump out of range from insn 2 to 3");
  refuses("mov %r0, 0\nja +1\nlddw %r1, 5\nexit", EINVAL, "jump into the middle of ldimm64 insn 2");
}

TEST_F(Checker, NothingFallsOffTheEnd) {
  refuses("mov %r0, 0", EINVAL, "last insn is not an exit or jmp");
  refuses("mov %r0, 0\njne %r0, 1, -2", EINVAL, "last insn is not an exit or jmp");
  refuses("call local sub\nmov %r0, 0\nsub:\nmov %r0, 0\nexit", EINVAL,
          "last insn is not an exit or jmp");
  refuses("lddw %r0, 1", EINVAL, "last insn is not an exit or jmp");
}

TEST_F(Checker, UnreachableAndEndlessCode) {
  refuses("mov %r0, 0\nexit\nmov %r0, 1\nexit", EINVAL, "unreachable insn 2");
  refuses("mov %r0, 0\nja -1", EINVAL, "infinite loop detected at insn 1");
}

TEST_F(Checker, RegistersMustBeSet) {
  refuses("exit", EACCES, "R0 !read_ok");
  refuses("mov %r0, %r2\nexit", EACCES, "R2 !read_ok");
  refuses("add %r6, 1\nmov %r0, 0\nexit", EACCES, "R6 !read_ok");
  refuses("jeq %r3, 0, +0\nmov %r0, 0\nexit", EACCES, "R3 !read_ok");
  refuses("stxdw [%r10-8], %r4\nmov %r0, 0\nexit", EACCES, "R4 !read_ok");
  refuses("ldxdw %r0, [%r5+0]\nexit", EACCES, "R5 !read_ok");
  refuses("mov %r1, 0\nstdw [%r10-8], 0\nlock cmpxchg [%r10-8], %r1\nexit", EACCES, "R0 !read_ok");
  refuses("mov %r2, 0\ncall 1\nmov %r0, %r2\nexit", EACCES, "R2 !read_ok");
  refuses("mov %r10, 0\nmov %r0, 0\nexit", EACCES, "frame pointer is read only");
  refuses("ldxdw %r10, [%r1+0]\nmov %r0, 0\nexit", EACCES, "frame pointer is read only");
  program.type = kStructOps;  // a callback may return nothing
  accepts("exit");
}

TEST_F(Checker, Arithmetic) {
  refuses("mov %r0, 1\ndiv %r0, 0\nexit", EINVAL, "div by zero");
  refuses("mov %r0, 1\nsmod32 %r0, 0\nexit", EINVAL, "div by zero");
  refuses("mov %r0, 1\nlsh32 %r0, 32\nexit", EINVAL, "invalid shift 32");
  refuses("mov %r0, 1\narsh %r0, 64\nexit", EINVAL, "invalid shift 64");
  accepts("mov %r0, 1\narsh %r0, 63\nexit");
}

TEST_F(Checker, Stack) {
  accepts("stdw [%r10-512], 0\nmov %r0, 0\nexit");
  refuses("stdw [%r10-520], 0\nmov %r0, 0\nexit", EACCES,
          "invalid write to stack R10 off=-520 size=8");
  refuses("stdw [%r10-4], 0\nmov %r0, 0\nexit", EACCES, "invalid write to stack R10 off=-4 size=8");
  refuses("mov %r1, %r10\nsub %r1, 8\nldxw %r0, [%r1+8]\nexit", EACCES,
          "invalid read from stack R1 off=0 size=4");
  const char* deep = R"(
      stdw [%r10-256], 0
      call local sub
      exit
    sub:
      stdw [%r10-264], 0
      mov %r0, 0
      exit)";
  refuses(deep, EACCES, "combined stack size of 2 calls is 528. Too large");
  program.priv_stack_requested = true;
  accepts(deep);
}

TEST_F(Checker, CallGraph) {
  refuses("call local +5\nexit", EINVAL, "call to invalid destination");
  functions = {{.insn = 0, .name = "main"}, {.insn = 2, .name = "again"}};
  refuses("call local sub\nexit\nsub:\ncall local sub\nexit", EINVAL,
          "recursive call from again() to again()");
  functions.clear();
  std::string chain = "call local f0\nexit\n";
  for (int i = 0; i < 16; i++) {
    chain += fmt::format("f{}:\n", i);
    chain += i < 15 ? fmt::format("call local f{}\nexit\n", i + 1) : "mov %r0, 0\nexit\n";
  }
  refuses(chain, E2BIG, "the call stack of 16 frames is too deep !");
}

TEST_F(Checker, ArgumentsAndResultsOfFunctions) {
  refuses("call local sub\nexit\nsub:\nmov %r0, %r2\nexit", EACCES, "R2 !read_ok");
  accepts("mov %r2, 1\ncall local sub\nexit\nsub:\nmov %r0, %r2\nexit");
  refuses("call local sub\nexit\nsub:\nmov %r6, 0\nexit", EACCES, "R0 !read_ok");
  functions = {{.insn = 0, .name = "main"},
               {.insn = 2, .name = "sub", .global = true, .nr_args = 2}};
  refuses("call local sub\nexit\nsub:\nmov %r0, 0\nexit", EACCES, "R2 !read_ok");
  accepts("mov %r2, 1\ncall local sub\nexit\nsub:\nmov %r0, %r2\nexit");
}

TEST_F(Checker, Helpers) {
  refuses("call 999\nexit", EINVAL, "invalid func unknown#999");
  refuses("call 2002000001\nexit", EINVAL, "invalid func unknown#2002000001");
  refuses("call 3\nexit", EINVAL, "program of this type cannot use helper bpf_refused#3");
  refuses("call 4\nexit", EINVAL, "program of this type cannot use helper bpf_unserved#4");
  EXPECT_THAT(env.unserved, ElementsAre("bpf_unserved"));
  refuses("call 1\nexit", EACCES, "R2 !read_ok");
  refuses("call 2\nexit", EINVAL, "sleepable helper bpf_sleeper#2 in non-sleepable prog");
  program.sleepable = true;
  accepts("call 2\nexit");
}

TEST_F(Checker, Kfuncs) {
  auto call = [&](s32 id, std::string_view before = "") {
    std::vector<Insn> insns = assemble(fmt::format("{}\ncall {}\nmov %r0, 0\nexit", before, id));
    call_kfunc(insns, insns.size() - 3);
    return insns;
  };
  refuses(call(10), EACCES, "R2 !read_ok");
  refuses(call(11), EACCES, "program must be sleepable to call sleepable kfunc sleepy");
  refuses(call(12), EACCES, "calling kernel function filtered is not allowed");
  refuses(call(13), EACCES, "calling kernel function unregistered is not allowed");
  EXPECT_THAT(env.unserved, ElementsAre("kfunc unregistered"));
  refuses(call(99), EINVAL, "kernel btf_id is not a function");
  refuses(call(0), EINVAL, "invalid kernel function call not eliminated in verifier pass");
  auto result = check(call(10, "mov %r2, 1"));
  ASSERT_TRUE(result.has_value()) << result.error().log;
  EXPECT_THAT(result->kfuncs, ElementsAre(env.registry.find("good")));
  EXPECT_EQ(result->insns[1].imm, 0);
  std::vector<Insn> result_of_void = assemble("call 14\nexit");
  call_kfunc(result_of_void, 0);
  refuses(result_of_void, EACCES, "R0 !read_ok");
}

TEST_F(Checker, MapsAndSymbolsAreResolved) {
  auto loaded = [&](u8 src, s32 imm, s32 next) -> u64 {
    auto result = check(with_load(1, src, imm, next, "mov %r0, 0\nexit"));
    EXPECT_TRUE(result.has_value()) << result.error().log;
    if (!result) return 0;
    EXPECT_EQ(result->insns[0].src, 0);
    return static_cast<u64>(static_cast<u32>(result->insns[1].imm)) << 32 |
           static_cast<u32>(result->insns[0].imm);
  };
  EXPECT_EQ(loaded(isa::kPseudoMapFd, 4, 0), env.maps[4].object_address);
  EXPECT_EQ(loaded(isa::kPseudoMapIdx, 4, 0), env.maps[4].object_address);
  EXPECT_EQ(loaded(isa::kPseudoMapValue, 4, 8), env.maps[4].value_address + 8);
  EXPECT_EQ(loaded(isa::kPseudoBtfId, 20, 0), env.ksyms[20]);
  EXPECT_EQ(loaded(0, 5, 6), 0x600000005u);
  refuses(with_load(1, isa::kPseudoMapFd, 4, 1, "mov %r0, 0\nexit"), EINVAL,
          "unrecognized bpf_ld_imm64 insn");
  refuses(with_load(1, 7, 4, 0, "mov %r0, 0\nexit"), EINVAL, "unrecognized bpf_ld_imm64 insn");
  refuses(with_load(1, isa::kPseudoMapFd, 77, 0, "mov %r0, 0\nexit"), EBADF,
          "fd is not pointing to valid bpf_map");
  refuses(with_load(1, isa::kPseudoMapValue, 5, 0, "mov %r0, 0\nexit"), EINVAL,
          "no direct value access support for this map type");
  // libbpf's probe for arena globals greps for this.
  refuses(with_load(1, isa::kPseudoMapValue, 4, 12, "mov %r0, 0\nexit"), EINVAL,
          "invalid access to map value pointer, value_size=12 off=12");
}

TEST_F(Checker, CallbacksAreFunctionsOfTheProgram) {
  auto result = check(with_load(1, isa::kPseudoFunc, 3, 0, "mov %r0, 0\nexit\nmov %r0, %r3\nexit"));
  ASSERT_TRUE(result.has_value()) << result.error().log;
  EXPECT_THAT(result->subprogram_starts, ElementsAre(0, 4));
  EXPECT_EQ(static_cast<u32>(result->insns[0].imm), callback_insn(encode_callback(4)));
}

// Calls that libbpf could not resolve, in code that cannot run.

TEST_F(Checker, DeadCodeBehindAnUnresolvedSymbol) {
  auto result = check(assemble(R"(
      lddw %r1, 0
      jeq %r1, 0, old
      call 2002000003
    old:
      mov %r0, 0
      exit)"));
  ASSERT_TRUE(result.has_value()) << result.error().log;
  EXPECT_EQ(result->insns[3], isa::kTrap);
  refuses("lddw %r1, 1\njeq %r1, 0, +1\ncall 2002000003\nmov %r0, 0\nexit", EINVAL,
          "invalid func unknown#2002000003");
}

TEST_F(Checker, DeadCodeBehindAResolvedSymbol) {
  accepts(
      with_load(1, isa::kPseudoBtfId, 20, 0, "jne %r1, 0, +1\ncall 195896080\nmov %r0, 0\nexit"));
  accepts(with_load(1, isa::kPseudoBtfId, 20, 0,
                    "mov %r6, %r1\ncall local f\nexit\nf:\nmov %r0, 0\nexit"));
}

TEST_F(Checker, DeadCodeBehindFrozenData) {
  const char* when_zero = "ldxw %r1, [%r1+0]\njne %r1, 0, +1\ncall 195896080\nmov %r0, 0\nexit";
  accepts(with_load(1, isa::kPseudoMapValue, 3, 0, when_zero));  // 1
  refuses(with_load(1, isa::kPseudoMapValue, 3, 4, when_zero), EINVAL,
          "invalid func unknown#195896080");  // 0
  refuses(with_load(1, isa::kPseudoMapValue, 4, 0, when_zero), EINVAL,
          "invalid func unknown#195896080");  // not frozen
  accepts(with_load(1, isa::kPseudoMapValue, 3, 8,
                    "ldxsw %r1, [%r1+0]\njslt %r1, 0, +1\ncall 195896080\nmov %r0, 0\nexit"));
  refuses(with_load(1, isa::kPseudoMapValue, 3, 8, "stw [%r1+0], 1\nmov %r0, 0\nexit"), EACCES,
          "write into map forbidden, value_size=12 off=8 size=4");
}

TEST_F(Checker, DeadCodeThroughFunctions) {
  const char* source = R"(
      mov %r1, ARG
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
  auto with = [&](const char* arg) {
    std::string text = source;
    return text.replace(text.find("ARG"), 3, arg);
  };
  accepts(with("2"));
  refuses(with("5"), EINVAL, "invalid func unknown#195896080");
}

TEST_F(Checker, PathsThatMeetForgetWhatDiffers) {
  refuses(R"(
      ldxdw %r2, [%r1+0]
      mov %r3, 0
      jeq %r2, 0, meet
      mov %r3, 1
    meet:
      jeq %r3, 0, fine
      call 195896080
    fine:
      mov %r0, 0
      exit)",
          EINVAL, "invalid func unknown#195896080");
  // Also around a loop.
  refuses(
      "mov %r0, 0\nagain:\njeq %r0, 0, on\ncall 195896080\non:\nadd %r0, 1\nldxdw %r2, [%r10-8]\n"
      "jne %r2, 0, again\nexit",
      EINVAL, "invalid func unknown#195896080");
}

TEST_F(Checker, ArenasAndJumpTablesAreRefusedByName) {
  std::vector<Insn> cast = assemble("mov %r0, %r1\nexit");
  cast[0].off = 1;
  cast[0].imm = 1;
  refuses(cast, EINVAL,
          "addr_space_cast insn can only be used in a program that has an associated arena");
  std::vector<Insn> table = assemble("mov %r0, 0\nja +0\nexit");
  table[1] = {isa::kGotox, 0, 0, 0, 0};
  table.pop_back();
  refuses(table, EINVAL, "jump tables (gotox) are not supported");
  EXPECT_THAT(env.unserved, ElementsAre("instruction gotox"));
}

TEST_F(Checker, ScalarsAreNoPointers) {
  refuses("mov %r1, 8\nldxdw %r0, [%r1+0]\nexit", EACCES, "R1 invalid mem access 'scalar'");
  refuses("lddw %r1, 0\nstdw [%r1+0], 0\nmov %r0, 0\nexit", EACCES,
          "R1 invalid mem access 'scalar'");
}

TEST_F(Checker, TooMuchToLookAt) {
  auto insns = assemble("mov %r0, 0\nmov %r0, 0\nmov %r0, 0\nexit");
  auto result = check_program({.insns = insns, .program = program, .env = env, .max_insns = 3});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().errnum, E2BIG);
  EXPECT_THAT(result.error().log, HasSubstr("BPF program is too large. Processed 4 insn"));
}

}  // namespace
}  // namespace uscx::bpf
