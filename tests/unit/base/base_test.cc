// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "base/bitmap.h"
#include "base/hash.h"
#include "base/intrusive_list.h"

namespace uscx {
namespace {

struct Item {
  int value;
  ListNode node;
};
using List = IntrusiveList<Item, &Item::node>;

TEST(IntrusiveList, KeepsOrderAndKnowsItsMembers) {
  List list;
  Item a{1, {}}, b{2, {}}, c{3, {}};
  list.push_back(a);
  list.push_back(c);
  list.insert_before(c, b);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(list.front()->value, 1);
  EXPECT_EQ(list.next(a)->value, 2);
  EXPECT_EQ(list.prev(c)->value, 2);
  EXPECT_EQ(list.next(c), nullptr);
  list.erase(b);
  EXPECT_FALSE(b.node.linked());
  EXPECT_EQ(list.next(a)->value, 3);
  EXPECT_EQ(list.pop_front()->value, 1);
  EXPECT_EQ(list.pop_front()->value, 3);
  EXPECT_EQ(list.pop_front(), nullptr);
}

TEST(IntrusiveListDeathTest, NoNodeOnTwoLists) {
  List one, two;
  Item a{1, {}};
  one.push_back(a);
  EXPECT_DEATH(two.push_back(a), "assertion failed");
}

TEST(StreamHash, DependsOnOrderAndValue) {
  StreamHash ab, ba, ab_again;
  ab.add(1);
  ab.add(2);
  ba.add(2);
  ba.add(1);
  ab_again.add(1);
  ab_again.add(2);
  EXPECT_EQ(ab.value(), ab_again.value());
  EXPECT_NE(ab.value(), ba.value());
}

TEST(EventHash, DependsOnOrderAndEachWord) {
  const auto of = [](std::initializer_list<u64> words) {
    EventHash h;
    for (const u64 word : words) h.add(word);
    return h.value();
  };
  EXPECT_EQ(of({1, 2, 3}), of({1, 2, 3}));
  EXPECT_NE(of({1, 2, 3}), of({2, 1, 3}));
  EXPECT_NE(of({1, 2, 3}), of({1, 2, 3, 0}));
  // One bit anywhere, however many words follow that do not differ.
  for (int bit = 0; bit < 64; ++bit) {
    EventHash a, b;
    a.add(0);
    b.add(1ULL << bit);
    for (u64 i = 0; i < 10'000; ++i) {
      a.add(i);
      b.add(i);
    }
    EXPECT_NE(a.value(), b.value()) << bit;
  }
}

// The value itself is part of the promise "the same on every machine".
TEST(StreamHash, IsTheSameEverywhere) {
  StreamHash h;
  h.add(42);
  h.add_bytes("sched_ext", 9);
  const u64 first = h.value();
  StreamHash again;
  again.add(42);
  again.add(9);
  u64 word;
  __builtin_memcpy(&word, "sched_ex", 8);
  again.add(word);
  again.add('t');
  EXPECT_EQ(first, again.value());
}

TEST(Random, BelowStaysBelowAndRepeats) {
  Random a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const u64 x = a.below(10);
    EXPECT_LT(x, 10u);
    EXPECT_EQ(x, b.below(10));
    differs |= x != c.below(10);
  }
  EXPECT_TRUE(differs);
}

TEST(Bitmap, FindsAndCounts) {
  unsigned long bits[3] = {};
  for (u32 n : {0u, 63u, 64u, 130u}) bitmap::set(bits, n);
  EXPECT_EQ(bitmap::first(bits, 131), 0u);
  EXPECT_EQ(bitmap::next(bits, 131, 1), 63u);
  EXPECT_EQ(bitmap::next(bits, 131, 65), 130u);
  EXPECT_EQ(bitmap::next(bits, 130, 65), 130u);  // none: the size
  EXPECT_EQ(bitmap::weight(bits, 131), 4u);
  EXPECT_EQ(bitmap::weight(bits, 130), 3u);
  bitmap::clear(bits, 63);
  EXPECT_FALSE(bitmap::test(bits, 63));
}

}  // namespace
}  // namespace uscx
