// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/tally.h"

#include "sched/ext/internal.h"
#include "sched/invariants.h"
#include "sched/private.h"

namespace uscx::sched::ext {

namespace {

void equal(Kernel& kernel, s64 is, s64 counted, std::string_view what) {
  if (is == counted) return;
  invariant_broken(kernel, fmt::format("{} is {}, {} counted", what, is, counted), "sched_ext");
}

}  // namespace

Tally::Tally(Kernel& kernel)
    : kernel_(kernel), callbacks_before_(kernel.ext().nr_callbacks()), protocol_(kernel) {
  USCX_ASSERT(impl_of(kernel).root == nullptr);
  Tracepoints& trace = kernel.trace();
  trace.scx_event.subscribe([this](Nanos, std::string_view name, s64 delta) {
    const auto it = events_.find(name);
    if (it != events_.end()) {
      it->second += delta;
    } else {
      events_.emplace(name, delta);
    }
  });
  trace.scx_state.subscribe(
      [this](Nanos now, std::string_view state) { state_changed(now, state); });
  trace.scx_dsq.subscribe([this](Nanos, const Task&, u64 id, bool on, u32) {
    s64& nr = on_[id];
    nr += on ? 1 : -1;
    if (nr == 0) on_.erase(id);
  });
}

void Tally::state_changed(Nanos now, std::string_view state) {
  if (state == enable_state_name(abi::SCX_ENABLING)) {
    events_.clear();
    nr_bypassed_ = 0;
    bypassed_ns_ = 0;
  } else if (state == "bypass on") {
    ++nr_bypassed_;
    bypassed_since_ns_ = now.ns;
  } else if (state == "bypass off") {
    bypassed_ns_ += static_cast<s64>(now.ns - bypassed_since_ns_);
  }
}

void Tally::check() const {
  check_callbacks();
  if (impl_of(kernel_).root == nullptr) return;
  check_events();
  check_queues();
}

/// Those that have begun and not returned sleep, each on a fiber.
void Tally::check_callbacks() const {
  const u64 begun = kernel_.ext().nr_callbacks();
  const u64 returned = callbacks_before_ + protocol_.callbacks();
  u64 fibers = 0;
  auto& tasks = KernelInternals::of(kernel_).all_tasks;
  for (const Task* p = tasks.front(); p != nullptr; p = tasks.next(*p)) {
    if (p->kernel_stack) ++fibers;
  }
  if (begun >= returned && begun - returned <= fibers) return;
  invariant_broken(kernel_, fmt::format("{} callbacks begun, {} returned", begun, returned),
                   fmt::format("sched_ext, {} fibers", fibers));
}

void Tally::check_events() const {
  Sched& root = *impl_of(kernel_).root;
  for (const auto& [name, value] : event_list(root)) {
    const auto it = events_.find(name);
    equal(kernel_, value, it != events_.end() ? it->second : 0, name);
  }
  const abi::scx_event_stats sum = read_events(root);
  equal(kernel_, sum.SCX_EV_BYPASS_ACTIVATE, static_cast<s64>(nr_bypassed_),
        "SCX_EV_BYPASS_ACTIVATE");
  equal(kernel_, sum.SCX_EV_BYPASS_DURATION, bypassed_ns_, "SCX_EV_BYPASS_DURATION");
  // What the scheduler asked for is not done for it.
  if (root.ops.flags & abi::SCX_OPS_ENQ_EXITING) {
    equal(kernel_, sum.SCX_EV_ENQ_SKIP_EXITING, 0, "SCX_EV_ENQ_SKIP_EXITING");
  }
  if (root.ops.flags & abi::SCX_OPS_ENQ_MIGRATION_DISABLED) {
    equal(kernel_, sum.SCX_EV_ENQ_SKIP_MIGRATION_DISABLED, 0, "SCX_EV_ENQ_SKIP_MIGRATION_DISABLED");
  }
}

void Tally::check_queues() const {
  std::map<u64, s64> queued;
  const auto add = [&](const Dsq& dsq, u64 id) {
    if (dsq.nr != 0) queued[id] += dsq.nr;
  };
  const Sched& root = *impl_of(kernel_).root;
  for (const auto& [id, dsq] : root.dsqs) add(*dsq, id);
  for (const Dsq* dsq : root.global_dsqs) add(*dsq, dsq->id);
  for (const SchedCpu& cpu : root.cpus) add(*cpu.bypass_dsq, cpu.bypass_dsq->id);
  for (u32 i = 0; i < kernel_.nr_cpus(); ++i) {
    const Dsq& local = *ext_rq(kernel_.rq(static_cast<CpuId>(i))).local_dsq;
    add(local, local.id);
  }
  for (const auto& [id, nr] : on_) {
    equal(kernel_, queued[id], nr, fmt::format("tasks on DSQs {:#x}", id));
  }
  for (const auto& [id, nr] : queued) {
    equal(kernel_, nr, on_.contains(id) ? on_.at(id) : 0, fmt::format("tasks on DSQs {:#x}", id));
  }
}

}  // namespace uscx::sched::ext
