// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kicks a CPU (rodata `call` says how) from an NMI: a tracing program that runs when an NMI handler
 * has returned. What it was told is kept, to be looked at.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define DSQ_GLOBAL 0x8000000000000001ULL

const volatile u32 call; /* 0: none, 1: a kick, 2: of an idle CPU, 3: the scheduler's own error */

u64 nr_nmis, nr_handled, nr_stored;
s64 deleted; /* what bpf_task_storage_delete() says there */

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, u64);
} storage SEC(".maps");

UEI_DEFINE(uei);

SEC("tp_btf/nmi_handler")
int BPF_PROG(errors_nmi_handler, void *handler, s64 delta_ns, int handled) {
  static char text[] = "an NMI";
  unsigned long long none = 0;

  __sync_fetch_and_add(&nr_nmis, 1);
  __sync_fetch_and_add(&nr_handled, handled);
  if (bpf_task_storage_get(&storage, bpf_get_current_task_btf(), NULL, 1)) {
    __sync_fetch_and_add(&nr_stored, 1);
    deleted = bpf_task_storage_delete(&storage, bpf_get_current_task_btf());
  }
  switch (call) {
    case 1: scx_bpf_kick_cpu(bpf_get_smp_processor_id(), 0); break;
    case 2: scx_bpf_kick_cpu(bpf_get_smp_processor_id(), SCX_KICK_IDLE); break;
    case 3: scx_bpf_error_bstr(text, &none, 0); break;
  }
  return 0;
}

void BPF_STRUCT_OPS(errors_nmi_enqueue, struct task_struct *p, u64 enq_flags) {
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(errors_nmi_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(errors_nmi_ops,
               .enqueue = (void *)errors_nmi_enqueue,
               .exit = (void *)errors_nmi_exit,
               .name = "errors_nmi");
