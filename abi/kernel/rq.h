// SPDX-License-Identifier: GPL-2.0-only
/* A CPU's runqueue and the per-CPU statistics beside it. */

/* The order of this and the next is ours: what every wakeup and switch touches comes last, where the
 * core's own part of a runqueue follows. */
struct scx_rq {
  struct scx_dispatch_q reject_dsq SINCE(7, 3);
  struct list_head runnable_list;
  struct list_head ddsp_deferred_locals;
  u64 extra_enq_flags UNTIL(7, 3);
  u64 remote_activate_enq_flags SINCE(7, 3);
  struct scx_sched *remote_activate_sch SINCE(7, 3);
  u32 cpuperf_target;
  cpumask_var_t cpus_to_kick UNTIL(7, 3);
  cpumask_var_t cpus_to_kick_if_idle UNTIL(7, 3);
  cpumask_var_t cpus_to_preempt UNTIL(7, 3);
  cpumask_var_t cpus_to_wait UNTIL(7, 3);
  struct llist_head ecaps_to_sync SINCE(7, 3);
  cpumask_var_t cpus_to_sync;
  struct task_struct *sub_dispatch_prev;
  struct list_head sched_pcpus_to_kick SINCE(7, 3);
  raw_spinlock_t deferred_reenq_lock;
  u64 deferred_reenq_locals_seq UNTIL(7, 3);
  struct list_head deferred_reenq_locals;
  struct list_head deferred_reenq_users;
  struct scx_dispatch_q local_dsq;
  u32 nr_running;
  u32 flags;
  u32 nr_immed;
  bool in_select_cpu;
  bool cpu_released;
  bool kick_sync_pending;
  u64 clock;
  unsigned long kick_sync;
};

struct sched_domain;

struct rq {
  unsigned int nr_numa_running;
  unsigned int nr_preferred_running;
  unsigned long cpu_capacity;
  raw_spinlock_t __lock;
  unsigned long nr_uninterruptible;
  const struct sched_class *next_class;

  unsigned long lost_idle_time;
  unsigned int clock_update_flags;
  u64 clock_pelt_idle;
  u64 clock_idle;

  struct sched_domain *sd;
  unsigned long misfit_task_load;
  int cpu;
  int online;
  struct sched_avg avg_rt;
  struct sched_avg avg_dl;
  u64 idle_stamp;
  u64 avg_idle;
  u64 max_idle_balance_cost;
  u64 prev_steal_time;
  atomic_t nr_iowait;

  unsigned long : 64; /* so that the last line begins with nr_running */
  unsigned long : 64;
  struct scx_rq scx;

  unsigned int nr_running;
  unsigned int ttwu_pending;
  union {
    struct task_struct *donor;
    struct task_struct *curr;
  };
  struct task_struct *idle;
  struct task_struct *stop;
  u64 nr_switches;
  u64 clock_task;
  u64 clock_pelt;
  u64 clock;
};

enum cpu_usage_stat {
  CPUTIME_USER = 0,
  CPUTIME_NICE = 1,
  CPUTIME_SYSTEM = 2,
  CPUTIME_SOFTIRQ = 3,
  CPUTIME_IRQ = 4,
  CPUTIME_IDLE = 5,
  CPUTIME_IOWAIT = 6,
  CPUTIME_STEAL = 7,
  CPUTIME_GUEST = 8,
  CPUTIME_GUEST_NICE = 9,
  NR_STATS = 10,
};

struct kernel_cpustat {
  bool idle_dyntick;
  bool idle_elapse;
  u64 idle_entrytime;
  u64 idle_stealtime[2];
  u64 cpustat[NR_STATS];
};

/* ---- frequency */

struct cpufreq_cpuinfo {
  unsigned int max_freq;
  unsigned int min_freq;
  unsigned int transition_latency;
};

struct cpufreq_policy {
  cpumask_var_t cpus;
  cpumask_var_t related_cpus;
  cpumask_var_t real_cpus;
  unsigned int cpu;
  struct cpufreq_cpuinfo cpuinfo;
  unsigned int min;
  unsigned int max;
  unsigned int cur;
  unsigned int policy;
};

struct sugov_cpu {
  unsigned int cpu;
  bool iowait_boost_pending;
  unsigned int iowait_boost;
  u64 last_update;
  unsigned long util;
  unsigned long bw_min;
};

struct vm_event_state {
  unsigned long event[110];
};
