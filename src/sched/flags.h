// SPDX-License-Identifier: GPL-2.0-only
// Flags of the scheduler core, with Linux's names and values: programs see them in their callbacks.
#pragma once

// The C library's header comes with the C++ one and makes macros of some of these names.
#include <sched.h>
#undef SCHED_NORMAL
#undef SCHED_FIFO
#undef SCHED_RR
#undef SCHED_BATCH
#undef SCHED_IDLE
#undef SCHED_DEADLINE
#undef SCHED_EXT

#include "base/types.h"

namespace uscx::sched {

// dequeue_task()
inline constexpr int DEQUEUE_SLEEP = 0x0001;
inline constexpr int DEQUEUE_SAVE = 0x0002;
inline constexpr int DEQUEUE_MOVE = 0x0004;
inline constexpr int DEQUEUE_NOCLOCK = 0x0008;
inline constexpr int DEQUEUE_MIGRATING = 0x0010;
inline constexpr int DEQUEUE_DELAYED = 0x0020;
inline constexpr int DEQUEUE_CLASS = 0x0040;
inline constexpr int DEQUEUE_SPECIAL = 0x00010000;
inline constexpr int DEQUEUE_THROTTLE = 0x00020000;

// enqueue_task()
inline constexpr int ENQUEUE_WAKEUP = 0x0001;
inline constexpr int ENQUEUE_RESTORE = 0x0002;
inline constexpr int ENQUEUE_MOVE = 0x0004;
inline constexpr int ENQUEUE_NOCLOCK = 0x0008;
inline constexpr int ENQUEUE_MIGRATING = 0x0010;
inline constexpr int ENQUEUE_DELAYED = 0x0020;
inline constexpr int ENQUEUE_CLASS = 0x0040;
inline constexpr int ENQUEUE_HEAD = 0x00010000;
inline constexpr int ENQUEUE_REPLENISH = 0x00020000;
inline constexpr int ENQUEUE_MIGRATED = 0x00040000;
inline constexpr int ENQUEUE_INITIAL = 0x00080000;
inline constexpr int ENQUEUE_RQ_SELECTED = 0x00100000;
inline constexpr int ENQUEUE_QUEUED = 0x00200000;

// Why a task is woken or placed: select_task_rq(), wakeup_preempt()
inline constexpr int WF_EXEC = 0x02;
inline constexpr int WF_FORK = 0x04;
inline constexpr int WF_TTWU = 0x08;
inline constexpr int WF_SYNC = 0x10;
inline constexpr int WF_MIGRATED = 0x20;
inline constexpr int WF_CURRENT_CPU = 0x40;
inline constexpr int WF_RQ_SELECTED = 0x80;

// task_struct::__state and ::exit_state
inline constexpr u32 TASK_RUNNING = 0x0;
inline constexpr u32 TASK_INTERRUPTIBLE = 0x1;
inline constexpr u32 TASK_UNINTERRUPTIBLE = 0x2;
inline constexpr u32 TASK_STOPPED = 0x4;
inline constexpr u32 TASK_DEAD = 0x80;
inline constexpr u32 TASK_WAKEKILL = 0x100;
inline constexpr u32 TASK_WAKING = 0x200;
inline constexpr u32 TASK_NEW = 0x800;
inline constexpr u32 EXIT_DEAD = 0x10;
inline constexpr u32 EXIT_ZOMBIE = 0x20;
inline constexpr u32 TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE;

// task_struct::on_rq
inline constexpr int TASK_ON_RQ_QUEUED = 1;
inline constexpr int TASK_ON_RQ_MIGRATING = 2;

// task_struct::flags
inline constexpr u32 PF_IDLE = 0x00000002;
inline constexpr u32 PF_EXITING = 0x00000004;
inline constexpr u32 PF_WQ_WORKER = 0x00000020;
inline constexpr u32 PF_KTHREAD = 0x00200000;
inline constexpr u32 PF_NO_SETAFFINITY = 0x04000000;

// sched_setscheduler()
inline constexpr int SCHED_NORMAL = 0;
inline constexpr int SCHED_FIFO = 1;
inline constexpr int SCHED_RR = 2;
inline constexpr int SCHED_BATCH = 3;
inline constexpr int SCHED_IDLE = 5;
inline constexpr int SCHED_DEADLINE = 6;
inline constexpr int SCHED_EXT = 7;

inline constexpr int MAX_RT_PRIO = 100;
inline constexpr int MAX_PRIO = 140;
inline constexpr int DEFAULT_PRIO = 120;

}  // namespace uscx::sched
