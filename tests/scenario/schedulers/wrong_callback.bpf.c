// SPDX-License-Identifier: GPL-2.0-only
/* Inserts a task from a callback that may not: refused when it is loaded. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(wrong_callback_running, struct task_struct *p) {
  scx_bpf_dsq_insert(p, 0x8000000000000001ULL, 20000000, 0);
}

void BPF_STRUCT_OPS(wrong_callback_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(wrong_callback_ops,
               .running = (void *)wrong_callback_running,
               .exit = (void *)wrong_callback_exit,
               .name = "wrong_callback");
