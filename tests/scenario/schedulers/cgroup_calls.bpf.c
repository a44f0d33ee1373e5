// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps a table of cgroups and counts what it is told about them. nr_wrong: what does not fit, such
 * as a callback about a group that was never initialised, or a move that was not prepared.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, u64);
  __type(value, u32);
} weights SEC(".maps");

/* Tasks whose move was prepared, by pid: where they go. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, u32);
  __type(value, u64);
} moving SEC(".maps");

/* Groups that are still there exit: the scheduler is being disabled. Tasks run on in bypass mode. */
static bool disabling;

u64 nr_init, nr_exit, nr_prep, nr_move, nr_cancel, nr_weight, nr_bandwidth, nr_idle, nr_wrong;

UEI_DEFINE(uei);

static u64 id_of(struct cgroup *cgrp) { return cgrp->kn->id; }

static bool known(struct cgroup *cgrp) {
  u64 id = id_of(cgrp);

  if (bpf_map_lookup_elem(&weights, &id)) return true;
  nr_wrong++;
  return false;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(calls_cgroup_init, struct cgroup *cgrp,
                             struct scx_cgroup_init_args *args) {
  u64 id = id_of(cgrp);
  u32 weight = args->weight;

  nr_init++;
  if (bpf_map_update_elem(&weights, &id, &weight, BPF_NOEXIST)) nr_wrong++;
  return 0;
}

void BPF_STRUCT_OPS_SLEEPABLE(calls_cgroup_exit, struct cgroup *cgrp) {
  u64 id = id_of(cgrp);
  struct cgroup *there = bpf_cgroup_from_id(id);

  if (there) {
    disabling = true;
    bpf_cgroup_release(there);
  }
  nr_exit++;
  if (bpf_map_delete_elem(&weights, &id)) nr_wrong++;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(calls_cgroup_prep_move, struct task_struct *p, struct cgroup *from,
                             struct cgroup *to) {
  u32 pid = p->pid;
  u64 id = id_of(to);

  nr_prep++;
  known(from);
  known(to);
  if (bpf_map_update_elem(&moving, &pid, &id, BPF_NOEXIST)) nr_wrong++;
  return 0;
}

void BPF_STRUCT_OPS(calls_cgroup_move, struct task_struct *p, struct cgroup *from,
                    struct cgroup *to) {
  struct cgroup *now = scx_bpf_task_cgroup(p);
  u32 pid = p->pid;
  u64 *id = bpf_map_lookup_elem(&moving, &pid);

  nr_move++;
  if (!id || *id != id_of(to) || id_of(now) != *id) nr_wrong++;
  bpf_cgroup_release(now);
  bpf_map_delete_elem(&moving, &pid);
}

void BPF_STRUCT_OPS(calls_cgroup_cancel_move, struct task_struct *p, struct cgroup *from,
                    struct cgroup *to) {
  nr_cancel++;
}

void BPF_STRUCT_OPS(calls_cgroup_set_weight, struct cgroup *cgrp, u32 weight) {
  u64 id = id_of(cgrp);
  u32 *old = bpf_map_lookup_elem(&weights, &id);

  nr_weight++;
  if (!old || *old == weight)
    nr_wrong++;
  else
    *old = weight;
}

void BPF_STRUCT_OPS(calls_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
                    u64 burst_us) {
  nr_bandwidth++;
  known(cgrp);
}

void BPF_STRUCT_OPS(calls_cgroup_set_idle, struct cgroup *cgrp, bool idle) {
  nr_idle++;
  known(cgrp);
}

/* The group's ancestors are those of its path, and references are as many as were taken. */
void BPF_STRUCT_OPS(calls_runnable, struct task_struct *p, u64 enq_flags) {
  struct cgroup *cgrp = scx_bpf_task_cgroup(p), *same, *root;

  if (!disabling) known(cgrp);
  root = bpf_cgroup_ancestor(cgrp, 0);
  if (!root) {
    nr_wrong++;
  } else {
    if (root->level != 0 || id_of(root) != 1) nr_wrong++;
    bpf_cgroup_release(root);
  }
  same = bpf_cgroup_from_id(id_of(cgrp));
  if (same) {
    if (same != cgrp) nr_wrong++;
    bpf_cgroup_release(same);
  }
  bpf_cgroup_release(cgrp);
}

void BPF_STRUCT_OPS(calls_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

SCX_OPS_DEFINE(calls_ops,
               .runnable = (void *)calls_runnable,
               .cgroup_init = (void *)calls_cgroup_init,
               .cgroup_exit = (void *)calls_cgroup_exit,
               .cgroup_prep_move = (void *)calls_cgroup_prep_move,
               .cgroup_move = (void *)calls_cgroup_move,
               .cgroup_cancel_move = (void *)calls_cgroup_cancel_move,
               .cgroup_set_weight = (void *)calls_cgroup_set_weight,
               .cgroup_set_bandwidth = (void *)calls_cgroup_set_bandwidth,
               .cgroup_set_idle = (void *)calls_cgroup_set_idle,
               .exit = (void *)calls_exit,
               .name = "cgroup_calls");
