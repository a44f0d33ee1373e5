// SPDX-License-Identifier: GPL-2.0-only
// Deadline servers: a reservation (50 ms in every second, or another) through which a lower class
// runs in the deadline class's place where real-time tasks leave it nothing. Linux: struct
// sched_dl_entity of a dl_server, and its struct dl_rq.
//
// A server is deferred: while its class gets its share anyway, that is counted (dl_server_update)
// and the server never runs. Only at the zero-laxity point, where nothing but running at once would
// give the share before the deadline, is it queued, and then picked before every real-time task.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "sched/machine.h"

namespace uscx::sched {

class Kernel;
class SchedClass;
struct Rq;

/// All under the runqueue's lock.
struct DlServer final : Timer {
  static constexpr u64 kRuntimeNs = 50'000'000;
  static constexpr u64 kPeriodNs = 1'000'000'000;  // and relative deadline

  DlServer(Rq& r, SchedClass& k) : rq(r), klass(k) {}
  void fired(Kernel& kernel) override;
  /// A write to debugfs' sched/{fair,ext}_server/cpuN/runtime; takes the runqueue's lock. EINVAL:
  /// more than the period; EBUSY: the CPU is off line, or all servers together would have more than
  /// 95 % of the CPUs. Linux: sched_server_write_common().
  Result<void> set_runtime(Kernel& kernel, u64 ns);
  /// Its part of a CPU in 1/2^20, which is kept for it while it is attached. Linux: to_ratio().
  u64 bandwidth() const { return attached ? (reserved_ns << 20) / kPeriodNs : 0; }

  Rq& rq;
  SchedClass& klass;                              // whose tasks it runs
  u64 reserved_ns = kRuntimeNs;                   // of every period (dl_runtime)
  s64 runtime_ns = static_cast<s64>(kRuntimeNs);  // left in this period
  u64 deadline_ns = kPeriodNs;                    // end of this period
  bool attached = false;     // has bandwidth: the class can have tasks (dl_bw_attached)
  bool active = false;       // the class has tasks (dl_server_active)
  bool queued = false;       // on the runqueue: picked before real-time tasks
  bool throttled = false;    // waits for its timer
  bool defer_armed = false;  // ... which is the zero-laxity one
  bool defer_running = false;
  bool defer_idle = false;
};

/// A runqueue's servers; those that are queued, by deadline.
struct DlRq {
  DlRq(Rq& rq, SchedClass& fair_class, SchedClass& ext_class)
      : fair(rq, fair_class), ext(rq, ext_class) {}
  DlServer fair;
  DlServer ext;
  std::vector<DlServer*> queue;
  /// What debugfs' sched/debug shows for a CPU alone. Linux: dl_bw::total_bw is that of all.
  u64 total_bw() const { return fair.bandwidth() + ext.bandwidth(); }
};

}  // namespace uscx::sched
