// SPDX-License-Identifier: GPL-2.0-only
// The deadline servers' bandwidth follows the tasks. Linux: dl_server_swap_bw() and friends in
// scx_root_enable_workfn() and scx_root_disable().
#include <fmt/format.h>

#include <cerrno>

#include "sched/classes.h"
#include "sched/deadline.h"
#include "sched/ext/queue.h"
#include "sched/private.h"

namespace uscx::sched::ext {

bool attach_servers(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    kernel.rq_lock(rq);
    kernel.update_rq_clock(rq);
    const bool ok =
        KernelInternals::of(kernel).dl_server_attach(rq.dl->ext, u32{rq.scx.nr_running});
    kernel.rq_unlock(rq);
    if (ok) continue;
    kernel.kernel_log(
        fmt::format("sched_ext: failed to attach ext_server on CPU {} ({})", i, -EBUSY));
    return false;
  }
  return true;
}

void detach_fair_servers(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    kernel.rq_lock(rq);
    kernel.update_rq_clock(rq);
    KernelInternals::of(kernel).dl_server_detach(rq.dl->fair);
    kernel.rq_unlock(rq);
  }
}

void detach_servers(Ext::Impl& ext, bool was_switched_all) {
  Kernel& kernel = ext.kernel;
  Kernel::Private& priv = KernelInternals::of(kernel);
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    kernel.rq_lock(rq);
    kernel.update_rq_clock(rq);
    priv.dl_server_detach(rq.dl->ext);
    const bool ok = !was_switched_all || priv.dl_server_attach(rq.dl->fair, rq.fair->nr_queued);
    kernel.rq_unlock(rq);
    if (!ok) kernel.kernel_log(fmt::format("failed to re-attach fair_server on CPU {}", i));
  }
}

}  // namespace uscx::sched::ext
