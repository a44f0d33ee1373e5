// SPDX-License-Identifier: GPL-2.0-only
/*
 * With `bounce`, puts every task that must run at once on a CPU that is busy, whatever comes back:
 * each is re-enqueued again and again without running.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define DSQ_GLOBAL 0x8000000000000001ULL
#define DSQ_LOCAL 0x8000000000000002ULL
#define ENQ_IMMED (1ULL << 33)

const volatile bool bounce;
u32 nr_enqueued;

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(reenq_loop_enqueue, struct task_struct *p, u64 enq_flags) {
  if (bounce && ++nr_enqueued > 20)
    scx_bpf_dsq_insert(p, DSQ_LOCAL, 20000000, ENQ_IMMED);
  else
    scx_bpf_dsq_insert(p, DSQ_GLOBAL, 20000000, enq_flags);
}

void BPF_STRUCT_OPS(reenq_loop_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(reenq_loop_ops,
               .enqueue = (void *)reenq_loop_enqueue,
               .exit = (void *)reenq_loop_exit,
               .name = "reenq_loop");
