// SPDX-License-Identifier: GPL-2.0-only
/* A BPF object with a program, but no scheduler. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

SEC("syscall")
int nothing(void *ctx) { return 0; }
