// SPDX-License-Identifier: GPL-2.0-only
/* Once, ops.enqueue() loops for as many rounds as it is told, with the runqueue locked. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define DSQ_GLOBAL 0x8000000000000001ULL

const volatile u32 rounds;
const volatile s32 only_cpu = -1; /* on this CPU; -1: on any */
u64 nr_enqueued, sum;

UEI_DEFINE(uei);

static long one_round(u64 i, void *unused) {
  sum += i;
  return 0;
}

void BPF_STRUCT_OPS(errors_stuck_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
  if (only_cpu >= 0 && (s32)bpf_get_smp_processor_id() != only_cpu) return;
  if (__sync_fetch_and_add(&nr_enqueued, 1) == 20) bpf_loop(rounds, one_round, NULL, 0);
}

void BPF_STRUCT_OPS(errors_stuck_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(errors_stuck_ops,
               .enqueue = (void *)errors_stuck_enqueue,
               .exit = (void *)errors_stuck_exit,
               .name = "errors_stuck");
