// SPDX-License-Identifier: GPL-2.0-only
/* What tracing programs attach to: typed tracepoints, functions, and the markers loaders look for.
 */

struct irqaction;
struct linux_binprm;
struct sched_dl_entity;

/* ---- tp_btf: the first parameter is the subscriber's own data */

typedef void (*btf_trace_cgroup_attach_task)(void *, struct cgroup *, const char *,
                                             struct task_struct *, bool);
typedef void (*btf_trace_cgroup_mkdir)(void *, struct cgroup *, const char *);
typedef void (*btf_trace_cgroup_rmdir)(void *, struct cgroup *, const char *);
typedef void (*btf_trace_cpu_idle)(void *, unsigned int, unsigned int);
typedef void (*btf_trace_cpuhp_enter)(void *, unsigned int, int, int, int (*)(unsigned int));
typedef void (*btf_trace_cpuhp_exit)(void *, unsigned int, int, int, int);
typedef void (*btf_trace_ipi_send_cpu)(void *, const unsigned int, unsigned long, void *);
typedef void (*btf_trace_ipi_send_cpumask)(void *, const struct cpumask *, unsigned long, void *);
typedef void (*btf_trace_irq_handler_entry)(void *, int, struct irqaction *);
typedef void (*btf_trace_irq_handler_exit)(void *, int, struct irqaction *, int);
typedef void (*btf_trace_nmi_handler)(void *, void *, s64, int);
typedef void (*btf_trace_sched_kthread_stop)(void *, struct task_struct *);
typedef void (*btf_trace_sched_migrate_task)(void *, struct task_struct *, int);
typedef void (*btf_trace_sched_pi_setprio)(void *, struct task_struct *, struct task_struct *);
typedef void (*btf_trace_sched_process_exec)(void *, struct task_struct *, pid_t,
                                             struct linux_binprm *);
typedef void (*btf_trace_sched_process_exit)(void *, struct task_struct *, bool);
typedef void (*btf_trace_sched_process_fork)(void *, struct task_struct *, struct task_struct *);
typedef void (*btf_trace_sched_process_free)(void *, struct task_struct *);
typedef void (*btf_trace_sched_process_hang)(void *, struct task_struct *);
typedef void (*btf_trace_sched_process_wait)(void *, struct pid *);
typedef void (*btf_trace_sched_set_need_resched_tp)(void *, struct task_struct *, int, int);
typedef void (*btf_trace_sched_stat_blocked)(void *, struct task_struct *, u64);
typedef void (*btf_trace_sched_stat_iowait)(void *, struct task_struct *, u64);
typedef void (*btf_trace_sched_stat_runtime)(void *, struct task_struct *, u64);
typedef void (*btf_trace_sched_stat_sleep)(void *, struct task_struct *, u64);
typedef void (*btf_trace_sched_stat_wait)(void *, struct task_struct *, u64);
typedef void (*btf_trace_sched_switch)(void *, bool, struct task_struct *, struct task_struct *,
                                       unsigned int);
typedef void (*btf_trace_sched_update_nr_running_tp)(void *, struct rq *, int);
typedef void (*btf_trace_sched_wait_task)(void *, struct task_struct *);
typedef void (*btf_trace_sched_wake_idle_without_ipi)(void *, int);
typedef void (*btf_trace_sched_wakeup)(void *, struct task_struct *);
typedef void (*btf_trace_sched_wakeup_new)(void *, struct task_struct *);
typedef void (*btf_trace_sched_waking)(void *, struct task_struct *);
typedef void (*btf_trace_sched_entry_tp)(void *, bool);
typedef void (*btf_trace_sched_exit_tp)(void *, bool);
typedef void (*btf_trace_sched_cpu_capacity_tp)(void *, struct rq *);
typedef void (*btf_trace_sched_ext_bypass_lb)(void *, __u32, __u32, __u32, __u32, __u32, __u32,
                                              __u32, __u32);
typedef void (*btf_trace_sched_ext_dump)(void *, const char *);
typedef void (*btf_trace_sched_ext_event)(void *, const char *, __s64);
typedef void (*btf_trace_sched_ext_exit)(void *, struct scx_sched *, __u32) SINCE(7, 3);
typedef void (*btf_trace_softirq_entry)(void *, unsigned int);
typedef void (*btf_trace_softirq_exit)(void *, unsigned int);
typedef void (*btf_trace_task_rename)(void *, struct task_struct *, const char *);
typedef void (*btf_trace_task_newtask)(void *, struct task_struct *, u64);

/* ---- fentry and fexit */

struct file;
struct kernfs_open_file;
struct hrtimer_sleeper;
struct futex_vector;

typedef long __kernel_ssize_t;
typedef __kernel_ssize_t ssize_t;
typedef long long __kernel_loff_t;
typedef __kernel_loff_t loff_t;

KERNEL_FUNC(int, bpf_scx_reg, void *kdata, struct bpf_link *link)
KERNEL_FUNC(int, bpf_scx_reg_cid, void *kdata, struct bpf_link *link)
KERNEL_FUNC(void, bpf_scx_unreg, void *kdata, struct bpf_link *link)
KERNEL_FUNC(void, scx_tick, struct rq *rq)
KERNEL_FUNC(int, bpf_map_update_value, struct bpf_map *map, struct file *map_file, void *key,
            void *value, __u64 flags)
KERNEL_FUNC(ssize_t, cpuset_write_resmask, struct kernfs_open_file *of, char *buf, size_t nbytes,
            loff_t off)
KERNEL_FUNC(int, __futex_wait, u32 *uaddr, unsigned int flags, u32 val, struct hrtimer_sleeper *to,
            u32 bitset)
KERNEL_FUNC(int, futex_lock_pi, u32 *uaddr, unsigned int flags, ktime_t *time, int trylock)
KERNEL_FUNC(int, futex_unlock_pi, u32 *uaddr, unsigned int flags, void *pop)
KERNEL_FUNC(int, futex_wait_multiple, struct futex_vector *vs, unsigned int count,
            struct hrtimer_sleeper *to)
KERNEL_FUNC(int, futex_wake, u32 *uaddr, unsigned int flags, void *pop, int nr_wake, u32 bitset)
KERNEL_FUNC_WIDE(int, futex_wait_requeue_pi, u32 *uaddr, unsigned int flags, u32 val,
                 ktime_t *abs_time, u32 bitset, u32 *uaddr2)
KERNEL_FUNC_WIDE(int, futex_wake_op, u32 *uaddr1, unsigned int flags, u32 *uaddr2, int nr_wake,
                 int nr_wake2, int op)

/* ---- markers: loaders ask whether the function exists */

SINCE(7, 3) KERNEL_FUNC(void, scx_compat_marker_cgroup_set_bandwidth_may_sleep, void)

/* ---- names of callback parameters: a suffix says what may be NULL and what points into the arena
 */

KERNEL_FUNC(void, sched_ext_ops__cgroup_cancel_move, struct task_struct *p, struct cgroup *from,
            struct cgroup *to)
KERNEL_FUNC(void, sched_ext_ops__cgroup_exit, struct cgroup *cgrp)
KERNEL_FUNC(s32, sched_ext_ops__cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
KERNEL_FUNC(void, sched_ext_ops__cgroup_move, struct task_struct *p, struct cgroup *from,
            struct cgroup *to)
KERNEL_FUNC(s32, sched_ext_ops__cgroup_prep_move, struct task_struct *p, struct cgroup *from,
            struct cgroup *to)
KERNEL_FUNC(void, sched_ext_ops__cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us,
            u64 quota_us, u64 burst_us)
KERNEL_FUNC(void, sched_ext_ops__cgroup_set_idle, struct cgroup *cgrp, bool idle)
KERNEL_FUNC(void, sched_ext_ops__cgroup_set_weight, struct cgroup *cgrp, u32 weight)
KERNEL_FUNC(bool, sched_ext_ops__core_sched_before, struct task_struct *a, struct task_struct *b)
KERNEL_FUNC(void, sched_ext_ops__cpu_acquire, s32 cpu, struct scx_cpu_acquire_args *args)
KERNEL_FUNC(void, sched_ext_ops__cpu_offline, s32 cpu)
KERNEL_FUNC(void, sched_ext_ops__cpu_online, s32 cpu)
KERNEL_FUNC(void, sched_ext_ops__cpu_release, s32 cpu, struct scx_cpu_release_args *args)
KERNEL_FUNC(void, sched_ext_ops__dequeue, struct task_struct *p, u64 enq_flags)
KERNEL_FUNC(void, sched_ext_ops__disable, struct task_struct *p)
KERNEL_FUNC(void, sched_ext_ops__dispatch, s32 prev_cpu, struct task_struct *prev__nullable)
KERNEL_FUNC(void, sched_ext_ops__dump, struct scx_dump_ctx *ctx)
KERNEL_FUNC(void, sched_ext_ops__dump_cpu, struct scx_dump_ctx *ctx, s32 cpu, bool idle)
KERNEL_FUNC(void, sched_ext_ops__dump_task, struct scx_dump_ctx *ctx, struct task_struct *p)
KERNEL_FUNC(void, sched_ext_ops__enable, struct task_struct *p)
KERNEL_FUNC(void, sched_ext_ops__enqueue, struct task_struct *p, u64 enq_flags)
KERNEL_FUNC(void, sched_ext_ops__exit, struct scx_exit_info *info)
KERNEL_FUNC(void, sched_ext_ops__exit_task, struct task_struct *p, struct scx_exit_task_args *args)
KERNEL_FUNC(s32, sched_ext_ops__init, void)
SINCE(7, 3) KERNEL_FUNC(s32, sched_ext_ops__init_cids, void)
KERNEL_FUNC(s32, sched_ext_ops__init_task, struct task_struct *p, struct scx_init_task_args *args)
KERNEL_FUNC(void, sched_ext_ops__quiescent, struct task_struct *p, u64 deq_flags)
KERNEL_FUNC(void, sched_ext_ops__runnable, struct task_struct *p, u64 enq_flags)
KERNEL_FUNC(void, sched_ext_ops__running, struct task_struct *p)
KERNEL_FUNC(s32, sched_ext_ops__select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
KERNEL_FUNC(void, sched_ext_ops__set_cpumask, struct task_struct *p, const struct cpumask *mask)
KERNEL_FUNC(void, sched_ext_ops__set_weight, struct task_struct *p, u32 weight)
KERNEL_FUNC(void, sched_ext_ops__stopping, struct task_struct *p, bool runnable)
KERNEL_FUNC(s32, sched_ext_ops__sub_attach, struct scx_sub_attach_args *args)
SINCE(7, 3) KERNEL_FUNC(void, sched_ext_ops__sub_caps_updated, const struct scx_cmask *cmask__arena,
                        u64 caps)
KERNEL_FUNC(void, sched_ext_ops__sub_detach, struct scx_sub_detach_args *args)
SINCE(7, 3) KERNEL_FUNC(void, sched_ext_ops__sub_ecaps_updated, s32 cid, u64 before, u64 after)
KERNEL_FUNC(void, sched_ext_ops__tick, struct task_struct *p)
KERNEL_FUNC(void, sched_ext_ops__update_idle, s32 cpu, bool idle)
KERNEL_FUNC(bool, sched_ext_ops__yield, struct task_struct *from, struct task_struct *to__nullable)
SINCE(7, 3) KERNEL_FUNC(void, sched_ext_ops_cid__enable, struct task_struct *p,
                        struct scx_enable_args *args)
KERNEL_FUNC(void, sched_ext_ops_cid__set_cmask, struct task_struct *p,
            const struct scx_cmask *cmask__arena)
KERNEL_FUNC(void, sched_ext_ops_cid__set_cmask___until_7_3, struct task_struct *p,
            const struct scx_cmask *cmask)
