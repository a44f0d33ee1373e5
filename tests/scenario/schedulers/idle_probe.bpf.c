// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks the built-in idle selection one question. At a wakeup of a task called
 * "probe" at which the CPUs of `want_idle` are idle, it claims all others, so
 * that exactly these are left, and asks: which CPU for a task that ran on
 * `want_prev`? The loader reads the answer. Runs on a real kernel as well.
 */
#include "scx.bpf.h"

char _license[] SEC("license") = "GPL";

#define MAX_CPUS 64

/* The situation. CPUs are bits. */
const volatile u64 want_idle;
const volatile u64 want_cores; /* those of want_idle whose cores are wholly idle */
const volatile s32 want_prev;
const volatile s32 want_waker = -1; /* where the wakeup must happen; -1: anywhere */
const volatile u64 wake_flags;
const volatile u64 flags;
const volatile bool use_mask; /* scx_bpf_select_cpu_and() with `mask` */
const volatile u64 mask;
const volatile bool per_node; /* SCX_OPS_BUILTIN_IDLE_PER_NODE */
const volatile s32 nr_cpus = 1;

/* The answer. */
s32 picked = -1000; /* a negative errno: none */
u64 left_idle;      /* what is idle afterwards */
u32 rounds;         /* wakeups of the probe until the situation was there */
bool done;

static bool idle_bit(s32 cpu, bool cores) {
  const struct cpumask *m;
  bool set;

  if (per_node) {
    s32 node = scx_bpf_cpu_node(cpu);
    m = cores ? scx_bpf_get_idle_smtmask_node(node) : scx_bpf_get_idle_cpumask_node(node);
  } else {
    m = cores ? scx_bpf_get_idle_smtmask() : scx_bpf_get_idle_cpumask();
  }
  set = bpf_cpumask_test_cpu(cpu, m);
  scx_bpf_put_idle_cpumask(m);
  return set;
}

static bool situation_is_there(void) {
  s32 cpu;

  for (cpu = 0; cpu < MAX_CPUS; cpu++) {
    if (cpu >= nr_cpus) break;
    if ((want_idle >> cpu & 1) && !idle_bit(cpu, false)) return false;
    if ((want_cores >> cpu & 1) && !idle_bit(cpu, true)) return false;
  }
  return true;
}

static void claim_the_others(void) {
  s32 cpu;

  for (cpu = 0; cpu < MAX_CPUS; cpu++) {
    if (cpu >= nr_cpus) break;
    if (!(want_idle >> cpu & 1)) scx_bpf_test_and_clear_cpu_idle(cpu);
  }
}

static s32 ask_with_mask(struct task_struct *p) {
  struct scx_bpf_select_cpu_and_args args = {
      .prev_cpu = want_prev, .wake_flags = wake_flags, .flags = flags};
  struct bpf_cpumask *allowed = bpf_cpumask_create();
  s32 cpu;

  if (!allowed) return -12;
  for (cpu = 0; cpu < MAX_CPUS; cpu++) {
    if (mask >> cpu & 1) bpf_cpumask_set_cpu(cpu, allowed);
  }
  cpu = __scx_bpf_select_cpu_and(p, (const struct cpumask *)allowed, &args);
  bpf_cpumask_release(allowed);
  return cpu;
}

static s32 ask(struct task_struct *p) {
  bool is_idle = false;
  s32 cpu;

  if (use_mask) return ask_with_mask(p);
  cpu = scx_bpf_select_cpu_dfl(p, want_prev, wake_flags, &is_idle);
  return is_idle ? cpu : -16;
}

static void look_what_is_left(void) {
  s32 cpu;

  for (cpu = 0; cpu < MAX_CPUS; cpu++) {
    if (cpu >= nr_cpus) break;
    if (idle_bit(cpu, false)) left_idle |= 1ULL << cpu;
  }
}

static bool is_probe(const struct task_struct *p) {
  return p->comm[0] == 'p' && p->comm[1] == 'r' && p->comm[2] == 'o' && p->comm[3] == 'b' &&
         p->comm[4] == 'e';
}

s32 BPF_STRUCT_OPS(idle_probe_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wakeup_flags) {
  s32 here = bpf_get_smp_processor_id();
  s32 cpu = prev_cpu;

  if (is_probe(p)) {
    if (!done) rounds++;
    if (!done && (want_waker < 0 || here == want_waker) && situation_is_there()) {
      claim_the_others();
      picked = ask(p);
      look_what_is_left();
      done = true;
    }
    /* Where it runs its next timer is armed, and the next wakeup happens. */
    if (want_waker >= 0) cpu = want_waker;
  }
  scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
  return cpu;
}

SCX_OPS_DEFINE(idle_probe_ops, .select_cpu = (void *)idle_probe_select_cpu, .flags = 0,
               .name = "idle_probe");
