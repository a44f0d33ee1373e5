// SPDX-License-Identifier: GPL-2.0-only
// Many small checks in few processes: a crash or a hang loses one of them, not the rest.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/types.h"

namespace uscx::conformance {

/// What a worker process keeps between items; made in that process.
class Worker {
 public:
  virtual ~Worker() = default;
  /// Checks one item; the answer is one line without its newline.
  virtual std::string check(u32 item) = 0;
};

struct WorkerPool {
  u32 jobs = 2;
  u32 timeout_s = 30;  // an item that takes longer is killed
  /// Called in each new process.
  std::function<std::unique_ptr<Worker>()> make_worker;
  /// Called in this process as answers come: the worker's line, or what became of the worker
  /// ("crash: Segmentation fault", "timeout"), with `lost` set.
  std::function<void(u32 item, std::string answer, bool lost)> done;

  /// Checks items 0 .. count-1, each exactly once.
  void run(u32 count);
};

}  // namespace uscx::conformance
