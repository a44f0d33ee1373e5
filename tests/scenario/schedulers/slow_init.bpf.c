// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scheduler whose callbacks do a lot: init_task, exit_task and init spin through `work` rounds,
 * so that enabling takes long and tasks run, fork and exit meanwhile. What it counts must add up:
 * every init_task has its exit_task, every enable its disable.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

const volatile u32 work = 20000;
/* Faults to inject: the errno that init or the nth init_task returns; 0: none. */
const volatile s32 fail_init = 0;
const volatile s32 fail_init_task = 0;
const volatile u32 fail_at_task = 0;

u64 nr_init, nr_exit, nr_enable, nr_disable, nr_forked;
volatile u64 sink;

UEI_DEFINE(uei);

static void spin(void) {
  u32 i;
  for (i = 0; i < work; i++) sink += i;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(slow_init_init_task, struct task_struct *p, struct scx_init_task_args *args) {
  u64 n = __sync_fetch_and_add(&nr_init, 1);
  if (args->fork) __sync_fetch_and_add(&nr_forked, 1);
  spin();
  if (fail_init_task && n == fail_at_task) {
    __sync_fetch_and_sub(&nr_init, 1);
    return fail_init_task;
  }
  return 0;
}

void BPF_STRUCT_OPS(slow_init_exit_task, struct task_struct *p, struct scx_exit_task_args *args) {
  __sync_fetch_and_add(&nr_exit, 1);
}

void BPF_STRUCT_OPS(slow_init_enable, struct task_struct *p) { __sync_fetch_and_add(&nr_enable, 1); }

void BPF_STRUCT_OPS(slow_init_disable, struct task_struct *p) { __sync_fetch_and_add(&nr_disable, 1); }

s32 BPF_STRUCT_OPS_SLEEPABLE(slow_init_init) {
  spin();
  return fail_init;
}

void BPF_STRUCT_OPS(slow_init_exit, struct scx_exit_info *info) {
  UEI_RECORD(uei, info);
  bpf_printk("init_task=%llu exit_task=%llu enable=%llu disable=%llu forked=%llu", nr_init, nr_exit, nr_enable, nr_disable, nr_forked);
}

SCX_OPS_DEFINE(slow_init_ops,
               .init_task = (void *)slow_init_init_task,
               .exit_task = (void *)slow_init_exit_task,
               .enable = (void *)slow_init_enable,
               .disable = (void *)slow_init_disable,
               .init = (void *)slow_init_init,
               .exit = (void *)slow_init_exit,
               .timeout_ms = 5000,
               .name = "slow_init");
