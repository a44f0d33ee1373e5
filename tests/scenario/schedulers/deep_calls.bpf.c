// SPDX-License-Identifier: GPL-2.0-only
/* More nested calls than a program may have frames: to be refused. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

volatile u64 depth;

#define FUNCTION(name, callee)                         \
  __attribute__((noinline)) static u64 name(u64 n) {   \
    depth = n;                                         \
    return callee(n + depth) + depth;                  \
  }

__attribute__((noinline)) static u64 last(u64 n) { return n + depth; }
FUNCTION(f1, last)
FUNCTION(f2, f1)
FUNCTION(f3, f2)
FUNCTION(f4, f3)
FUNCTION(f5, f4)
FUNCTION(f6, f5)
FUNCTION(f7, f6)
FUNCTION(f8, f7)
FUNCTION(f9, f8)
FUNCTION(f10, f9)
FUNCTION(f11, f10)
FUNCTION(f12, f11)
FUNCTION(f13, f12)
FUNCTION(f14, f13)
FUNCTION(f15, f14)
FUNCTION(f16, f15)

void BPF_STRUCT_OPS(deep_calls_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, f16(1), enq_flags);
}

SCX_OPS_DEFINE(deep_calls_ops, .enqueue = (void *)deep_calls_enqueue, .name = "deep_calls");
