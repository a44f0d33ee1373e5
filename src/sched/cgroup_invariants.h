// SPDX-License-Identifier: GPL-2.0-only
// The control groups' part of sched/invariants.h.
#pragma once

namespace uscx::sched {

class Kernel;

/// Every group, being removed or not: its tasks are those that say so, its counters are sums, its
/// load is what its runnable tasks and children make, sched_ext's flags fit the scheduler there is.
/// No CPU is in an entry.
void check_groups(Kernel& kernel);

}  // namespace uscx::sched
