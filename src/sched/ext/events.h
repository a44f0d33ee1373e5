// SPDX-License-Identifier: GPL-2.0-only
// Event counters in the layout of a profile.
#pragma once

#include "sched/ext/internal.h"

namespace uscx::sched::ext {

/// sizeof(struct scx_event_stats) of that kernel.
u64 event_stats_size(btf::KernelVersion version);
/// Copies `sum` as that kernel lays it out, at most `size` bytes of it: programs may have been
/// built against a larger or smaller struct.
void store_events(const abi::scx_event_stats& sum, btf::KernelVersion version, void* out, u64 size);

}  // namespace uscx::sched::ext
