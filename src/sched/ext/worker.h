// SPDX-License-Identifier: GPL-2.0-only
// Kernel threads that do queued work, and small adapters of timers and interrupt work.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sched/kernel.h"

namespace uscx::sched::ext {

/// A kernel thread that runs what is queued to it, in order; each piece may sleep.
/// Linux: struct kthread_worker.
class Worker {
 public:
  /// `rt_priority` 0: an ordinary task; `cpu`: the one it belongs to. On a fiber where sched_ext
  /// may have to initialise it.
  Worker(Kernel& kernel, std::string comm, int rt_priority, CpuId cpu = kNoCpu);
  /// Does not touch the thread: it may be gone with its kernel. shut_down() ends it.
  ~Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Any context.
  void queue(std::function<void()> work);
  /// The thread exits when it has done what is queued.
  void shut_down();
  Task& task();

 private:
  struct State;
  static void main(Kernel& kernel, State& state);
  void wake();

  Kernel& kernel_;
  std::shared_ptr<State> state_;
};

inline constexpr int kFifoPriority = 50;  // sched_set_fifo()

struct FnIrqWork final : IrqWork {
  explicit FnIrqWork(std::function<void()> f) : fn(std::move(f)) {}
  void run(Kernel&) override { fn(); }
  std::function<void()> fn;
};

struct FnTimer final : Timer {
  explicit FnTimer(std::function<void()> f) : fn(std::move(f)) {}
  void fired(Kernel&) override { fn(); }
  std::function<void()> fn;
};

}  // namespace uscx::sched::ext
