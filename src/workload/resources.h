// SPDX-License-Identifier: GPL-2.0-only
// What tasks of a workload share: pipes, mutexes, conditions, semaphores, barriers, timers.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/types.h"
#include "sched/task.h"
#include "sched/wait.h"

namespace uscx::workload {

struct Resource {
  virtual ~Resource() = default;
};

/// Readers sleep while it is empty, writers while their message does not fit.
struct Pipe final : Resource {
  u64 bytes = 0;
  sched::WaitQueue readers;
  sched::WaitQueue writers;
};

struct Mutex final : Resource {
  sched::Task* owner = nullptr;
  sched::WaitQueue waiters;
};

/// A condition variable, or the place where a task suspends itself. It remembers nothing.
struct Condition final : Resource {
  sched::WaitQueue waiters;
};

/// A counter on a futex, as sem_post() and sem_wait() use it.
struct Semaphore final : Resource {
  u64 value = 0;
  sched::WaitQueue waiters;
};

struct Barrier final : Resource {
  u64 users = 0;  // tasks that meet here
  u64 arrived = 0;
  u64 round = 0;
  sched::WaitQueue waiters;
};

/// Set once; tasks spin or sleep until it is.
struct Flag final : Resource {
  bool set = false;
};

/// What rt-app's timer event refers to: when it goes off next.
struct PeriodicTimer final : Resource {
  bool used = false;
  Nanos next;
};

/// By name; made at the first mention.
class Resources {
 public:
  template <class T>
  T& get(const std::string& name) {
    auto& slot = table<T>()[name];
    if (slot == nullptr) slot = std::make_unique<T>();
    return *slot;
  }

 private:
  template <class T>
  using Table = std::map<std::string, std::unique_ptr<T>>;
  template <class T>
  Table<T>& table() {
    return std::get<Table<T>>(tables_);
  }
  std::tuple<Table<Pipe>, Table<Mutex>, Table<Condition>, Table<Semaphore>, Table<Barrier>,
             Table<PeriodicTimer>, Table<Flag>>
      tables_;
};

}  // namespace uscx::workload
