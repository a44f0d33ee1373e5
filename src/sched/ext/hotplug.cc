// SPDX-License-Identifier: GPL-2.0-only
// A scheduler hears of CPUs that come and go, or is ended so that it can start anew.
#include "sched/ext/queue.h"

namespace uscx::sched::ext {
namespace {

/// Linux: handle_hotplug().
void handle_hotplug(Ext::Impl& ext, Rq& rq, bool online) {
  ++ext.hotplug_seq;
  // Stable here: who enables a scheduler keeps hotplug out meanwhile. `enabled` may not be set yet.
  Sched* sch = ext.root;
  if (sch == nullptr) return;
  if (ext.enabled()) idle_update_selcpu_topology(*sch);

  const Op op = online ? Op::kCpuOnline : Op::kCpuOffline;
  if (sch->has_op(op)) {
    call_op(*sch, op, nullptr, {static_cast<u64>(static_cast<s64>(rq.id))});
    return;
  }
  exit_sched(*sch, abi::SCX_EXIT_UNREG_KERN,
             static_cast<s64>(u64{abi::SCX_ECODE_ACT_RESTART} | u64{abi::SCX_ECODE_RSN_HOTPLUG}),
             "cpu {} going {}, exiting scheduler", rq.id, online ? "online" : "offline");
}

}  // namespace

void Ext::rq_activate(Rq& rq) {
  handle_hotplug(*impl_, rq, true);
}
void Ext::rq_deactivate(Rq& rq) {
  handle_hotplug(*impl_, rq, false);
}

void Ext::cpus_write_lock() {
  impl_->cpus_lock.lock(impl_->kernel);
}
void Ext::cpus_write_unlock() {
  impl_->cpus_lock.unlock(impl_->kernel);
}
void Ext::cpus_read_lock() {
  impl_->cpus_lock.lock_shared(impl_->kernel);
}
void Ext::cpus_read_unlock() {
  impl_->cpus_lock.unlock_shared(impl_->kernel);
}

}  // namespace uscx::sched::ext
