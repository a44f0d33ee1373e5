// SPDX-License-Identifier: GPL-2.0-only
// PROG_TEST_RUN of programs with a packet: what they find in it, and what comes back.
#include <gtest/gtest.h>

#include <array>

#include "bpf/exec/jit.h"
#include "bpf/impl.h"
#include "bpf/net/contexts.h"
#include "bpf/verifier/prog_type.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

using net::SkBuff;
using net::XdpMd;

class TestRun : public testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override {
    if (GetParam() == EngineKind::kJit && !jit_available()) GTEST_SKIP() << "no JIT here";
    kernel.bpf->impl().engine->use(GetParam());
    for (std::size_t i = 0; i < packet.size(); ++i) packet[i] = static_cast<u8>(i);
    packet[0] = 2;  // a unicast address that is nobody's
    packet[12] = 0x08;
    packet[13] = 0x06;
  }
  /// What bpf(2) answers; the program's result is in `attr`.
  long run(u32 type, const std::vector<Insn>& insns) {
    const long fd = user.load(type, insns);
    EXPECT_GE(fd, 0) << user.log;
    attr.test.prog_fd = static_cast<u32>(fd);
    attr.test.data_in = reinterpret_cast<u64>(packet.data());
    attr.test.data_size_in = static_cast<u32>(packet.size());
    attr.test.data_out = reinterpret_cast<u64>(out.data());
    attr.test.data_size_out = static_cast<u32>(out.size());
    attr.test.repeat = 1;
    return user.call(uapi::kProgTestRun, attr);
  }
  u32 result_of(u32 type, const std::vector<Insn>& insns) {
    EXPECT_EQ(run(type, insns), 0);
    return attr.test.retval;
  }
  static Code load_field(u8 size, std::size_t off) {
    return Code().raw(0x61 | size, 0, 1, static_cast<s16>(off), 0).exit();
  }

  ToyKernel kernel;
  BpfUser user{kernel};
  uapi::Attr attr{};
  std::array<u8, 64> packet{};
  std::array<u8, 256> out{};
};

constexpr u8 kWord = 0x00, kHalf = 0x08, kByte = 0x10;

TEST_P(TestRun, FieldsOfTheBuffer) {
  using namespace verifier;
  EXPECT_EQ(result_of(kProgSchedCls, load_field(kWord, offsetof(SkBuff, len))), 64u);
  EXPECT_EQ(result_of(kProgSocketFilter, load_field(kWord, offsetof(SkBuff, len))), 50u)
      << "without the link header";
  EXPECT_EQ(result_of(kProgSocketFilter, load_field(kWord, offsetof(SkBuff, protocol))), 0x0608u);
  EXPECT_EQ(result_of(kProgSocketFilter, load_field(kHalf, offsetof(SkBuff, protocol))), 0x0608u);
  EXPECT_EQ(result_of(kProgSocketFilter, load_field(kByte, offsetof(SkBuff, protocol) + 1)), 6u);
  EXPECT_EQ(result_of(kProgSocketFilter, load_field(kWord, offsetof(SkBuff, pkt_type))), 3u);
  EXPECT_EQ(result_of(kProgSocketFilter, load_field(kWord, offsetof(SkBuff, ifindex))), 1u);
  EXPECT_EQ(result_of(kProgXdp, load_field(kWord, offsetof(XdpMd, ingress_ifindex))), 1u);
}

/// r2 = data; r3 = data_end; if r2 + 20 > r3 return 1; byte 19 becomes 77, its old value is R0.
Code swap_byte(std::size_t data, std::size_t data_end) {
  return Code()
      .raw(0x61, 2, 1, static_cast<s16>(data), 0)
      .raw(0x61, 3, 1, static_cast<s16>(data_end), 0)
      .copy(4, 2)
      .add(4, 20)
      .mov(0, 1)
      .raw(0x2d, 4, 3, 2, 0)
      .raw(0x71, 0, 2, 19, 0)
      .raw(0x72, 2, 0, 19, 77)
      .exit();
}

TEST_P(TestRun, ThePacketIsThere) {
  using namespace verifier;
  EXPECT_EQ(result_of(kProgSchedCls, swap_byte(offsetof(SkBuff, data), offsetof(SkBuff, data_end))),
            19u);
  EXPECT_EQ(out[19], 77);
  EXPECT_EQ(out[20], 20);
  EXPECT_EQ(attr.test.data_size_out, 64u);
  attr = {};
  EXPECT_EQ(result_of(kProgXdp, swap_byte(offsetof(XdpMd, data), offsetof(XdpMd, data_end))), 19u);
  EXPECT_EQ(out[19], 77);
}

TEST_P(TestRun, TheContextComesBack) {
  SkBuff given{}, back{};
  given.cb[1] = 5;
  given.mark = 9;
  attr.test.ctx_in = reinterpret_cast<u64>(&given);
  attr.test.ctx_size_in = sizeof(given);
  attr.test.ctx_out = reinterpret_cast<u64>(&back);
  attr.test.ctx_size_out = sizeof(back);
  const Code code = Code()
                        .raw(0x61, 0, 1, offsetof(SkBuff, cb) + 4, 0)
                        .add(0, 1)
                        .raw(0x63, 1, 0, offsetof(SkBuff, cb) + 8, 0)
                        .raw(0x61, 0, 1, offsetof(SkBuff, mark), 0)
                        .exit();
  EXPECT_EQ(result_of(verifier::kProgSchedCls, code), 9u);
  EXPECT_EQ(back.cb[2], 6u);
  given.hash = 1;
  EXPECT_EQ(run(verifier::kProgSchedCls, code), -EINVAL) << "no field that a caller may set";
}

TEST_P(TestRun, WhatIsNotServedIsSaidByName) {
  // bpf_skb_vlan_push
  const Code code = Code().mov(2, 0).mov(3, 0).call(18).exit();
  EXPECT_EQ(run(verifier::kProgSchedCls, code), -EFAULT);
  ASSERT_EQ(kernel.host.faults.size(), 1u);
  EXPECT_NE(kernel.host.faults[0].find("bpf_skb_vlan_push is not served"), std::string::npos)
      << kernel.host.faults[0];
}

TEST_P(TestRun, TooShortAPacket) {
  const long fd = user.load(verifier::kProgXdp, Code().mov(0, 2).exit());
  attr.test.prog_fd = static_cast<u32>(fd);
  attr.test.data_in = reinterpret_cast<u64>(packet.data());
  attr.test.data_size_in = 13;
  EXPECT_EQ(user.call(uapi::kProgTestRun, attr), -EINVAL);
}

INSTANTIATE_TEST_SUITE_P(Engines, TestRun,
                         testing::Values(EngineKind::kInterpreter, EngineKind::kJit),
                         [](const auto& info) {
                           return info.param == EngineKind::kJit ? "Jit" : "Interpreter";
                         });

}  // namespace
}  // namespace uscx::bpf::test
