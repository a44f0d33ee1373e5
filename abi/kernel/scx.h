// SPDX-License-Identifier: GPL-2.0-only
/* sched_ext's objects: queues, the part of a task that is scheduled, arguments of callbacks and
 * kfuncs. */

struct scx_dispatch_q;
struct scx_sched;
struct cgroup;

struct scx_dsq_list_node {
  struct list_head node;
  u32 flags;
  u32 priv;
};

struct scx_dsq_pcpu;

/* The order of this and the next is ours: what is touched most is at the end of a queue, and in the
 * first lines of an entity. */
struct scx_dispatch_q {
  raw_spinlock_t lock;
  struct list_head list;
  struct rhash_head hash_node;
  struct llist_node free_node;
  struct scx_dsq_pcpu *pcpu;
  struct callback_head rcu;
  struct scx_sched *sched;
  struct rb_root priq;
  struct task_struct *first_task;
  u32 nr;
  u32 seq;
  u64 id;
};

struct sched_ext_entity {
  struct task_struct *kf_tasks[2];
  struct scx_sched *sched;
  struct scx_dispatch_q *dsq;
  atomic_long_t ops_state;
  u32 dsq_seq;
  u32 dsq_flags;
  u32 flags;
  u32 reenq_cnt SINCE(7, 3);
  s32 sticky_cpu;
  s32 holding_cpu;
  s32 selected_cpu;
  s32 runnable_cpu SINCE(7, 3);
  u32 ops_qseq;
  u32 weight;
  u64 slice;
  atomic64_t slice_oob SINCE(7, 3);
  u64 ddsp_dsq_id;
  u64 ddsp_enq_flags;
  u64 ddsp_slice SINCE(7, 3);
  u64 ddsp_vtime SINCE(7, 3);
  unsigned long runnable_at;
  u64 dsq_vtime;
  struct rb_node dsq_priq;
  struct scx_dsq_list_node dsq_list;
  struct list_head runnable_node;
  unsigned long rescue_at SINCE(7, 3);
  u64 tid;
  struct rhash_head tid_hash_node;
  u64 reenq_reason_caps SINCE(7, 3);
  s32 reenq_reason_cid SINCE(7, 3);
  bool disallow;
  struct cgroup *cgrp_moving_from;
  struct list_head tasks_node;
};

/* A set of cids: a 64-cid grid of words from base on. */
struct scx_cmask {
  u32 base;
  u32 nr_cids;
  u32 alloc_words;
  u64 bits[0];
};

struct scx_cid_topo {
  s32 core_cid;
  s32 core_idx;
  s32 llc_cid;
  s32 llc_idx;
  s32 node_cid;
  s32 node_idx;
  s32 shard_cid;
  s32 shard_idx;
};

struct scx_cid_topo___until_7_3 {
  s32 core_cid;
  s32 core_idx;
  s32 llc_cid;
  s32 llc_idx;
  s32 node_cid;
  s32 node_idx;
};

struct scx_event_stats {
  s64 SCX_EV_SELECT_CPU_FALLBACK;
  s64 SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE;
  s64 SCX_EV_DISPATCH_KEEP_LAST;
  s64 SCX_EV_ENQ_SKIP_EXITING;
  s64 SCX_EV_ENQ_SKIP_MIGRATION_DISABLED;
  s64 SCX_EV_REENQ_IMMED;
  s64 SCX_EV_REENQ_REPEAT;
  s64 SCX_EV_REFILL_SLICE_DFL;
  s64 SCX_EV_SLICE_CLAMPED;
  s64 SCX_EV_SLICE_DENIED;
  s64 SCX_EV_BYPASS_DURATION;
  s64 SCX_EV_BYPASS_DISPATCH;
  s64 SCX_EV_BYPASS_ACTIVATE;
  s64 SCX_EV_INSERT_NOT_OWNED;
  s64 SCX_EV_SUB_BYPASS_DISPATCH;
  s64 SCX_EV_SUB_FORCED_ADMIT;
  s64 SCX_EV_SUB_PREEMPT_DENIED;
  s64 SCX_EV_SUB_KICK_DENIED;
  s64 SCX_EV_SUB_REENQ_DENIED;
  s64 SCX_EV_SUB_CIDPERF_DENIED;
  s64 SCX_EV_SUB_RESCUE;
};

struct scx_event_stats___until_7_3 {
  s64 SCX_EV_SELECT_CPU_FALLBACK;
  s64 SCX_EV_DISPATCH_LOCAL_DSQ_OFFLINE;
  s64 SCX_EV_DISPATCH_KEEP_LAST;
  s64 SCX_EV_ENQ_SKIP_EXITING;
  s64 SCX_EV_ENQ_SKIP_MIGRATION_DISABLED;
  s64 SCX_EV_REENQ_IMMED;
  s64 SCX_EV_REENQ_LOCAL_REPEAT;
  s64 SCX_EV_REFILL_SLICE_DFL;
  s64 SCX_EV_BYPASS_DURATION;
  s64 SCX_EV_BYPASS_DISPATCH;
  s64 SCX_EV_BYPASS_ACTIVATE;
  s64 SCX_EV_INSERT_NOT_OWNED;
  s64 SCX_EV_SUB_BYPASS_DISPATCH;
};

/* ---- arguments of callbacks */

struct scx_exit_info {
  enum scx_exit_kind kind;
  s32 exit_cpu;
  s64 exit_code;
  u64 flags;
  const char *reason;
  unsigned long *bt;
  u32 bt_len;
  char *msg;
  char *dump;
};

struct scx_init_task_args {
  bool fork;
  struct cgroup *cgroup;
};

struct scx_exit_task_args {
  bool cancelled;
};

struct scx_enable_args {
  u64 cmask_arena_addr;
} SINCE(7, 3);

struct scx_cgroup_init_args {
  u32 weight;
  u64 bw_period_us;
  u64 bw_quota_us;
  u64 bw_burst_us;
  bool sched_idle;
};

struct scx_cgroup_init_args___until_7_3 {
  u32 weight;
  u64 bw_period_us;
  u64 bw_quota_us;
  u64 bw_burst_us;
};

struct scx_cpu_acquire_args {};

struct scx_cpu_release_args {
  enum scx_cpu_preempt_reason reason;
  struct task_struct *task;
};

struct scx_dump_ctx {
  enum scx_exit_kind kind;
  s64 exit_code;
  const char *reason;
  u64 at_ns;
  u64 at_jiffies;
};

struct sched_ext_ops;

struct scx_sub_attach_args {
  struct sched_ext_ops *ops;
  char *cgroup_path;
};

struct scx_sub_detach_args {
  struct sched_ext_ops *ops;
  char *cgroup_path;
};

/* ---- arguments of kfuncs that need more than five */

struct scx_bpf_dsq_insert_vtime_args {
  u64 dsq_id;
  u64 slice;
  u64 vtime;
  u64 enq_flags;
};

struct scx_bpf_select_cpu_and_args {
  s32 prev_cpu;
  u64 wake_flags;
  u64 flags;
};
