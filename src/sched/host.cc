// SPDX-License-Identifier: GPL-2.0-only
// What the BPF machine asks of the kernel.
#include "sched/private.h"

namespace uscx::sched {

u64 Kernel::current_pid_tgid() {
  const Task& p = current();
  return static_cast<u64>(static_cast<u32>(p.tgid)) << 32 | static_cast<u32>(p.pid);
}

u32 Kernel::this_node() {
  return static_cast<u32>(topology().cpus[static_cast<u32>(this_cpu_)].node);
}

u32 Kernel::prandom_u32() {
  return static_cast<u32>(random_.next() >> 32);
}

std::string_view Kernel::current_comm() {
  return current().comm;
}

void Kernel::trace_printk(std::string_view text) {
  trace_.trace_printk(now(), this_cpu_, &current(), text);
}

void Kernel::kernel_log(std::string_view text) {
  trace_.kernel_log(now(), this_cpu_, &current(), text);
}

bool Kernel::is_cgroup(u64 cgroup) {
  return cgroups_->from_address(cgroup) != nullptr;
}

bool Kernel::is_task(u64 task) {
  const bpf::Extent* extent = window_->find(task);
  return extent != nullptr && extent->type == &kTaskObject && extent->start == task;
}

void Kernel::program_fault(const bpf::Program&, std::string_view text) {
  ext_->program_fault(text);
}

void Kernel::charge_instructions(u64 count) {
  Private& priv = *private_;
  const u64 ps = priv.insn_ps + count * costs().bpf_insn_ps;
  const u64 ns = ps / 1000;
  priv.insn_ps = ps - ns * 1000;
  priv.charge(ns);
}

bool Kernel::may_sleep() {
  return fiber_ != nullptr && !held().atomic();
}

}  // namespace uscx::sched
