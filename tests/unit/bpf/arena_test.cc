// SPDX-License-Identifier: GPL-2.0-only
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "bpf/exec/exec.h"
#include "bpf/maps/arena.h"
#include "bpf/maps/range_tree.h"
#include "support/bpf_user.h"

namespace uscx::bpf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr u64 kPage = ArenaMap::kPage;
// Clear of what the address sanitizer keeps for itself.
constexpr u64 kUser = (u64{1} << 44) + 0x1'7000'0000;

MapSpec arena_spec(u32 pages, u64 extra = kUser) {
  MapSpec spec;
  spec.type = uapi::kMapArena;
  spec.flags = uapi::kMmapable;
  spec.max_entries = pages;
  spec.extra = extra;
  spec.name = "arena";
  return spec;
}

// The choices are those of kernel/bpf/range_tree.c: the smallest range that fits, of equal ones the
// one that was made last; neighbours become one.
TEST(RangeTree, FindsTheSmallestThatFits) {
  RangeTree tree;
  tree.insert(0, 100);
  EXPECT_EQ(tree.find(100), 0u);
  EXPECT_EQ(tree.find(101), std::nullopt);
  tree.erase(10, 5);  // [0, 10) and [15, 100)
  EXPECT_EQ(tree.find(10), 0u);
  EXPECT_EQ(tree.find(11), 15u);
  EXPECT_FALSE(tree.contains(9, 2));
  EXPECT_TRUE(tree.contains(15, 85));
}

TEST(RangeTree, OfEqualRangesTheLastOneMade) {
  RangeTree tree;
  tree.insert(0, 4);
  tree.insert(20, 4);
  tree.insert(10, 4);
  EXPECT_EQ(tree.find(3), 10u);
  tree.erase(10, 4);
  EXPECT_EQ(tree.find(3), 20u);
}

TEST(RangeTree, NeighboursBecomeOne) {
  RangeTree tree;
  tree.insert(0, 4);
  tree.insert(8, 4);
  tree.insert(4, 4);
  EXPECT_TRUE(tree.contains(0, 12));
  EXPECT_EQ(tree.find(12), 0u);
  tree.insert(2, 20);
  EXPECT_TRUE(tree.contains(0, 22));
  tree.erase(0, 22);
  EXPECT_EQ(tree.find(1), std::nullopt);
}

// Linux: arena_map_alloc.
TEST(ArenaSpec, IsChecked) {
  EXPECT_EQ(check_arena_spec(arena_spec(1)), 0);
  EXPECT_EQ(check_arena_spec(arena_spec(0)), EINVAL);
  EXPECT_EQ(check_arena_spec(arena_spec(1 << 20, 0)), 0);
  EXPECT_EQ(check_arena_spec(arena_spec((1 << 20) + 1, 0)), E2BIG);
  EXPECT_EQ(check_arena_spec(arena_spec(1 << 20, kUser)), ERANGE);
  EXPECT_EQ(check_arena_spec(arena_spec(1, kUser + 8)), EINVAL);
  MapSpec spec = arena_spec(1);
  spec.flags = 0;
  EXPECT_EQ(check_arena_spec(spec), EINVAL);
  spec.flags = uapi::kMmapable | uapi::kNoPrealloc;
  EXPECT_EQ(check_arena_spec(spec), EINVAL);
  spec.flags = uapi::kMmapable | uapi::kSegvOnFault | uapi::kNoUserConv;
  EXPECT_EQ(check_arena_spec(spec), 0);
  spec.value_size = 4;
  EXPECT_EQ(check_arena_spec(spec), EINVAL);
}

class Arena : public testing::Test {
 protected:
  test::ToyKernel kernel;
  ArenaMap arena{*kernel.bpf, arena_spec(8)};
  u64 low(u64 page) const { return static_cast<u32>(kUser) + page * kPage; }
};

TEST_F(Arena, PagesComeZeroedAndGo) {
  EXPECT_EQ(arena.at(low(0), 8), nullptr);
  EXPECT_EQ(arena.alloc_pages(0, 2), kUser);
  EXPECT_EQ(arena.nr_pages(), 2u);
  auto* word = reinterpret_cast<u64*>(arena.at(low(1), 8));
  ASSERT_NE(word, nullptr);
  EXPECT_EQ(*word, 0u);
  *word = 7;
  EXPECT_EQ(arena.at(low(1) + kPage - 4, 8), nullptr);  // the page after is not there
  arena.free_pages(kUser + kPage, 1);
  EXPECT_EQ(arena.nr_pages(), 1u);
  EXPECT_EQ(arena.at(low(1), 8), nullptr);
  EXPECT_EQ(arena.alloc_pages(kUser + kPage, 1), kUser + kPage);
  EXPECT_EQ(*reinterpret_cast<u64*>(arena.at(low(1), 8)), 0u);
}

TEST_F(Arena, AllocationsWhereAsked) {
  EXPECT_EQ(arena.alloc_pages(kUser + 3 * kPage, 2), kUser + 3 * kPage);
  EXPECT_EQ(arena.alloc_pages(kUser + 4 * kPage, 1), 0u);  // taken
  EXPECT_EQ(arena.alloc_pages(kUser + 7 * kPage, 2), 0u);  // beyond the end
  EXPECT_EQ(arena.alloc_pages(kUser + 8, 1), 0u);          // not at a page
  EXPECT_EQ(arena.alloc_pages(0, 9), 0u);
  // [0, 3) and [5, 8) both fit; cutting a range in two makes the right one last.
  EXPECT_EQ(arena.alloc_pages(0, 3), kUser + 5 * kPage);
}

TEST_F(Arena, ReservedPagesAreNotGivenOut) {
  EXPECT_EQ(arena.reserve_pages(kUser, 7), 0);
  EXPECT_EQ(arena.reserve_pages(kUser + 6 * kPage, 2), -EBUSY);
  EXPECT_EQ(arena.reserve_pages(kUser + 7 * kPage, 2), -EINVAL);
  EXPECT_EQ(arena.alloc_pages(0, 1), kUser + 7 * kPage);
  EXPECT_EQ(arena.alloc_pages(0, 1), 0u);
  EXPECT_EQ(arena.nr_pages(), 1u);
}

TEST_F(Arena, PagesThatUserSpaceTouchesAreAllocated) {
  auto address = arena.map_user(kUser, 8 * kPage, true);
  ASSERT_TRUE(address.has_value());
  void* user = mmap(reinterpret_cast<void*>(*address), 8 * kPage, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED_NOREPLACE, arena.memfd(), 0);
  ASSERT_EQ(user, reinterpret_cast<void*>(kUser));
  static_cast<u64*>(user)[kPage / 8] = 42;
  auto* word = reinterpret_cast<u64*>(arena.at(low(1), 8));
  ASSERT_NE(word, nullptr);
  EXPECT_EQ(*word, 42u);
  EXPECT_EQ(arena.nr_pages(), 1u);
  EXPECT_EQ(arena.alloc_pages(kUser, 2), 0u);
  EXPECT_EQ(arena.alloc_pages(0, 2), kUser + 2 * kPage);
  munmap(user, 8 * kPage);
}

TEST_F(Arena, TheMappingNeverCrosses4GiB) {
  ArenaMap anywhere(*kernel.bpf, arena_spec(1 << 20, 0));
  EXPECT_EQ(anywhere.alloc_pages(0, 1), 0u);  // no user mapping: no page
  auto address = anywhere.map_user(0, u64{1} << 32, false);
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(*address % (u64{1} << 32), 0u);
  EXPECT_EQ(anywhere.map_user(*address + kPage, u64{1} << 32, true).error().value, EINVAL);
  EXPECT_EQ(anywhere.alloc_pages(0, 1), *address);
}

/// A program with the arena, by each engine: accesses to a page that is there, and to one that is
/// not. R1 is the arena's pointer, cut to 32 bits.
class ArenaPrograms : public testing::TestWithParam<EngineKind> {
 protected:
  ArenaPrograms() {
    auto map = std::make_shared<ArenaMap>(*kernel.bpf, arena_spec(4));
    arena = map.get();
    program.name = "test";
    program.subprogram_starts = {0};
    program.maps = {map};
  }
  u64 run(const test::Code& code, u64 r1) {
    program.insns = code;
    program.decoded = nullptr;
    Engine engine({kernel.bpf.get(), kernel.host, *kernel.window, helpers}, GetParam());
    const u64 result = engine.run_callback(program, encode_callback(0), {r1});
    program.decoded = nullptr;
    return result;
  }

  test::ToyKernel kernel;
  HelperTable helpers;
  ArenaMap* arena;
  Program program;
};

TEST_P(ArenaPrograms, LoadAndStore) {
  arena->alloc_pages(kUser, 1);
  test::Code code;
  code.raw(0xbf, 6, 1, 1, 1).store64_imm(6, 16, 5).load64(0, 6, 16).exit();
  EXPECT_EQ(run(code, kUser), 5u);
  EXPECT_EQ(reinterpret_cast<u64*>(arena->at(static_cast<u32>(kUser), 64))[2], 5u);
  EXPECT_TRUE(kernel.host.faults.empty());
  EXPECT_TRUE(kernel.host.logged.empty());
}

TEST_P(ArenaPrograms, WhatIsNotThereReadsZeroAndIsReported) {
  test::Code code;
  code.raw(0xbf, 6, 1, 1, 1).mov(0, 7).store64_imm(6, 8, 5).load64(0, 6, 8).add(0, 1).exit();
  EXPECT_EQ(run(code, kUser + kPage), 1u);
  EXPECT_TRUE(kernel.host.faults.empty());
  EXPECT_THAT(kernel.host.logged,
              ElementsAre("ERROR: Arena WRITE access at unmapped address 0x100170001008",
                          "ERROR: Arena READ access at unmapped address 0x100170001008"));
}

TEST_P(ArenaPrograms, CastsToAndFromUser) {
  test::Code code;
  code.raw(0xbf, 6, 1, 1, 1).add(6, 8).raw(0xbf, 0, 6, 1, 1 << 16).exit();
  EXPECT_EQ(run(code, kUser), kUser + 8);
  test::Code null;
  null.mov(6, 0).raw(0xbf, 0, 6, 1, 1 << 16).exit();
  EXPECT_EQ(run(null, 0), 0u);
}

INSTANTIATE_TEST_SUITE_P(Both, ArenaPrograms,
                         testing::Values(EngineKind::kInterpreter, default_engine()),
                         [](const auto& info) { return fmt::format("Engine{}", info.index); });

}  // namespace
}  // namespace uscx::bpf
