// SPDX-License-Identifier: GPL-2.0-only
#include "machine/simulated/event_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/hash.h"

namespace uscx::machine {
namespace {

TEST(EventQueue, EqualTimesComeInTheOrderOfArming) {
  EventQueue q;
  const auto a = q.make(), b = q.make(), c = q.make();
  q.arm(a, 5);
  q.arm(b, 5);
  q.arm(c, 4);
  q.arm(a, 5);  // again: behind b now
  EXPECT_EQ(q.pop(), c);
  EXPECT_EQ(q.pop(), b);
  EXPECT_EQ(q.pop(), a);
  EXPECT_TRUE(q.empty());
}

TEST(EventQueue, HandlesAreReused) {
  EventQueue q;
  const auto a = q.make();
  q.release(a);
  EXPECT_EQ(q.make(), a);
}

/// Against an ordered set, over random arms, moves, disarms and pops.
TEST(EventQueue, AgreesWithAnOrderedSet) {
  EventQueue q;
  std::set<std::tuple<u64, u64, u32>> model;
  std::map<u32, std::tuple<u64, u64, u32>> where;
  std::vector<u32> handles;
  for (int i = 0; i < 200; ++i) handles.push_back(q.make());
  Random random(1);
  u64 sequence = 0;
  for (int round = 0; round < 200'000; ++round) {
    const u32 h = handles[random.below(handles.size())];
    const auto known = where.find(h);
    ASSERT_EQ(q.armed(h), known != where.end());
    const u64 dice = random.below(10);
    if (dice < 6) {
      if (known != where.end()) model.erase(known->second);
      const u64 time = random.below(1000);
      where[h] = {time, sequence++, h};
      model.insert(where[h]);
      q.arm(h, time);
      ASSERT_EQ(q.time(h), time);
    } else if (dice < 8 && known != where.end()) {
      model.erase(known->second);
      where.erase(known);
      q.disarm(h);
    } else if (!model.empty()) {
      const auto first = *model.begin();
      ASSERT_EQ(q.next_time(), std::get<0>(first));
      ASSERT_EQ(q.pop(), std::get<2>(first));
      model.erase(model.begin());
      where.erase(std::get<2>(first));
    }
    ASSERT_EQ(q.size(), model.size());
  }
}

TEST(EventQueueDeathTest, MisuseAborts) {
  EventQueue q;
  const auto a = q.make();
  EXPECT_DEATH(q.disarm(a), "assertion failed");
  EXPECT_DEATH(q.pop(), "assertion failed");
  q.arm(a, 1);
  EXPECT_DEATH(q.release(a), "assertion failed");
}

}  // namespace
}  // namespace uscx::machine
