// SPDX-License-Identifier: GPL-2.0-only
// A machine of discrete events in virtual time. Every kernel entry runs to its end at one instant;
// what it costs delays what its CPU does next. Same calls, same events: it reads no clock, and
// events of one instant come in the order they were scheduled.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "machine/simulated/event_queue.h"
#include "machine/topology_spec.h"
#include "sched/behaviour.h"
#include "sched/machine.h"

namespace uscx::machine {

class SimulatedMachine : public sched::Machine {
 public:
  /// More events than this at one instant, and virtual time is considered stuck: the largest
  /// machine has 4096 CPUs with a handful of events each.
  static constexpr u64 kMaxEventsPerInstant = 1'000'000;

  enum class Ended : u8 {
    kTime,       // the deadline was reached
    kCondition,  // the condition holds
    kStopped,    // stop() was called
    kNoEvents,   // nothing will ever happen again (only without a deadline)
  };

  explicit SimulatedMachine(const MachineSpec& spec);
  SimulatedMachine(const SimulatedMachine&) = delete;
  SimulatedMachine& operator=(const SimulatedMachine&) = delete;

  /// Names the kernel whose entry points are called; once, before running.
  void attach(sched::Kernel& kernel);

  /// Runs all events up to and including `deadline`, and sets the clock to it.
  /// Errors: virtual time is stuck.
  OrError<Ended> run_until(Nanos deadline);
  /// Runs until `condition`, asked after every event, holds; at most to `deadline`.
  OrError<Ended> run_until(const std::function<bool()>& condition, Nanos deadline = Nanos::max());
  /// Runs until an event sets `done`; at most to `deadline`.
  OrError<Ended> run_until_done(const bool& done, Nanos deadline);
  /// Ends the run in progress after the current event.
  void stop() { stopping_ = true; }

  /// Events handled since the machine was made.
  u64 events() const { return events_; }
  /// Calls `progress` every `every` events; for progress bars. It must change nothing.
  void set_progress(u64 every, std::function<void()> progress);

  /// Calls `check` after every event: for invariants. It must change nothing.
  void set_after_event(std::function<void()> check) { after_event_ = std::move(check); }

  const sched::Topology& topology() const override { return topology_; }
  const sched::Costs& costs() const override { return costs_; }
  void timer_start(sched::Timer& timer, Nanos expires, CpuId cpu) override;
  bool timer_cancel(sched::Timer& timer) override;
  void send_resched(CpuId to) override;
  bool queue_irq_work(sched::IrqWork& work, CpuId to) override;
  void tick_start(CpuId cpu) override;
  void tick_stop(CpuId cpu) override;
  void switched(CpuId cpu, sched::Task& prev, sched::Task& next) override;
  void charge(CpuId cpu, Nanos cost) override;

 protected:
  using Handle = EventQueue::Handle;
  using Kind = Event::Kind;
  /// What a CPU does: first it pays `overhead_ns`, then it computes `step`, or asks the kernel for
  /// one where that is null. All as of `since_ns`.
  struct alignas(64) Cpu {
    Handle progress;  // that will be over
    Handle tick;
    sched::Task* task = nullptr;  // null: idle
    sched::Computation* step = nullptr;
    u64 since_ns = 0;
    u64 overhead_ns = 0;
    u32 capacity = 1024;
    bool ticking = false;    // its tick is on
    u64 tick_at_ns = 0;      // where that is armed, on or off; 0: it is not
    bool left_idle = false;  // what leaving idle costs has been paid by waiting for the interrupt
  };

  Cpu& at(CpuId cpu);
  Handle make_event(Kind kind, CpuId cpu, void* target);
  OrError<Ended> run(Nanos deadline, const bool& done);
  OrError<Ended> run_events(Nanos deadline, const bool& done);
  void ask_after_event();
  /// Calls the kernel's entry point that the event, which is disarmed, is for.
  virtual void handle(Handle event);
  /// On which CPU: an offline one's timers and queued work are somebody else's.
  CpuId served_by(const Event& event) const;
  /// The run is over: no CPU may be left in the middle of an entry.
  virtual void finish_entries() {}
  /// How long an interrupt takes from here to another CPU.
  virtual u64 ipi_latency_ns() { return costs_.ipi_ns; }
  void progress(CpuId cpu);
  void finish_handler(CpuId cpu);
  void do_own_work(CpuId cpu);
  void catch_up(Cpu& c) {
    if (c.since_ns != now_) account(c);
  }
  void account(Cpu& c);
  void prefetch_coming(const Event& now_handled);
  void prefetch_first(Handle event) const;
  void prefetch_second(Handle event) const;
  void prefetch_third(Handle event) const;
  void prefetch_fourth(Handle event) const;
  void settle(Cpu& c);
  void settle_other(Cpu& c);  // settle(), out of line: of a CPU whose entry this is not
  u64 time_left(const Cpu& c) const;
  u64 migration_cost(CpuId from, CpuId to) const;
  void arm_tick(Cpu& c) {
    c.tick_at_ns = next_tick();
    queue_.arm(c.tick, c.tick_at_ns);
  }
  /// Of an event that was due: a tick that has been switched off since is none.
  bool is_off(const Event& event) {
    if (event.kind != Kind::kTick) [[likely]]
      return false;
    Cpu& c = at(event.cpu);
    c.tick_at_ns = 0;
    return !c.ticking;
  }
  u64 next_tick() const { return (now_ / tick_period_ns_ + 1) * tick_period_ns_; }
  Error stuck(const Event& last) const;

  sched::Topology topology_;
  sched::Costs costs_;
  sched::Kernel* kernel_ = nullptr;
  u64 events_ = 0;
  u64 events_at_now_ = 0;
  u64 tick_period_ns_ = 4'000'000;
  bool stopping_ = false;
  CpuId handling_ = kNoCpu;  // whose kernel entry point is being run
  EventQueue queue_;
  // The last events that were looked at ahead of time, by their number modulo the ring's size, and
  // the number of the next one, for each step of prefetch_coming().
  static constexpr u32 kRing = 4;
  std::array<Handle, kRing> ahead_{};
  u64 first_ = 0, second_ = 0, third_ = 0, fourth_ = 0;
  std::vector<Cpu> cpus_;
  std::vector<sched::IrqWork*> own_work_;  // queued on `handling_` by its own handler
  u64 progress_every_ = 0;
  u64 next_progress_ = ~0ULL;  // at how many events; never without set_progress()
  std::function<void()> on_progress_;
  std::function<void()> after_event_;
  // Of a run with a condition: what that is, and whether it holds.
  const std::function<bool()>* condition_ = nullptr;
  bool holds_ = false;
};

}  // namespace uscx::machine
