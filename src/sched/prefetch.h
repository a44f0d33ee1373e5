// SPDX-License-Identifier: GPL-2.0-only
// Hints for the machine: with thousands of CPUs and tasks nothing of them is in a cache when an
// event comes, and it would wait for some thirty lines, one after the other. A machine that knows
// what comes soon says so. Nothing is read but where it says so: what is hinted at may be gone.
#pragma once

#include "base/types.h"

namespace uscx::sched {

struct Rq;
struct Task;

/// A kernel entry on the runqueue's CPU comes soon.
void prefetch_rq(const Rq& rq);
/// The same, a little later: reads `rq` to find what hangs on it, and who runs there.
void prefetch_rq_parts(const Rq& rq);
/// And then: reads what prefetch_rq_parts() asked for.
void prefetch_dispatch(const Rq& rq);
/// Who will be switched to where that is known: the first task of the local DSQ, or null. Reads
/// what prefetch_dispatch() asked for.
const Task* next_on_local_dsq(const Rq& rq);
/// A task is woken there. Reads what prefetch_rq() asked for.
void prefetch_wakeup_target(const Rq& rq);
/// The task will be woken, or stop running, soon. Not read.
void prefetch_task(const Task* p);
/// The task, which has a behaviour, is asked for its next step soon. Reads it.
void prefetch_behaviour(const Task& p);

}  // namespace uscx::sched
