// SPDX-License-Identifier: GPL-2.0-only
// What the fair and rt classes keep per runqueue.
#pragma once

#include <array>
#include <memory>
#include <set>

#include "base/intrusive_list.h"
#include "base/types.h"
#include "sched/machine.h"
#include "sched/task.h"

namespace uscx::sched {

/// Runnable fair tasks that are not running, by virtual runtime.
struct FairRq {
  struct Earlier {
    bool operator()(const Task* a, const Task* b) const {
      if (a->vruntime_ns != b->vruntime_ns) return a->vruntime_ns < b->vruntime_ns;
      return a->fair_seq < b->fair_seq;
    }
  };
  std::set<Task*, Earlier> tree;
  Task* curr = nullptr;     // the running task, where it is of this class
  u64 min_vruntime_ns = 0;  // never goes back
  u32 nr_queued = 0;        // tree and curr
  u64 next_seq = 0;
  const unsigned long* waiting = nullptr;  // by CpuId, the class's: where `tree` has any
};

/// Runnable rt tasks, the running one included, by priority.
struct RtRq {
  std::array<IntrusiveList<Task, &Task::rq_node>, MAX_RT_PRIO> queue;
  std::array<unsigned long, 2> bits{};  // which lists have tasks
  std::unique_ptr<IrqWork> push_work;   // made when one first waits here that might go elsewhere
};

}  // namespace uscx::sched
