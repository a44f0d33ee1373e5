// SPDX-License-Identifier: GPL-2.0-only
// Which maps can be made, maps of maps, local storage. Attributes and errnos: map_alloc_check of
// each type in Linux 7.3.
#include <gtest/gtest.h>

#include "bpf/impl.h"
#include "bpf/maps/local_storage.h"
#include "btf/builder.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

class MapTypes : public testing::Test {
 protected:
  ToyKernel kernel;
  BpfUser user{kernel};

  long create_outer(u32 type, long inner, u32 entries) {
    uapi::Attr a{};
    a.map_create.map_type = type;
    a.map_create.key_size = 4;
    a.map_create.value_size = 4;
    a.map_create.max_entries = entries;
    a.map_create.inner_map_fd = static_cast<u32>(inner);
    return user.call(uapi::kMapCreate, a);
  }
  u32 id_of(long fd) { return (*kernel.bpf->impl().fds.get<Map>(static_cast<int>(fd)))->id; }
};

TEST_F(MapTypes, EachTypeWithWhatItAsksFor) {
  struct Case {
    u32 type, key, value, entries, flags;
    long expected;  // 0: made
  };
  const Case cases[] = {
      {uapi::kMapProgArray, 4, 4, 3, 0, 0},
      {uapi::kMapProgArray, 4, 8, 3, 0, -EINVAL},
      {uapi::kMapPerfEventArray, 4, 4, 8, 0, 0},
      {uapi::kMapPerfEventArray, 4, 4, 8, uapi::kRdonlyProg, -EINVAL},
      {uapi::kMapStackTrace, 4, 8 * 127, 16, 0, 0},
      {uapi::kMapStackTrace, 4, 8 * 128, 16, 0, -EINVAL},
      {uapi::kMapStackTrace, 4, 12, 16, 0, -EINVAL},
      {uapi::kMapCgroupArray, 4, 4, 1, 0, 0},
      {uapi::kMapLruPercpuHash, 4, 8, 4, 0, 0},
      {uapi::kMapLruPercpuHash, 4, 8, 4, uapi::kNoPrealloc, -kEnotsupp},
      {uapi::kMapLpmTrie, 8, 4, 16, uapi::kNoPrealloc, 0},
      {uapi::kMapLpmTrie, 8, 4, 16, 0, -EINVAL},
      {uapi::kMapLpmTrie, 4, 4, 16, uapi::kNoPrealloc, -EINVAL},
      {uapi::kMapDevmap, 4, 4, 2, 0, 0},
      {uapi::kMapDevmap, 4, 8, 2, 0, 0},
      {uapi::kMapDevmap, 4, 16, 2, 0, -EINVAL},
      {uapi::kMapDevmapHash, 4, 8, 2, 0, 0},
      {uapi::kMapCpumap, 4, 8, 2, 0, 0},
      {uapi::kMapXskmap, 4, 4, 2, 0, 0},
      {uapi::kMapSockmap, 4, 8, 2, 0, 0},
      {uapi::kMapSockhash, 16, 4, 2, 0, 0},
      {uapi::kMapSockhash, 513, 4, 2, 0, -E2BIG},
      {uapi::kMapCgroupStorage, 16, 8, 0, 0, 0},
      {uapi::kMapCgroupStorage, 16, 8, 1, 0, -EINVAL},
      {uapi::kMapPercpuCgroupStorage, 8, 8, 0, 0, 0},
      {uapi::kMapReuseportSockarray, 4, 8, 1, 0, 0},
      {uapi::kMapBloomFilter, 0, 8, 100, 0, 0},
      {uapi::kMapBloomFilter, 4, 8, 100, 0, -EINVAL},
      {uapi::kMapRingbuf, 0, 0, 4096, 0, 0},
      {uapi::kMapRingbuf, 0, 0, 4096 * 3, 0, -EINVAL},
      {uapi::kMapRingbuf, 4, 0, 4096, 0, -EINVAL},
      {uapi::kMapUserRingbuf, 0, 0, 8192, 0, 0},
      {uapi::kMapInsnArray, 4, 16, 2, 0, 0},
      {uapi::kMapRhash, 4, 8, 4, uapi::kNoPrealloc, 0},
      {uapi::kMapRhash, 4, 8, 4, 0, -EINVAL},
  };
  for (const Case& c : cases) {
    const long fd = user.create(c.type, c.key, c.value, c.entries, c.flags);
    EXPECT_EQ(fd < 0 ? fd : 0, c.expected) << map_type_name(c.type) << " value " << c.value;
  }
}

TEST_F(MapTypes, WhatIsNotServedSaysSo) {
  const long map = user.create(uapi::kMapStackTrace, 4, 8, 1);
  const u32 zero = 0;
  u64 value = 0;
  EXPECT_EQ(user.lookup(map, &zero, &value), -EOPNOTSUPP);
  ASSERT_EQ(kernel.bpf->unserved().size(), 1u);
  EXPECT_EQ(kernel.bpf->unserved()[0].first, "lookup of a STACK_TRACE map");
}

TEST_F(MapTypes, ArrayOfMaps) {
  const long inner = user.create(uapi::kMapArray, 4, 8, 2);
  const long other = user.create(uapi::kMapArray, 4, 8, 2);
  const long bigger = user.create(uapi::kMapArray, 4, 8, 3);
  const long outer = create_outer(uapi::kMapArrayOfMaps, inner, 3);
  ASSERT_GE(outer, 0);
  EXPECT_EQ(create_outer(uapi::kMapArrayOfMaps, outer, 3), -EINVAL) << "one level only";
  const u32 one = 1, three = 3, zero = 0;
  u32 id = 0;
  EXPECT_EQ(user.lookup(outer, &one, &id), -ENOENT);
  EXPECT_EQ(user.update(outer, &one, &bigger), -EINVAL) << "not like the inner map";
  EXPECT_EQ(user.update(outer, &three, &other), -E2BIG);
  EXPECT_EQ(user.update(outer, &one, &other, uapi::kNoExist), -EINVAL);
  EXPECT_EQ(user.update(outer, &one, &other), 0);
  EXPECT_EQ(user.lookup(outer, &one, &id), 0);
  EXPECT_EQ(id, id_of(other));
  const u64 value = 77;
  EXPECT_EQ(user.update(other, &zero, &value), 0);
  Code code;  // outer[1][0]
  code.store32_imm(10, -4, 1).map(1, outer).stack(2, -4).call(1).jump_if_zero(0, 8);
  code.store32_imm(10, -4, 0).copy(1, 0).stack(2, -4).call(1).jump_if_zero(0, 2);
  code.load64(0, 0, 0).exit().mov(0, 0).exit();
  EXPECT_EQ(user.run(user.load_syscall(code)), 77u);
  EXPECT_EQ(user.erase(outer, &one), 0);
  EXPECT_EQ(user.erase(outer, &one), -ENOENT);
}

TEST_F(MapTypes, HashOfMaps) {
  const long inner = user.create(uapi::kMapHash, 4, 8, 2);
  const long outer = create_outer(uapi::kMapHashOfMaps, inner, 1);
  ASSERT_GE(outer, 0);
  const u32 a = 5, b = 6;
  EXPECT_EQ(user.update(outer, &a, &inner, uapi::kExist), -ENOENT);
  EXPECT_EQ(user.update(outer, &a, &inner), 0);
  EXPECT_EQ(user.update(outer, &a, &inner, uapi::kNoExist), -EEXIST);
  EXPECT_EQ(user.update(outer, &b, &inner), -E2BIG);
  u32 key = 0;
  EXPECT_EQ(user.next(outer, nullptr, &key), 0);
  EXPECT_EQ(key, 5u);
  EXPECT_EQ(user.next(outer, &key, &key), -ENOENT);
}

TEST_F(MapTypes, CgroupStorageGoesWithItsCgroup) {
  btf::Builder types;
  const u32 integer = types.add_int("int", 4, btf::kSigned);
  const u32 word = types.add_int("long", 8);
  const long btf = user.load_btf(types.finish());
  const long fd =
      user.create_with_btf(uapi::kMapCgrpStorage, 4, 8, 0, uapi::kNoPrealloc, btf, integer, word);
  ASSERT_GE(fd, 0);
  auto map = std::dynamic_pointer_cast<LocalStorageMap>(
      *kernel.bpf->impl().fds.get<Map>(static_cast<int>(fd)));
  ASSERT_NE(map, nullptr);
  const u64 cgroup = 0x2000'0000'1000;
  const u64 value = map->get_or_create(cgroup, nullptr);
  EXPECT_NE(value, 0u);
  EXPECT_EQ(map->find(cgroup), value);
  kernel.bpf->task_gone(cgroup);
  EXPECT_EQ(map->find(cgroup), value) << "only a cgroup's end counts";
  kernel.bpf->cgroup_gone(cgroup);
  EXPECT_EQ(map->find(cgroup), 0u);
}

}  // namespace
}  // namespace uscx::bpf::test
