// SPDX-License-Identifier: GPL-2.0-only
/* Ends itself with words of its own. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

u32 nr_enqueued;

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(big_words_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, 0x8000000000000001ULL, 20000000, enq_flags);
  if (++nr_enqueued == 42) scx_bpf_error("these are my words: %u", nr_enqueued);
}

void BPF_STRUCT_OPS(big_words_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(big_words_ops,
               .enqueue = (void *)big_words_enqueue,
               .exit = (void *)big_words_exit,
               .name = "big_words");
