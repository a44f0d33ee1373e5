// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace uscx::sched {
class Kernel;
}

namespace uscx::sched::ext {

/// SysRq-S: the scheduler is ended (SCX_EXIT_SYSRQ). Any context. Linux:
/// sysrq_handle_sched_ext_reset().
void sysrq_reset(Kernel& kernel);
/// SysRq-D: the debug dump, to the scx_dump tracepoint alone. Interrupt or task context, no locks.
/// Linux: sysrq_handle_sched_ext_dump().
void sysrq_dump(Kernel& kernel);

}  // namespace uscx::sched::ext
