// SPDX-License-Identifier: GPL-2.0-only
/* Schedulers that mean harm (rodata `harm` says which): none may hang or crash what runs them. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define SLICE 20000000ULL
#define DSQ_GLOBAL 0x8000000000000001ULL
#define CLOCK_MONOTONIC 1

enum harm {
  LOOP_IN_ENQUEUE = 1,
  LOOP_IN_SELECT_CPU,
  LOOP_IN_INIT,
  LOOP_IN_DISPATCH,
  LOOP_IN_TIMER,
  LOOP_IN_EXIT,
  KICK_SELF,
  KICK_ALL,
  TIMER_AT_ONCE,
  ERROR_IN_EVERY_CALL,
  NO_SLICE,
  PRINT_A_LOT,
};

const volatile u32 harm;
const volatile u32 nr_cpus = 1;
volatile u64 sink;

struct alarm {
  struct bpf_timer timer;
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct alarm);
} alarms SEC(".maps");

UEI_DEFINE(uei);

/* No end that anybody can see. */
static void loop(u32 when) {
  if (harm != when) return;
  while (sink != 1) sink = sink + 2;
}

static void disturb(s32 cpu) {
  u32 i;

  if (harm == KICK_SELF) scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
  if (harm == KICK_ALL)
    for (i = 0; i < nr_cpus; i++) scx_bpf_kick_cpu(i, SCX_KICK_PREEMPT);
  if (harm == ERROR_IN_EVERY_CALL) scx_bpf_error("again on CPU %d", cpu);
  if (harm == PRINT_A_LOT)
    for (i = 0; i < 1000; i++) bpf_printk("line %d", i);
}

static int ring(void *map, int *key, struct alarm *alarm) {
  loop(LOOP_IN_TIMER);
  bpf_timer_start(&alarm->timer, harm == TIMER_AT_ONCE ? 0 : 1000000, 0);
  return 0;
}

s32 BPF_STRUCT_OPS(hostile_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags) {
  loop(LOOP_IN_SELECT_CPU);
  disturb(prev_cpu);
  return prev_cpu;
}

void BPF_STRUCT_OPS(hostile_enqueue, struct task_struct *p, u64 enq_flags) {
  loop(LOOP_IN_ENQUEUE);
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, harm == NO_SLICE ? 1 : SLICE, enq_flags);
  disturb(scx_bpf_task_cpu(p));
}

void BPF_STRUCT_OPS(hostile_dispatch, s32 cpu, struct task_struct *prev) {
  loop(LOOP_IN_DISPATCH);
  disturb(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(hostile_init) {
  u32 key = 0;
  struct alarm *alarm;

  loop(LOOP_IN_INIT);
  if (harm != LOOP_IN_TIMER && harm != TIMER_AT_ONCE) return 0;
  alarm = bpf_map_lookup_elem(&alarms, &key);
  if (!alarm) return -2;
  bpf_timer_init(&alarm->timer, &alarms, CLOCK_MONOTONIC);
  bpf_timer_set_callback(&alarm->timer, ring);
  return bpf_timer_start(&alarm->timer, 0, 0);
}

void BPF_STRUCT_OPS(hostile_exit, struct scx_exit_info *info) {
  loop(LOOP_IN_EXIT);
  UEI_RECORD(uei, info);
}

SCX_OPS_DEFINE(hostile_ops,
               .select_cpu = (void *)hostile_select_cpu,
               .enqueue = (void *)hostile_enqueue,
               .dispatch = (void *)hostile_dispatch,
               .init = (void *)hostile_init,
               .exit = (void *)hostile_exit,
               .timeout_ms = 500,
               .name = "hostile");
