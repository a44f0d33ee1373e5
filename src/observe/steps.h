// SPDX-License-Identifier: GPL-2.0-only
// The events of every step of a task that several observers want. Each subscriber is told all of it
// anew, so that who has several observers subscribes once and tells them.
#pragma once

#include "base/types.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// How an observer comes to hear of these: by itself, or by who has it.
enum class Steps : u8 { kSubscribed, kTold };

/// Before the first task runs: an observer has been told that a task was switched in when it is
/// told that it was switched out. The observer must outlive the use of the tracepoints.
template <class Observer>
void subscribe_steps(sched::Tracepoints& trace, Observer& observer) {
  trace.sched_switch.subscribe<&Observer::on_switch>(observer);
  trace.sched_wakeup.subscribe<&Observer::on_wakeup>(observer);
  trace.sched_migrate_task.subscribe<&Observer::on_migrate>(observer);
  trace.scx_callback.subscribe<&Observer::on_callback>(observer);
}

}  // namespace uscx::observe
