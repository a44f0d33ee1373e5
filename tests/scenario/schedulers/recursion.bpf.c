// SPDX-License-Identifier: GPL-2.0-only
/* A function that calls itself: to be refused. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

volatile u64 depth;

__attribute__((noinline)) static u64 deeper(u64 n) {
  depth = n;
  if (n < 1000) n += deeper(n + 1);
  return n + depth;
}

void BPF_STRUCT_OPS(recursion_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, deeper(0), enq_flags);
}

SCX_OPS_DEFINE(recursion_ops, .enqueue = (void *)recursion_enqueue, .name = "recursion");
