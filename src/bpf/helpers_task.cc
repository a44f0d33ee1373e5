// SPDX-License-Identifier: GPL-2.0-only
// Helpers about time, CPUs, the current task, and memory.
#include <algorithm>
#include <cstring>

#include "bpf/bpf.h"
#include "bpf/format.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

using A = ArgKind;
constexpr u64 kJiffyNs = 4'000'000;                         // HZ = 250
constexpr u64 kInitialJiffies = 0x1'0000'0000 - 300 * 250;  // INITIAL_JIFFIES: five minutes early
constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}

u64 ktime(HelperCall& call) {
  return call.bpf.host().ktime_ns();
}
u64 ktime_coarse(HelperCall& call) {
  return call.bpf.host().ktime_ns() / kJiffyNs * kJiffyNs;  // as of the last tick
}
u64 jiffies(HelperCall& call) {
  return kInitialJiffies + call.bpf.host().ktime_ns() / kJiffyNs;
}
u64 prandom(HelperCall& call) {
  return call.bpf.host().prandom_u32();
}
u64 this_cpu(HelperCall& call) {
  return call.bpf.host().this_cpu();
}
u64 numa_node(HelperCall& call) {
  return call.bpf.host().this_node();
}
u64 current_task(HelperCall& call) {
  return call.bpf.host().current_task();
}
u64 pid_tgid(HelperCall& call) {
  return call.bpf.host().current_pid_tgid();
}
u64 uid_gid(HelperCall&) {
  return 0;
}  // everything simulated runs as root

/// The function that a tracing program is attached to, at the address a ksym of it would have.
u64 func_ip(HelperCall& call) {
  const Program& program = call.program;
  return program.type == uapi::kProgTracing ? kernel_text_address(program.attach_btf_id) : 0;
}

u64 current_comm(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  auto* to = static_cast<char*>(call.memory(0, size, true));
  if (!to) return 0;
  if (size == 0) return error_value(EINVAL);
  const std::string_view comm = call.bpf.host().current_comm();
  std::memset(to, 0, size);
  std::memcpy(to, comm.data(), std::min<std::size_t>(comm.size(), size - 1));
  return 0;
}

u64 probe_read_kernel(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  void* to = call.memory(0, size, true);
  if (!to) return 0;
  if (read_kernel(call.bpf.window(), to, call.args[2], size)) return 0;
  std::memset(to, 0, size);
  return error_value(EFAULT);
}

u64 probe_read_kernel_str(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  void* to = call.memory(0, size, true);
  if (!to) return 0;
  const auto text = read_kernel_string(call.bpf.window(), call.args[2], size);
  if (!text) {
    std::memset(to, 0, size);
    return error_value(EFAULT);
  }
  std::memcpy(to, text->c_str(), text->size() + 1);
  return text->size() + 1;
}

/// Simulated tasks have no user memory.
u64 read_user(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  void* to = call.memory(0, size, true);
  if (!to) return 0;
  std::memset(to, 0, size);
  return error_value(EFAULT);
}

}  // namespace

void add_task_helpers(HelperTable& table) {
  table.add({5, "bpf_ktime_get_ns", ktime, {}});
  table.add({125, "bpf_ktime_get_boot_ns", ktime, {}});
  table.add({208, "bpf_ktime_get_tai_ns", ktime, {}});
  table.add({160, "bpf_ktime_get_coarse_ns", ktime_coarse, {}});
  table.add({118, "bpf_jiffies64", jiffies, {}});
  table.add({7, "bpf_get_prandom_u32", prandom, {}});
  table.add({8, "bpf_get_smp_processor_id", this_cpu, {}});
  table.add({42, "bpf_get_numa_node_id", numa_node, {}});
  table.add({35, "bpf_get_current_task", current_task, {}});
  table.add({158, "bpf_get_current_task_btf", current_task, {}});
  table.add({14, "bpf_get_current_pid_tgid", pid_tgid, {}});
  table.add({15, "bpf_get_current_uid_gid", uid_gid, {}});
  table.add({173, "bpf_get_func_ip", func_ip, {A::kCtx}});
  table.add({16, "bpf_get_current_comm", current_comm, {A::kMemUninit, A::kSize}});
  for (u32 id : {4u, 113u}) {
    table.add({id,
               id == 4 ? "bpf_probe_read" : "bpf_probe_read_kernel",
               probe_read_kernel,
               {A::kMemUninit, A::kSizeOrZero, A::kAnything}});
  }
  for (u32 id : {45u, 115u}) {
    table.add({id,
               id == 45 ? "bpf_probe_read_str" : "bpf_probe_read_kernel_str",
               probe_read_kernel_str,
               {A::kMemUninit, A::kSizeOrZero, A::kAnything}});
  }
  table.add({112, "bpf_probe_read_user", read_user, {A::kMemUninit, A::kSizeOrZero, A::kAnything}});
  table.add(
      {114, "bpf_probe_read_user_str", read_user, {A::kMemUninit, A::kSizeOrZero, A::kAnything}});
  table.add(
      {148, "bpf_copy_from_user", read_user, {A::kMemUninit, A::kSizeOrZero, A::kAnything}, true});
  table.add({191,
             "bpf_copy_from_user_task",
             read_user,
             {A::kMemUninit, A::kSizeOrZero, A::kAnything, A::kBtfPtr, A::kAnything},
             true});
}

}  // namespace uscx::bpf
