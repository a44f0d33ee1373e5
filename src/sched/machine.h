// SPDX-License-Identifier: GPL-2.0-only
// What the scheduler core runs on. Owned by sched/, implemented by machine/.
#pragma once

#include "base/lock.h"
#include "base/types.h"
#include "sched/costs.h"
#include "sched/topology.h"

namespace uscx::sched {

class Kernel;
struct Task;

/// A one-shot timer. Its owner derives from it; `fired` runs in interrupt context on the CPU it was
/// started for. Must be cancelled before it is destroyed. Linux: struct hrtimer.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void fired(Kernel& kernel) = 0;
  bool armed() const { return slot != kIdle; }

  static constexpr u32 kIdle = ~0U;
  u32 slot = kIdle;    // the machine's own: where it keeps an armed timer
  u64 expires_ns = 0;  // the machine's own while armed
};

/// Deferred work in interrupt context, at most once queued. Linux: struct irq_work.
class IrqWork {
 public:
  virtual ~IrqWork() = default;
  virtual void run(Kernel& kernel) = 0;
  bool queued = false;  // the machine's own
};

/// The part of a machine that lets another CPU go first in the middle of a kernel entry: at locks
/// (LockHooks) and where the kernel reads or writes something that others touch without a lock.
class Explorer : public LockHooks {
 public:
  /// A place where another CPU may go first. `name` says what is raced for.
  virtual void sync_point(const char* name) = 0;
  /// One round of a loop that waits for what another CPU does. Linux: cpu_relax().
  virtual void relax(const char* name) = 0;
};

/// The machine calls the kernel's entry points (Kernel::irq_*, Kernel::run_current) one at a time;
/// an exploring one may begin another CPU's while one is at a sync point.
/// Who charges what: the kernel charges ticks, wakeups, system calls, fork, exit and BPF (by
/// charge() or as a compute step of the task); the machine adds what lies between: context
/// switches, idle exits, IPIs, and refilled caches after a migration.
class Machine {
 public:
  virtual ~Machine() = default;

  /// Virtual time.
  Nanos now() const { return {now_}; }
  virtual const Topology& topology() const = 0;
  virtual const Costs& costs() const = 0;

  /// Arms (or re-arms) a timer for time `expires`, at once if that has passed, on `cpu`.
  virtual void timer_start(Timer& timer, Nanos expires, CpuId cpu) = 0;
  /// True where it was armed.
  virtual bool timer_cancel(Timer& timer) = 0;

  /// Sends the reschedule interrupt: Kernel::irq_resched(to) after the IPI's latency.
  virtual void send_resched(CpuId to) = 0;
  /// Queues `work` on `to`: at once after the current handler where `to` is the current CPU, by IPI
  /// otherwise. False where it is queued already.
  virtual bool queue_irq_work(IrqWork& work, CpuId to) = 0;

  /// The periodic tick of a CPU: Kernel::irq_tick(cpu) every 1/HZ. Idle CPUs have none.
  virtual void tick_start(CpuId cpu) = 0;
  virtual void tick_stop(CpuId cpu) = 0;

  /// `next` is on `cpu` from now on. The machine keeps what is left of prev's compute step, and
  /// goes on with next's, or asks Kernel::run_current(cpu) for its next step once the switch has
  /// been paid for. Not called where prev == next.
  virtual void switched(CpuId cpu, Task& prev, Task& next) = 0;
  /// The kernel used `cost` of this CPU's time: what runs there is delayed by it.
  virtual void charge(CpuId cpu, Nanos cost) = 0;

  /// Null in a machine whose kernel entries run to their ends: sync points cost a branch there.
  virtual Explorer* explorer() { return nullptr; }

 protected:
  u64 now_ = 0;  // here, so that reading the clock is no call
};

}  // namespace uscx::sched
