// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/ext.h"

#include <utility>

#include "bpf/bpf.h"
#include "sched/ext/idle_state.h"
#include "sched/ext/internal.h"
#include "sched/ext/worker.h"

namespace uscx::sched::ext {

Ext::Impl::Impl(Ext& e, Kernel& k) : ext(e), kernel(k), klass(make_class(*this)) {}

Ext::Impl::~Impl() {
  kernel.activate();
  if (watchdog_timer) kernel.machine().timer_cancel(*watchdog_timer);
  for (auto& [map, sch] : by_map) retired.push_back(sch);
  for (Sched* sch : retired) kernel.window().destroy(sch);
}

Ext::Ext(Kernel& kernel) : impl_(std::make_unique<Impl>(*this, kernel)) {
  klass_ = impl_->klass.get();
}
Ext::~Ext() = default;

void Ext::register_bpf() {
  register_struct_ops(*impl_);
  register_kfuncs(*impl_);
}

void Ext::init_rqs() {
  Kernel& kernel = impl_->kernel;
  for (u32 i = 0; i < kernel.nr_cpus(); ++i) {
    Rq& rq = kernel.rq(static_cast<CpuId>(i));
    rq.ext_owner = std::make_shared<ExtRq>(*impl_, rq);
    rq.ext = rq.ext_owner.get();
    rq.scx.local_dsq.id = abi::SCX_DSQ_LOCAL;
    if (rq.online) rq.scx.flags |= abi::SCX_RQ_ONLINE;
  }
  idle_init_masks(*impl_);
}

bool Ext::task_should_scx(int policy) const {
  if (!enabled_) return false;
  if (impl_->switching_all) return true;
  // A task that forks or changes class now would be switched back at once.
  if (impl_->state == abi::SCX_DISABLING) return false;
  return policy == SCHED_EXT;
}

bool Ext::allow_ttwu_queue(const Task& p) const {
  if (!enabled_) return true;
  const Sched* sch = task_sched(p);
  if (sch == nullptr) return true;
  if (sch->ops.flags & abi::SCX_OPS_ALLOW_QUEUED_WAKEUP) return true;
  return p.klass != impl_->klass.get();
}

void Ext::schedule_done(Rq& rq) {
  spin_for_kicked(rq);
  if (std::exchange(ext_rq(rq).idle_mask_late, false)) impl_->idle->tracker.set_idle(rq.id, false);
}

bool Ext::can_stop_tick(Rq& rq) {
  const Task& p = *rq.current();
  if (p.klass != impl_->klass.get() || rq.scx.nr_running == 0) return true;
  if (bypassing(*task_sched(p), rq.id)) return false;
  return (rq.scx.flags & abi::SCX_RQ_CAN_STOP_TICK) != 0;
}

void Ext::tell_idle(Rq& rq, bool idle, bool do_notify) {
  ext::update_idle(rq, idle, do_notify);
}

u64 bpf_now(Ext::Impl& ext, Rq& rq) {
  return (rq.scx.flags & abi::SCX_RQ_CLK_VALID) ? u64{rq.scx.clock} : ext.kernel.now().ns;
}

Rq* locked_rq(Ext::Impl& ext) {
  return ext_rq(ext.kernel.this_rq()).locked_rq;
}

Sched* prog_sched(Ext::Impl& ext, const bpf::Program& prog) {
  Sched* sch = ext.root;
  const bool of_root = sch != nullptr && prog.struct_ops_map_id == sch->map_id;
  if (prog.struct_ops_map_id != 0 && !prog.struct_ops_poisoned && !of_root) {
    const auto it = ext.by_map.find(prog.struct_ops_map_id);
    sch = it == ext.by_map.end() ? nullptr : it->second;
  }
  return sch && !sch->dead ? sch : nullptr;
}

// ------------------------------------------------------------------------- for observers

const char* enable_state_name(abi::scx_enable_state state) {
  switch (state) {
    case abi::SCX_ENABLING:
      return "enabling";
    case abi::SCX_ENABLED:
      return "enabled";
    case abi::SCX_DISABLING:
      return "disabling";
    case abi::SCX_DISABLED:
      return "disabled";
  }
  return "?";
}

void set_enable_state(Ext::Impl& ext, abi::scx_enable_state state) {
  ext.state = state;
  ext.kernel.trace().scx_state(ext.kernel.now(), enable_state_name(state));
}

const char* Ext::state() const {
  return enable_state_name(impl_->state);
}
u64 Ext::enable_seq() const {
  return impl_->enable_seq;
}
u64 Ext::hotplug_seq() const {
  return impl_->hotplug_seq;
}
u64 Ext::nr_rejected() const {
  return impl_->nr_rejected;
}
std::string Ext::root_ops_name() const {
  return impl_->root ? impl_->root->ops.name : "";
}
const ExitRecord& Ext::last_exit() const {
  return impl_->last_exit;
}
u64 Ext::nr_callbacks() const {
  return impl_->nr_callbacks;
}

std::vector<std::pair<std::string, s64>> Ext::events() const {
  if (impl_->root == nullptr) return {};
  return event_list(*impl_->root);
}

std::string Ext::where_queued(const Task& p) const {
  if (const Dsq* dsq = task_dsq(p)) {
    if (dsq->is_local()) return fmt::format("local DSQ of CPU {}", dsq->rq->id);
    if (dsq->id == abi::SCX_DSQ_GLOBAL) return "global DSQ";
    if (dsq->id == abi::SCX_DSQ_BYPASS) return "bypass DSQ";
    return fmt::format("DSQ 0x{:x}", u64{dsq->id});
  }
  if (impl_->kernel.task_current(impl_->kernel.task_rq(p), p)) {
    return fmt::format("running on CPU {}", p.cpu);
  }
  if (p.scx_dsq_node.linked()) return fmt::format("moving from CPU {}", p.cpu);
  const u64 state = static_cast<u64>(p.scx.ops_state.counter) & kOpssStateMask;
  if (state == abi::SCX_OPSS_QUEUED) return "the BPF scheduler";
  return p.on_rq_state != 0 ? "a runqueue" : "nowhere (not runnable)";
}

void Ext::program_fault(std::string_view text) {
  if (impl_->root != nullptr) {
    error(*impl_->root, "{}", text);
  } else {
    impl_->kernel.kernel_log(fmt::format("BPF program fault: {}", text));
  }
}

}  // namespace uscx::sched::ext
