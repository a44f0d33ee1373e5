// SPDX-License-Identifier: GPL-2.0-only
#include "base/lock.h"

#include <gtest/gtest.h>

namespace uscx {
namespace {

TEST(RankedLock, NestsInRankOrder) {
  HeldLocks held;
  RankedLock pi(LockRank::kPi, "pi_lock"), rq(LockRank::kRq, "rq lock");
  {
    LockGuard a(pi, held);
    LockGuard b(rq, held);
    EXPECT_TRUE(rq.held_by(held));
    EXPECT_TRUE(held.atomic());
  }
  EXPECT_TRUE(held.empty());
  EXPECT_FALSE(held.atomic());
}

TEST(RankedLock, SameRankInTheirOrder) {
  HeldLocks held;
  RankedLock cpu0(LockRank::kRq, "rq lock", 0), cpu1(LockRank::kRq, "rq lock", 1);
  LockGuard a(cpu0, held);
  LockGuard b(cpu1, held);
  EXPECT_TRUE(cpu1.held());
}

TEST(RankedLock, MayBeReleasedInAnyOrder) {
  HeldLocks held;
  RankedLock pi(LockRank::kPi, "pi_lock"), rq(LockRank::kRq, "rq lock");
  pi.lock(held);
  rq.lock(held);
  pi.unlock(held);
  EXPECT_TRUE(held.holds(rq));
  rq.unlock(held);
  EXPECT_TRUE(held.empty());
}

TEST(RankedLockDeathTest, WrongOrderNamesBothPlaces) {
  HeldLocks held;
  RankedLock pi(LockRank::kPi, "pi_lock"), rq(LockRank::kRq, "rq lock");
  auto wrong = [&] {
    rq.lock(held);
    pi.lock(held);
  };
  EXPECT_DEATH(wrong(),
               "taken out of order(.|\n)*at fault: pi_lock .*lock_test.cc:[0-9]+(.|\n)*held: rq "
               "lock .*lock_test.cc:[0-9]+");
}

TEST(RankedLockDeathTest, SameRankAgainstTheirOrder) {
  HeldLocks held;
  RankedLock cpu0(LockRank::kRq, "rq lock", 0), cpu1(LockRank::kRq, "rq lock", 1);
  auto wrong = [&] {
    cpu1.lock(held);
    cpu0.lock(held);
  };
  EXPECT_DEATH(wrong(), "taken out of order");
}

TEST(RankedLockDeathTest, TakenTwice) {
  HeldLocks held;
  RankedLock rq(LockRank::kRq, "rq lock");
  auto wrong = [&] {
    rq.lock(held);
    rq.lock(held);
  };
  EXPECT_DEATH(wrong(), "taken twice");
}

TEST(RankedLockDeathTest, ReleasedByAnother) {
  HeldLocks mine, theirs;
  RankedLock rq(LockRank::kRq, "rq lock");
  auto wrong = [&] {
    rq.lock(mine);
    rq.unlock(theirs);
  };
  EXPECT_DEATH(wrong(), "does not hold it");
}

}  // namespace
}  // namespace uscx
