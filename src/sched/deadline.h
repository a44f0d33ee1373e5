// SPDX-License-Identifier: GPL-2.0-only
// Reservations of CPU time, which the deadline class runs by earliest deadline before everything
// else but the stopper: those of SCHED_DEADLINE tasks, and servers (50 ms in every second, or
// another) through which a lower class runs in the deadline class's place where real-time tasks
// leave it nothing. Linux: struct sched_dl_entity and struct dl_rq.
//
// A server is deferred: while its class gets its share anyway, that is counted (dl_server_update)
// and the server never runs. Only at the zero-laxity point, where nothing but running at once would
// give the share before the deadline, is it queued, and then picked before every real-time task.
#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "sched/machine.h"

namespace uscx::sched {

class Kernel;
class SchedClass;
struct Rq;
struct Task;

/// What sched_setattr(2) takes for SCHED_DEADLINE.
struct DlParameters {
  u64 runtime_ns = 0;
  u64 deadline_ns = 0;  // relative
  u64 period_ns = 0;    // 0 in a call: the deadline
  bool operator==(const DlParameters&) const = default;
};

constexpr bool dl_before(u64 a, u64 b) {
  return static_cast<s64>(a - b) < 0;
}
/// Linux: to_ratio().
constexpr u64 dl_bandwidth(u64 period_ns, u64 runtime_ns) {
  return (runtime_ns << 20) / period_ns;
}
/// What the class queues. All under the runqueue's lock.
struct DlEntity : Timer {
  Task* task = nullptr;  // whose it is; null: a server
  u64 deadline_ns = 0;
  s64 runtime_ns = 0;      // left until then
  bool queued = false;     // on the runqueue
  bool throttled = false;  // has used up its runtime and waits for its timer
};

/// Whether what is left of an entity's runtime is more than `runtime_ns` in every `period_ns` gives
/// until its deadline, to a microsecond as in Linux: dl_entity_overflow().
constexpr bool dl_overflows(const DlEntity& entity, u64 now_ns, u64 period_ns, u64 runtime_ns) {
  constexpr u32 kScale = 10;
  const u64 left = (period_ns >> kScale) * static_cast<u64>(entity.runtime_ns >> kScale);
  const u64 right = ((entity.deadline_ns - now_ns) >> kScale) * (runtime_ns >> kScale);
  return dl_before(right, left);
}

/// A task's reservation and how far it is. Made when the task first becomes SCHED_DEADLINE. A
/// constant bandwidth server: who has used its runtime waits for its next period.
struct DlTask final : DlEntity {
  explicit DlTask(Task& p) { task = &p; }
  void fired(Kernel& kernel) override;
  /// Frees the bandwidth of a task that is not SCHED_DEADLINE any more, or dead, at the time at
  /// which what it has used is what it was to have (0-lag). Linux: inactive_task_timer().
  struct InactiveTimer final : Timer {
    explicit InactiveTimer(DlTask& t) : owner(t) {}
    void fired(Kernel& kernel) override;
    DlTask& owner;
  };

  bool implicit() const { return parameters.deadline_ns == parameters.period_ns; }
  u64 next_period_ns() const { return deadline_ns - parameters.deadline_ns + parameters.period_ns; }

  DlParameters parameters;
  u64 bandwidth = 0;  // runtime / period in 1/2^20; 0: nothing is reserved (dl_bw)
  bool yielded = false;
  InactiveTimer inactive{*this};
};

/// What every wakeup and switch looks at is on its first cache line.
struct alignas(64) DlServer final : DlEntity {
  static constexpr u64 kRuntimeNs = 50'000'000;
  static constexpr u64 kPeriodNs = 1'000'000'000;  // and relative deadline

  DlServer(Rq& r, SchedClass& k, bool& is_active) : active(is_active), rq(r), klass(k) {
    deadline_ns = kPeriodNs;
    runtime_ns = static_cast<s64>(kRuntimeNs);
  }
  void fired(Kernel& kernel) override;
  /// A write to debugfs' sched/{fair,ext}_server/cpuN/runtime; takes the runqueue's lock. EINVAL:
  /// more than the period; EBUSY: the CPU is off line, or servers and SCHED_DEADLINE tasks together
  /// would have more than the CPUs. Linux: sched_server_write_common().
  Result<void> set_runtime(Kernel& kernel, u64 ns);
  /// Its part of a CPU in 1/2^20, which is kept for it while it is attached. Linux: to_ratio().
  u64 bandwidth() const { return attached ? dl_bandwidth(kPeriodNs, reserved_ns) : 0; }

  bool& active;              // the class has tasks (dl_server_active); in the runqueue
  bool attached = false;     // has bandwidth: the class can have tasks (dl_bw_attached)
  bool defer_armed = false;  // its timer is the zero-laxity one
  bool defer_running = false;
  bool defer_idle = false;
  Rq& rq;
  SchedClass& klass;             // whose tasks it runs
  u64 reserved_ns = kRuntimeNs;  // of every period (dl_runtime)
};

/// Of active CPUs: what their servers have reserved, in 1/2^20 of a CPU, and what they can do.
/// Linux: dl_bw, of the root domain.
struct DlBandwidth {
  u64 servers = 0;
  u64 capacity = 0;  // 1024 for a whole CPU
  u64 nr_cpus = 0;
  bool operator==(const DlBandwidth&) const = default;
  DlBandwidth& operator+=(const DlBandwidth& o) {
    servers += o.servers, capacity += o.capacity, nr_cpus += o.nr_cpus;
    return *this;
  }
  DlBandwidth& operator-=(const DlBandwidth& o) {
    servers -= o.servers, capacity -= o.capacity, nr_cpus -= o.nr_cpus;
    return *this;
  }
};

/// What is queued on a runqueue, by deadline: the running task stays.
struct DlRq {
  DlRq(Rq& rq, SchedClass& fair_class, SchedClass& ext_class);
  /// Goes off when the running task has used its runtime. Linux: rq->hrtick_timer.
  struct Hrtick final : Timer {
    explicit Hrtick(Rq& r) : rq(r) {}
    void fired(Kernel& kernel) override;
    Rq& rq;
  };
  void insert(DlEntity& entity);
  void erase(DlEntity& entity);
  DlEntity* first() const { return queue.empty() ? nullptr : queue.front(); }

  DlServer fair;
  DlServer ext;
  std::vector<DlEntity*> queue;
  u32 nr_tasks = 0;  // of it
  Hrtick hrtick;
  std::unique_ptr<IrqWork> push_work;  // made when a task first waits here that might go elsewhere
  /// What debugfs' sched/debug shows for a CPU alone. Linux: dl_bw::total_bw is that of all.
  u64 total_bw() const { return fair.bandwidth() + ext.bandwidth(); }
};

}  // namespace uscx::sched
