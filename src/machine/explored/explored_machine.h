// SPDX-License-Identifier: GPL-2.0-only
// The simulated machine, but a kernel entry is not one instant: at a lock or another sync point it
// may be held up, as a CPU is by its caches, an interrupt or a hypervisor, and other CPUs' entries
// go first. Which ones, and for how long, is a function of the seed.
#pragma once

#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "base/hash.h"
#include "machine/explored/entry_stack.h"
#include "machine/simulated/simulated_machine.h"
#include "sched/kernel.h"

namespace uscx::machine {

/// How CPUs are held up.
struct Exploration {
  u64 seed = 1;
  /// 0: a random walk, in which any sync point may be a short delay. Otherwise PCT: the run has
  /// only so many change points, at each of which a CPU falls behind all others for a long time.
  u32 depth = 0;

  /// What a seed of `uscx run --explore` means where no depth is given: walks and PCT of 1 to 4
  /// change points in turn.
  static Exploration of_seed(u64 seed) {
    return {.seed = seed, .depth = static_cast<u32>(seed % 5)};
  }
};

class ExploredMachine final : public SimulatedMachine, private sched::Explorer {
 public:
  ExploredMachine(const MachineSpec& spec, const Exploration& exploration);
  ~ExploredMachine() override;

  sched::Explorer* explorer() override { return this; }
  /// So far: places where a CPU could have been held up, times one was, times one waited for a
  /// lock.
  u64 sync_points() const { return sync_points_; }
  u64 delays() const { return delays_; }
  u64 contentions() const { return contentions_; }

 private:
  /// A CPU's kernel entry, from when it begins until it has ended.
  struct Entry {
    EntryStack stack;
    Handle resume = 0;  // the event that lets it go on
    bool active = false;
    bool away = false;  // gave way
    sched::Kernel::Context context;
    std::vector<sched::IrqWork*> own_work;
    const char* place = "";  // why it gave way
    // Where it waits for a lock.
    const RankedLock* wants = nullptr;
    bool shared = false;
    HeldLocks* held = nullptr;
    std::source_location where;
    // Where it waits for another CPU.
    u64 relaxing_since_ns = 0;
    u64 relaxed_at_ns = 0;
    const char* relaxing = nullptr;
  };

  // sched::Explorer
  void sync_point(const char* name) override;
  void relax(const char* name) override;
  void acquiring(const RankedLock& lock, HeldLocks& held, bool shared,
                 const std::source_location& where) override;
  void released(const RankedLock& lock) override;

  // SimulatedMachine
  void handle(Handle event) override;
  void finish_entries() override;
  u64 ipi_latency_ns() override;

  Entry& entry(CpuId cpu);
  void go_on(CpuId cpu);
  void put_off(Handle event, const Entry& until);
  /// From inside an entry: other CPUs run; it goes on when its resume event comes.
  void give_way(Entry& e, const char* place);
  void give_way_for(Entry& e, const char* place, u64 delay_ns);
  void wait_for_lock(Entry& e, const RankedLock& lock, HeldLocks& held, bool shared,
                     const std::source_location& where);
  void check_deadlock(const Entry& e);
  u64 random_delay_ns(u32 max_log2);
  void next_change();
  /// Says where every CPU stands, and aborts.
  [[noreturn]] void fail(const std::string& what);

  Exploration exploration_;
  Random random_;
  std::vector<std::unique_ptr<Entry>> entries_;  // by CpuId; made when first needed
  u32 nr_active_ = 0;
  bool finishing_ = false;  // nobody is held up any more
  // The walk's parameters: each seed has its own, so that fine and coarse interleavings both come.
  u64 gap_ = 1;        // sync points between two delays, on average
  u32 max_log2_ = 10;  // delays are below 2^this ns
  u64 next_change_ = 0;
  u32 changes_left_ = 0;
  u64 sync_points_ = 0;
  u64 delays_ = 0;
  u64 contentions_ = 0;
};

}  // namespace uscx::machine
