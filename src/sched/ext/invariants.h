// SPDX-License-Identifier: GPL-2.0-only
// sched_ext's part of sched/invariants.h.
#pragma once

namespace uscx::sched {
class Kernel;
struct Rq;
struct Task;
}  // namespace uscx::sched

namespace uscx::sched::ext {

/// Its place, custody and ops_state agree, and so do class and task state. The task's runqueue and
/// pi_lock are free.
void check_task(Kernel& kernel, const Task& p);
/// The local DSQ, the runnable list and the idle masks agree with the runqueue. Its lock is free.
void check_rq(Kernel& kernel, Rq& rq);
/// Bypass and the enable sequence: no task can reach a scheduler that is not wholly there.
void check_state(Kernel& kernel);
/// Every queue that is not locked: counts, order, and whose the tasks on it say they are.
void check_queues(Kernel& kernel);

}  // namespace uscx::sched::ext
