// SPDX-License-Identifier: GPL-2.0-only
/* Control groups, and the namespaces and credentials programs walk to from a task. */

struct cgroup;
struct task_struct;
struct scx_sched;

enum cgroup_subsys_id {
  cpuset_cgrp_id = 0,
  cpu_cgrp_id = 1,
  cpuacct_cgrp_id = 2,
  io_cgrp_id = 3,
  memory_cgrp_id = 4,
  devices_cgrp_id = 5,
  freezer_cgrp_id = 6,
  net_cls_cgrp_id = 7,
  perf_event_cgrp_id = 8,
  net_prio_cgrp_id = 9,
  hugetlb_cgrp_id = 10,
  pids_cgrp_id = 11,
  rdma_cgrp_id = 12,
  misc_cgrp_id = 13,
  CGROUP_SUBSYS_COUNT = 14,
};

enum css_task_iter_flags {
  CSS_TASK_ITER_PROCS = 1,
  CSS_TASK_ITER_THREADED = 2,
  CSS_TASK_ITER_WITH_DEAD = 4,
  CSS_TASK_ITER_SKIPPED = 65536,
};

/* Deepest cgroup below the root whose ancestors programs can index. */
#define ABI_CGROUP_MAX_LEVEL 31

struct percpu_ref_data;

struct percpu_ref {
  unsigned long percpu_count_ptr;
  struct percpu_ref_data *data;
};

struct kernfs_node {
  atomic_t count;
  atomic_t active;
  struct kernfs_node *__parent;
  const char *name;
  u64 id;
  void *priv;
};

struct cgroup_subsys;

struct cgroup_subsys_state {
  struct cgroup *cgroup;
  struct cgroup_subsys *ss;
  struct percpu_ref refcnt;
  struct list_head sibling;
  struct list_head children;
  int id;
  unsigned int flags;
  u64 serial_nr;
  atomic_t online_cnt;
  struct cgroup_subsys_state *parent;
  int nr_descendants;
};

struct cgroup_root;

struct cgroup {
  struct cgroup_subsys_state self;
  unsigned long flags;
  int level;
  int max_depth;
  int nr_descendants;
  int nr_dying_descendants;
  int max_descendants;
  int nr_populated_domain_children;
  int nr_threaded_children;
  struct kernfs_node *kn;
  struct cgroup_subsys_state *subsys[CGROUP_SUBSYS_COUNT];
  struct cgroup_root *root;
  struct cgroup *dom_cgrp;
  struct scx_sched *scx_sched;
  /* The kernel ends with a flexible array; a fixed one lets the core derive from this. */
  struct cgroup *ancestors[ABI_CGROUP_MAX_LEVEL + 1];
};

struct css_set {
  struct cgroup_subsys_state *subsys[CGROUP_SUBSYS_COUNT];
  refcount_t refcount;
  struct css_set *dom_cset;
  struct cgroup *dfl_cgrp;
  int nr_tasks;
  struct list_head tasks;
};

struct cpuset {
  struct cgroup_subsys_state css;
  unsigned long flags;
  cpumask_var_t cpus_allowed;
  cpumask_var_t effective_cpus;
};

struct scx_task_group {
  struct scx_sched *sched SINCE(7, 3);
  u32 flags;
  u32 weight;
  u64 bw_period_us;
  u64 bw_quota_us;
  u64 bw_burst_us;
  bool idle;
};

struct task_group {
  struct cgroup_subsys_state css;
  int idle;
  unsigned long shares;
  struct scx_task_group scx;
  struct task_group *parent;
  struct list_head siblings;
  struct list_head children;
  struct list_head list;
};

/* ---- process identity */

enum pid_type {
  PIDTYPE_PID = 0,
  PIDTYPE_TGID = 1,
  PIDTYPE_PGID = 2,
  PIDTYPE_SID = 3,
  PIDTYPE_MAX = 4,
};

struct ns_common {
  refcount_t __ns_ref;
  u32 ns_type;
  unsigned int inum;
};

struct pid_namespace {
  unsigned int pid_allocated;
  struct task_struct *child_reaper;
  unsigned int level;
  int pid_max;
  struct pid_namespace *parent;
  struct ns_common ns;
};

struct upid {
  int nr;
  struct pid_namespace *ns;
};

/* Nesting of pid namespaces that the core supports. */
#define ABI_PID_NS_LEVELS 4

struct pid {
  refcount_t count;
  unsigned int level;
  struct hlist_head tasks[PIDTYPE_MAX];
  struct upid numbers[ABI_PID_NS_LEVELS];
};

struct cred {
  atomic_long_t usage;
  kuid_t uid;
  kgid_t gid;
  kuid_t suid;
  kgid_t sgid;
  kuid_t euid;
  kgid_t egid;
  kuid_t fsuid;
  kgid_t fsgid;
};

struct signal_struct {
  refcount_t sigcnt;
  atomic_t live;
  int nr_threads;
  struct list_head thread_head;
  struct pid *pids[PIDTYPE_MAX];
  u64 utime;
  u64 stime;
  u64 sum_sched_runtime;
};

enum mempolicy_mode {
  MPOL_DEFAULT = 0,
  MPOL_PREFERRED = 1,
  MPOL_BIND = 2,
  MPOL_INTERLEAVE = 3,
  MPOL_LOCAL = 4,
  MPOL_PREFERRED_MANY = 5,
  MPOL_WEIGHTED_INTERLEAVE = 6,
  MPOL_MAX = 7,
};
ENUM_NAMED_SINCE(mempolicy_mode, 7, 3);

struct mempolicy {
  atomic_t refcnt;
  unsigned short mode;
  unsigned short flags;
  nodemask_t nodes;
  int home_node;
};
