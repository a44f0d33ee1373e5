// SPDX-License-Identifier: GPL-2.0-only
// Event counters: what sched_ext did on its own account, for programs, dumps and sysfs.
#include "sched/ext/events.h"
#include "sched/trace_programs.h"

#include <algorithm>
#include <cstring>

namespace uscx::sched::ext {

namespace {

using Stats = abi::scx_event_stats;
using OldStats = abi::scx_event_stats___until_7_3;

/// One counter: how each kernel calls it and where its struct has it. The order is 7.3's struct.
struct EventRow {
  EventCounter counter;
  std::string_view name;
  std::string_view old_name = {};  // until 7.3; empty: there was none
  abi::s64 OldStats::* old_counter = nullptr;
};

#define USCX_EVENT(name) {&Stats::name, #name, #name, &OldStats::name}
#define USCX_EVENT_SINCE_7_3(name) {&Stats::name, #name}
constexpr EventRow kEvents[] = {
    USCX_EVENT(SCX_EV_SELECT_CPU_FALLBACK),
    USCX_EVENT(SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE),
    USCX_EVENT(SCX_EV_DISPATCH_KEEP_LAST),
    USCX_EVENT(SCX_EV_ENQ_SKIP_EXITING),
    USCX_EVENT(SCX_EV_ENQ_SKIP_MIGRATION_DISABLED),
    USCX_EVENT(SCX_EV_REENQ_IMMED),
    {&Stats::SCX_EV_REENQ_REPEAT, "SCX_EV_REENQ_REPEAT", "SCX_EV_REENQ_LOCAL_REPEAT",
     &OldStats::SCX_EV_REENQ_LOCAL_REPEAT},
    USCX_EVENT(SCX_EV_REFILL_SLICE_DFL),
    USCX_EVENT_SINCE_7_3(SCX_EV_SLICE_CLAMPED),
    USCX_EVENT_SINCE_7_3(SCX_EV_SLICE_DENIED),
    USCX_EVENT(SCX_EV_BYPASS_DURATION),
    USCX_EVENT(SCX_EV_BYPASS_DISPATCH),
    USCX_EVENT(SCX_EV_BYPASS_ACTIVATE),
    USCX_EVENT(SCX_EV_INSERT_NOT_OWNED),
    USCX_EVENT(SCX_EV_SUB_BYPASS_DISPATCH),
    USCX_EVENT_SINCE_7_3(SCX_EV_SUB_FORCED_ADMIT),
    USCX_EVENT_SINCE_7_3(SCX_EV_SUB_PREEMPT_DENIED),
    USCX_EVENT_SINCE_7_3(SCX_EV_SUB_KICK_DENIED),
    USCX_EVENT_SINCE_7_3(SCX_EV_SUB_REENQ_DENIED),
    USCX_EVENT_SINCE_7_3(SCX_EV_SUB_CIDPERF_DENIED),
    USCX_EVENT_SINCE_7_3(SCX_EV_SUB_RESCUE),
};
#undef USCX_EVENT
#undef USCX_EVENT_SINCE_7_3
static_assert(std::size(kEvents) == sizeof(Stats) / sizeof(s64));

bool old_layout(btf::KernelVersion version) {
  return version < btf::KernelVersion{7, 3};
}

/// Empty where `version` has no such event.
std::string_view event_name(const EventRow& row, btf::KernelVersion version) {
  return old_layout(version) ? row.old_name : row.name;
}

}  // namespace

void add_event(Sched& sch, EventCounter event, s64 count) {
  Kernel& k = sch.kernel;
  sch.cpu(k.cpu()).event_stats.*event += count;
  const bool program =
      k.bpf().may_have_trace_hook("sched_ext_event") && k.bpf().has_trace_hook("sched_ext_event");
  if (!program && !k.trace().scx_event.enabled()) return;
  for (const EventRow& row : kEvents) {
    if (row.counter != event) continue;
    const std::string_view name = event_name(row, k.config().version);
    if (name.empty()) continue;
    k.trace().scx_event(k.now(), name, count);
    trace_programs_text(k, "sched_ext_event", name, static_cast<u64>(count));
  }
}

abi::scx_event_stats read_events(Sched& sch) {
  abi::scx_event_stats sum{};
  for (const SchedCpu& cpu : sch.cpus) {
    for (const EventRow& row : kEvents) sum.*row.counter += cpu.event_stats.*row.counter;
  }
  return sum;
}

std::vector<std::pair<std::string, s64>> event_list(Sched& sch) {
  const abi::scx_event_stats sum = read_events(sch);
  std::vector<std::pair<std::string, s64>> list;
  for (const EventRow& row : kEvents) {
    const std::string_view name = event_name(row, sch.kernel.config().version);
    if (!name.empty()) list.emplace_back(name, sum.*row.counter);
  }
  return list;
}

void store_events(const abi::scx_event_stats& sum, btf::KernelVersion version, void* out,
                  u64 size) {
  if (!old_layout(version)) {
    std::memcpy(out, &sum, std::min<u64>(size, sizeof(sum)));
    return;
  }
  OldStats old{};
  for (const EventRow& row : kEvents) {
    if (row.old_counter) old.*row.old_counter = sum.*row.counter;
  }
  std::memcpy(out, &old, std::min<u64>(size, sizeof(old)));
}

u64 event_stats_size(btf::KernelVersion version) {
  return old_layout(version) ? sizeof(OldStats) : sizeof(Stats);
}

}  // namespace uscx::sched::ext
