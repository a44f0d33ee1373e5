// SPDX-License-Identifier: GPL-2.0-only
// Deadline servers: a reservation (50 ms in every second) through which a lower class runs in the
// deadline class's place where real-time tasks leave it nothing. Linux: struct sched_dl_entity of a
// dl_server, and its struct dl_rq.
//
// A server is deferred: while its class gets its share anyway, that is counted (dl_server_update)
// and the server never runs. Only at the zero-laxity point, where nothing but running at once would
// give the share before the deadline, is it queued, and then picked before every real-time task.
#pragma once

#include <vector>

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

  Rq& rq;
  SchedClass& klass;                              // whose tasks it runs
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
};

}  // namespace uscx::sched
