// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scheduler of the cpu form that uses the kfuncs of cids and of sub-schedulers, which it may: so
 * as they must not be used (rodata `mode` says how), and as they may (mode 0), with what they said.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define SLICE 20000000ULL
#define DSQ_GLOBAL 0x8000000000000001ULL
#define MAX_CPUS 64

const volatile u32 mode;
const volatile u32 nr_cpus = 4;
u32 nr_enqueued;

/* What the kfuncs say: by cid, except cid_of_cpu. */
s32 cpu_of_cid[MAX_CPUS], cid_of_cpu[MAX_CPUS];
s32 core_cid[MAX_CPUS], core_idx[MAX_CPUS], llc_cid[MAX_CPUS], llc_idx[MAX_CPUS];
s32 node_cid[MAX_CPUS], node_idx[MAX_CPUS], shard_cid[MAX_CPUS], shard_idx[MAX_CPUS];
u32 nr_cids, nr_online_cids;
u64 nr_wrong; /* cids that do not say what CPU numbers say */
u64 tail;     /* what lies behind the kernel's topology in a larger struct */

s32 cids[MAX_CPUS]; /* for the override */

UEI_DEFINE(uei);

/* As the kernel's is in 7.3, and more; 7.2's ends before shard_cid. Not relocated: the kfunc fills
 * what a program's struct has. */
struct topo {
  s32 core_cid, core_idx, llc_cid, llc_idx, node_cid, node_idx, shard_cid, shard_idx;
  u64 more;
} __attribute__((aligned(8)));

static void kill_child(void) {
  static char words[] = "enough";
  unsigned long long none[1];

  scx_bpf_sub_kill_bstr(1, words, none, 0);
}

static void call_badly(struct task_struct *p) {
  struct topo topo;

  switch (mode) {
    case 1: scx_bpf_kick_cid(99, 0); break;
    case 2: scx_bpf_cid_to_cpu(-1); break;
    case 3: scx_bpf_cidperf_cap(nr_cpus); break;
    case 4: scx_bpf_cidperf_cur(nr_cpus); break;
    case 5: scx_bpf_cid_curr(nr_cpus); break;
    case 6: scx_bpf_cid_topo(nr_cpus, (void *)&topo, sizeof(topo)); break;
    case 7: scx_bpf_cpu_to_cid(64); break;
    case 8: scx_bpf_kick_cid(0, SCX_KICK_IDLE | SCX_KICK_PREEMPT); break;
    case 10: kill_child(); break;
  }
}

/* 7.2's returned nothing. */
static void set_perf(s32 cid, u32 perf) {
  if (bpf_ksym_exists(scx_bpf_cidperf_set___until_7_3))
    scx_bpf_cidperf_set___until_7_3(cid, perf);
  else if (bpf_ksym_exists(scx_bpf_cidperf_set))
    scx_bpf_cidperf_set(cid, perf);
}

void BPF_STRUCT_OPS(errors_cid_enqueue, struct task_struct *p, u64 enq_flags) {
  if (__sync_fetch_and_add(&nr_enqueued, 1) == 20) {
    call_badly(p);
    if (mode == 12) set_perf(nr_cpus, 512);
    if (mode == 13) set_perf(0, 5000);
  }
  if (scx_bpf_task_cid(p) != scx_bpf_cpu_to_cid(scx_bpf_task_cpu(p))) nr_wrong++;
  if (scx_bpf_cid_to_cpu(scx_bpf_this_cid()) != (s32)bpf_get_smp_processor_id()) nr_wrong++;
  scx_bpf_kick_cid(scx_bpf_task_cid(p), SCX_KICK_IDLE);
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, enq_flags);
}

void BPF_STRUCT_OPS(errors_cid_dispatch, s32 cpu, struct task_struct *prev) {
  if (mode == 11) {
    if (scx_bpf_sub_dispatch(0) || scx_bpf_sub_dispatch(1)) nr_wrong++;
  }
}

static void look(void) {
  struct topo t;
  u32 i;

  nr_cids = scx_bpf_nr_cids();
  nr_online_cids = scx_bpf_nr_online_cids();
  bpf_for(i, 0, nr_cpus) {
    if (i >= MAX_CPUS) break;
    cid_of_cpu[i] = scx_bpf_cpu_to_cid(i);
    cpu_of_cid[i] = scx_bpf_cid_to_cpu(i);
    scx_bpf_cid_topo(i, (void *)&t, sizeof(t));
    core_cid[i] = t.core_cid, core_idx[i] = t.core_idx;
    llc_cid[i] = t.llc_cid, llc_idx[i] = t.llc_idx;
    node_cid[i] = t.node_cid, node_idx[i] = t.node_idx;
    shard_cid[i] = t.shard_cid, shard_idx[i] = t.shard_idx;
    tail = t.more;
  }
}

s32 BPF_STRUCT_OPS_SLEEPABLE(errors_cid_init) {
  u32 i;

  if (bpf_ksym_exists(scx_bpf_cid_override___until_7_3)) {
    bpf_for(i, 0, MAX_CPUS) cids[i] = nr_cpus - 1 - i;
    if (mode == 20) scx_bpf_cid_override___until_7_3(cids, 12);
    if (mode == 21) cids[1] = cids[0];
    if (mode == 22) cids[1] = nr_cpus;
    if (mode == 21 || mode == 22 || mode == 23) scx_bpf_cid_override___until_7_3(cids, 16);
  }
  look();
  return 0;
}

void BPF_STRUCT_OPS(errors_cid_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(errors_cid_ops,
               .enqueue = (void *)errors_cid_enqueue,
               .dispatch = (void *)errors_cid_dispatch,
               .init = (void *)errors_cid_init,
               .exit = (void *)errors_cid_exit,
               .name = "errors_cid");
