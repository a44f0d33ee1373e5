// SPDX-License-Identifier: GPL-2.0-only
/* Takes only tasks whose policy is SCHED_EXT: the others stay with the fair class. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(partial_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(partial_ops,
               .exit = (void *)partial_exit,
               .flags = SCX_OPS_SWITCH_PARTIAL,
               .name = "partial");
