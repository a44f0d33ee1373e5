// SPDX-License-Identifier: GPL-2.0-only
// Resilient locks, streams, bits. Expectations: progs/res_spin_lock.c, verifier_bits_iter.c,
// stream.c of the kernel's selftests.
#include <gtest/gtest.h>

#include "bpf/impl.h"
#include "btf/builder.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

class LockKfuncs : public testing::Test {
 protected:
  // Small programs that show the engine's side; the verifier has tests of its own.
  LockKfuncs() { kernel.bpf->impl().verify_programs = false; }

  u32 kfunc(const char* name) { return *kernel.bpf->vmlinux().find(name, btf::Kind::kFunc); }
  ToyKernel kernel;
  BpfUser user{kernel};
};

TEST_F(LockKfuncs, TheSameLockTwiceIsADeadlock) {
  btf::Builder types;
  const u32 integer = types.add_int("int", 4, btf::kSigned);
  const u32 lock = types.add_struct("bpf_res_spin_lock", 8, {{"val", integer, 0}});
  const u32 value = types.add_struct("value", 8, {{"lock", lock, 0}});
  const long map = user.create_with_btf(uapi::kMapArray, 4, 8, 1, 0, user.load_btf(types.finish()),
                                        integer, value);
  ASSERT_GE(map, 0);
  Code code;  // lock, lock again (-EDEADLK), unlock, lock (0), unlock
  code.map_value(6, map, 0).copy(1, 6).kfunc(kfunc("bpf_res_spin_lock"));
  code.jump_if_zero(0, 2).mov(0, 1).exit();
  code.copy(1, 6).kfunc(kfunc("bpf_res_spin_lock")).copy(7, 0);
  code.copy(1, 6).kfunc(kfunc("bpf_res_spin_unlock")).copy(0, 7).exit();
  const long fd = user.load_syscall(code);
  EXPECT_EQ(static_cast<s32>(user.run(fd)), -EDEADLK);
  EXPECT_EQ(static_cast<s32>(user.run(fd)), -EDEADLK) << "it was let go";
  EXPECT_TRUE(kernel.host.faults.empty());
}

TEST_F(LockKfuncs, Bits) {
  Code code;  // counts the bits of 0x0f and 1 << 62, adds the last one's number times 100
  code.store64_imm(10, -16, 0x0f).mov(1, 1).raw(0x67, 1, 0, 0, 62).store64(10, -8, 1);
  code.stack(1, -32).stack(2, -16).mov(3, 2).kfunc(kfunc("bpf_iter_bits_new"));
  code.mov(6, 0).mov(7, 0);
  code.stack(1, -32).kfunc(kfunc("bpf_iter_bits_next")).jump_if_zero(0, 3);
  code.add(6, 1).raw(0x61, 7, 0, 0, 0).raw(0x05, 0, 0, -7, 0);
  code.stack(1, -32).kfunc(kfunc("bpf_iter_bits_destroy"));
  code.raw(0x27, 7, 0, 0, 100).copy(0, 7).raw(0x0f, 0, 6, 0, 0).exit();
  EXPECT_EQ(user.run(user.load_syscall(code)), 5u + 100u * (64 + 62)) << user.log;
  EXPECT_TRUE(kernel.host.faults.empty());
}

}  // namespace
}  // namespace uscx::bpf::test
