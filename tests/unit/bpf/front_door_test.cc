// SPDX-License-Identifier: GPL-2.0-only
// Lives of objects, links and struct_ops maps, and what happens in which order.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "btf/btf.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

class FrontDoorTest : public testing::Test {
 protected:
  ToyKernel kernel;
  BpfUser user{kernel};
  Code return_zero = Code().mov(0, 0).exit();

  /// A struct_ops map of sched_ext_ops and the size of its value.
  long ops_map(u32 flags = uapi::kLink) {
    const btf::Btf& btf = kernel.bpf->vmlinux();
    const u32 value = *btf.find("bpf_struct_ops_sched_ext_ops", btf::Kind::kStruct);
    value_size = *btf.size_of(value);
    data = btf.find_member_path(value, "data")->byte_offset();
    uapi::Attr a{};
    a.map_create.map_type = uapi::kMapStructOps;
    a.map_create.key_size = 4;
    a.map_create.value_size = value_size;
    a.map_create.max_entries = 1;
    a.map_create.map_flags = flags;
    a.map_create.btf_vmlinux_value_type_id = value;
    return user.call(uapi::kMapCreate, a);
  }
  u32 ops_id() { return *kernel.bpf->vmlinux().find("sched_ext_ops", btf::Kind::kStruct); }
  u32 member(std::string_view name) { return *kernel.bpf->vmlinux().member_index(ops_id(), name); }
  u32 member_offset(std::string_view name) {
    return data + kernel.bpf->vmlinux().members(ops_id())[member(name)].byte_offset();
  }
  long load_ops_program(std::string_view name) {
    return user.load(uapi::kProgStructOps, return_zero, 0, member(name), ops_id());
  }
  /// The value of a table with `fd` in member `name`.
  std::vector<std::byte> value_with(std::string_view name, long fd) {
    std::vector<std::byte> value(value_size);
    const u64 slot = static_cast<u64>(fd);
    std::memcpy(value.data() + member_offset(name), &slot, 8);
    return value;
  }
  long link(long map) {
    uapi::Attr a{};
    a.link_create.prog_fd = static_cast<u32>(map);
    a.link_create.attach_type = uapi::kStructOps;
    return user.call(uapi::kLinkCreate, a);
  }
  ToyOps& ops() { return *kernel.ops["sched_ext_ops"]; }

  u32 value_size = 0;
  u32 data = 0;
  u32 zero = 0;
};

TEST_F(FrontDoorTest, DescriptorsMayBeMoved) {
  const long fd = user.create(uapi::kMapArray, 4, 8, 1);
  ASSERT_GE(fd, 0);
  const int moved = ::fcntl(static_cast<int>(fd), F_DUPFD_CLOEXEC, 100);
  ::close(static_cast<int>(fd));
  u64 value = 5;
  EXPECT_EQ(user.update(moved, &zero, &value), 0);
  EXPECT_EQ(user.update(fd, &zero, &value), -EBADF);
  kernel.bpf->reap_closed_fds();
  EXPECT_EQ(user.update(moved, &zero, &value), 0);
  ::close(moved);
}

TEST_F(FrontDoorTest, AMappedArrayIsTheMapsMemory) {
  const long fd = user.create(uapi::kMapArray, 4, 8, 2, uapi::kMmapable);
  ASSERT_GE(fd, 0);
  auto* mapped = static_cast<u64*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, static_cast<int>(fd), 0));
  ASSERT_NE(mapped, MAP_FAILED);
  mapped[1] = 77;
  u64 value = 0;
  const u32 one = 1;
  EXPECT_EQ(user.lookup(fd, &one, &value), 0);
  EXPECT_EQ(value, 77u);
  value = 88;
  EXPECT_EQ(user.update(fd, &one, &value), 0);
  EXPECT_EQ(mapped[1], 88u);
  ::munmap(mapped, 4096);
  ::close(static_cast<int>(fd));
}

TEST_F(FrontDoorTest, ALinkEndsWithItsLastDescriptor) {
  const long map = ops_map();
  ASSERT_GE(map, 0);
  const long program = load_ops_program("enqueue");
  ASSERT_GE(program, 0) << user.log;
  EXPECT_EQ(link(map), -EINVAL) << "nothing was updated yet";
  ASSERT_EQ(user.update(map, &zero, value_with("enqueue", program).data()), 0);
  EXPECT_EQ(user.update(map, &zero, value_with("enqueue", program).data()), -EBUSY);
  const long fd = link(map);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(ops().registered.size(), 1u);
  const auto& table = *ops().registered[0];
  EXPECT_NE(table.programs[member("enqueue")], nullptr);
  EXPECT_EQ(table.programs[member("dispatch")], nullptr);
  EXPECT_EQ(kernel.bpf->struct_ops_table(table.map_id), ops().registered[0]);
  EXPECT_EQ(table.programs[member("enqueue")]->struct_ops_map_id, table.map_id);

  const int copy = ::dup(static_cast<int>(fd));
  ::close(static_cast<int>(fd));
  ::close(static_cast<int>(map));
  ::close(static_cast<int>(program));
  kernel.bpf->reap_closed_fds();
  EXPECT_EQ(ops().registered.size(), 1u);
  ::close(copy);
  kernel.bpf->reap_closed_fds();
  EXPECT_EQ(ops().registered.size(), 0u);
  EXPECT_EQ(ops().unregistered, 1);
}

TEST_F(FrontDoorTest, RegRefusingIsLinkCreateRefusing) {
  const long map = ops_map();
  ASSERT_EQ(user.update(map, &zero, value_with("enqueue", 0).data()), 0);
  ops().reg_error = EBUSY;
  EXPECT_EQ(link(map), -EBUSY);
  ops().reg_error = 0;
  const long fd = link(map);
  EXPECT_GE(fd, 0);
  uapi::Attr a{};
  a.elem.map_fd = static_cast<u32>(fd);
  EXPECT_EQ(user.call(uapi::kLinkDetach, a), 0);
  EXPECT_EQ(ops().unregistered, 1);
  EXPECT_EQ(user.call(uapi::kLinkDetach, a), -EINVAL);
}

TEST_F(FrontDoorTest, AnOldMapRegistersByUpdateAndEndsByDelete) {
  const long map = ops_map(0);
  EXPECT_EQ(user.erase(map, &zero), -ENOENT);
  ASSERT_EQ(user.update(map, &zero, value_with("enqueue", 0).data()), 0);
  EXPECT_EQ(ops().registered.size(), 1u);
  EXPECT_EQ(link(map), -EINVAL);
  ::close(static_cast<int>(map));
  kernel.bpf->reap_closed_fds();
  EXPECT_EQ(ops().registered.size(), 1u) << "a registered table keeps its map";

  const long other = ops_map(0);
  ops().reg_error = EBUSY;
  EXPECT_EQ(user.update(other, &zero, value_with("enqueue", 0).data()), -EBUSY);
  ops().reg_error = 0;
  EXPECT_EQ(user.update(other, &zero, value_with("enqueue", 0).data()), 0);
  EXPECT_EQ(user.erase(other, &zero), 0);
  EXPECT_EQ(user.erase(other, &zero), -EINPROGRESS);
  EXPECT_EQ(ops().unregistered, 1);
}

TEST_F(FrontDoorTest, AProgramFitsItsMemberOnly) {
  const long map = ops_map();
  const long program = load_ops_program("enqueue");
  EXPECT_EQ(user.update(map, &zero, value_with("dispatch", program).data()), -EINVAL);
  EXPECT_EQ(user.update(map, &zero, value_with("enqueue", map).data()), -EINVAL);
  EXPECT_EQ(user.update(map, &zero, value_with("enqueue", 999).data()), -EBADF);
  std::vector<std::byte> with_state = value_with("enqueue", program);
  with_state[4] = std::byte{1};
  EXPECT_EQ(user.update(map, &zero, with_state.data()), -EINVAL);
  EXPECT_EQ(user.update(map, &zero, value_with("enqueue", program).data()), 0);
}

TEST_F(FrontDoorTest, LoadsNameWhatTheyCannotAttachTo) {
  EXPECT_EQ(user.load(uapi::kProgStructOps, return_zero, 0, 1000, ops_id()), -EINVAL);
  EXPECT_NE(user.log.find("attach to invalid member idx 1000 of struct sched_ext_ops"),
            std::string::npos)
      << user.log;
  EXPECT_EQ(user.load(uapi::kProgStructOps, return_zero, 0, member("name"), ops_id()), -EINVAL);
  EXPECT_NE(user.log.find("attach to invalid member name"), std::string::npos) << user.log;
  EXPECT_EQ(user.load(uapi::kProgSyscall, return_zero), -EINVAL);
  EXPECT_NE(user.log.find("Syscall programs can only be sleepable"), std::string::npos) << user.log;
}

TEST_F(FrontDoorTest, FentryProgramsRunAtTheirFunction) {
  const u32 id = *kernel.bpf->vmlinux().find("bpf_scx_reg", btf::Kind::kFunc);
  const long map = user.create(uapi::kMapArray, 4, 8, 1);
  const long program = user.load(
      uapi::kProgTracing,
      Code().map_value(2, map, 0).load64(3, 2, 0).add(3, 1).store64(2, 0, 3).mov(0, 0).exit(), 0,
      uapi::kTraceFentry, id);
  ASSERT_GE(program, 0) << user.log;
  EXPECT_FALSE(kernel.bpf->has_trace_hook("bpf_scx_reg"));
  uapi::Attr a{};
  a.link_create.prog_fd = static_cast<u32>(program);
  a.link_create.attach_type = uapi::kTraceFentry;
  const long link_fd = user.call(uapi::kLinkCreate, a);
  ASSERT_GE(link_fd, 0);
  EXPECT_TRUE(kernel.bpf->has_trace_hook("bpf_scx_reg"));
  const u64 args[2] = {0, 0};
  kernel.bpf->trace_hook("bpf_scx_reg", args);
  kernel.bpf->trace_hook("something_else", args);
  u64 value = 0;
  EXPECT_EQ(user.lookup(map, &zero, &value), 0);
  EXPECT_EQ(value, 1u);
  ::close(static_cast<int>(link_fd));
  kernel.bpf->reap_closed_fds();
  EXPECT_FALSE(kernel.bpf->has_trace_hook("bpf_scx_reg"));
}

TEST_F(FrontDoorTest, CommonAttributesProbe) {
  OwnMemory memory;
  uapi::Attr a{};
  EXPECT_EQ(kernel.bpf->syscall(uapi::kProgLoad | uapi::kCommonAttrs, reinterpret_cast<u64>(&a),
                                sizeof(a), memory, 0, sizeof(uapi::CommonAttr)),
            -EFAULT);
}

TEST_F(FrontDoorTest, WhatIsNotServedIsCounted) {
  uapi::Attr a{};
  EXPECT_LT(user.call(uapi::kObjPin, a), 0);
  const auto unserved = kernel.bpf->unserved();
  ASSERT_EQ(unserved.size(), 1u);
  EXPECT_EQ(unserved[0].first, "bpf(OBJ_PIN)");
}

}  // namespace
}  // namespace uscx::bpf::test
