// SPDX-License-Identifier: GPL-2.0-only
// Bugs that tests plant, to see that exploration finds them. Each is one place in the core that
// asks Kernel::planted(); nothing but a test sets KernelConfig::planted.
#pragma once

#include <string_view>

#include "base/types.h"

namespace uscx::sched {

enum class PlantedBug : u8 {
  kNone,
  kDestroyDsqLockOrder,     // destroy_dsq() takes a runqueue's lock inside the queue's
  kBypassClearedEarly,      // disabling ends bypass before the tasks have left the scheduler
  kClassSwitchDropsRqLock,  // the runqueue's lock is dropped between switching_to and switched_to
  kDispatchingNotAwaited,   // a dequeue does not wait for a dispatch in progress
  kQueueingNotAwaited,      // a dispatch does not wait for an enqueue in progress
  kHoldingCpuUnchecked,     // a remote move does not look whether a dequeue came first
  kKickLost,                // an idle kick does not see that its CPU is only about to idle
  kReenqNotAwaited,         // reenqueueing a queue does not wait for a dispatch in progress
  kIdleMaskLate,            // a CPU that goes busy leaves the idle mask after its lock
  kTaskStateBeforeInit,     // enabling says READY before ops.init_task() has returned
  kForkNotExcluded,         // enabling does not take scx_fork_rwsem while it lists tasks
  kIterCursorLeft,          // a task that leaves scx_tasks stays an iteration's position
  kCount,
};

/// "destroy_dsq_lock_order", ...: for the command lines that replay a run.
std::string_view to_string(PlantedBug bug);

}  // namespace uscx::sched
