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
  std::array<u8, 512> out{};
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

/// Pushes `size` bytes that begin with `first` as a header of `type`; R0 is the answer.
Code push_header(u8 first, u32 size, s32 type, u32 check = 0) {
  Code code;
  for (s16 off = -256; off < 0; off += 8) code.raw(0x7a, 10, 0, off, 0);
  code.raw(0x72, 10, 0, -256, first).raw(0x6a, 10, 0, -246, static_cast<s32>(check));
  return code.copy(3, 10).add(3, -256).mov(2, type).mov(4, static_cast<s32>(size)).call(73).exit();
}

/// Answers, sizes and checksums are what the real 7.3 gave for the same headers.
TEST_P(TestRun, TunnelHeaders) {
  using namespace verifier;
  packet[12] = 0x08;
  packet[13] = 0x00;
  packet[14] = 0x45;
  struct Case {
    u8 first;
    u32 size;
    s32 type;
    s32 answer;
    u8 check[2];
  };
  constexpr s32 kIp = 2;
  const Case cases[] = {
      {0x45, 20, kIp, 0, {0xba, 0xff}},  {0x60, 40, kIp, 0, {0, 0}},
      {0x44, 20, kIp, 0, {0x44, 0}},     {0x4f, 60, kIp, 0, {0xb0, 0xff}},
      {0x45, 200, kIp, 0, {0xba, 0xff}}, {0x45, 256, kIp, 0, {0xba, 0xff}},
      {0x45, 19, kIp, -EINVAL, {}},      {0x46, 20, kIp, -EINVAL, {}},
      {0x50, 20, kIp, -EINVAL, {}},      {0x60, 39, kIp, -EINVAL, {}},
      {0x45, 20, 0, -EINVAL, {}},        {0x45, 20, 1, -EINVAL, {}},
      {0x45, 20, 3, -EINVAL, {}},
  };
  for (const u32 type : {kProgLwtIn, kProgLwtXmit}) {
    for (const Case& c : cases) {
      SCOPED_TRACE(testing::Message() << type << ", " << c.size << " bytes of " << int{c.first});
      attr = {};
      EXPECT_EQ(result_of(type, push_header(c.first, c.size, c.type)), static_cast<u32>(c.answer));
      if (c.answer) {
        EXPECT_EQ(attr.test.data_size_out, 64u);
        continue;
      }
      EXPECT_EQ(attr.test.data_size_out, 64 + c.size);
      EXPECT_EQ(out[14], c.first);
      EXPECT_EQ(out[24], c.check[0]);
      EXPECT_EQ(out[25], c.check[1]);
      if (14 + c.size < out.size()) {
        EXPECT_EQ(out[14 + c.size], 0x45);
      }
    }
  }
  attr = {};
  EXPECT_EQ(result_of(kProgLwtXmit, push_header(0x45, 20, kIp, 0xab)), 0u);
  EXPECT_EQ(out[24], 0xab) << "a checksum that is there stays";
}

TEST_P(TestRun, TunnelHeadersAndSegments) {
  SkBuff given{};
  given.gso_size = 100;
  given.gso_segs = 3;
  attr.test.ctx_in = reinterpret_cast<u64>(&given);
  attr.test.ctx_size_in = sizeof(given);
  EXPECT_EQ(result_of(verifier::kProgLwtXmit, push_header(0x45, 20, 2)), static_cast<u32>(-524));
  EXPECT_EQ(attr.test.data_size_out, 84u) << "the header is there all the same";
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
