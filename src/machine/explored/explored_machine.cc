// SPDX-License-Identifier: GPL-2.0-only
#include "machine/explored/explored_machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace uscx::machine {

namespace {

/// A waiting loop looks again after so long; at first more often.
constexpr u64 kShortestRelaxNs = 50;
constexpr u64 kLongestRelaxNs = 20'000;
/// A loop that waits longer than this (delays are milliseconds at most) waits for ever.
constexpr u64 kStuckNs = 2'000'000'000;
/// An event for a CPU that waits for a lock is put off by so much, again and again.
constexpr u64 kPutOffNs = 500;
/// PCT: how far a CPU falls behind, below 2^this ns (4 ms); the last change point lies below
/// 2^this.
constexpr u32 kPctDelayLog2 = 22;
constexpr u32 kPctPointsLog2 = 14;
/// IPIs are late by less than 2^this ns.
constexpr u32 kIpiLateLog2 = 14;

}  // namespace

ExploredMachine::ExploredMachine(const MachineSpec& spec, const Exploration& exploration)
    : SimulatedMachine(spec), exploration_(exploration), random_(exploration.seed) {
  entries_.resize(topology_.nr_cpus());
  if (exploration.depth == 0) {
    gap_ = 1ULL << (1 + random_.below(8));
    max_log2_ = 6 + static_cast<u32>(random_.below(14));
  }
  changes_left_ = exploration.depth;
  next_change();
}

ExploredMachine::~ExploredMachine() {
  USCX_ASSERT(nr_active_ == 0);
}

ExploredMachine::Entry& ExploredMachine::entry(CpuId cpu) {
  auto& slot = entries_[static_cast<u32>(cpu)];
  if (!slot) {
    slot = std::make_unique<Entry>();
    slot->resume = make_event(Kind::kResume, cpu, nullptr);
  }
  return *slot;
}

// ------------------------------------------------------------------------------- decisions

/// Below 2^max_log2, of any magnitude with the same probability.
u64 ExploredMachine::random_delay_ns(u32 max_log2) {
  return random_.below(1ULL << (1 + random_.below(max_log2)));
}

void ExploredMachine::next_change() {
  if (exploration_.depth == 0) {
    next_change_ = sync_points_ + 1 + random_.below(2 * gap_);
  } else if (changes_left_ > 0) {
    --changes_left_;
    next_change_ = sync_points_ + 1 + random_delay_ns(kPctPointsLog2);
  } else {
    next_change_ = ~0ULL;
  }
}

void ExploredMachine::sync_point(const char* name) {
  if (handling_ == kNoCpu || finishing_) return;
  if (++sync_points_ < next_change_) return;
  next_change();
  ++delays_;
  const u32 max_log2 = exploration_.depth == 0 ? max_log2_ : kPctDelayLog2;
  give_way_for(entry(handling_), name, random_delay_ns(max_log2));
}

void ExploredMachine::relax(const char* name) {
  USCX_ASSERT(handling_ != kNoCpu);
  Entry& e = entry(handling_);
  // Another loop, or a new wait in the same one.
  if (e.relaxing != name || now_ - e.relaxed_at_ns > kLongestRelaxNs + kPutOffNs) {
    e.relaxing_since_ns = now_;
  }
  e.relaxing = name;
  const u64 waited = now_ - e.relaxing_since_ns;
  if (waited > kStuckNs) {
    fail(fmt::format("CPU {} waits for another CPU for ever ({})", handling_, name));
  }
  give_way_for(e, name, std::clamp(waited / 8, kShortestRelaxNs, kLongestRelaxNs));
  e.relaxed_at_ns = now_;
}

u64 ExploredMachine::ipi_latency_ns() {
  const u64 latency = SimulatedMachine::ipi_latency_ns();
  if (finishing_ || random_.below(4) != 0) return latency;
  return latency + random_delay_ns(kIpiLateLog2);
}

// ------------------------------------------------------------------------------- locks

void ExploredMachine::acquiring(const RankedLock& lock, HeldLocks& held, bool shared,
                                const std::source_location& where) {
  if (handling_ == kNoCpu) return;
  sync_point(lock.name());
  if (!lock.free_for(shared)) wait_for_lock(entry(handling_), lock, held, shared, where);
}

void ExploredMachine::wait_for_lock(Entry& e, const RankedLock& lock, HeldLocks& held, bool shared,
                                    const std::source_location& where) {
  ++contentions_;
  e.wants = &lock;
  e.shared = shared;
  e.held = &held;
  e.where = where;
  check_deadlock(e);
  do {
    give_way(e, lock.name());
  } while (!lock.free_for(shared));
  e.wants = nullptr;
}

void ExploredMachine::released(const RankedLock& lock) {
  if (handling_ == kNoCpu) return;
  // All that wait may try; who is first is the seed's choice.
  for (const auto& waiter : entries_) {
    if (waiter && waiter->away && waiter->wants == &lock) {
      queue_.arm(waiter->resume, now_ + random_.below(8));
    }
  }
  sync_point(lock.name());
}

/// Does the holder wait, directly or not, for a lock of this context?
void ExploredMachine::check_deadlock(const Entry& e) {
  const HeldLocks* owner = e.wants->owner();
  for (std::size_t steps = 0; owner != nullptr && steps <= entries_.size(); ++steps) {
    if (owner == e.held) fail("deadlock");
    const auto blocked = std::find_if(entries_.begin(), entries_.end(), [&](const auto& other) {
      return other && other->away && other->wants != nullptr && other->held == owner;
    });
    owner = blocked == entries_.end() ? nullptr : (*blocked)->wants->owner();
  }
}

void ExploredMachine::fail(const std::string& what) {
  std::fprintf(stderr, "exploration: %s\n", what.c_str());
  for (std::size_t cpu = 0; cpu < entries_.size(); ++cpu) {
    const Entry* e = entries_[cpu].get();
    if (e == nullptr || !e->active) continue;
    std::fprintf(stderr, "CPU %zu, in a kernel entry since it gave way at %s:\n", cpu, e->place);
    if (e->wants == nullptr) continue;
    std::fprintf(stderr, "  waits for %s at %s:%u: %s\n", e->wants->name(), e->where.file_name(),
                 e->where.line(), e->where.function_name());
    e->held->print();
  }
  std::fflush(stderr);
  std::abort();
}

// ------------------------------------------------------------------------------- entries

void ExploredMachine::give_way_for(Entry& e, const char* place, u64 delay_ns) {
  queue_.arm(e.resume, now_ + delay_ns);
  give_way(e, place);
}

void ExploredMachine::give_way(Entry& e, const char* place) {
  const CpuId cpu = handling_;
  catch_up(at(cpu));
  e.place = place;
  e.context = kernel_->leave_context();
  own_work_.swap(e.own_work);
  handling_ = kNoCpu;
  e.away = true;
  e.stack.give_way();
  e.away = false;
  handling_ = cpu;
  own_work_.swap(e.own_work);
  kernel_->enter_context(e.context);
  // The time was the kernel's, not the task's.
  at(cpu).since_ns = now_;
}

void ExploredMachine::go_on(CpuId cpu) {
  Entry& e = entry(cpu);
  e.stack.resume();
  if (!e.stack.finished()) return;
  e.active = false;
  --nr_active_;
}

/// An interrupt for a CPU that is in an entry comes when that is over.
void ExploredMachine::put_off(Handle event, const Entry& until) {
  const u64 at_ns = queue_.armed(until.resume) ? queue_.time(until.resume) : now_ + kPutOffNs;
  queue_.arm(event, std::max(at_ns, now_ + 1));
}

void ExploredMachine::handle(Handle event) {
  const Event what = queue_.at(event);
  if (what.kind == Kind::kResume) return go_on(what.cpu);
  const CpuId cpu = served_by(what);
  Entry& e = entry(cpu);
  if (e.active) return put_off(event, e);
  e.active = true;
  ++nr_active_;
  e.relaxing = nullptr;
  e.stack.start([this, event] { SimulatedMachine::handle(event); });
  go_on(cpu);
}

void ExploredMachine::finish_entries() {
  finishing_ = true;
  for (const auto& e : entries_) {
    if (e && e->away && queue_.armed(e->resume)) queue_.arm(e->resume, now_);
  }
  while (nr_active_ > 0) {
    USCX_ASSERT(!queue_.empty());
    now_ = std::max(now_, queue_.next_time());
    const Handle event = queue_.pop();
    if (!is_off(queue_.at(event))) handle(event);
  }
  finishing_ = false;
}

}  // namespace uscx::machine
