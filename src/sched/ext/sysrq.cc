// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/sysrq.h"

#include <algorithm>
#include <string_view>

#include "sched/ext/internal.h"

namespace uscx::sched::ext {

void sysrq_reset(Kernel& kernel) {
  kernel.kernel_log("sysrq: Disable sched_ext and revert all tasks to CFS");
  if (Sched* sch = impl_of(kernel).root) return disable(*sch, abi::SCX_EXIT_SYSRQ);
  kernel.kernel_log("sched_ext: BPF schedulers not loaded");
}

void sysrq_dump(Kernel& kernel) {
  kernel.kernel_log("sysrq: Trigger sched_ext debug dump");
  Sched* sch = impl_of(kernel).root;
  if (sch == nullptr) return;
  constexpr std::string_view kReason = "SysRq-D";
  ExitInfo ei = make_exit_info(kernel, 1);  // no buffer: the tracepoint has it
  ei.info->kind = abi::SCX_EXIT_NONE;
  ei.info->exit_cpu = -1;
  std::copy(kReason.begin(), kReason.end(), ei.reason);
  dump_state(*sch, ei, false);
  free_exit_info(kernel, ei);
}

}  // namespace uscx::sched::ext
