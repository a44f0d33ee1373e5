// SPDX-License-Identifier: GPL-2.0-only
/* The task, and what the scheduler classes keep in it. */

struct sched_class;
struct sched_rt_entity;
struct mm_struct;
struct cfs_rq;

struct load_weight {
  unsigned long weight;
  u32 inv_weight;
};

struct sched_avg {
  u64 last_update_time;
  u64 load_sum;
  u64 runnable_sum;
  u32 util_sum;
  u32 period_contrib;
  unsigned long load_avg;
  unsigned long runnable_avg;
  unsigned long util_avg;
  unsigned int util_est;
};

struct sched_entity {
  struct load_weight load;
  struct rb_node run_node;
  u64 deadline;
  u64 min_vruntime;
  u64 min_slice;
  struct list_head group_node;
  unsigned char on_rq;
  unsigned char sched_delayed;
  unsigned char rel_deadline;
  unsigned char custom_slice;
  u64 prev_sum_exec_runtime;
  u64 vruntime;
  s64 vlag;
  u64 slice;
  int depth;
  struct sched_entity *parent;
  struct cfs_rq *cfs_rq;
  struct cfs_rq *my_q;
  unsigned long runnable_weight;
  struct sched_avg avg;
  /* Last, since what follows in task_struct is touched with it. */
  u64 nr_migrations;
  u64 exec_start;
  u64 sum_exec_runtime;
};

struct sched_rt_entity {
  struct list_head run_list;
  unsigned long timeout;
  unsigned long watchdog_stamp;
  unsigned int time_slice;
  unsigned short on_rq;
  unsigned short on_list;
  struct sched_rt_entity *back;
};

struct sched_info {
  unsigned long pcount;
  unsigned long long run_delay;
  unsigned long long last_arrival;
  unsigned long long last_queued;
};

struct thread_info {
  unsigned long flags;
  unsigned long syscall_work;
  u32 status;
  u32 cpu;
};

/* The order is ours (docs/abi.md). What every wakeup and switch touches lies in few cache lines,
 * which src/sched/task.h checks; of an idle task only the first of them is touched. */
struct task_struct {
  /* wakeups */
  unsigned int wakee_flips;
  unsigned long wakee_flip_decay_ts;
  struct task_struct *last_wakee;
  int recent_used_cpu;

  /* classes and priority */
  const struct sched_class *sched_class;
  struct task_group *sched_task_group;
  int prio;
  int normal_prio;
  unsigned int policy;
  unsigned int rt_priority;
  struct sched_rt_entity rt;

  unsigned int saved_state;
  void *stack;
  refcount_t usage;
  unsigned int ptrace;

  /* affinity */
  unsigned long max_allowed_capacity;
  cpumask_t *user_cpus_ptr;
  cpumask_t cpus_mask;
  void *migration_pending;
  int rcu_read_lock_nesting;

  struct list_head tasks;

  /* memory */
  struct mm_struct *mm;
  struct mm_struct *active_mm;
  struct mempolicy *mempolicy;
  int numa_preferred_nid;

  /* life and family */
  int exit_state;
  int exit_code;
  int exit_signal;
  pid_t tgid;
  struct task_struct *real_parent;
  struct task_struct *parent;
  struct list_head children;
  struct list_head sibling;
  struct task_struct *group_leader;
  struct pid *thread_pid;
  struct hlist_node pid_links[PIDTYPE_MAX];
  struct list_head thread_node;
  void *worker_private;

  /* time */
  u64 gtime;
  u64 stime;
  u64 start_time;
  u64 start_boottime;
  u64 timer_slack_ns;

  /* identity */
  const struct cred *real_cred;
  const struct cred *cred;
  char comm[16];
  struct signal_struct *signal;
  raw_spinlock_t pi_lock;
  struct css_set *cgroups;
  struct list_head cg_list;
  nodemask_t mems_allowed;
  struct callback_head rcu;
  refcount_t rcu_users;

  /* From the end of `se` to the beginning of `scx`: one line. */
  unsigned long : 64;
  unsigned long : 64;
  unsigned long : 64;
  struct sched_entity se;
  unsigned int __state;
  unsigned int flags;
  u8 on_cpu;
  u8 on_rq;
  u8 is_blocked;
  pid_t pid;
  unsigned short migration_disabled;
  unsigned short migration_flags;
  int wake_cpu;
  struct sched_ext_entity scx;

  /* One line. */
  const cpumask_t *cpus_ptr;
  int static_prio;
  int nr_cpus_allowed;
  struct sched_info sched_info;
  u64 utime;
  unsigned long nvcsw;

  /* With the beginning of what the core has behind it. */
  unsigned long nivcsw;
  struct thread_info thread_info;
};

/* ---- kernel threads and workers, whose descriptions tracing programs read */

struct kthread {
  unsigned long flags;
  unsigned int cpu;
  unsigned int node;
  int started;
  int result;
  int (*threadfn)(void *data);
  void *data;
  char *full_name;
  struct task_struct *task;
};

struct worker {
  struct list_head entry;
  struct task_struct *task;
  struct list_head node;
  unsigned long last_active;
  unsigned int flags;
  int id;
  char desc[32];
};
