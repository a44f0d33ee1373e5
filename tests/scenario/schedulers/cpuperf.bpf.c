// SPDX-License-Identifier: GPL-2.0-only
/*
 * What CPUs can, and what is asked of them: ops.init(), with no runqueue locked, sets a target for
 * each CPU; ops.dispatch() sees its own in the runqueue, and sets another.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define MAX_CPUS 64
#define ONE 1024

const volatile bool leave; /* no targets are set */

u32 capacity[MAX_CPUS], speed[MAX_CPUS];
u64 nr_first, nr_second, nr_default, nr_wrong;

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(cpuperf_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(cpuperf_dispatch, s32 cpu, struct task_struct *prev) {
  struct rq *rq = scx_bpf_locked_rq();
  u32 target;

  if (!rq) return;
  target = rq->scx.cpuperf_target;
  if (target == ONE && leave)
    __sync_fetch_and_add(&nr_default, 1);
  else if (target == 100 + (u32)cpu)
    __sync_fetch_and_add(&nr_first, 1);
  else if (target == 500 + (u32)cpu)
    __sync_fetch_and_add(&nr_second, 1);
  else
    __sync_fetch_and_add(&nr_wrong, 1);
  if (!leave) scx_bpf_cpuperf_set(cpu, 500 + cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(cpuperf_init) {
  u32 nr_cpus = scx_bpf_nr_cpu_ids(), i;

  bpf_for(i, 0, nr_cpus) {
    if (i >= MAX_CPUS) break;
    capacity[i] = scx_bpf_cpuperf_cap(i);
    speed[i] = scx_bpf_cpuperf_cur(i);
    if (!leave) scx_bpf_cpuperf_set(i, 100 + i);
  }
  return 0;
}

void BPF_STRUCT_OPS(cpuperf_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(cpuperf_ops,
               .enqueue = (void *)cpuperf_enqueue,
               .dispatch = (void *)cpuperf_dispatch,
               .init = (void *)cpuperf_init,
               .exit = (void *)cpuperf_exit,
               .name = "cpuperf");
