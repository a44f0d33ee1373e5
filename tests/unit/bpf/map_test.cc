// SPDX-License-Identifier: GPL-2.0-only
// What maps hold and in which order; which errno answers what is in the questions test.
#include <gtest/gtest.h>

#include <set>

#include "base/hash.h"
#include "bpf/maps/fields.h"
#include "btf/btf.h"
#include "btf/builder.h"
#include "support/bpf_user.h"

namespace uscx::bpf::test {
namespace {

class MapTest : public testing::Test {
 protected:
  ToyKernel kernel;
  BpfUser user{kernel};

  std::vector<u32> keys(long fd) {
    std::vector<u32> all;
    u32 key = 0;
    for (long r = user.next(fd, nullptr, &key); r == 0; r = user.next(fd, &key, &key)) {
      all.push_back(key);
    }
    return all;
  }
};

TEST_F(MapTest, HashAgreesWithASet) {
  const long fd = user.create(uapi::kMapHash, 4, 8, 64);
  std::set<u32> expected;
  Random random(1);
  for (int i = 0; i < 4000; ++i) {
    const u32 key = static_cast<u32>(random.below(128));
    u64 value = key * 3;
    if (random.below(2)) {
      const bool fits = expected.contains(key) || expected.size() < 64;
      ASSERT_EQ(user.update(fd, &key, &value), fits ? 0 : -E2BIG);
      if (fits) expected.insert(key);
    } else {
      ASSERT_EQ(user.erase(fd, &key), expected.erase(key) ? 0 : -ENOENT);
    }
  }
  const auto found = keys(fd);
  EXPECT_EQ(found.size(), expected.size());
  EXPECT_EQ(std::set<u32>(found.begin(), found.end()), expected);
  for (u32 key : expected) {
    u64 value = 0;
    EXPECT_EQ(user.lookup(fd, &key, &value), 0);
    EXPECT_EQ(value, key * 3);
  }
}

TEST_F(MapTest, TheOrderOfKeysIsTheSameInEveryKernel) {
  auto order = [](BpfUser& u, auto&& all_keys) {
    const long fd = u.create(uapi::kMapHash, 4, 8, 100);
    for (u32 key = 0; key < 50; ++key) {
      const u64 value = key;
      u.update(fd, &key, &value);
    }
    return all_keys(fd);
  };
  const auto here = order(user, [&](long fd) { return keys(fd); });
  ToyKernel other;
  other.window->activate();
  BpfUser their_user(other);
  const auto there = order(their_user, [&](long fd) {
    std::vector<u32> all;
    u32 key = 0;
    for (long r = their_user.next(fd, nullptr, &key); r == 0; r = their_user.next(fd, &key, &key)) {
      all.push_back(key);
    }
    return all;
  });
  EXPECT_EQ(here.size(), 50u);
  EXPECT_EQ(here, there);
}

TEST_F(MapTest, LruForgetsTheLeastRecentlyUpdated) {
  const long fd = user.create(uapi::kMapLruHash, 4, 8, 3);
  for (u32 key : {1u, 2u, 3u, 1u, 4u}) {
    const u64 value = key;
    EXPECT_EQ(user.update(fd, &key, &value), 0);
  }
  const auto left = keys(fd);
  EXPECT_EQ(std::set<u32>(left.begin(), left.end()), (std::set<u32>{1, 3, 4}));
}

TEST_F(MapTest, PerCpuHashHasAValueForEachCpu) {
  const long fd = user.create(uapi::kMapPercpuHash, 4, 4, 4);
  const u32 key = 9;
  u64 values[4] = {1, 2, 3, 4};
  EXPECT_EQ(user.update(fd, &key, values), 0);
  u64 got[4] = {};
  EXPECT_EQ(user.lookup(fd, &key, got), 0);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(got[i], values[i]);
}

TEST_F(MapTest, AFullQueueAndStack) {
  for (u32 type : {uapi::kMapQueue, uapi::kMapStack}) {
    const long fd = user.create(type, 0, 8, 3);
    for (u64 value : {1, 2, 3}) EXPECT_EQ(user.update(fd, nullptr, &value), 0);
    std::vector<u64> out;
    u64 value = 0;
    while (user.elem(uapi::kMapLookupAndDeleteElem, fd, nullptr, &value) == 0) out.push_back(value);
    EXPECT_EQ(out,
              type == uapi::kMapQueue ? (std::vector<u64>{1, 2, 3}) : (std::vector<u64>{3, 2, 1}));
  }
}

TEST_F(MapTest, SpecialFieldsAreFound) {
  btf::Builder types;
  const u32 word = types.add_int("long", 8);
  const u32 integer = types.add_int("int", 4);
  const u32 timer = types.add_struct("bpf_timer", 16, {{"a", word, 0}, {"b", word, 64}});
  const u32 lock = types.add_struct("bpf_spin_lock", 4, {{"val", integer, 0}});
  const u32 mask = types.add_struct("bpf_cpumask", 8, {{"x", word, 0}});
  const u32 pointer = types.add_ptr(types.add_type_tag("kptr", mask));
  const u32 pointers = types.add_array(pointer, integer, 2);
  const u32 inner = types.add_struct("inner", 24, {{"n", word, 0}, {"masks", pointers, 64}});
  const u32 outer = types.add_struct(
      "outer", 48, {{"lock", lock, 0}, {"timer", timer, 64}, {"inner", inner, 192}});
  const u32 two_timers = types.add_struct("two", 32, {{"a", timer, 0}, {"b", timer, 128}});
  const u32 odd = types.add_struct("odd", 24, {{"timer", timer, 32}});
  auto btf = btf::Btf::parse(types.finish());
  ASSERT_TRUE(btf.has_value()) << btf.error().message;
  const auto record = parse_fields(*btf, outer, 48);
  ASSERT_TRUE(record.has_value());
  ASSERT_EQ(record->fields.size(), 4u);
  EXPECT_EQ(record->fields[0].kind, FieldKind::kSpinLock);
  EXPECT_EQ(record->fields[1].kind, FieldKind::kTimer);
  EXPECT_EQ(record->fields[1].offset, 8u);
  EXPECT_EQ(record->fields[2].offset, 32u);
  EXPECT_EQ(record->fields[3].offset, 40u);
  EXPECT_EQ(record->fields[3].type_name, "bpf_cpumask");
  EXPECT_EQ(check_fields(*record, uapi::kMapHash, 0), 0);
  EXPECT_EQ(check_fields(*record, uapi::kMapPercpuArray, 0), EOPNOTSUPP);
  EXPECT_EQ(check_fields(*record, uapi::kMapArray, uapi::kRdonlyProg), EACCES);
  EXPECT_EQ(parse_fields(*btf, two_timers, 32).error().value, E2BIG);
  // Linux: btf_find_field_one leaves out what is not aligned.
  const auto unaligned = parse_fields(*btf, odd, 24);
  ASSERT_TRUE(unaligned.has_value());
  EXPECT_TRUE(unaligned->fields.empty());
}

}  // namespace
}  // namespace uscx::bpf::test
