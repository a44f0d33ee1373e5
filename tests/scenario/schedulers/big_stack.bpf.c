// SPDX-License-Identifier: GPL-2.0-only
/* Frames that are small enough each, and too big one on the other: to be refused. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define FUNCTION(name, callee)                       \
  __attribute__((noinline)) static u64 name(u64 n) { \
    volatile u64 room[40];                           \
    room[n % 40] = n;                                \
    return callee(room[3]) + room[n % 40];           \
  }

__attribute__((noinline)) static u64 last(u64 n) { return n + 1; }
FUNCTION(upper, last)
FUNCTION(lower, upper)

void BPF_STRUCT_OPS(big_stack_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, lower(p->pid), enq_flags);
}

SCX_OPS_DEFINE(big_stack_ops, .enqueue = (void *)big_stack_enqueue, .name = "big_stack");
