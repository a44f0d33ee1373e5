// SPDX-License-Identifier: GPL-2.0-only
// Helpers and kfuncs, called by programs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "abi/abi.h"
#include "bpf/impl.h"
#include "btf/btf.h"
#include "btf/builder.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

class Helpers : public testing::Test {
 protected:
  // Many programs here do what the verifier would not let them: the engine must catch it.
  Helpers() { kernel.bpf->impl().verify_programs = false; }

  ToyKernel kernel;
  BpfUser user{kernel};
  u32 zero = 0;

  u32 run(const Code& code) { return user.run(user.load_syscall(code)); }
  u32 kfunc(const char* name) { return *kernel.bpf->vmlinux().find(name, btf::Kind::kFunc); }
};

TEST_F(Helpers, MapLookupUpdateDelete) {
  const long map = user.create(uapi::kMapHash, 4, 8, 4);
  // r6 = update(map, &7, &42), then lookup and read.
  Code code;
  code.store32_imm(10, -4, 7).store64_imm(10, -16, 42);
  code.map(1, map).stack(2, -4).stack(3, -16).mov(4, 0).call(2);
  code.jump_if_not_zero(0, 8);
  code.map(1, map).stack(2, -4).call(1);
  code.jump_if_zero(0, 2);
  code.load64(0, 0, 0).exit();
  code.mov(0, 99).exit();
  EXPECT_EQ(run(code), 42u);
  const u32 seven = 7;
  u64 value = 0;
  EXPECT_EQ(user.lookup(map, &seven, &value), 0);
  EXPECT_EQ(value, 42u);
  Code remove;
  remove.store32_imm(10, -4, 7).map(1, map).stack(2, -4).call(3).exit();
  EXPECT_EQ(static_cast<s32>(run(remove)), 0);
  EXPECT_EQ(static_cast<s32>(run(remove)), -ENOENT);
}

TEST_F(Helpers, PerCpuArraysAreThisCpus) {
  const long map = user.create(uapi::kMapPercpuArray, 4, 8, 1);
  Code code;
  code.store32_imm(10, -4, 0).store64_imm(10, -16, 5);
  code.map(1, map).stack(2, -4).stack(3, -16).mov(4, 0).call(2).exit();
  kernel.host.cpu = 2;
  EXPECT_EQ(run(code), 0u);
  u64 values[4] = {};
  EXPECT_EQ(user.lookup(map, &zero, values), 0);
  EXPECT_EQ(values[0], 0u);
  EXPECT_EQ(values[2], 5u);
  Code other;
  other.store32_imm(10, -4, 0).map(1, map).stack(2, -4).mov(3, 2).call(195);
  other.jump_if_zero(0, 1).load64(0, 0, 0).exit();
  kernel.host.cpu = 0;
  EXPECT_EQ(run(other), 5u);
  Code beyond;
  beyond.store32_imm(10, -4, 0).map(1, map).stack(2, -4).mov(3, 4).call(195);
  beyond.jump_if_zero(0, 1).mov(0, 1).exit();
  EXPECT_EQ(run(beyond), 0u);
}

TEST_F(Helpers, TracePrintk) {
  Code code;
  // "%d %d\n" on the stack.
  code.store64_imm(10, -8, 0);
  code.raw(0x62, 10, 0, -8, 0x25206425).raw(0x62, 10, 0, -4, 0x00000a64);
  code.stack(1, -8).mov(2, 7).mov(3, 3).mov(4, -4).mov(5, 0).call(6).exit();
  EXPECT_EQ(run(code), 5u);
  ASSERT_EQ(kernel.host.printed.size(), 1u);
  EXPECT_EQ(kernel.host.printed[0], "3 -4");
}

TEST_F(Helpers, LoopCallsBackUntilToldToStop) {
  Code code;
  // bpf_loop(10, callback, &stack, 0): the callback counts, and stops at the fifth.
  code.store64_imm(10, -8, 0);
  code.mov(1, 10).function(2, 5).stack(3, -8).mov(4, 0).call(181).exit();
  code.load64(3, 2, 0).add(3, 1).store64(2, 0, 3);
  code.mov(0, 0).raw(0x55, 3, 0, 1, 5).mov(0, 1).exit();
  const long fd = user.load(uapi::kProgSyscall, code, uapi::kSleepable);
  ASSERT_GE(fd, 0) << user.log;
  EXPECT_EQ(user.run(fd), 5u);
}

TEST_F(Helpers, TaskStorage) {
  btf::Builder types;
  const u32 integer = types.add_int("int", 4, btf::kSigned);
  const u32 word = types.add_int("long", 8);
  const long btf = user.load_btf(types.finish());
  ASSERT_GE(btf, 0);
  const long map =
      user.create_with_btf(uapi::kMapTaskStorage, 4, 8, 0, uapi::kNoPrealloc, btf, integer, word);
  ASSERT_GE(map, 0);
  Code add;  // current's value, made where missing, counted up
  add.call(158).copy(2, 0).map(1, map).mov(3, 0).mov(4, 1).call(156);
  add.jump_if_zero(0, 4).load64(1, 0, 0).add(1, 1).store64(0, 0, 1).copy(0, 1).exit();
  EXPECT_EQ(run(add), 1u);
  EXPECT_EQ(run(add), 2u);
  Code find;
  find.call(158).copy(2, 0).map(1, map).mov(3, 0).mov(4, 0).call(156);
  find.jump_if_zero(0, 1).load64(0, 0, 0).exit();
  EXPECT_EQ(run(find), 2u);
  kernel.bpf->task_gone(kernel.host.task);
  EXPECT_EQ(run(find), 0u);
  kernel.host.task = 0;  // a task that is no task has no storage
  EXPECT_EQ(run(add), 0u);
}

TEST_F(Helpers, SpinLockTwiceEndsTheRun) {
  btf::Builder types;
  const u32 integer = types.add_int("int", 4, btf::kSigned);
  const u32 lock = types.add_struct("bpf_spin_lock", 4, {{"val", integer, 0}});
  const u32 value = types.add_struct("value", 8, {{"lock", lock, 0}, {"n", integer, 32}});
  const long btf = user.load_btf(types.finish());
  const long map = user.create_with_btf(uapi::kMapArray, 4, 8, 1, 0, btf, integer, value);
  ASSERT_GE(map, 0);
  Code good;
  good.map_value(1, map, 0).call(93).map_value(1, map, 0).call(94).mov(0, 3).exit();
  EXPECT_EQ(run(good), 3u);
  EXPECT_TRUE(kernel.host.faults.empty());
  Code bad;
  bad.map_value(1, map, 0).call(93).map_value(1, map, 0).call(93).mov(0, 3).exit();
  EXPECT_EQ(run(bad), 0u);
  EXPECT_EQ(kernel.host.faults.size(), 1u);
  EXPECT_TRUE(kernel.host.locks.empty()) << "the abandoned run let go of its lock";
  EXPECT_EQ(run(good), 3u);
}

class Timers : public Helpers {
 protected:
  Timers() {
    btf::Builder types;
    const u32 integer = types.add_int("int", 4, btf::kSigned);
    const u32 word = types.add_int("long", 8);
    const u32 timer = types.add_struct("bpf_timer", 16, {{"a", word, 0}, {"b", word, 64}});
    const u32 value = types.add_struct("value", 24, {{"n", word, 0}, {"timer", timer, 64}});
    const long btf = user.load_btf(types.finish());
    map = user.create_with_btf(uapi::kMapArray, 4, 24, 1, 0, btf, integer, value);
    EXPECT_GE(map, 0);
  }
  Code& timer(Code& code, u8 reg) { return code.map_value(reg, map, 8); }
  u64 count() {
    u64 value[3] = {};
    EXPECT_EQ(user.lookup(map, &zero, value), 0);
    return value[0];
  }
  long map = -1;
};

TEST_F(Timers, CallBackWithMapKeyAndValue) {
  Code start;
  timer(start, 1).map(2, map).mov(3, 1).call(169);          // init, CLOCK_MONOTONIC
  timer(start, 1).function(2, 7).call(170);                 // set_callback
  timer(start, 1).mov(2, 1000).mov(3, 0).call(171).exit();  // start
  // callback(map, key, value): value->n += *key + 1
  start.raw(0x61, 1, 2, 0, 0).load64(4, 3, 0).raw(0x0f, 4, 1, 0, 0).add(4, 1).store64(3, 0, 4);
  start.mov(0, 0).exit();
  const long fd = user.load(uapi::kProgSyscall, start, uapi::kSleepable);
  ASSERT_GE(fd, 0) << user.log;
  EXPECT_EQ(user.run(fd), 0u);
  ASSERT_EQ(kernel.host.armed.size(), 1u);
  EXPECT_EQ(kernel.host.armed[0].first, kernel.host.now + 1000);
  EXPECT_EQ(count(), 0u);
  EXPECT_TRUE(kernel.host.fire_next_timer());
  EXPECT_EQ(count(), 1u);
  EXPECT_TRUE(kernel.host.faults.empty());
  EXPECT_FALSE(kernel.host.fire_next_timer());

  Code init_again;
  timer(init_again, 1).map(2, map).mov(3, 1).call(169).exit();
  EXPECT_EQ(static_cast<s32>(run(init_again)), -EBUSY);
  // An update of the value takes its timer with it.
  EXPECT_EQ(user.run(fd), 0u);
  EXPECT_EQ(kernel.host.armed.size(), 1u);
  const u64 value[3] = {};
  EXPECT_EQ(user.update(map, &zero, value), 0);
  EXPECT_EQ(kernel.host.armed.size(), 0u);
}

TEST_F(Timers, Refusals) {
  auto result = [&](Code& code) { return static_cast<s32>(run(code.exit())); };
  Code start;
  EXPECT_EQ(result(timer(start, 1).mov(2, 1).mov(3, 0).call(171)), -EINVAL);
  Code cancel;
  EXPECT_EQ(result(timer(cancel, 1).call(172)), -EINVAL);
  Code clock;
  EXPECT_EQ(result(timer(clock, 1).map(2, map).mov(3, 5).call(169)), -EINVAL);
  Code init;
  EXPECT_EQ(result(timer(init, 1).map(2, map).mov(3, 1).call(169)), 0);
  Code cancel_again;
  EXPECT_EQ(result(timer(cancel_again, 1).call(172)), 0);
}

TEST_F(Helpers, CpumaskKfuncs) {
  Code code;  // create, set CPU 2, first, release
  code.kfunc(kfunc("bpf_cpumask_create")).jump_if_zero(0, 9).copy(6, 0);
  code.mov(1, 2).copy(2, 6).kfunc(kfunc("bpf_cpumask_set_cpu"));
  code.copy(1, 6).kfunc(kfunc("bpf_cpumask_first")).copy(7, 0);
  code.copy(1, 6).kfunc(kfunc("bpf_cpumask_release")).copy(0, 7).exit();
  EXPECT_EQ(run(code), 2u);
  EXPECT_TRUE(kernel.host.faults.empty());
  Code released;  // used after its release
  released.kfunc(kfunc("bpf_cpumask_create")).copy(6, 0);
  released.copy(1, 6).kfunc(kfunc("bpf_cpumask_release"));
  released.copy(1, 6).kfunc(kfunc("bpf_cpumask_release")).mov(0, 1).exit();
  run(released);
  Code number;  // not a mask at all
  number.mov(1, 1).mov(2, 8).kfunc(kfunc("bpf_cpumask_set_cpu")).mov(0, 1).exit();
  EXPECT_EQ(run(number), 0u);
  EXPECT_FALSE(kernel.host.faults.empty());
}

TEST_F(Helpers, KptrsAreReleasedWithTheirValue) {
  btf::Builder types;
  const u32 integer = types.add_int("int", 4, btf::kSigned);
  const u32 mask = types.add_struct("bpf_cpumask", 4, {{"x", integer, 0}});
  const u32 pointer = types.add_ptr(types.add_type_tag("kptr", mask));
  const u32 value = types.add_struct("value", 8, {{"mask", pointer, 0}});
  const long btf = user.load_btf(types.finish());
  const long map = user.create_with_btf(uapi::kMapHash, 4, 8, 2, 0, btf, integer, value);
  ASSERT_GE(map, 0);
  u64 initial = 0x1234;
  EXPECT_EQ(user.update(map, &zero, &initial), 0);
  u64 seen = 1;
  EXPECT_EQ(user.lookup(map, &zero, &seen), 0);
  EXPECT_EQ(seen, 0u) << "pointers neither come from user space nor go there";
  Code put;  // value->mask = create(); returns the low bits of the old one
  put.kfunc(kfunc("bpf_cpumask_create")).copy(6, 0);
  put.store32_imm(10, -4, 0).map(1, map).stack(2, -4).call(1).jump_if_zero(0, 3);
  put.copy(1, 0).copy(2, 6).call(194).exit();
  EXPECT_EQ(run(put), 0u);
  int released = 0;
  kernel.bpf->register_kptr_destructor("bpf_cpumask", [&](u64) { ++released; });
  EXPECT_EQ(user.erase(map, &zero), 0);
  EXPECT_EQ(released, 1);
}

TEST_F(Helpers, PerCpuVariables) {
  u64* areas[4];
  for (u64 cpu = 0; cpu < 4; ++cpu) {
    areas[cpu] = static_cast<u64*>(kernel.window->allocate(64, kProgramMemory));
    areas[cpu][1] = 10 + cpu;
  }
  const btf::Btf& btf = kernel.bpf->vmlinux();
  const u32 var = *btf.find("runqueues", btf::Kind::kVar);
  Code code;
  code.raw(0x18, 1, 3, 0, static_cast<s32>(var)).raw(0, 0, 0, 0, 0);
  code.mov(2, 3).call(153).jump_if_zero(0, 1).load64(0, 0, 8).exit();
  EXPECT_EQ(user.load(uapi::kProgSyscall, code, uapi::kSleepable), -ENOENT) << "nobody's";
  kernel.bpf->register_ksym("runqueues", 64, true,
                            [&](u32 cpu) { return reinterpret_cast<u64>(areas[cpu]); });
  EXPECT_EQ(run(code), 13u);
  Code beyond;
  beyond.raw(0x18, 1, 3, 0, static_cast<s32>(var)).raw(0, 0, 0, 0, 0);
  beyond.mov(2, 4).call(153).jump_if_zero(0, 1).mov(0, 1).exit();
  EXPECT_EQ(run(beyond), 0u);
}

TEST_F(Helpers, ProbeReadOutsideOfTheWindowTouchesNothing) {
  Code code;
  code.store64_imm(10, -8, -1).stack(1, -8).mov(2, 8).mov(3, 4096).call(113);
  code.load64(1, 10, -8).jump_if_zero(1, 1).mov(0, 1).exit();
  EXPECT_EQ(static_cast<s32>(run(code)), -EFAULT);
}

}  // namespace
}  // namespace uscx::bpf::test
