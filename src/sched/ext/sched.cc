// SPDX-License-Identifier: GPL-2.0-only
// The objects of sched_ext: a scheduler, a queue, a runqueue's part.
#include <cstring>

#include "sched/ext/internal.h"
#include "sched/ext/rb_tree.h"
#include "sched/ext/worker.h"

namespace uscx::sched::ext {

const bpf::ObjectType kDsqObject{"scx_dispatch_q", nullptr, false, sizeof(abi::scx_dispatch_q)};
const bpf::ObjectType kSchedObject{"scx_sched", nullptr, false, sizeof(u64)};
const bpf::ObjectType kExitInfoObject{"scx_exit_info"};

// --------------------------------------------------------------------------------- Dsq

namespace {
const char* dsq_lock_name(u64 id) {
  switch (id) {
    case abi::SCX_DSQ_GLOBAL:
      return "global dsq";
    case abi::SCX_DSQ_LOCAL:
      return "local dsq";
    case abi::SCX_DSQ_BYPASS:
      return "bypass dsq";
    default:
      return "dsq";
  }
}
}  // namespace

Dsq::Dsq(Kernel& k, u64 dsq_id, Sched* owning)
    : abi::scx_dispatch_q{},
      kernel(k),
      owner(owning),
      guard(LockRank::kDsq, dsq_lock_name(dsq_id)) {
  id = dsq_id;
  sched = owning ? owning->abi_pointer() : nullptr;
}

// --------------------------------------------------------------------------------- ExtRq

ExtRq::ExtRq(Ext::Impl& e, Rq& rq) : kernel(e.kernel), ext(e) {
  local_dsq = kernel.window().make<Dsq>(kDsqObject, kernel, u64{abi::SCX_DSQ_LOCAL}, nullptr);
  local_dsq->rq = &rq;
  cpus_to_sync.resize(kernel.nr_cpus());
  deferred_work = std::make_unique<FnIrqWork>([this, &rq] {
    kernel.rq_lock(rq);
    run_deferred(rq);
    kernel.rq_unlock(rq);
  });
  resched_work = std::make_unique<FnIrqWork>([this, &rq] {
    kernel.rq_lock(rq);
    kernel.resched_curr(rq);
    kernel.rq_unlock(rq);
  });
  kick_work = std::make_unique<FnIrqWork>([this] { kick_cpus_irq_work(ext); });
}

ExtRq::~ExtRq() {
  kernel.window().destroy(local_dsq);
}

// --------------------------------------------------------------------------------- Sched

Sched::Sched(Ext::Impl& e, Ops o, bool cid_form)
    : ext(e), kernel(e.kernel), ops(std::move(o)), is_cid_type(cid_form) {
  auto& window = kernel.window();
  const Topology& topology = kernel.topology();
  exit_info = make_exit_info(kernel, ops.exit_dump_len);
  for (u32 node = 0; node < topology.nr_nodes; ++node) {
    global_dsqs.push_back(window.make<Dsq>(kDsqObject, kernel, u64{abi::SCX_DSQ_GLOBAL}, this));
  }
  if (ops.dispatch_max_batch != 0) dsp_max_batch = ops.dispatch_max_batch;
  cpus.resize(kernel.nr_cpus());
  for (SchedCpu& c : cpus) {
    c.cpus_to_kick.resize(kernel.nr_cpus());
    c.cpus_to_kick_if_idle.resize(kernel.nr_cpus());
    c.cpus_to_preempt.resize(kernel.nr_cpus());
    c.cpus_to_wait.resize(kernel.nr_cpus());
    c.bypass_dsq = window.make<Dsq>(kDsqObject, kernel, u64{abi::SCX_DSQ_BYPASS}, this);
    c.dsp_buf.resize(dsp_max_batch);
  }
  id = ++ext.next_sched_id;
  const u64 hz = kernel.config().hz;
  watchdog_timeout = ops.timeout_ms != 0 ? (ops.timeout_ms * hz + 999) / 1000 : 30 * hz;
  disable_irq_work = std::make_unique<FnIrqWork>([this] { disable_irq_workfn(*this); });
  bypass_lb_timer = std::make_unique<FnTimer>([this] { bypass_lb_timerfn(*this); });
}

Sched::~Sched() {
  auto& window = kernel.window();
  kernel.machine().timer_cancel(*bypass_lb_timer);
  std::erase_if(ext.cursors, [this](const auto& c) { return c.second->sched == this; });
  for (auto& [id_, dsq] : dsqs) window.destroy(dsq);
  for (Dsq* dsq : destroyed_dsqs) window.destroy(dsq);
  for (Dsq* dsq : global_dsqs) window.destroy(dsq);
  for (SchedCpu& c : cpus) window.destroy(c.bypass_dsq);
  free_exit_info(kernel, exit_info);
}

ExitInfo make_exit_info(Kernel& kernel, u32 dump_len) {
  auto& window = kernel.window();
  ExitInfo ei;
  ei.dump_len = dump_len;
  ei.info = window.make<abi::scx_exit_info>(kExitInfoObject);
  ei.msg = static_cast<char*>(window.allocate(abi::SCX_EXIT_MSG_LEN, bpf::kReadOnlyMemory));
  ei.dump = static_cast<char*>(window.allocate(dump_len, bpf::kReadOnlyMemory));
  ei.reason = static_cast<char*>(window.allocate(kExitReasonLen, bpf::kReadOnlyMemory));
  ei.info->exit_cpu = -1;
  ei.info->msg = ei.msg;
  ei.info->dump = ei.dump;
  ei.info->reason = ei.reason;
  return ei;
}

void free_exit_info(Kernel& kernel, ExitInfo& ei) {
  auto& window = kernel.window();
  window.free(ei.reason);
  window.free(ei.dump);
  window.free(ei.msg);
  window.destroy(ei.info);
  ei = {};
}

}  // namespace uscx::sched::ext
