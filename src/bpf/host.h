// SPDX-License-Identifier: GPL-2.0-only
// What the BPF machine needs from the kernel around it. Implemented by sched::Kernel; unit tests
// have a small one of their own.
#pragma once

#include <functional>
#include <string_view>

#include "base/lock.h"
#include "base/types.h"

namespace uscx::bpf {

class Program;

/// A timer that fires once in (soft) interrupt context. Owned by its user; the host links it.
/// Linux: struct hrtimer.
class HostTimer {
 public:
  std::function<void()> fire;
  bool armed = false;
  void* host_data = nullptr;  // the host's handle while armed
};

class Host {
 public:
  virtual ~Host() = default;

  // Clocks and identity, valid in any context.
  virtual u64 ktime_ns() = 0;            // CLOCK_MONOTONIC, ns
  virtual u32 this_cpu() = 0;            // smp_processor_id()
  virtual u32 this_node() { return 0; }  // numa_node_id()
  virtual u32 nr_cpu_ids() = 0;          // possible CPUs
  virtual u64 current_task() = 0;        // window address of `current`
  virtual u64 current_pid_tgid() = 0;
  virtual u32 prandom_u32() = 0;
  virtual std::string_view current_comm() = 0;

  /// Does the CPU handle an NMI? What takes locks that interrupts do not is refused there.
  virtual bool in_nmi() { return false; }

  /// Locks that the current context (CPU or fiber) holds.
  virtual HeldLocks& held_locks() = 0;

  /// One bpf_trace_printk line, without newline.
  virtual void trace_printk(std::string_view text) = 0;
  /// One line of the kernel log (pr_warn and such), without newline.
  virtual void kernel_log(std::string_view text) = 0;

  /// Arms `timer` to fire `delay_ns` from now (absolute: at that ktime) on this CPU; re-arms an
  /// armed one. `pinned_cpu` -1: where it is started.
  virtual void timer_start(HostTimer& timer, u64 expires_ns, bool absolute, CpuId pinned_cpu) = 0;
  /// True where it was armed.
  virtual bool timer_cancel(HostTimer& timer) = 0;

  /// Is `task` (a window address) a live task_struct? For task storage and kfunc arguments.
  virtual bool is_task(u64 task) = 0;

  /// Is `cgroup` (a window address) a live cgroup? For cgroup storage.
  virtual bool is_cgroup(u64 cgroup) {
    (void)cgroup;
    return false;
  }

  /// A program did what the verifier would have refused (a bad store, a bad argument) or ran too
  /// long. The run has been abandoned with result 0. `text` names the instruction and the reason.
  virtual void program_fault(const Program& prog, std::string_view text) = 0;

  /// The program's BPF_STDERR stream was given `text`, with its newline: the kernel log has it,
  /// too.
  virtual void program_stderr(const Program&, std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    kernel_log(text);
  }

  /// Statistics: BPF instructions executed on this CPU, to be charged as virtual time.
  virtual void charge_instructions(u64 count) = 0;

  /// May the caller sleep here? (in a fiber, no spinlock held)
  virtual bool may_sleep() = 0;
};

}  // namespace uscx::bpf
