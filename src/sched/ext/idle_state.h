// SPDX-License-Identifier: GPL-2.0-only
// What Ext::Impl::idle points to.
#pragma once

#include "sched/ext/idle.h"
#include "sched/ext/internal.h"

namespace uscx::sched::ext {

struct IdleState {
  IdleState(bpf::AddressWindow& window, const Topology& topology, const abi::cpumask& online,
            btf::KernelVersion version)
      : tracker(window, topology, online, version) {}
  IdleTracker tracker;
};

inline IdleTracker& idle_of(Sched& sch) {
  return sch.ext.idle->tracker;
}

}  // namespace uscx::sched::ext
