// SPDX-License-Identifier: GPL-2.0-only
// Whether what a BPF scheduler is told makes sense to it: every callback that ends something was
// preceded by the one that begins it, and when it is over nothing is left begun.
#pragma once

#include <map>
#include <string_view>

#include "base/types.h"
#include "sched/ext/ops.h"

namespace uscx::sched {
class Kernel;
struct Task;
}  // namespace uscx::sched

namespace uscx::sched::ext {

/// Follows the callbacks from the moment it is made. A callback the scheduler does not have is
/// taken to have been called when it was due. Must not outlive the kernel. A wrong sequence aborts
/// as Invariants does.
class Protocol {
 public:
  explicit Protocol(Kernel& kernel);
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  /// How many of them there were since it was made.
  u64 callbacks() const { return callbacks_; }

 private:
  /// What a task is to the scheduler.
  enum State : u32 {
    kInited = 1,    // ops.init_task() until ops.exit_task()
    kEnabled = 2,   // ops.enable() until ops.disable()
    kRunnable = 4,  // ops.runnable() until ops.quiescent()
    kRunning = 8,   // ops.running() until ops.stopping()
  };
  void called(Op op, const Task* p, u64 result);
  void begin(std::string_view op, const Task& p, u32 state, u32 needed);
  void end(std::string_view op, const Task& p, u32 state, u32 excluded);
  /// The states whose two callbacks the scheduler has.
  u32 known() const;
  [[noreturn]] void wrong(std::string_view op, const Task& p, u32 state) const;

  Kernel& kernel_;
  std::map<const Task*, u32> tasks_;
  u64 callbacks_ = 0;
};

}  // namespace uscx::sched::ext
