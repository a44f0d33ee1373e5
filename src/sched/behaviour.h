// SPDX-License-Identifier: GPL-2.0-only
// What a task does when it has a CPU. The core owns the interface; workload models, kernel threads
// and (later) real loader threads implement it.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "base/types.h"

namespace uscx::sched {

class Kernel;
struct Task;

/// What a step runs on the task's kernel stack, or nothing. Copies share it. One pointer, since
/// nearly all steps have none and are moved and destroyed all the same.
class SystemCall {
 public:
  SystemCall() = default;
  template <std::invocable<Task&> Fn>
    requires(!std::same_as<std::remove_cvref_t<Fn>, SystemCall>)
  SystemCall(Fn&& fn) : body_(new Callable<std::decay_t<Fn>>(std::forward<Fn>(fn))) {}
  SystemCall(const SystemCall& other) : body_(other.body_) {
    if (body_ != nullptr) ++body_->users;
  }
  SystemCall(SystemCall&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
  SystemCall& operator=(SystemCall other) noexcept {
    std::swap(body_, other.body_);
    return *this;
  }
  ~SystemCall() {
    if (body_ != nullptr) [[unlikely]]
      release();
  }

  /// Only where there is one.
  void operator()(Task& task) const { body_->run(task); }
  explicit operator bool() const { return body_ != nullptr; }

 private:
  struct Body {
    virtual ~Body() = default;
    virtual void run(Task& task) = 0;
    u32 users = 1;
  };
  template <class Fn>
  struct Callable final : Body {
    template <class From>
    explicit Callable(From&& from) : fn(std::forward<From>(from)) {}
    void run(Task& task) override { static_cast<void>(fn(task)); }
    Fn fn;
  };
  [[gnu::cold]] void release();  // run.cc

  Body* body_ = nullptr;
};

/// What a task does next, until its behaviour is asked again.
struct Step {
  enum class Kind : u8 {
    kCompute,  // use the CPU for `work`: at capacity 1024 if `scaled`, else wall time on the CPU
    kBlock,    // sleep until woken: the core sets `state` and schedules away, atomically
    kYield,    // sched_yield()
    kCall,     // run `call` on the task's kernel stack; it may sleep (fork, setaffinity, bpf(2))
    kExit,     // exit(2)
  };
  Kind kind = Kind::kCompute;
  bool scaled = true;
  u32 state = 1;  // kBlock: TASK_INTERRUPTIBLE or TASK_UNINTERRUPTIBLE
  Nanos work{};
  SystemCall call{};

  static Step compute(Nanos work, bool scaled = true) {
    return {.kind = Kind::kCompute, .scaled = scaled, .work = work};
  }
  static Step block(u32 state = 1) { return {.kind = Kind::kBlock, .state = state}; }
  static Step yield() { return {.kind = Kind::kYield}; }
  static Step system_call(SystemCall call) {
    return {.kind = Kind::kCall, .call = std::move(call)};
  }
  static Step exit() { return {.kind = Kind::kExit}; }
};

/// A compute step in progress.
struct Computation {
  Nanos work{};      // left to do
  u32 fraction = 0;  // the machine's: what has been done beyond that, in 1/1024 ns
  bool scaled = true;
};

class Behaviour {
 public:
  virtual ~Behaviour() = default;
  /// Called when `task` has a CPU and its previous step is over. It may wake other tasks and arm
  /// timers through the kernel (each costs time, charged by the core). Context: task context on
  /// that CPU, no locks held. To wait: put the task on a wait queue (or arm a timer that wakes it)
  /// and return Step::block(); no wakeup can fall between. A spurious wakeup is possible: re-check.
  virtual Step next(Kernel& kernel, Task& task) = 0;
  /// The task was killed: next() is not called any more, and whatever the behaviour left behind
  /// (timers, places in queues) it takes back now. Context: as next().
  virtual void killed(Kernel& /*kernel*/, Task& /*task*/) {}
};

}  // namespace uscx::sched
