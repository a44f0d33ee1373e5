// SPDX-License-Identifier: GPL-2.0-only
/* Nothing but a name: the kernel's defaults, with whatever flags the loader sets. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(noenq_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(noenq_ops, .exit = (void *)noenq_exit, .name = "noenq");
