// SPDX-License-Identifier: GPL-2.0-only
/* Uses one kfunc as it must not be used (rodata `misuse` says which), to see the kernel's words. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define SLICE 20000000ULL
#define MY_DSQ 3
#define DSQ_GLOBAL 0x8000000000000001ULL
#define DSQ_LOCAL 0x8000000000000002ULL
#define DSQ_LOCAL_ON 0xc000000000000000ULL
#define ENQ_IMMED (1ULL << 33)

const volatile u32 misuse;
u32 nr_enqueued;

UEI_DEFINE(uei);

static void text(s64 code, bool exit) {
  static char format[] = "n=%u";
  unsigned long long args[] = {nr_enqueued};
  if (exit)
    scx_bpf_exit_bstr(code, format, args, sizeof(args));
  else
    scx_bpf_dump_bstr(format, args, sizeof(args));
}

/* True where `p` has been dealt with. */
static bool insert(struct task_struct *p) {
  switch (misuse) {
    case 1: scx_bpf_dsq_insert(p, 0x1234, SLICE, 0); return true;
    case 2: scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, 1ULL << 60); return true;
    case 3: scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, ENQ_IMMED); return true;
    case 4: scx_bpf_dsq_insert_vtime(p, DSQ_LOCAL, SLICE, 1, 0); return true;
    case 5: scx_bpf_dsq_insert(p, DSQ_LOCAL_ON | 63, SLICE, 0); return true;
    case 6: scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, 0); return false;
  }
  return false;
}

static void call(struct task_struct *p) {
  bool idle;

  switch (misuse) {
    case 10: scx_bpf_kick_cpu(77, 0); break;
    case 11: scx_bpf_kick_cpu(1, SCX_KICK_IDLE | SCX_KICK_PREEMPT); break;
    case 12: scx_bpf_dsq_nr_queued(DSQ_LOCAL_ON | 99); break;
    case 13: scx_bpf_cpuperf_set(0, 5000); break;
    case 14: text(0, false); break;
    case 15: text(42, true); break;
    case 16: scx_bpf_dsq_peek(DSQ_GLOBAL); break;
    case 17: scx_bpf_dsq_peek(5); break;
    case 18: scx_bpf_dsq_reenq(DSQ_GLOBAL, 0); break;
    case 19: scx_bpf_dsq_reenq(DSQ_LOCAL, 1ULL << 33); break;
    case 20: scx_bpf_test_and_clear_cpu_idle(-2); break;
    case 21: scx_bpf_put_idle_cpumask(scx_bpf_get_idle_cpumask_node(0)); break;
    case 22: scx_bpf_select_cpu_dfl(p, 1000, 0, &idle); break;
    case 23: scx_bpf_cpu_node(64); break;
    case 24: scx_bpf_tid_to_task(1); break;
  }
}

void BPF_STRUCT_OPS(kfunc_misuse_enqueue, struct task_struct *p, u64 enq_flags) {
  if (++nr_enqueued == 20) {
    if (insert(p)) return;
    call(p);
  }
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, enq_flags);
}

void BPF_STRUCT_OPS(kfunc_misuse_dispatch, s32 cpu, struct task_struct *prev) {
  if (misuse == 30) scx_bpf_dsq_move_to_local(0x77);
  if (misuse == 31) scx_bpf_dispatch_cancel();
}

s32 BPF_STRUCT_OPS_SLEEPABLE(kfunc_misuse_init) { return scx_bpf_create_dsq(MY_DSQ, -1); }

void BPF_STRUCT_OPS(kfunc_misuse_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(kfunc_misuse_ops,
               .enqueue = (void *)kfunc_misuse_enqueue,
               .dispatch = (void *)kfunc_misuse_dispatch,
               .init = (void *)kfunc_misuse_init,
               .exit = (void *)kfunc_misuse_exit,
               .name = "kfunc_misuse");
