// SPDX-License-Identifier: GPL-2.0-only
// What things cost in virtual time. Parameters of a machine, with a default and its reason; a
// machine file may set each by its name. All in nanoseconds unless the name says otherwise.
#pragma once

#include "base/types.h"

namespace uscx::sched {

struct Costs {
  /// Switching between two tasks: registers, address space, cold L1. Measured lmbench lat_ctx of
  /// small processes on recent x86 servers: 1 to 2 us, half of it the pipe.
  u64 context_switch_ns = 1000;
  /// Leaving idle: from the interrupt to the first instruction of the task (C1).
  u64 idle_exit_ns = 1500;
  /// An inter-processor interrupt, from the sender's write to the receiver's handler.
  u64 ipi_ns = 700;
  /// The timer tick's own work.
  u64 tick_ns = 800;
  /// A system call that does little: entry, exit, and the work of a futex or pipe operation.
  u64 syscall_ns = 300;
  /// The scheduler's part of waking a task: locks, runqueue, idle masks.
  u64 wakeup_ns = 500;
  /// Fork, from the call to its return in the parent (a small process, no exec).
  u64 fork_ns = 50'000;
  u64 exit_ns = 20'000;
  /// The first run on another LLC or node than last time: refilling the caches of a small working
  /// set (some 100 lines at L3 or memory latency).
  u64 migrate_llc_ns = 5'000;
  u64 migrate_node_ns = 15'000;
  /// One BPF instruction, in picoseconds: about one simple x86 instruction at 3 GHz, IPC 2 to 3.
  u64 bpf_insn_ps = 300;
  /// Entering and leaving a callback (trampoline).
  u64 bpf_callback_ns = 10;
  /// A grace period takes at least this long, however soon all CPUs are seen in a quiescent state:
  /// two to three jiffies of 4 ms, for the grace-period thread to start it, force quiescent states
  /// once and see its end. Measured on the real kernel: 2 to 4 ticks between steps of disabling.
  u64 rcu_grace_period_ns = 10'000'000;
  /// Work of a kernel thread per task it visits in enable and disable.
  u64 task_iter_ns = 500;
};

}  // namespace uscx::sched
