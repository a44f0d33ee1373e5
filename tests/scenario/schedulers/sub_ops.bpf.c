// SPDX-License-Identifier: GPL-2.0-only
/* A table of the cpu form that wants sub-schedulers. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

s32 BPF_STRUCT_OPS_SLEEPABLE(sub_attach, struct scx_sub_attach_args *args) { return 0; }
void BPF_STRUCT_OPS(sub_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(sub_ops, .sub_attach = (void *)sub_attach, .exit = (void *)sub_exit, .name = "sub");
