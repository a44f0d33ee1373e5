// SPDX-License-Identifier: GPL-2.0-only
// The deadline servers' bandwidth follows the tasks. Linux: dl_server_swap_bw() and friends in
// scx_root_enable_workfn() and scx_root_disable().
#include "sched/classes.h"
#include "sched/deadline.h"
#include "sched/ext/queue.h"
#include "sched/private.h"

namespace uscx::sched::ext {

void attach_servers(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  Kernel::Private& priv = KernelInternals::of(kernel);
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    kernel.rq_lock(rq);
    kernel.update_rq_clock(rq);
    if (ext.switched_all) priv.dl_server_detach(rq.dl->fair);
    priv.dl_server_attach(rq.dl->ext, rq.scx.nr_running);
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
    if (was_switched_all) priv.dl_server_attach(rq.dl->fair, rq.fair->nr_queued);
    kernel.rq_unlock(rq);
  }
}

}  // namespace uscx::sched::ext
