// SPDX-License-Identifier: GPL-2.0-only
// Ring buffers as libbpf maps them, and dynptrs. Expectations: kernel/bpf/ringbuf.c and helpers.c,
// progs/dynptr_success.c, test_ringbuf.c, user_ringbuf_success.c of the kernel's selftests.
#include "bpf/maps/ringbuf.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include "bpf/impl.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

constexpr u64 kPage = 4096;

class Ringbuf : public testing::Test {
 protected:
  // Small programs that show the engine's side; the verifier has tests of its own.
  Ringbuf() { kernel.bpf->impl().verify_programs = false; }

  ToyKernel kernel;
  BpfUser user{kernel};

  RingbufMap& ring(long fd) {
    return dynamic_cast<RingbufMap&>(*kernel.bpf->impl().fds.get<Map>(static_cast<int>(fd))->get());
  }
  u32 kfunc(const char* name) { return *kernel.bpf->vmlinux().find(name, btf::Kind::kFunc); }
};

/// The buffer as ring_buffer__add() of libbpf sees it.
struct Mapping {
  Mapping(long fd, u64 size)
      : all(static_cast<char*>(::mmap(nullptr, 2 * kPage + 2 * size, PROT_READ | PROT_WRITE,
                                      MAP_SHARED, static_cast<int>(fd), 0))),
        bytes(2 * kPage + 2 * size) {}
  ~Mapping() { ::munmap(all, bytes); }
  u64& consumer() { return *reinterpret_cast<u64*>(all); }
  u64& producer() { return *reinterpret_cast<u64*>(all + kPage); }
  char* data() { return all + 2 * kPage; }
  char* all;
  u64 bytes;
};

TEST_F(Ringbuf, ReserveSubmitDiscard) {
  const long fd = user.create(uapi::kMapRingbuf, 0, 0, 4096);
  ASSERT_GE(fd, 0);
  Code code;  // submit 42, discard 7, output 8 bytes, query what is there
  code.map(1, fd).mov(2, 8).mov(3, 0).call(131).jump_if_not_zero(0, 2).mov(0, 1).exit();
  code.store64_imm(0, 0, 42).copy(1, 0).mov(2, 0).call(132);
  code.map(1, fd).mov(2, 8).mov(3, 0).call(131).jump_if_not_zero(0, 2).mov(0, 2).exit();
  code.store64_imm(0, 0, 7).copy(1, 0).mov(2, 0).call(133);
  code.store64_imm(10, -8, 5).map(1, fd).stack(2, -8).mov(3, 8).mov(4, 0).call(130);
  code.map(1, fd).mov(2, 0).call(134).exit();
  EXPECT_EQ(user.run(user.load_syscall(code)), 48u) << user.log;
  EXPECT_TRUE(kernel.host.faults.empty());
  Mapping m(fd, 4096);
  EXPECT_EQ(m.producer(), 48u);
  auto header = [&](u64 at) { return *reinterpret_cast<u32*>(m.data() + at); };
  auto value = [&](u64 at) { return *reinterpret_cast<u64*>(m.data() + at + 8); };
  EXPECT_EQ(header(0), 8u);
  EXPECT_EQ(value(0), 42u);
  EXPECT_EQ(header(16), 8u | RingbufMap::kDiscard);
  EXPECT_EQ(header(32), 8u);
  EXPECT_EQ(value(32), 5u);
  u32 key = 0, out = 0;
  EXPECT_EQ(user.lookup(fd, nullptr, &out), -kEnotsupp);
  (void)key;
}

TEST_F(Ringbuf, FullUntilConsumedAndContiguousWhereItWraps) {
  const long fd = user.create(uapi::kMapRingbuf, 0, 0, 4096);
  RingbufMap& r = ring(fd);
  Mapping m(fd, 4096);
  EXPECT_EQ(r.reserve(4096), 0u) << "larger than the buffer with its header";
  const u64 first = r.reserve(3000);
  ASSERT_NE(first, 0u);
  EXPECT_EQ(r.reserve(2000), 0u) << "no room";
  r.commit(first, false);
  EXPECT_EQ(r.reserve(2000), 0u) << "not consumed yet";
  m.consumer() = m.producer();
  const u64 second = r.reserve(2000);
  ASSERT_NE(second, 0u);
  EXPECT_TRUE(r.holds(second));
  EXPECT_EQ(r.record_size(second), 2000u);
  std::memset(reinterpret_cast<void*>(second), 0x5a, 2000);
  r.commit(second, false);
  EXPECT_FALSE(r.holds(second));
  // A consumer reads from where the record begins, past the end of the first copy; the wrapped
  // part is at the start of the data as well.
  EXPECT_EQ(m.data()[3008 + 8 + 1999], 0x5a);
  EXPECT_EQ(m.data()[0], 0x5a);
  EXPECT_EQ(r.query(0), 2008u);
  EXPECT_EQ(r.query(1), 4096u);
}

TEST_F(Ringbuf, UserSpaceSends) {
  const long fd = user.create(uapi::kMapUserRingbuf, 0, 0, 4096);
  RingbufMap& r = ring(fd);
  Mapping m(fd, 4096);
  EXPECT_EQ(r.peek_sample().error().value, ENODATA);
  auto send = [&](u32 header, u64 value) {
    char* at = m.data() + m.producer() % 4096;
    *reinterpret_cast<u32*>(at) = header;
    *reinterpret_cast<u64*>(at + 8) = value;
    m.producer() += 16;
  };
  send(8, 3);
  send(8 | RingbufMap::kDiscard, 100);
  send(8, 4);
  Code code;  // drain: the callback adds what it reads to the sum on the stack
  code.store64_imm(10, -8, 0).map(1, fd).function(2, 8).stack(3, -8).mov(4, 0).call(209);
  code.load64(6, 10, -8).raw(0x27, 0, 0, 0, 100).raw(0x0f, 0, 6, 0, 0).exit();
  // callback(dynptr, ctx)
  code.copy(6, 2).copy(3, 1).stack(1, -8).mov(2, 8).mov(4, 0).mov(5, 0).call(201);
  code.load64(1, 10, -8).load64(2, 6, 0).raw(0x0f, 1, 2, 0, 0).store64(6, 0, 1).mov(0, 0).exit();
  EXPECT_EQ(user.run(user.load_syscall(code)), 207u) << user.log << " two samples, 3 + 4";
  EXPECT_TRUE(kernel.host.faults.empty());
  EXPECT_EQ(m.consumer(), m.producer());
  m.producer() += 4;
  EXPECT_EQ(r.peek_sample().error().value, EINVAL) << "a position must be a multiple of 8";
}

TEST_F(Ringbuf, Dynptrs) {
  const long map = user.create(uapi::kMapArray, 4, 16, 1);
  Code code;  // from_mem(value, 16), write 9 at 8, adjust(8, 16), read it back
  code.map_value(1, map, 0).mov(2, 16).mov(3, 0).stack(4, -16).call(197);
  code.store64_imm(10, -24, 9).stack(1, -16).mov(2, 8).stack(3, -24).mov(4, 8).mov(5, 0).call(202);
  code.stack(1, -16).mov(2, 8).mov(3, 16).kfunc(kfunc("bpf_dynptr_adjust"));
  code.store64_imm(10, -24, 0).stack(1, -24).mov(2, 8).stack(3, -16).mov(4, 0).mov(5, 0).call(201);
  code.stack(1, -16).kfunc(kfunc("bpf_dynptr_size")).load64(1, 10, -24);
  code.raw(0x27, 1, 0, 0, 10).raw(0x0f, 0, 1, 0, 0).exit();
  EXPECT_EQ(user.run(user.load_syscall(code)), 98u) << user.log << " size 8, value 9";
  Code beyond;
  beyond.map_value(1, map, 0).mov(2, 16).mov(3, 0).stack(4, -16).call(197);
  beyond.store64_imm(10, -24, 9)
      .stack(1, -16)
      .mov(2, 9)
      .stack(3, -24)
      .mov(4, 8)
      .mov(5, 0)
      .call(202);
  beyond.exit();
  EXPECT_EQ(static_cast<s32>(user.run(user.load_syscall(beyond))), -E2BIG);
}

}  // namespace
}  // namespace uscx::bpf::test
