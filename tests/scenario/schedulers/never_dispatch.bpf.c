// SPDX-License-Identifier: GPL-2.0-only
/* Takes every task into its custody and never gives one back: the watchdog's case. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(never_dispatch_enqueue, struct task_struct *p, u64 enq_flags) {}

void BPF_STRUCT_OPS(never_dispatch_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(never_dispatch_ops,
               .enqueue = (void *)never_dispatch_enqueue,
               .exit = (void *)never_dispatch_exit,
               .timeout_ms = 5000,
               .name = "never_dispatch");
