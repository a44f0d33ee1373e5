// SPDX-License-Identifier: GPL-2.0-only
/* Counts what waits with a counter that two CPUs can update at once. Callbacks that never overlap
 * do it no harm; where they do, counts are lost, and it notices sooner or later. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define WAITING 1

volatile u64 nr_waiting;

s32 BPF_STRUCT_OPS_SLEEPABLE(racy_counter_init) { return scx_bpf_create_dsq(WAITING, -1); }

void BPF_STRUCT_OPS(racy_counter_enqueue, struct task_struct *p, u64 enq_flags) {
  u64 before = nr_waiting;

  scx_bpf_dsq_insert(p, WAITING, SCX_SLICE_DFL, enq_flags);
  nr_waiting = before + 1;
}

void BPF_STRUCT_OPS(racy_counter_dispatch, s32 cpu, struct task_struct *prev) {
  s64 nr = nr_waiting, nr_queued = scx_bpf_dsq_nr_queued(WAITING);

  /* Each CPU may be about to insert one, or to count one. */
  if (nr - nr_queued > 2 || nr_queued - nr > 2)
    scx_bpf_error("%lld tasks are said to wait, but %lld do", nr, nr_queued);
  if (nr_waiting && scx_bpf_dsq_move_to_local(WAITING)) nr_waiting = nr_waiting - 1;
}

void BPF_STRUCT_OPS(racy_counter_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(racy_counter_ops,
               .init = (void *)racy_counter_init,
               .enqueue = (void *)racy_counter_enqueue,
               .dispatch = (void *)racy_counter_dispatch,
               .exit = (void *)racy_counter_exit,
               .name = "racy_counter");
