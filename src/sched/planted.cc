// SPDX-License-Identifier: GPL-2.0-only
#include "sched/planted.h"

#include "base/assert.h"

namespace uscx::sched {

std::string_view to_string(PlantedBug bug) {
  constexpr std::string_view kNames[] = {
      "none",
      "destroy_dsq_lock_order",
      "bypass_cleared_early",
      "class_switch_drops_rq_lock",
      "dispatching_not_awaited",
      "queueing_not_awaited",
      "holding_cpu_unchecked",
      "kick_lost",
      "reenq_not_awaited",
      "idle_mask_late",
      "task_state_before_init",
      "fork_not_excluded",
      "iter_cursor_left",
  };
  static_assert(std::size(kNames) == static_cast<std::size_t>(PlantedBug::kCount));
  USCX_ASSERT(bug < PlantedBug::kCount);
  return kNames[static_cast<std::size_t>(bug)];
}

}  // namespace uscx::sched
