// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each queue is destroyed by who finds it empty, while others may be about to insert into it: a race
 * of two CPUs, which shows where callbacks overlap.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define NR_QUEUES 2000

u64 current_queue = 1;

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(errors_race_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, current_queue, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(errors_race_dispatch, s32 cpu, struct task_struct *prev) {
  u64 queue = current_queue;

  if (scx_bpf_dsq_move_to_local(queue) || queue == NR_QUEUES) return;
  if (!__sync_bool_compare_and_swap(&current_queue, queue, queue + 1)) return;
  if (scx_bpf_dsq_nr_queued(queue) == 0) scx_bpf_destroy_dsq(queue);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(errors_race_init) {
  u64 queue;
  s32 ret;

  bpf_for(queue, 1, NR_QUEUES + 1) {
    ret = scx_bpf_create_dsq(queue, -1);
    if (ret) return ret;
  }
  return 0;
}

void BPF_STRUCT_OPS(errors_race_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(errors_race_ops,
               .enqueue = (void *)errors_race_enqueue,
               .dispatch = (void *)errors_race_dispatch,
               .init = (void *)errors_race_init,
               .exit = (void *)errors_race_exit,
               .name = "errors_race");
