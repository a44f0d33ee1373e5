// SPDX-License-Identifier: GPL-2.0-only
/*
 * Breaks one rule of sched_ext (rodata `mode` says which), to see the kernel's words. The table of
 * rules is tests/scenario/errors/messages.json; kfunc_misuse.bpf.c breaks those of single kfuncs.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define SLICE 20000000ULL
#define FIFO_DSQ 3
#define VTIME_DSQ 4
#define DSQ_GLOBAL 0x8000000000000001ULL
#define DSQ_LOCAL 0x8000000000000002ULL
#define DSQ_LOCAL_ON 0xc000000000000000ULL

const volatile u32 mode;
u32 nr_enqueued;

UEI_DEFINE(uei);

static bool is_kworker(const struct task_struct *p) {
  return p->comm[0] == 'k' && p->comm[1] == 'w' && p->comm[2] == 'o';
}

/* Another task than `p`, and not on its CPU if `remote`: whoever of the first 64 comes first. */
static struct task_struct *other_than(struct task_struct *p, bool remote) {
  struct task_struct *other;
  s32 pid;

  bpf_for(pid, 2, 64) {
    other = bpf_task_from_pid(pid);
    if (!other) continue;
    if (other->pid != p->pid && (!remote || scx_bpf_task_cpu(other) != scx_bpf_task_cpu(p)))
      return other;
    bpf_task_release(other);
  }
  return NULL;
}

static void format(char *text, u32 size) {
  unsigned long long args[13] = {1, 2};

  scx_bpf_error_bstr(text, args, size);
}

static void cross_task(struct task_struct *p, bool select) {
  struct task_struct *other = other_than(p, select);
  bool idle;

  if (!other) return;
  if (select)
    scx_bpf_select_cpu_dfl(other, 0, 0, &idle);
  else
    bpf_cgroup_release(scx_bpf_task_cgroup(other));
  bpf_task_release(other);
}

static bool insert_other(struct task_struct *p) {
  struct task_struct *other = other_than(p, false);

  if (!other) return false;
  scx_bpf_dsq_insert(other, DSQ_GLOBAL, SLICE, 0);
  bpf_task_release(other);
  return true;
}

static bool enqueue_badly(struct task_struct *p, u64 enq_flags) {
  switch (mode) {
    case 1: return insert_other(p);
    case 2: scx_bpf_dsq_insert(p, FIFO_DSQ, SLICE, 0); return true;
    case 3: scx_bpf_dsq_insert_vtime(p, VTIME_DSQ, SLICE, 1, 0); return true;
    case 4:
      if (is_kworker(p)) return true; /* never to be run again */
      return false;
    case 5: scx_bpf_dsq_insert(p, DSQ_LOCAL_ON | !scx_bpf_task_cpu(p), SLICE, 0); return true;
    case 6: scx_bpf_dsq_insert(p, DSQ_LOCAL, SLICE, 1ULL << 34); return true; /* RESCUE */
    case 7: scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, 1ULL << 34); return true;
    case 8: return !is_kworker(p); /* never dispatched */
    case 9: scx_bpf_destroy_dsq(FIFO_DSQ); return false;
    case 11:
      /* the program that runs disables it for the current task, too */
      if (p->migration_disabled <= (p == bpf_get_current_task_btf())) return false;
      scx_bpf_dsq_insert(p, DSQ_LOCAL_ON | !scx_bpf_task_cpu(p), SLICE, 0);
      return true;
  }
  return false;
}

static void call_badly(struct task_struct *p) {
  static char bad[] = "%q", good[] = "%u";

  switch (mode) {
    case 20: format(good, 7); break;
    case 21: format(good, 13 * 8); break;
    case 22: format(bad, 8); break;
    case 23: cross_task(p, false); break;
    case 24: cross_task(p, true); break;
    case 25: scx_bpf_put_idle_cpumask(scx_bpf_get_idle_cpumask()); break;
    case 26: scx_bpf_pick_idle_cpu(p->cpus_ptr, 0); break;
    case 27: scx_bpf_pick_any_cpu(p->cpus_ptr, 0); break;
    case 28: scx_bpf_pick_idle_cpu_node(p->cpus_ptr, 99, 0); break;
    case 29: scx_bpf_test_and_clear_cpu_idle(0); break;
    case 31: scx_bpf_pick_idle_cpu_node(p->cpus_ptr, 1, 0); break;
    case 30: scx_bpf_cpuperf_set(!scx_bpf_task_cpu(p), 512); break;
  }
}

void BPF_STRUCT_OPS(errors_enqueue, struct task_struct *p, u64 enq_flags) {
  __sync_fetch_and_add(&nr_enqueued, 1);
  if (nr_enqueued > 50) {
    if (enqueue_badly(p, enq_flags)) return;
    call_badly(p);
  }
  if (mode == 2) {
    scx_bpf_dsq_insert_vtime(p, FIFO_DSQ, SLICE, 1, enq_flags);
    return;
  }
  if (mode == 3 || mode == 9) {
    scx_bpf_dsq_insert(p, mode == 3 ? VTIME_DSQ : FIFO_DSQ, SLICE, enq_flags);
    return;
  }
  scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, enq_flags);
}

void BPF_STRUCT_OPS(errors_dispatch, s32 cpu, struct task_struct *prev) {
  struct task_struct *p;
  u32 i;

  if (mode == 10) {
    p = bpf_task_from_pid(2);
    if (!p) return;
    bpf_for(i, 0, 40) scx_bpf_dsq_insert(p, DSQ_GLOBAL, SLICE, 0);
    bpf_task_release(p);
    return;
  }
  /* Tasks stay in these for a while, so that the next insertion finds some. */
  if ((mode == 2 || mode == 3 || mode == 9) && nr_enqueued < 50)
    scx_bpf_dsq_move_to_local(mode == 3 ? VTIME_DSQ : FIFO_DSQ);
}

#ifndef ERRORS_IDLE
s32 BPF_STRUCT_OPS_SLEEPABLE(errors_init_task, struct task_struct *p,
                             struct scx_init_task_args *args) {
  if (mode == 40 && !args->fork) return -12;
  if (mode == 41 && !args->fork) return 5;
  if (mode == 42 && args->fork) p->scx.disallow = true;
  return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(errors_cgroup_init, struct cgroup *cgrp,
                             struct scx_cgroup_init_args *args) {
  return mode == 43 ? -28 : 0;
}

s32 BPF_STRUCT_OPS(errors_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags) {
  return mode == 44 ? 4711 : prev_cpu;
}

#endif

s32 BPF_STRUCT_OPS_SLEEPABLE(errors_init) {
  s32 ret;

  if (mode == 45) return -5;
  if (mode == 46) return 12345;
  if (mode == 47) scx_bpf_locked_rq();
  ret = scx_bpf_create_dsq(FIFO_DSQ, -1);
  return ret ?: scx_bpf_create_dsq(VTIME_DSQ, -1);
}

#ifdef ERRORS_IDLE
void BPF_STRUCT_OPS(errors_update_idle, s32 cpu, bool idle) {}
#endif

void BPF_STRUCT_OPS(errors_exit, struct scx_exit_info *info) { UEI_RECORD(uei, info); }

#ifndef ERRORS_IDLE
SCX_OPS_DEFINE(errors_ops,
               .select_cpu = (void *)errors_select_cpu,
               .enqueue = (void *)errors_enqueue,
               .dispatch = (void *)errors_dispatch,
               .init_task = (void *)errors_init_task,
               .cgroup_init = (void *)errors_cgroup_init,
               .init = (void *)errors_init,
               .exit = (void *)errors_exit,
               .name = "errors");
#else
SCX_OPS_DEFINE(errors_idle_ops,
               .enqueue = (void *)errors_enqueue,
               .dispatch = (void *)errors_dispatch,
               .update_idle = (void *)errors_update_idle,
               .init = (void *)errors_init,
               .exit = (void *)errors_exit,
               .name = "errors_idle");
#endif
