// SPDX-License-Identifier: GPL-2.0-only
// What programs reach from a task and the scheduler itself has no use for: its pid, signals,
// credentials, memory, and what a kernel thread works on.
#pragma once

#include "abi/abi.h"
#include "base/types.h"

namespace uscx::sched {

class Kernel;
struct Task;

class Identities {
 public:
  explicit Identities(Kernel& kernel);
  /// For a task whose pid, comm and flags are set. `parent` null: it begins a session of its own.
  void make(Task& p, const Task* parent);
  /// The task is freed.
  void release(Task& p);

 private:
  abi::pid* make_pid(Pid nr);
  void put_pid(abi::pid* pid);
  void make_signal(Task& p, const Task* parent);
  void make_kthread(Task& p);

  Kernel& kernel_;
  abi::pid_namespace* namespace_;
  abi::cred* root_cred_;
};

}  // namespace uscx::sched
