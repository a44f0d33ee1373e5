// SPDX-License-Identifier: GPL-2.0-only
#include "base/lock.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/assert.h"

namespace uscx {

namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(LockRank::kCount)> kRankNames = {
    "scx_enable_mutex",
    "cpu_hotplug_lock",
    "scx_fork_rwsem",
    "cgroup_mutex",
    "cgroup_threadgroup_rwsem",
    "scx_cgroup_ops_rwsem",
    "bpf map mutex",
    "scx_tasks_lock",
    "scx_dump_lock",
    "scx_bypass_lock",
    "pi_lock",
    "rq lock",
    "dsq lock",
    "scx_sched_lock",
    "bpf object lock",
    "wait queue",
    "timer base",
};

void print_place(const char* what, const RankedLock& lock, const std::source_location& where) {
  const std::string_view rank = to_string(lock.rank());
  std::fprintf(stderr, "  %s %s (%.*s, order %llu) at %s:%u: %s\n", what, lock.name(),
               static_cast<int>(rank.size()), rank.data(),
               static_cast<unsigned long long>(lock.order()), where.file_name(), where.line(),
               where.function_name());
}

[[noreturn]] void lock_violation(const char* what, const RankedLock& lock, const HeldLocks& held,
                                 const std::source_location& where) {
  std::fprintf(stderr, "lock order violation: %s\n", what);
  print_place("at fault:", lock, where);
  held.print();
  std::fflush(stderr);
  std::abort();
}

}  // namespace

std::string_view to_string(LockRank rank) {
  return kRankNames.at(static_cast<std::size_t>(rank));
}

bool HeldLocks::holds(const RankedLock& lock) const {
  for (const Entry* e = entries_ + 1; e <= last_; ++e) {
    if (e->lock == &lock) return true;
  }
  return false;
}

void HeldLocks::print() const {
  for (const Entry* e = entries_ + 1; e <= last_; ++e) {
    print_place(e->shared ? "held shared:" : "held:", *e->lock, e->where);
  }
}

void RankedLock::check_order(const HeldLocks& held, std::source_location where) const {
  static_assert(HeldLocks::kBelowSpinlocks == key_of(LockRank::kScxTasks) - 1);
  // Held locks are in ascending order, so the last one speaks for all.
  if (held.last_key() < key_ && (!sleeping() || !held.atomic())) return;
  if (held.holds(*this)) lock_violation("taken twice", *this, held, where);
  if (sleeping() && held.atomic()) {
    lock_violation("a sleeping lock under a spinlock", *this, held, where);
  }
  for (const HeldLocks::Entry* e = held.entries_ + 1; e <= held.last_; ++e) {
    if (e->lock->key_ >= key_) lock_violation("taken out of order", *this, held, where);
  }
}

void RankedLock::remove(HeldLocks& held, bool shared, std::source_location where) {
  HeldLocks::Entry* e = held.last_;
  while (e != held.entries_ && (e->lock != this || e->shared != shared)) --e;
  if (e == held.entries_) {
    lock_violation("released by a context that does not hold it", *this, held, where);
  }
  for (; e < held.last_; ++e) e[0] = e[1];
  --held.last_;
}

void RankedLock::lock_slowly(HeldLocks& held, std::source_location where) {
  check_order(held, where);
  if (held.hooks != nullptr) held.hooks->acquiring(*this, held, false, where);
  if (owner_ != nullptr) {
    lock_violation("taken while another context holds it", *this, *owner_, where);
  }
  if (readers_ > 0) lock_violation("taken while it has readers", *this, held, where);
  USCX_ASSERT(!held.full());
  push(held, false, where, floor());
  owner_ = &held;
}

void RankedLock::unlock_slowly(HeldLocks& held, std::source_location where) {
  remove(held, false, where);
  owner_ = nullptr;
  if (held.hooks != nullptr) held.hooks->released(*this);
}

void RankedLock::lock_shared(HeldLocks& held, std::source_location where) {
  check_order(held, where);
  if (held.hooks != nullptr) held.hooks->acquiring(*this, held, true, where);
  if (owner_ != nullptr) {
    lock_violation("taken while another context holds it", *this, *owner_, where);
  }
  USCX_ASSERT(!held.full());
  push(held, true, where, floor());
  ++readers_;
}

void RankedLock::unlock_shared(HeldLocks& held, std::source_location where) {
  remove(held, true, where);
  --readers_;
  if (held.hooks != nullptr) held.hooks->released(*this);
}

}  // namespace uscx
