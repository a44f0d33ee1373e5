// SPDX-License-Identifier: GPL-2.0-only
#include "sched/ext/rescue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "bpf/bpf.h"
#include "btf/btf.h"
#include "sched/ext/internal.h"

namespace uscx::sched::ext {

namespace {

constexpr u64 kNsPerMs = 1'000'000;
constexpr u64 kNsPerUs = 1'000;
constexpr u64 kCapacityScale = 1024;
constexpr btf::KernelVersion kFirst{7, 3};

/// The ops' 32-bit member; `if_zero` where it is 0 or this kernel does not have it.
u32 parameter(const Sched& sch, std::string_view name, u32 if_zero) {
  const btf::Btf& types = sch.kernel.bpf().vmlinux();
  const auto ops = types.find_composite(sch.is_cid_type ? "sched_ext_ops_cid" : "sched_ext_ops");
  u32 value = 0;
  if (!ops) return if_zero;
  for (const btf::Member& m : types.members(*ops)) {
    if (m.name != name || m.byte_offset() + sizeof value > sch.table->data.size()) continue;
    std::memcpy(&value, sch.table->data.data() + m.byte_offset(), sizeof value);
  }
  return value != 0 ? value : if_zero;
}

}  // namespace

void warn_of_rescue_parameters(Sched& sch) {
  Kernel& kernel = sch.kernel;
  if (kernel.config().version < kFirst) return;
  const u32 bandwidth_ppt = parameter(sch, "rescue_bandwidth_ppt", abi::SCX_RESCUE_DFL_BW_PPT);
  const u32 quantum_us = parameter(sch, "rescue_quantum_us", abi::SCX_RESCUE_DFL_QUANTUM_US);
  if (bandwidth_ppt == abi::SCX_RESCUE_DISABLE) return;
  const u64 bandwidth = bandwidth_ppt * kCapacityScale / 1000;  // of 1024; 1 at least

  const u64 hz = kernel.config().hz;
  const u64 tick_ns = 1'000 * kNsPerMs / hz;
  const auto to_jiffies = [&](u64 ms) { return (ms * hz + 999) / 1000; };
  const auto to_ms = [&](u64 jiffies) { return jiffies * 1000 / hz; };
  const u64 quantum_ns = std::max(quantum_us * kNsPerUs, tick_ns);
  // What it takes to fund one quantum.
  const u64 period_ns = quantum_ns * kCapacityScale / bandwidth;
  const u64 overload_after = std::clamp(u64{abi::SCX_RESCUE_OVERLOAD_MULT} * period_ns / tick_ns,
                                        to_jiffies(abi::SCX_RESCUE_MIN_OVERLOAD_MS),
                                        to_jiffies(abi::SCX_RESCUE_MAX_OVERLOAD_MS));
  if (period_ns / tick_ns > overload_after / 2) {
    kernel.kernel_log(
        fmt::format("sched_ext: {}: rescue funding period {}ms > overload threshold {}ms / 2",
                    sch.ops.name, period_ns / kNsPerMs, to_ms(overload_after)));
  }
  if (sch.watchdog_timeout <= overload_after) {
    kernel.kernel_log(
        fmt::format("sched_ext: {}: watchdog timeout {}ms <= rescue overload threshold {}ms",
                    sch.ops.name, to_ms(sch.watchdog_timeout), to_ms(overload_after)));
  }
}

}  // namespace uscx::sched::ext
