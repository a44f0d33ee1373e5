// SPDX-License-Identifier: GPL-2.0-only
// bpf_timer: timers in map values, run by the host's timers.
#pragma once

#include <memory>
#include <unordered_map>

#include "base/types.h"
#include "bpf/host.h"

namespace uscx::bpf {

class Bpf;
class Map;
class Program;
struct BpfTimer;

/// The timers that programs initialised, by the address of their struct bpf_timer. All operations
/// return 0 (cancel: 1 where it was armed) or -errno, as the helpers do.
class TimerTable {
 public:
  explicit TimerTable(Bpf& bpf) : bpf_(bpf) {}
  ~TimerTable();
  TimerTable(const TimerTable&) = delete;
  TimerTable& operator=(const TimerTable&) = delete;

  long init(u64 timer, Map& map, u64 flags);
  long set_callback(u64 timer, u64 callback, std::shared_ptr<const Program> program);
  long start(u64 timer, u64 nsecs, u64 flags);
  long cancel(u64 timer);
  /// The value that holds it goes away: cancelled and forgotten.
  void forget(u64 timer);

 private:
  void fire(const std::shared_ptr<BpfTimer>& timer);

  Bpf& bpf_;
  std::unordered_map<u64, std::shared_ptr<BpfTimer>> timers_;  // looked up only
  std::unordered_map<u32, BpfTimer*> running_;                 // by CPU; looked up only
};

}  // namespace uscx::bpf
