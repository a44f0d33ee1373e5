// SPDX-License-Identifier: GPL-2.0-only
// Kernel stacks: what may sleep runs on one of these and blocks in virtual time.
#pragma once

#include <functional>
#include <memory>

#include "base/lock.h"
#include "base/types.h"

namespace uscx::sched {

/// A stack of its own for kernel code that may sleep. Runs when its task runs; `suspend` returns to
/// whoever resumed it. Pooled. With the sanitizers' fiber annotations.
class Fiber {
 public:
  static constexpr std::size_t kStackSize =
      std::size_t{512} * 1024;  // touched as far as it is used
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Sets what the next resume() runs. Only on a finished fiber.
  void start(std::function<void()> entry);
  /// Runs until the next suspend() or the end of entry.
  void resume();
  /// Inside the fiber: back to resume()'s caller. No spinlock may be held.
  void suspend();
  bool finished() const;

  HeldLocks held;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace uscx::sched
