// SPDX-License-Identifier: GPL-2.0-only
/* sched_ext kfuncs. Arguments the kernel adds itself are not part of what programs see. */

/* ---- queues: insert, move, iterate */

KFUNC(s32, scx_bpf_create_dsq, u64 dsq_id, s32 node)
KFUNC(void, scx_bpf_destroy_dsq, u64 dsq_id)
KFUNC(s32, scx_bpf_dsq_nr_queued, u64 dsq_id)
KFUNC(struct task_struct *, scx_bpf_dsq_peek, u64 dsq_id)
KFUNC(void, scx_bpf_dsq_insert, struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags)
KFUNC(bool, scx_bpf_dsq_insert___v2, struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags)
KFUNC(void, scx_bpf_dsq_insert_vtime, struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
      u64 enq_flags)
KFUNC(bool, __scx_bpf_dsq_insert_vtime, struct task_struct *p,
      struct scx_bpf_dsq_insert_vtime_args *args)
KFUNC(bool, scx_bpf_dsq_move_to_local, u64 dsq_id)
KFUNC(bool, scx_bpf_dsq_move_to_local___v2, u64 dsq_id, u64 enq_flags)
KFUNC(bool, scx_bpf_dsq_move, struct bpf_iter_scx_dsq *it__iter, struct task_struct *p, u64 dsq_id,
      u64 enq_flags)
KFUNC(bool, scx_bpf_dsq_move_vtime, struct bpf_iter_scx_dsq *it__iter, struct task_struct *p,
      u64 dsq_id, u64 enq_flags)
KFUNC(void, scx_bpf_dsq_move_set_slice, struct bpf_iter_scx_dsq *it__iter, u64 slice)
KFUNC(void, scx_bpf_dsq_move_set_vtime, struct bpf_iter_scx_dsq *it__iter, u64 vtime)
KFUNC(void, scx_bpf_dsq_reenq, u64 dsq_id, u64 reenq_flags)
KFUNC(u32, scx_bpf_reenqueue_local, void)
KFUNC(void, scx_bpf_reenqueue_local___v2, void)
KFUNC(u32, scx_bpf_dispatch_nr_slots, void)
KFUNC(void, scx_bpf_dispatch_cancel, void)
KFUNC(int, bpf_iter_scx_dsq_new, struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags)
KFUNC(struct task_struct *, bpf_iter_scx_dsq_next, struct bpf_iter_scx_dsq *it)
KFUNC(void, bpf_iter_scx_dsq_destroy, struct bpf_iter_scx_dsq *it)

/* ---- tasks */

KFUNC(struct cgroup *, scx_bpf_task_cgroup, struct task_struct *p)
KFUNC(s32, scx_bpf_task_cid, const struct task_struct *p)
KFUNC(s32, scx_bpf_task_cpu, const struct task_struct *p)
KFUNC(bool, scx_bpf_task_running, const struct task_struct *p)
KFUNC(bool, scx_bpf_task_set_dsq_vtime, struct task_struct *p, u64 vtime)
KFUNC(bool, scx_bpf_task_set_slice, struct task_struct *p, u64 slice)
KFUNC(struct task_struct *, scx_bpf_tid_to_task, u64 tid)

/* ---- choosing a CPU, idle tracking */

KFUNC(s32, scx_bpf_select_cpu_dfl, struct task_struct *p, s32 prev_cpu, u64 wake_flags,
      bool *is_idle)
KFUNC(s32, scx_bpf_select_cpu_and, struct task_struct *p, s32 prev_cpu, u64 wake_flags,
      const struct cpumask *cpus_allowed, u64 flags)
KFUNC(s32, __scx_bpf_select_cpu_and, struct task_struct *p, const struct cpumask *cpus_allowed,
      struct scx_bpf_select_cpu_and_args *args)
KFUNC(bool, scx_bpf_test_and_clear_cpu_idle, s32 cpu)
KFUNC(s32, scx_bpf_pick_idle_cpu, const struct cpumask *cpus_allowed, u64 flags)
KFUNC(s32, scx_bpf_pick_idle_cpu_node, const struct cpumask *cpus_allowed, s32 node, u64 flags)
KFUNC(s32, scx_bpf_pick_any_cpu, const struct cpumask *cpus_allowed, u64 flags)
KFUNC(s32, scx_bpf_pick_any_cpu_node, const struct cpumask *cpus_allowed, s32 node, u64 flags)
KFUNC(const struct cpumask *, scx_bpf_get_idle_cpumask, void)
KFUNC(const struct cpumask *, scx_bpf_get_idle_cpumask_node, s32 node)
KFUNC(const struct cpumask *, scx_bpf_get_idle_smtmask, void)
KFUNC(const struct cpumask *, scx_bpf_get_idle_smtmask_node, s32 node)
KFUNC(void, scx_bpf_put_idle_cpumask, const struct cpumask *idle_mask)

/* ---- CPUs */

KFUNC(struct task_struct *, scx_bpf_cpu_curr, s32 cpu)
KFUNC(s32, scx_bpf_cpu_node, s32 cpu)
UNTIL(7, 3) KFUNC(struct rq *, scx_bpf_cpu_rq, s32 cpu)
KFUNC(u32, scx_bpf_cpuperf_cap, s32 cpu)
KFUNC(u32, scx_bpf_cpuperf_cur, s32 cpu)
KFUNC(void, scx_bpf_cpuperf_set, s32 cpu, u32 perf)
KFUNC(const struct cpumask *, scx_bpf_get_online_cpumask, void)
KFUNC(const struct cpumask *, scx_bpf_get_possible_cpumask, void)
KFUNC(void, scx_bpf_kick_cpu, s32 cpu, u64 flags)
KFUNC(struct rq *, scx_bpf_locked_rq, void)
KFUNC(u64, scx_bpf_now, void)
KFUNC(u32, scx_bpf_nr_cpu_ids, void)
KFUNC(u32, scx_bpf_nr_node_ids, void)
KFUNC(void, scx_bpf_put_cpumask, const struct cpumask *cpumask)

/* ---- cids */

KFUNC(struct task_struct *, scx_bpf_cid_curr, s32 cid)
KFUNC(void, scx_bpf_cid_override, const s32 __arena_ptr *cpu_to_cid__arena, u32 cpu_to_cid_cnt,
      const s32 __arena_ptr *shard_start__arena, u32 shard_start_cnt)
KFUNC(void, scx_bpf_cid_override___until_7_3, const s32 *cpu_to_cid, u32 cpu_to_cid__sz)
KFUNC(s32, scx_bpf_cid_to_cpu, s32 cid)
KFUNC(void, scx_bpf_cid_topo, s32 cid, struct scx_cid_topo *out, size_t out__sz)
KFUNC(u32, scx_bpf_cidperf_cap, s32 cid)
KFUNC(u32, scx_bpf_cidperf_cur, s32 cid)
KFUNC(s32, scx_bpf_cidperf_set, s32 cid, u32 perf)
KFUNC(void, scx_bpf_cidperf_set___until_7_3, s32 cid, u32 perf)
KFUNC(s32, scx_bpf_cpu_to_cid, s32 cpu)
KFUNC(void, scx_bpf_kick_cid, s32 cid, u64 flags)
KFUNC(u32, scx_bpf_nr_cids, void)
KFUNC(u32, scx_bpf_nr_online_cids, void)
SINCE(7, 3) KFUNC(const void __arena_ptr *, scx_bpf_online_cmask, void)
KFUNC(s32, scx_bpf_this_cid, void)

/* ---- sub-schedulers */

SINCE(7, 3) KFUNC(s32, scx_bpf_sub_caps, u64 cgroup_id, u64 caps,
                  struct scx_cmask __arena_ptr *out__arena)
KFUNC(bool, scx_bpf_sub_dispatch, u64 cgroup_id)
SINCE(7, 3) KFUNC(s32, scx_bpf_sub_grant, u64 cgroup_id, u64 caps,
                  const struct scx_cmask __arena_ptr *cmask__arena,
                  struct scx_cmask __arena_ptr *denied_out__arena__nullable)
SINCE(7, 3) KFUNC(s32, scx_bpf_sub_kill_bstr, u64 cgroup_id, char *fmt, unsigned long long *data,
                  u32 data__sz)
SINCE(7, 3) KFUNC(void, scx_bpf_sub_revoke, u64 cgroup_id, u64 caps,
                  const struct scx_cmask __arena_ptr *cmask__arena)

/* ---- exit, dump, events */

KFUNC(void, scx_bpf_dump_bstr, char *fmt, unsigned long long *data, u32 data__sz)
KFUNC(void, scx_bpf_error_bstr, char *fmt, unsigned long long *data, u32 data__sz)
KFUNC(void, scx_bpf_events, struct scx_event_stats *events, size_t events__sz)
KFUNC(void, scx_bpf_exit_bstr, s64 exit_code, char *fmt, unsigned long long *data, u32 data__sz)
