// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/window.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <iterator>
#include <set>

#include "base/hash.h"

namespace uscx::bpf {
namespace {

bool first_word_only(u64 offset, u32 size) {
  return offset + size <= 8;
}
constexpr ObjectType kThing{"thing", &first_word_only};

std::unique_ptr<AddressWindow> make_window() {
  auto window = AddressWindow::create();
  EXPECT_TRUE(window.has_value()) << (window ? "" : window.error().message);
  return std::move(*window);
}

u64 address(void* p) {
  return reinterpret_cast<u64>(p);
}

TEST(Window, MemoryIsZeroedAlignedAndFound) {
  auto window = make_window();
  for (std::size_t size : {0, 1, 15, 16, 17, 100, 3000, 4095, 4096, 5000, 12288, 32768, 32769,
                           65536, 65537, 1000000}) {
    void* memory = window->allocate(size, kProgramMemory);
    const u64 start = address(memory);
    EXPECT_TRUE(AddressWindow::inside(start));
    EXPECT_EQ(start % (size >= 4096 ? 4096 : 16), 0u) << size;
    for (std::size_t i = 0; i < size; i++) ASSERT_EQ(static_cast<char*>(memory)[i], 0);
    std::memset(memory, 0xa5, size);
    for (u64 offset : {u64{0}, u64{size / 2}, u64{size} - 1}) {
      if (size == 0) break;
      const Extent* extent = window->find(start + offset);
      ASSERT_NE(extent, nullptr) << size << "+" << offset;
      EXPECT_EQ(extent->start, start);
      EXPECT_EQ(extent->size, size);
      EXPECT_EQ(extent->type, &kProgramMemory);
    }
    const Extent* beyond = window->find(start + size);
    EXPECT_TRUE(!beyond || beyond->start != start) << size;
  }
  EXPECT_EQ(window->find(0), nullptr);
  EXPECT_EQ(window->find(AddressWindow::kBase - 1), nullptr);
  EXPECT_EQ(window->find(AddressWindow::kBase + AddressWindow::kSize - 1), nullptr);
  EXPECT_EQ(window->find(~0ULL), nullptr);
}

TEST(Window, EveryByteOfEverySizeBelongsToItsOwnExtent) {
  auto window = make_window();
  std::vector<std::pair<u64, u64>> live;
  for (u64 size = 1; size <= 40000; size += 1 + size / 7) {
    for (int n = 0; n < 20; n++) {
      live.emplace_back(address(window->allocate(size, kReadOnlyMemory)), size);
    }
  }
  for (auto [start, size] : live) {
    for (u64 at : {start, start + size / 3, start + size - 1}) {
      const Extent* extent = window->find(at);
      ASSERT_NE(extent, nullptr);
      EXPECT_EQ(extent->start, start);
      EXPECT_EQ(extent->size, size);
    }
  }
}

TEST(Window, FreedMemoryIsGoneAndComesBackZeroed) {
  auto window = make_window();
  for (std::size_t size : {24, 5000, 200000}) {
    void* memory = window->allocate(size, kThing);
    std::memset(memory, 0xff, size);
    window->free(memory);
    EXPECT_EQ(window->find(address(memory)), nullptr);
    void* again = window->allocate(size, kThing);
    EXPECT_EQ(again, memory) << size;
    for (std::size_t i = 0; i < size; i++) ASSERT_EQ(static_cast<char*>(again)[i], 0);
  }
  window->free(nullptr);
}

TEST(Window, WritesAreDecidedByTheType) {
  auto window = make_window();
  const u64 thing = address(window->allocate(64, kThing));
  const Extent* extent = window->find(thing + 8);
  ASSERT_NE(extent, nullptr);
  EXPECT_TRUE(extent->may_write(thing, 8));
  EXPECT_TRUE(extent->may_write(thing + 4, 4));
  EXPECT_FALSE(extent->may_write(thing + 4, 8));
  const u64 constant = address(window->allocate(64, kReadOnlyMemory));
  EXPECT_FALSE(window->find(constant)->may_write(constant, 1));
  const u64 memory = address(window->allocate(10, kProgramMemory));
  EXPECT_TRUE(window->find(memory)->may_write(memory + 2, 8));
  EXPECT_FALSE(window->find(memory)->may_write(memory + 3, 8));
}

/// A random sequence of calls; the addresses it saw.
/// Slots begin a cache line later in each span than in the one before; what is around them is
/// nobody's.
TEST(Window, SlotsOfSeveralSpans) {
  auto window = make_window();
  constexpr u64 kSpan = u64{1} << Span::kShift;
  for (const u32 size : {128u, 256u, 1100u, 2792u, 4000u, 4096u}) {
    std::set<u64> starts, spans;
    while (spans.size() < 5) {
      const u64 at = address(window->allocate(size, kProgramMemory));
      starts.insert(at);
      spans.insert(at / kSpan * kSpan);
    }
    for (const u64 span : spans) {
      for (u64 at = span; at < span + kSpan; at += 16) {
        const Extent* extent = window->find(at);
        auto after = starts.upper_bound(at);
        const bool owned = after != starts.begin() && at - *std::prev(after) < size;
        ASSERT_EQ(extent != nullptr, owned) << size << " at " << at - span;
        if (owned) {
          ASSERT_EQ(extent->start, *std::prev(after));
        }
      }
    }
  }
}

std::vector<u64> churn(AddressWindow& window, u64 seed) {
  Random random(seed);
  std::vector<void*> live;
  std::vector<u64> seen;
  for (int i = 0; i < 5000; i++) {
    if (!live.empty() && random.below(3) == 0) {
      const u64 victim = random.below(live.size());
      window.free(live[victim]);
      live[victim] = live.back();
      live.pop_back();
    } else {
      const u64 size = random.below(20) == 0 ? random.below(400000) : random.below(900);
      live.push_back(window.allocate(size, kProgramMemory));
      seen.push_back(address(live.back()));
    }
  }
  return seen;
}

TEST(Window, AddressesDependOnTheCallsAlone) {
  std::vector<u64> first = churn(*make_window(), 7);
  auto other = make_window();
  auto window = make_window();
  EXPECT_EQ(churn(*window, 7), first);
  EXPECT_NE(churn(*make_window(), 8), first);
}

TEST(Window, TwoWindowsShareTheAddresses) {
  auto one = make_window();
  auto* in_one = static_cast<u64*>(one->allocate(100000, kProgramMemory));
  in_one[5] = 11;
  auto two = make_window();
  EXPECT_TRUE(two->active());
  EXPECT_FALSE(one->active());
  auto* in_two = static_cast<u64*>(two->allocate(100000, kProgramMemory));
  ASSERT_EQ(in_one, in_two);
  EXPECT_EQ(in_two[5], 0u);
  in_two[5] = 22;
  for (int i = 0; i < 3; i++) {
    one->activate();
    EXPECT_EQ(in_one[5], 11u);
    two->activate();
    EXPECT_EQ(in_two[5], 22u);
  }
}

TEST(Window, FilesAreMappedAndComeBackWithTheWindow) {
  auto window = make_window();
  const int fd = memfd_create("map", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(fd, 8192), 0);
  auto mapped = window->map_file(fd, 8000, kProgramMemory);
  ASSERT_TRUE(mapped.has_value());
  auto* values = static_cast<u64*>(*mapped);
  values[3] = 42;
  u64 seen = 0;
  ASSERT_EQ(pread(fd, &seen, 8, 24), 8);
  EXPECT_EQ(seen, 42u);
  EXPECT_EQ(window->find(address(values) + 7999)->start, address(values));
  EXPECT_EQ(window->find(address(values) + 8000), nullptr);
  seen = 43;
  ASSERT_EQ(pwrite(fd, &seen, 8, 24), 8);
  close(fd);  // the window has its own
  auto other = make_window();
  window->activate();
  EXPECT_EQ(values[3], 43u);
  window->free(values);
  EXPECT_EQ(window->find(address(values)), nullptr);
  auto* again = static_cast<u64*>(window->allocate(65536, kProgramMemory));
  EXPECT_EQ(again, values);
  EXPECT_EQ(again[3], 0u);
  EXPECT_EQ(window->map_file(-1, 8000, kProgramMemory).error().value, EBADF);
}

TEST(Window, ATakenRangeIsAnErrorOfOneLine) {
  void* taken = mmap(reinterpret_cast<void*>(AddressWindow::kBase + (1 << 20)), 4096, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ASSERT_NE(taken, MAP_FAILED);
  auto window = AddressWindow::create();
  ASSERT_FALSE(window.has_value());
  EXPECT_NE(window.error().message.find("in use"), std::string::npos) << window.error().message;
  munmap(taken, 4096);
  EXPECT_TRUE(AddressWindow::create().has_value());
}

TEST(WindowDeathTest, WrongFreesAbort) {
  auto window = make_window();
  auto* memory = static_cast<char*>(window->allocate(64, kProgramMemory));
  EXPECT_DEATH(window->free(memory + 16), "assertion failed");
  window->free(memory);
  EXPECT_DEATH(window->free(memory), "assertion failed");
}

}  // namespace
}  // namespace uscx::bpf
