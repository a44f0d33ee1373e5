// SPDX-License-Identifier: GPL-2.0-only
// The kernel's per-CPU variables that programs read by name. docs/fidelity.md has those that hold
// no more than their initial value.
#include "sched/private.h"

namespace uscx::sched {

namespace {

const bpf::ObjectType kPolicyObject{"cpufreq_policy"};
constexpr u32 kFrequencyKhz = 3'000'000;  // of a CPU of capacity 1024; CPUs have no other

/// One T for each CPU; programs may read them. `size` is what BTF says of the variable.
template <class T>
T* make_array(Kernel& k, const char* name) {
  T* array = static_cast<T*>(k.window().allocate(k.nr_cpus() * sizeof(T), bpf::kReadOnlyMemory));
  k.bpf().register_ksym(name, sizeof(T), true,
                        [array](u32 cpu) { return reinterpret_cast<u64>(array + cpu); });
  return array;
}

}  // namespace

void Kernel::Private::register_ksyms() {
  k.bpf_->register_ksym("runqueues", sizeof(abi::rq), true, [this](u32 cpu) {
    return reinterpret_cast<u64>(static_cast<abi::rq*>(k.rqs_[cpu]));
  });
  int* llc_id = make_array<int>(k, "sd_llc_id");
  int* llc_size = make_array<int>(k, "sd_llc_size");
  for (const auto& cpus : k.llc_cpus_) {
    for (CpuId cpu : cpus) {
      llc_id[cpu] = cpus.front();  // Linux: the LLC's first CPU names it
      llc_size[cpu] = static_cast<int>(cpus.size());
    }
  }
  auto* stat = make_array<abi::kernel_cpustat>(k, "kernel_cpustat");
  for (Rq* rq : k.rqs_) rq->times.publish_in(&stat[rq->id]);

  auto** policies = make_array<abi::cpufreq_policy*>(k, "cpufreq_cpu_data");
  for (u32 cpu = 0; cpu < k.nr_cpus(); ++cpu) {
    auto* policy = k.window_->make<abi::cpufreq_policy>(kPolicyObject);
    const u64 capacity = k.topology().cpus[cpu].capacity;
    policy->cpu = cpu;
    policy->cpuinfo.max_freq = policy->max = policy->cur =
        static_cast<u32>(kFrequencyKhz * capacity / 1024);
    policy->cpuinfo.min_freq = policy->min = policy->max;
    policies[cpu] = policy;
  }

  if (k.config_.version < btf::KernelVersion{7, 3}) {
    make_array<int>(k, "__preempt_count");
  } else {
    make_array<unsigned long>(k, "__preempt_count");
  }
  make_array<int>(k, "sched_core_priority");
  make_array<abi::vm_event_state>(k, "vm_event_states");
  auto* sugov = make_array<abi::sugov_cpu>(k, "sugov_cpu");
  for (u32 cpu = 0; cpu < k.nr_cpus(); ++cpu) sugov[cpu].cpu = cpu;
}

}  // namespace uscx::sched
