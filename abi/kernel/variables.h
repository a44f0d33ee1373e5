// SPDX-License-Identifier: GPL-2.0-only
/* Per-CPU variables programs read by typed ksym, with bpf_per_cpu_ptr() or bpf_this_cpu_ptr(). */

PERCPU_VAR(struct rq, runqueues);
PERCPU_VAR(struct kernel_cpustat, kernel_cpustat);
PERCPU_VAR(struct cpufreq_policy *, cpufreq_cpu_data);
PERCPU_VAR(struct sugov_cpu, sugov_cpu);
PERCPU_VAR(struct vm_event_state, vm_event_states);
PERCPU_VAR(int, sd_llc_id);
PERCPU_VAR(int, sd_llc_size);
PERCPU_VAR(int, sched_core_priority);
PERCPU_VAR(unsigned long, __preempt_count);
PERCPU_VAR(int, __preempt_count___until_7_3);
