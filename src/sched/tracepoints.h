// SPDX-License-Identifier: GPL-2.0-only
// What the core tells whoever listens. Nothing in the core formats or counts for a report. With no
// subscriber a tracepoint costs one branch.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/delegate.h"
#include "base/types.h"

namespace uscx::sched {

struct Task;
struct Rq;
namespace ext {
enum class Op : u8;
}

/// One kind of event. Subscribers are called in the order they came and must change nothing.
template <class... Args>
class Tracepoint {
 public:
  Tracepoint() = default;
  Tracepoint(const Tracepoint&) = delete;
  Tracepoint& operator=(const Tracepoint&) = delete;

  void subscribe(Delegate<void(Args...)> fn) {
    subscribers_.push_back(std::move(fn));
    if (subscribers_.size() == 1) {
      tell_ = subscribers_.front();
    } else if (subscribers_.size() == 2) {
      tell_ = [this](Args... args) {
        for (const auto& each : subscribers_) each(args...);
      };
    }
  }
  /// A member of an object, which must outlive the use of the tracepoint.
  template <auto kMember, class T>
  void subscribe(T& object) {
    subscribe(Delegate<void(Args...)>::template of<kMember>(object));
  }
  bool enabled() const { return static_cast<bool>(tell_); }
  void operator()(Args... args) const {
    if (tell_) tell_(args...);
  }

 private:
  // The only subscriber itself, or who goes through them all: there are call sites in hot code, and
  // a loop in each is much of it.
  Delegate<void(Args...)> tell_;
  std::vector<Delegate<void(Args...)>> subscribers_;
};

/// Names follow Linux's sched:* and sched_ext:* events. `now` is virtual time.
struct Tracepoints {
  /// prev leaves the CPU (prev_state as __state: 0 = preempted), next takes it.
  Tracepoint<Nanos /*now*/, CpuId, const Task& /*prev*/, u32 /*prev_state*/, const Task& /*next*/>
      sched_switch;
  /// A task's own code goes on for the first time since it was woken: the switch to it (and the way
  /// out of idle) has been paid for. This is when a program in it would notice that it is awake,
  /// and Task::woken_at_ns says since when it is.
  Tracepoint<Nanos, CpuId, const Task&> task_executes;
  Tracepoint<Nanos, CpuId /*of the waker*/, const Task&, CpuId /*target*/> sched_waking;
  Tracepoint<Nanos, CpuId, const Task&, CpuId> sched_wakeup;
  Tracepoint<Nanos, CpuId, const Task&, CpuId> sched_wakeup_new;
  Tracepoint<Nanos, const Task&, CpuId /*from*/, CpuId /*to*/> sched_migrate_task;
  Tracepoint<Nanos, const Task& /*parent*/, const Task& /*child*/> sched_process_fork;
  Tracepoint<Nanos, const Task&> sched_process_exit;
  /// Before a task is freed: forget pointers to it.
  Tracepoint<const Task&> sched_process_free;
  /// A task is in another control group from now on; paths as user space names them.
  Tracepoint<Nanos, const Task&, std::string_view /*from*/, std::string_view /*to*/>
      cgroup_attach_task;
  Tracepoint<Nanos, std::string_view /*path*/, u64 /*id*/> cgroup_mkdir;
  Tracepoint<Nanos, std::string_view /*path*/, u64 /*id*/> cgroup_rmdir;

  /// A hint: events of the task that has this slot (Task::slot) are likely to come soon, so that
  /// what is kept of it may be fetched. Neither is every event announced, nor does each come.
  Tracepoint<u32 /*slot*/> task_comes;

  // sched_ext
  /// A callback of the BPF scheduler returned. `result` as the callback's prototype has it.
  Tracepoint<Nanos, CpuId, ext::Op, const Task* /*subject*/, u64 /*result*/> scx_callback;
  /// The same callback, for whoever wants to know what it cost in virtual time.
  Tracepoint<Nanos, CpuId, std::string_view /*op*/, u64 /*cost_ns*/> scx_callback_cost;
  /// A task was put on (or left) a dispatch queue.
  Tracepoint<Nanos, const Task&, u64 /*dsq_id*/, bool /*on*/, u32 /*nr after*/> scx_dsq;
  /// enabling, enabled, disabling, disabled; bypass on or off.
  Tracepoint<Nanos, std::string_view /*state*/> scx_state;
  Tracepoint<Nanos, s32 /*kind*/, s64 /*code*/, std::string_view /*reason*/,
             std::string_view /*msg*/>
      scx_exit;
  Tracepoint<Nanos, std::string_view /*line*/> scx_dump;
  Tracepoint<Nanos, std::string_view /*name*/, s64 /*delta*/> scx_event;

  /// bpf_trace_printk() and the kernel log.
  Tracepoint<Nanos, CpuId, const Task* /*current*/, std::string_view> trace_printk;
  Tracepoint<Nanos, CpuId, const Task*, std::string_view> kernel_log;
};

}  // namespace uscx::sched
