// SPDX-License-Identifier: GPL-2.0-only
// The watchdog: a task that is runnable and does not run for too long ends its scheduler, and so
// does the watchdog's own thread not getting to run.
#include <algorithm>

#include "sched/ext/internal.h"
#include "sched/ext/worker.h"

namespace uscx::sched::ext {
namespace {

constexpr u64 kNever = ~0ULL;

u64 jiffies_to_ms(const Kernel& kernel, u64 jiffies) {
  return jiffies * 1000 / kernel.config().hz;
}

void arm(Ext::Impl& ext, u64 jiffies) {
  Kernel& kernel = ext.kernel;
  const Nanos expires = kernel.now() + Nanos{jiffies * kernel.tick_ns()};
  kernel.machine().timer_start(*ext.watchdog_timer, expires, kernel.cpu());
}

/// Ejects the scheduler under which the watchdog's own thread did not get to run. Linux: scx_tick.
void check_watchdog(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  Sched& root = *ext.root;
  const u64 last_check = ext.watchdog_timestamp;
  if (!time_after(kernel.jiffies(), last_check + root.watchdog_timeout)) return;
  const u64 ms = jiffies_to_ms(kernel, kernel.jiffies() - last_check);
  exit_sched(root, abi::SCX_EXIT_ERROR_STALL, 0, "watchdog failed to check in for {}.{:03}s",
             ms / 1000, ms % 1000);
}

/// Linux: check_rq_for_timeouts.
bool check_rq(Ext::Impl& ext, Rq& rq) {
  Kernel& kernel = ext.kernel;
  bool timed_out = false;
  kernel.rq_lock(rq);
  auto& list = ext_rq(rq).runnable_list;
  for (Task* p = ext.root ? list.front() : nullptr; p != nullptr; p = list.next(*p)) {
    Sched* sch = task_sched(*p);
    const u64 since = p->scx.runnable_at;
    if (!time_after(kernel.jiffies(), since + sch->watchdog_timeout)) continue;
    // Where it waits on another scheduler's queue, that one is to blame.
    if (const Dsq* dsq = task_dsq(*p); dsq && dsq->owner && !dsq->is_local()) sch = dsq->owner;
    const u64 ms = jiffies_to_ms(kernel, kernel.jiffies() - since);
    if (sch->exit_kind == abi::SCX_EXIT_NONE) sch->exit_info.stalled_pid = p->pid;
    vexit(*sch, abi::SCX_EXIT_ERROR_STALL, 0, rq.id,
          fmt::format("{}[{}] failed to run for {}.{:03}s", p->comm, p->pid, ms / 1000, ms % 1000));
    timed_out = true;
    break;
  }
  kernel.rq_unlock(rq);
  return timed_out;
}

/// Linux: scx_watchdog_workfn, on a kworker that is itself an ordinary task.
void watchdog_workfn(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  ext.watchdog_queued = false;
  ext.watchdog_timestamp = kernel.jiffies();
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    if (!rq.online) continue;
    if (check_rq(ext, rq)) break;
    kernel.cond_resched();
  }
  if (ext.watchdog_interval != kNever) arm(ext, ext.watchdog_interval);
}

/// Queues the check. Where it has not run when the timeout is over and every CPU idles, there is no
/// tick to notice; Linux has some CPU that ticks sooner or later, here the timer stands in for it.
void watchdog_timer_fn(Ext::Impl& ext) {
  if (ext.root == nullptr) return;
  if (ext.enabled()) check_watchdog(ext);
  const u64 late = ext.watchdog_timestamp + ext.root->watchdog_timeout + 1;
  const u64 now = ext.kernel.jiffies();
  arm(ext, late > now ? late - now : ext.watchdog_interval);
  // Last: the check, on another CPU, arms it anew.
  if (!std::exchange(ext.watchdog_queued, true)) {
    ext.watchdog->queue([&ext] { watchdog_workfn(ext); });
  }
}

}  // namespace

void refresh_watchdog(Ext::Impl& ext) {
  Kernel& kernel = ext.kernel;
  ext.watchdog_timestamp = kernel.jiffies();
  if (ext.root == nullptr) {
    ext.watchdog_interval = kNever;
    if (ext.watchdog_timer) kernel.machine().timer_cancel(*ext.watchdog_timer);
    return;
  }
  ext.watchdog_interval = std::max<u64>(ext.root->watchdog_timeout / 2, 1);
  if (!ext.watchdog) {
    ext.watchdog = std::make_unique<Worker>(kernel, "kworker/u8:0", 0);
    ext.watchdog_timer = std::make_unique<FnTimer>([&ext] { watchdog_timer_fn(ext); });
  }
  arm(ext, ext.watchdog_interval);
}

void Ext::tick(Rq&) {
  if (!enabled_ || impl_->root == nullptr) return;
  check_watchdog(*impl_);
}

}  // namespace uscx::sched::ext
