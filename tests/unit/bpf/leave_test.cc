// SPDX-License-Identifier: GPL-2.0-only
// Tail calls, indirect jumps, loads from packets, and the streams that programs leave text in.
// Errnos and limits: kernel/bpf/arraymap.c, bpf_insn_array.c, stream.c of Linux 7.3.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

#include "bpf/exec/jit.h"
#include "bpf/impl.h"
#include "bpf/verifier/prog_type.h"
#include "btf/builder.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

class Leave : public testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    if (GetParam() == EngineKind::kJit && !jit_available()) GTEST_SKIP() << "no JIT here";
    kernel.bpf->impl().engine->use(GetParam());
  }
  static Code tail_call(long map, s32 index) {
    return Code().map(2, map).mov(3, index).call(12).add(0, 1).exit();
  }
  /// The program's value where the tail call goes on.
  static constexpr u32 kWentOn = 1;
  static Code going_on(long map, s32 index) {
    return Code().map(2, map).mov(3, index).call(12).mov(0, kWentOn).exit();
  }
  long put(long map, u32 index, long program, u64 flags = 0) {
    const u32 fd = static_cast<u32>(program);
    return user.update(map, &index, &fd, flags);
  }
  void close_fd(long fd) {
    ::close(static_cast<int>(fd));
    kernel.bpf->reap_closed_fds();
  }

  ToyKernel kernel;
  BpfUser user{kernel};
};

TEST_P(Leave, ATailCallGivesTheTargetsValue) {
  const long map = user.create(uapi::kMapProgArray, 4, 4, 2);
  const long main = user.load_syscall(going_on(map, 0));
  EXPECT_EQ(user.run(main), kWentOn) << "an empty slot";
  const long target = user.load_syscall(Code().mov(0, 77).exit());
  ASSERT_EQ(put(map, 0, target), 0);
  EXPECT_EQ(user.run(main), 77u);
  EXPECT_EQ(user.run(user.load_syscall(going_on(map, 2))), kWentOn) << "beyond the array";
  close_fd(target);
  EXPECT_EQ(user.run(main), 77u) << "the array keeps it";
  close_fd(map);
  EXPECT_EQ(user.run(main), kWentOn) << "until user space has closed the array";
}

TEST_P(Leave, ThirtyThreeTailCalls) {
  const long counts = user.create(uapi::kMapArray, 4, 8, 1);
  const long map = user.create(uapi::kMapProgArray, 4, 4, 1);
  Code code;  // counts in the array's value, then calls itself
  code.copy(6, 1).map_value(1, counts, 0).load64(2, 1, 0).add(2, 1).store64(1, 0, 2);
  code.copy(1, 6).map(2, map).mov(3, 0).call(12).mov(0, 5).exit();
  const long program = user.load_syscall(code);
  ASSERT_EQ(put(map, 0, program), 0);
  EXPECT_EQ(user.run(program), 5u);
  const u32 key = 0;
  u64 count = 0;
  ASSERT_EQ(user.lookup(counts, &key, &count), 0);
  EXPECT_EQ(count, 34u);
}

TEST_P(Leave, ABadTargetEndsTheWholeRun) {
  kernel.bpf->impl().verify_programs = false;
  const long map = user.create(uapi::kMapProgArray, 4, 4, 1);
  ASSERT_EQ(put(map, 0, user.load_syscall(Code().mov(1, 0).store64(1, 0, 1).exit())), 0);
  EXPECT_EQ(user.run(user.load_syscall(tail_call(map, 0))), 0u);
  ASSERT_EQ(kernel.host.faults.size(), 1u);
  EXPECT_NE(kernel.host.faults[0].find("bpf_tail_call"), std::string::npos);
  EXPECT_NE(kernel.host.faults[0].find("store of 8 bytes at 0x0"), std::string::npos)
      << kernel.host.faults[0];
}

TEST_P(Leave, ProgramsOfAnArrayAreOfOneKind) {
  using namespace verifier;
  const long map = user.create(uapi::kMapProgArray, 4, 4, 1);
  const long classifier = user.load(kProgSchedCls, Code().mov(0, 0).exit());
  const long other = user.load(kProgXdp, Code().mov(0, 2).exit());
  const u32 key = 0, beyond = 1;
  u32 id = 0;
  EXPECT_EQ(put(map, 0, classifier, 1), -EINVAL);
  EXPECT_EQ(put(map, 1, classifier), -E2BIG);
  EXPECT_EQ(put(map, 0, map), -EINVAL);
  EXPECT_EQ(user.lookup(map, &key, &id), -ENOENT);
  ASSERT_EQ(put(map, 0, classifier), 0);
  EXPECT_EQ(put(map, 0, other), -EINVAL);
  EXPECT_EQ(user.load(kProgXdp, going_on(map, 0)), -EINVAL) << "nor may others use it";
  ASSERT_EQ(user.lookup(map, &key, &id), 0);
  EXPECT_EQ(id, (*kernel.bpf->impl().fds.get<Program>(static_cast<int>(classifier)))->id);
  EXPECT_EQ(user.erase(map, &beyond), -E2BIG);
  EXPECT_EQ(user.erase(map, &key), 0);
  EXPECT_EQ(user.erase(map, &key), -ENOENT);
}

TEST_P(Leave, AnIndirectJumpGoesByTheTable) {
  struct Value {
    u32 orig_off, xlated_off, jitted_off, padding;
  };
  const auto jump = [](long map, s32 element) {
    return Code()
        .map_value(1, map, element * 8)
        .load64(1, 1, 0)
        .raw(0x0d, 1, 0, 0, 0)  // gotox r1
        .mov(0, 1)
        .exit()
        .mov(0, 2)
        .exit();
  };
  const long map = user.create(uapi::kMapInsnArray, 4, 16, 2);
  for (u32 i = 0; i < 2; ++i) {
    const Value value{.orig_off = 4 + 2 * i, .xlated_off = 0, .jitted_off = 0, .padding = 0};
    EXPECT_EQ(user.update(map, &i, &value), 0);
    EXPECT_EQ(user.update(map, &i, &value, uapi::kNoExist), -EEXIST);
  }
  EXPECT_EQ(user.load(uapi::kProgSyscall, jump(map, 1), uapi::kSleepable), -EINVAL) << "not frozen";
  EXPECT_NE(user.log.find("Failed to properly initialize insn array"), std::string::npos);
  uapi::Attr freeze{};
  freeze.elem.map_fd = static_cast<u32>(map);
  ASSERT_EQ(user.call(uapi::kMapFreeze, freeze), 0);
  const long second = user.load_syscall(jump(map, 1));
  EXPECT_EQ(user.run(second), 2u);
  const u32 key = 1;
  Value value{};
  ASSERT_EQ(user.lookup(map, &key, &value), 0);
  EXPECT_EQ(value.xlated_off, 6u);
  EXPECT_EQ(user.load(uapi::kProgSyscall, jump(map, 0), uapi::kSleepable), -EBUSY);
  close_fd(second);
  EXPECT_EQ(user.run(user.load_syscall(jump(map, 0))), 1u);
  EXPECT_TRUE(kernel.host.faults.empty());
}

TEST_P(Leave, LoadsFromAPacket) {
  std::array<u8, 64> packet{};
  packet[12] = 0x08;
  packet[20] = 0xab;
  packet[21] = 0xcd;
  const auto value_of = [&](u8 size, s32 off) {
    const Code code = Code().copy(6, 1).raw(0x20 | size, 0, 0, 0, off).exit();
    uapi::Attr attr{};
    attr.test.prog_fd = static_cast<u32>(user.load(verifier::kProgSchedCls, code));
    attr.test.data_in = reinterpret_cast<u64>(packet.data());
    attr.test.data_size_in = packet.size();
    EXPECT_EQ(user.call(uapi::kProgTestRun, attr), 0) << user.log;
    return attr.test.retval;
  };
  constexpr u8 kWord = 0x00, kHalf = 0x08, kByte = 0x10;
  EXPECT_EQ(value_of(kHalf, 20), 0xabcdu) << "in network byte order";
  EXPECT_EQ(value_of(kByte, 21), 0xcdu);
  EXPECT_EQ(value_of(kWord, 62), 0u) << "leaves with 0";
  EXPECT_EQ(value_of(kByte, -0x200000 + 12), 8u) << "from the link header";
  EXPECT_EQ(value_of(kHalf, -0x100000 + 6), 0xabcdu) << "from the network header";
}

TEST_P(Leave, StreamsAreReadOnce) {
  kernel.bpf->impl().verify_programs = false;
  const auto kfunc = [&](const char* name) {
    return *kernel.bpf->vmlinux().find(name, btf::Kind::kFunc);
  };
  Code code;  // "hello\n" on the stack; bpf_stream_vprintk(BPF_STDOUT, "hello\n", NULL, 0)
  code.store32_imm(10, -8, 0x6c6c6568).store32_imm(10, -4, 0x00000a6f);
  code.mov(1, 1).stack(2, -8).mov(3, 0).mov(4, 0).kfunc(kfunc("bpf_stream_vprintk")).exit();
  const long fd = user.load_syscall(code);
  EXPECT_EQ(user.run(fd), 0u);
  EXPECT_EQ(user.run(fd), 0u);
  std::array<char, 64> text{};
  const auto read = [&](u32 stream, u32 length) {
    uapi::Attr attr{};
    // One by one: what is behind the last has to be 0.
    attr.stream_read.stream_buf = reinterpret_cast<u64>(text.data());
    attr.stream_read.stream_buf_len = length;
    attr.stream_read.stream_id = stream;
    attr.stream_read.prog_fd = static_cast<u32>(fd);
    const long bytes = user.call(uapi::kProgStreamReadByFd, attr);
    return bytes < 0 ? std::to_string(bytes)
                     : std::string(text.data(), static_cast<std::size_t>(bytes));
  };
  EXPECT_EQ(read(1, 4), "hell");
  EXPECT_EQ(read(1, 4), "o\nhe");
  EXPECT_EQ(read(1, 64), "llo\n");
  EXPECT_EQ(read(1, 64), "");
  EXPECT_EQ(read(2, 64), "");
  EXPECT_EQ(read(3, 64), std::to_string(-ENOENT));
}

INSTANTIATE_TEST_SUITE_P(Engines, Leave,
                         testing::Values(EngineKind::kInterpreter, EngineKind::kJit),
                         [](const auto& info) {
                           return info.param == EngineKind::kJit ? "Jit" : "Interpreter";
                         });

}  // namespace
}  // namespace uscx::bpf::test
