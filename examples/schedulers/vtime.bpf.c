// SPDX-License-Identifier: GPL-2.0-only
/*
 * Weighted fair queueing over one queue for the whole machine.
 *
 * Every task carries a virtual time: the time it ran, divided by its weight.
 * The task with the smallest runs next, so that over time each gets CPU in
 * proportion to its weight (nice 0 is weight 100). The virtual time of the task
 * last put on a CPU is the clock of the whole: a task that slept comes back at
 * most one slice behind it, so that sleeping earns no unbounded credit.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

const volatile u64 slice_ns = 20000000;

#define SHARED_DSQ 0

/* The virtual time of the task that was last put on a CPU. */
static u64 vtime_now;

UEI_DEFINE(uei);

s32 BPF_STRUCT_OPS(vtime_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags) {
  bool is_idle = false;
  s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);

  if (is_idle) scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
  return cpu;
}

void BPF_STRUCT_OPS(vtime_enqueue, struct task_struct *p, u64 enq_flags) {
  u64 vtime = p->scx.dsq_vtime;

  if (time_before(vtime, vtime_now - slice_ns)) vtime = vtime_now - slice_ns;
  scx_bpf_dsq_insert_vtime(p, SHARED_DSQ, slice_ns, vtime, enq_flags);
}

void BPF_STRUCT_OPS(vtime_dispatch, s32 cpu, struct task_struct *prev) {
  scx_bpf_dsq_move_to_local(SHARED_DSQ);
}

/* Two CPUs may write the clock at once and one step be lost; it is made up for by the next. */
void BPF_STRUCT_OPS(vtime_running, struct task_struct *p) {
  if (time_before(vtime_now, p->scx.dsq_vtime)) vtime_now = p->scx.dsq_vtime;
}

/* What is left of the slice says how long the task ran. */
void BPF_STRUCT_OPS(vtime_stopping, struct task_struct *p, bool runnable) {
  u64 ran = slice_ns - p->scx.slice;

  scx_bpf_task_set_dsq_vtime(p, p->scx.dsq_vtime + ran * 100 / p->scx.weight);
}

void BPF_STRUCT_OPS(vtime_enable, struct task_struct *p) {
  scx_bpf_task_set_dsq_vtime(p, vtime_now);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(vtime_init) { return scx_bpf_create_dsq(SHARED_DSQ, -1); }

void BPF_STRUCT_OPS(vtime_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(vtime_ops,
               .select_cpu = (void *)vtime_select_cpu,
               .enqueue = (void *)vtime_enqueue,
               .dispatch = (void *)vtime_dispatch,
               .running = (void *)vtime_running,
               .stopping = (void *)vtime_stopping,
               .enable = (void *)vtime_enable,
               .init = (void *)vtime_init,
               .exit = (void *)vtime_exit,
               .timeout_ms = 5000,
               .name = "vtime");
