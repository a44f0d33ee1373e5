// SPDX-License-Identifier: GPL-2.0-only
/*
 * As little as a scheduler can be: every task goes to the built-in global
 * queue, and everything not said here is left to the kernel. Copy it, and
 * begin.
 */
#include <scx.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(greedy_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(greedy_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(greedy_ops,
               .enqueue = (void *)greedy_enqueue,
               .exit = (void *)greedy_exit,
               .name = "greedy");
