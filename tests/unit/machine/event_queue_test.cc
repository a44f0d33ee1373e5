// SPDX-License-Identifier: GPL-2.0-only
#include "machine/simulated/event_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
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

/// Against an ordered set, over random arms, moves, disarms and pops. Times lie up to `spread`
/// after the last one popped, now and then much further away, and now and then before it.
void compare_with_an_ordered_set(u64 spread) {
  SCOPED_TRACE(spread);
  EventQueue q;
  std::set<std::tuple<u64, u64, u32>> model;
  std::map<u32, std::tuple<u64, u64, u32>> where;
  std::vector<u32> handles;
  for (int i = 0; i < 200; ++i) handles.push_back(q.make());
  Random random(1);
  u64 sequence = 0, now = 0;
  for (int round = 0; round < 200'000; ++round) {
    const u32 h = handles[random.below(handles.size())];
    const auto known = where.find(h);
    ASSERT_EQ(q.armed(h), known != where.end());
    const u64 dice = random.below(10);
    if (dice < 6) {
      if (known != where.end()) model.erase(known->second);
      u64 time = now + random.below(spread);
      if (random.below(50) == 0) time = now + random.below(spread * 1000);
      if (random.below(50) == 0) time = random.below(now + 1);
      if (random.below(5000) == 0) time = ~0ULL - random.below(2);
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
      if (std::get<0>(first) < 1ULL << 62) now = std::max(now, std::get<0>(first));
      model.erase(model.begin());
      where.erase(std::get<2>(first));
    }
    ASSERT_EQ(q.empty(), model.empty());
    ASSERT_EQ(std::ranges::count_if(handles, [&](u32 h) { return q.armed(h); }), model.size());
  }
}

TEST(EventQueue, AgreesWithAnOrderedSet) {
  for (const u64 spread : {1'000ULL, 100'000ULL, 10'000'000ULL, 10'000'000'000ULL}) {
    compare_with_an_ordered_set(spread);
  }
}

/// Looking at what comes next must not keep an earlier event from coming first.
TEST(EventQueue, AnEarlierEventAfterALook) {
  EventQueue q;
  const auto late = q.make(), early = q.make();
  q.arm(late, 50'000'000);
  EXPECT_EQ(q.next_time(), 50'000'000u);
  q.arm(early, 10);
  EXPECT_EQ(q.next_time(), 10u);
  EXPECT_EQ(q.pop(), early);
  EXPECT_EQ(q.pop(), late);
}

/// What a machine fetches ahead is what comes next, in order.
TEST(EventQueue, TellsWhatComesInThisMicrosecondAndTheNext) {
  EventQueue q;
  std::vector<u32> events;
  for (int i = 0; i < 6; ++i) events.push_back(q.make());
  constexpr u64 kBucketNs = 1024, kThen = 100 * kBucketNs;
  q.arm(events[0], kThen + kBucketNs + 700);
  q.arm(events[1], kThen + kBucketNs + 20);
  q.arm(events[2], kThen + 900);
  q.arm(events[3], kThen + 30);
  q.arm(events[4], kThen + 2 * kBucketNs);
  EXPECT_EQ(q.next_time(), kThen + 30);
  EXPECT_EQ(q.look_ahead(), events[3]);
  EXPECT_EQ(q.look_ahead(), events[2]);
  EXPECT_EQ(q.look_ahead(), events[1]);
  EXPECT_EQ(q.look_ahead(), events[0]);
  EXPECT_EQ(q.look_ahead(), EventQueue::kNone);
  EXPECT_EQ(q.seen_ahead(), 4u);
  q.arm(events[5], kThen + 950);  // before where it looks: not told of
  EXPECT_EQ(q.look_ahead(), EventQueue::kNone);
  for (const u32 next : {3, 2, 5}) EXPECT_EQ(q.pop(), events[next]);
  EXPECT_EQ(q.seen_ahead(), 2u);
  EXPECT_EQ(q.pop(), events[1]);
  EXPECT_EQ(q.look_ahead(), events[4]);  // a microsecond later
  EXPECT_EQ(q.seen_ahead(), 2u);
}

/// The event that was told of last may leave, or another come behind it.
TEST(EventQueue, GoesOnLookingAfterAChange) {
  EventQueue q;
  std::vector<u32> events;
  for (int i = 0; i < 5; ++i) {
    events.push_back(q.make());
    q.arm(events.back(), 100);
  }
  EXPECT_EQ(q.look_ahead(), events[0]);
  q.disarm(events[0]);
  EXPECT_EQ(q.seen_ahead(), 0u);
  EXPECT_EQ(q.look_ahead(), events[1]);
  EXPECT_EQ(q.look_ahead(), events[2]);
  q.arm(events[2], 104);  // behind the others, in the same list
  EXPECT_EQ(q.look_ahead(), events[3]);
  q.disarm(events[1]);
  q.disarm(events[3]);
  q.arm(events[1], 99);
  EXPECT_EQ(q.look_ahead(), events[1]);
  for (const u32 next : {4, 2}) EXPECT_EQ(q.look_ahead(), events[next]);
  EXPECT_EQ(q.look_ahead(), EventQueue::kNone);
  for (const u32 next : {1, 4, 2}) EXPECT_EQ(q.pop(), events[next]);
  EXPECT_EQ(q.seen_ahead(), 0u);
  EXPECT_EQ(q.look_ahead(), EventQueue::kNone);
}

/// However events move, those told of are told once while they stay, and never after they came.
TEST(EventQueue, LooksAheadOfAnything) {
  EventQueue q;
  std::mt19937 random(5);
  std::vector<u32> events;
  for (int i = 0; i < 200; ++i) events.push_back(q.make());
  u64 now = 0;
  u32 told = 0;
  for (int round = 0; round < 20'000; ++round) {
    const u32 event = events[random() % events.size()];
    q.arm(event, now + random() % 3000);
    if (random() % 3 == 0 && q.armed(events[0])) q.disarm(events[0]);
    while (q.seen_ahead() < 9) {
      const u32 next = q.look_ahead();
      if (next == EventQueue::kNone) break;
      ASSERT_TRUE(q.armed(next));
      ++told;
    }
    if (q.empty()) continue;
    now = q.next_time();
    q.pop();
  }
  EXPECT_GT(told, 10'000u);
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
