// SPDX-License-Identifier: GPL-2.0-only
/* Errs with dump callbacks in place; its dump is too long for what it asks for. */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define DSQ_GLOBAL 0x8000000000000001ULL

const volatile u32 lines = 1;
const volatile u32 limit = 20; /* after so many insertions; 0: never */
const volatile u32 bad;        /* a call of scx_bpf_dump() as it must not be: which */
u32 nr_enqueued;

UEI_DEFINE(uei);

#define say(fmt, args...)                                                      \
  ({                                                                            \
    static char ___text[] = fmt;                                                \
    unsigned long long ___args[___bpf_narg(args) ?: 1];                         \
    ___bpf_fill(___args, args);                                                 \
    scx_bpf_dump_bstr(___text, ___args, sizeof(___args[0]) * ___bpf_narg(args)); \
  })

void BPF_STRUCT_OPS(dumps_enqueue, struct task_struct *p, u64 enq_flags) {
  if (++nr_enqueued == limit) scx_bpf_error("on purpose");
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, 20000000, enq_flags);
}

static void say_badly(void) {
  static char number[] = "%u", unknown[] = "%q";
  unsigned long long args[13] = {1, 2};

  switch (bad) {
    case 1: scx_bpf_dump_bstr(unknown, args, 8); break;
    case 2: scx_bpf_dump_bstr(number, args, 7); break;
    case 3: scx_bpf_dump_bstr(number, args, sizeof(args)); break;
  }
}

/* A line in two calls, then lines by the dozen. */
void BPF_STRUCT_OPS(dumps_dump, struct scx_dump_ctx *dctx) {
  u32 i;

  if (bad) say_badly();
  say("kind=%d ", dctx->kind);
  say("enqueued=%u\nsecond\n", nr_enqueued);
  bpf_for(i, 0, lines) say("line %u of many, each of which takes its place\n", i);
}

/* Idle CPUs are dumped where they have something to say: CPU 0 only. */
void BPF_STRUCT_OPS(dumps_dump_cpu, struct scx_dump_ctx *dctx, s32 cpu, bool idle) {
  if (cpu == 0) say("cpu %d", cpu);
}

void BPF_STRUCT_OPS(dumps_dump_task, struct scx_dump_ctx *dctx, struct task_struct *p) {
  say("task %d\n", p->pid);
}

void BPF_STRUCT_OPS(dumps_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(dumps_ops,
               .enqueue = (void *)dumps_enqueue,
               .dump = (void *)dumps_dump,
               .dump_cpu = (void *)dumps_dump_cpu,
               .dump_task = (void *)dumps_dump_task,
               .exit = (void *)dumps_exit,
               .exit_dump_len = 8192,
               .name = "dumps");
