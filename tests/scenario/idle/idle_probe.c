// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks a real kernel the situations that `idle_select --real-input MACHINE` prints: loads idle_probe.bpf.c
 * for each, with a task called "probe" that sleeps and wakes. Built as the kernel tree builds its examples.
 * Prints "name answer" for each, as real-7.3.tsv has them.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>

#include "idle_probe.bpf.skel.h"

/* SCX_OPS_BUILTIN_IDLE_PER_NODE */
#define PER_NODE (1ULL << 6)

static void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static pid_t start_probe(unsigned long long affinity) {
  pid_t pid = fork();
  cpu_set_t set;

  if (pid != 0) return pid;
  prctl(PR_SET_NAME, "probe");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  CPU_ZERO(&set);
  for (int cpu = 0; cpu < 64; cpu++) {
    if (affinity >> cpu & 1) CPU_SET(cpu, &set);
  }
  sched_setaffinity(0, sizeof(set), &set);
  for (;;) sleep_ms(5);
}

struct situation {
  char name[64];
  unsigned long long idle, cores, wake_flags, flags, mask, affinity;
  int prev, waker, use_mask, per_node, nr_cpus;
};

static int read_situation(struct situation *s) {
  return scanf("%63s %llu %llu %d %d %llu %llu %d %llu %d %d %llu", s->name, &s->idle, &s->cores, &s->prev,
               &s->waker, &s->wake_flags, &s->flags, &s->use_mask, &s->mask, &s->per_node, &s->nr_cpus,
               &s->affinity) == 12;
}

static int ask(const struct situation *s) {
  struct idle_probe *skel = idle_probe__open();
  struct bpf_link *link;
  int answer = -2000;
  pid_t probe;

  if (!skel) return -1;
  skel->rodata->want_idle = s->idle;
  skel->rodata->want_cores = s->cores;
  skel->rodata->want_prev = s->prev;
  skel->rodata->want_waker = s->waker;
  skel->rodata->wake_flags = s->wake_flags;
  skel->rodata->flags = s->flags;
  skel->rodata->use_mask = s->use_mask;
  skel->rodata->mask = s->mask;
  skel->rodata->per_node = s->per_node;
  skel->rodata->nr_cpus = s->nr_cpus;
  if (s->per_node) skel->struct_ops.idle_probe_ops->flags |= PER_NODE;
  if (idle_probe__load(skel)) goto out;
  link = bpf_map__attach_struct_ops(skel->maps.idle_probe_ops);
  if (!link) goto out;
  probe = start_probe(s->affinity);
  for (int i = 0; i < 100 && !skel->bss->done; i++) sleep_ms(50);
  if (skel->bss->done) answer = skel->data->picked;
  kill(probe, SIGKILL);
  waitpid(probe, NULL, 0);
  bpf_link__destroy(link);
out:
  idle_probe__destroy(skel);
  return answer;
}

int main(void) {
  struct situation s;

  while (read_situation(&s)) {
    printf("%s %d\n", s.name, ask(&s));
    fflush(stdout);
  }
  return 0;
}
