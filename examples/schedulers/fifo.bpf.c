// SPDX-License-Identifier: GPL-2.0-only
/*
 * One queue for the whole machine, first in, first out.
 *
 * The smallest scheduler that is complete: a waking task takes an idle CPU if
 * there is one, otherwise it waits at the end of one shared queue, from which
 * every CPU that runs out of work takes the first. It is fair to nobody and
 * starves nobody, which makes it a good place to begin.
 *
 *   uscx run fifo.bpf.o --set slice_ns=5000000
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

/* How long a task may run before the next gets its turn. */
const volatile u64 slice_ns = 20000000;

/* How often a task found an idle CPU, and how often it had to wait. */
u64 nr_idle, nr_queued;

/* The queue's id: any number below 2^63 is ours to choose. */
#define SHARED_DSQ 0

UEI_DEFINE(uei);

/* A task wakes up: where shall it run? */
s32 BPF_STRUCT_OPS(fifo_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags) {
  bool is_idle = false;
  s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

  if (is_idle) {
    /* The CPU's own queue; enqueue is then not called for this wakeup. */
    __sync_fetch_and_add(&nr_idle, 1);
    scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
  }
  return cpu;
}

/* A task is ready to run and no CPU was idle: it waits. */
void BPF_STRUCT_OPS(fifo_enqueue, struct task_struct *p, u64 enq_flags) {
  __sync_fetch_and_add(&nr_queued, 1);
  scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns, enq_flags);
}

/* A CPU has nothing left to run: it takes the first that waits. */
void BPF_STRUCT_OPS(fifo_dispatch, s32 cpu, struct task_struct *prev) {
  scx_bpf_dsq_move_to_local(SHARED_DSQ);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fifo_init) { return scx_bpf_create_dsq(SHARED_DSQ, -1); }

void BPF_STRUCT_OPS(fifo_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(fifo_ops,
               .select_cpu = (void *)fifo_select_cpu,
               .enqueue = (void *)fifo_enqueue,
               .dispatch = (void *)fifo_dispatch,
               .init = (void *)fifo_init,
               .exit = (void *)fifo_exit,
               .timeout_ms = 5000,
               .name = "fifo");
