// SPDX-License-Identifier: GPL-2.0-only
/* The kfuncs of BPF itself that schedulers use or may come to use. */

/* A parameter name that C++ cannot have. */
#ifdef __cplusplus
#define ABI_NEW new_node
#else
#define ABI_NEW new
#endif

/* ---- CPU masks */

KFUNC(struct bpf_cpumask *, bpf_cpumask_acquire, struct bpf_cpumask *cpumask)
KFUNC(bool, bpf_cpumask_and, struct bpf_cpumask *dst, const struct cpumask *src1,
      const struct cpumask *src2)
KFUNC(u32, bpf_cpumask_any_and_distribute, const struct cpumask *src1, const struct cpumask *src2)
KFUNC(u32, bpf_cpumask_any_distribute, const struct cpumask *cpumask)
KFUNC(void, bpf_cpumask_clear, struct bpf_cpumask *cpumask)
KFUNC(void, bpf_cpumask_clear_cpu, u32 cpu, struct bpf_cpumask *cpumask)
KFUNC(void, bpf_cpumask_copy, struct bpf_cpumask *dst, const struct cpumask *src)
KFUNC(struct bpf_cpumask *, bpf_cpumask_create, void)
KFUNC(bool, bpf_cpumask_empty, const struct cpumask *cpumask)
KFUNC(bool, bpf_cpumask_equal, const struct cpumask *src1, const struct cpumask *src2)
KFUNC(u32, bpf_cpumask_first, const struct cpumask *cpumask)
KFUNC(u32, bpf_cpumask_first_and, const struct cpumask *src1, const struct cpumask *src2)
KFUNC(u32, bpf_cpumask_first_zero, const struct cpumask *cpumask)
KFUNC(bool, bpf_cpumask_full, const struct cpumask *cpumask)
KFUNC(bool, bpf_cpumask_intersects, const struct cpumask *src1, const struct cpumask *src2)
KFUNC(void, bpf_cpumask_or, struct bpf_cpumask *dst, const struct cpumask *src1,
      const struct cpumask *src2)
KFUNC(int, bpf_cpumask_populate, struct bpf_cpumask *cpumask, void *src, size_t src__sz)
KFUNC(void, bpf_cpumask_release, struct bpf_cpumask *cpumask)
KFUNC(void, bpf_cpumask_set_cpu, u32 cpu, struct bpf_cpumask *cpumask)
KFUNC(void, bpf_cpumask_setall, struct bpf_cpumask *cpumask)
KFUNC(bool, bpf_cpumask_subset, const struct cpumask *src1, const struct cpumask *src2)
KFUNC(bool, bpf_cpumask_test_and_clear_cpu, u32 cpu, struct bpf_cpumask *cpumask)
KFUNC(bool, bpf_cpumask_test_and_set_cpu, u32 cpu, struct bpf_cpumask *cpumask)
KFUNC(bool, bpf_cpumask_test_cpu, u32 cpu, const struct cpumask *cpumask)
KFUNC(u32, bpf_cpumask_weight, const struct cpumask *cpumask)
KFUNC(void, bpf_cpumask_xor, struct bpf_cpumask *dst, const struct cpumask *src1,
      const struct cpumask *src2)

/* ---- tasks */

KFUNC(struct task_struct *, bpf_task_acquire, struct task_struct *p)
KFUNC(void, bpf_task_release, struct task_struct *p)
KFUNC(struct task_struct *, bpf_task_from_pid, s32 pid)
KFUNC(struct task_struct *, bpf_task_from_vpid, s32 vpid)
KFUNC(long, bpf_task_under_cgroup, struct task_struct *task, struct cgroup *ancestor)
KFUNC(struct cgroup *, bpf_task_get_cgroup1, struct task_struct *task, int hierarchy_id)
KFUNC(int, bpf_send_signal_task, struct task_struct *task, int sig, enum pid_type type, u64 value)

/* ---- cgroups */

KFUNC(struct cgroup *, bpf_cgroup_acquire, struct cgroup *cgrp)
KFUNC(void, bpf_cgroup_release, struct cgroup *cgrp)
KFUNC(struct cgroup *, bpf_cgroup_ancestor, struct cgroup *cgrp, int level)
KFUNC(struct cgroup *, bpf_cgroup_from_id, u64 cgid)

/* ---- iterators */

KFUNC(void, bpf_iter_bits_destroy, struct bpf_iter_bits *it)
KFUNC(int, bpf_iter_bits_new, struct bpf_iter_bits *it, const u64 *unsafe_ptr__ign, u32 nr_words)
KFUNC(int *, bpf_iter_bits_next, struct bpf_iter_bits *it)
KFUNC(void, bpf_iter_css_destroy, struct bpf_iter_css *it)
KFUNC(int, bpf_iter_css_new, struct bpf_iter_css *it, struct cgroup_subsys_state *start,
      unsigned int flags)
KFUNC(struct cgroup_subsys_state *, bpf_iter_css_next, struct bpf_iter_css *it)
KFUNC(void, bpf_iter_css_task_destroy, struct bpf_iter_css_task *it)
KFUNC(int, bpf_iter_css_task_new, struct bpf_iter_css_task *it, struct cgroup_subsys_state *css,
      unsigned int flags)
KFUNC(struct task_struct *, bpf_iter_css_task_next, struct bpf_iter_css_task *it)
KFUNC(void, bpf_iter_num_destroy, struct bpf_iter_num *it)
KFUNC(int, bpf_iter_num_new, struct bpf_iter_num *it, int start, int end)
KFUNC(int *, bpf_iter_num_next, struct bpf_iter_num *it)
KFUNC(void, bpf_iter_task_destroy, struct bpf_iter_task *it)
KFUNC(int, bpf_iter_task_new, struct bpf_iter_task *it, struct task_struct *task__nullable,
      unsigned int flags)
KFUNC(struct task_struct *, bpf_iter_task_next, struct bpf_iter_task *it)

/* ---- objects, lists, trees */

KFUNC(void *, bpf_obj_new, u64 local_type_id__k)
KFUNC(void *, bpf_obj_new_impl, u64 local_type_id__k, void *meta__ign)
KFUNC(void, bpf_obj_drop, void *p__alloc)
KFUNC(void, bpf_obj_drop_impl, void *p__alloc, void *meta__ign)
KFUNC(void *, bpf_percpu_obj_new, u64 local_type_id__k)
KFUNC(void *, bpf_percpu_obj_new_impl, u64 local_type_id__k, void *meta__ign)
KFUNC(void, bpf_percpu_obj_drop, void *p__alloc)
KFUNC(void, bpf_percpu_obj_drop_impl, void *p__alloc, void *meta__ign)
KFUNC(void *, bpf_refcount_acquire, void *p__refcounted_kptr)
KFUNC(void *, bpf_refcount_acquire_impl, void *p__refcounted_kptr, void *meta__ign)
KFUNC(int, bpf_list_add, struct bpf_list_head *head, struct bpf_list_node *ABI_NEW,
      struct bpf_list_node *prev__nonown_allowed)
KFUNC(struct bpf_list_node *, bpf_list_back, struct bpf_list_head *head)
KFUNC(struct bpf_list_node *, bpf_list_del, struct bpf_list_head *head,
      struct bpf_list_node *node__nonown_allowed)
KFUNC(bool, bpf_list_empty, struct bpf_list_head *head)
KFUNC(struct bpf_list_node *, bpf_list_front, struct bpf_list_head *head)
KFUNC(bool, bpf_list_is_first, struct bpf_list_head *head,
      struct bpf_list_node *node__nonown_allowed)
KFUNC(bool, bpf_list_is_last, struct bpf_list_head *head,
      struct bpf_list_node *node__nonown_allowed)
KFUNC(struct bpf_list_node *, bpf_list_pop_back, struct bpf_list_head *head)
KFUNC(struct bpf_list_node *, bpf_list_pop_front, struct bpf_list_head *head)
KFUNC(int, bpf_list_push_back, struct bpf_list_head *head, struct bpf_list_node *node)
KFUNC(int, bpf_list_push_back_impl, struct bpf_list_head *head, struct bpf_list_node *node,
      void *meta__ign, u64 off)
KFUNC(int, bpf_list_push_front, struct bpf_list_head *head, struct bpf_list_node *node)
KFUNC(int, bpf_list_push_front_impl, struct bpf_list_head *head, struct bpf_list_node *node,
      void *meta__ign, u64 off)
KFUNC(int, bpf_rbtree_add, struct bpf_rb_root *root, struct bpf_rb_node *node,
      bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *))
KFUNC(int, bpf_rbtree_add_impl, struct bpf_rb_root *root, struct bpf_rb_node *node,
      bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *), void *meta__ign, u64 off)
KFUNC(struct bpf_rb_node *, bpf_rbtree_first, struct bpf_rb_root *root)
KFUNC(struct bpf_rb_node *, bpf_rbtree_left, struct bpf_rb_root *root, struct bpf_rb_node *node)
KFUNC(struct bpf_rb_node *, bpf_rbtree_remove, struct bpf_rb_root *root, struct bpf_rb_node *node)
KFUNC(struct bpf_rb_node *, bpf_rbtree_right, struct bpf_rb_root *root, struct bpf_rb_node *node)
KFUNC(struct bpf_rb_node *, bpf_rbtree_root, struct bpf_rb_root *root)

/* ---- critical sections */

KFUNC(void, bpf_rcu_read_lock, void)
KFUNC(void, bpf_rcu_read_unlock, void)
KFUNC(void, bpf_preempt_disable, void)
KFUNC(void, bpf_preempt_enable, void)
KFUNC(void, bpf_local_irq_save, unsigned long *flags__irq_flag)
KFUNC(void, bpf_local_irq_restore, unsigned long *flags__irq_flag)
KFUNC(int, bpf_res_spin_lock, struct bpf_res_spin_lock *lock)
KFUNC(void, bpf_res_spin_unlock, struct bpf_res_spin_lock *lock)
KFUNC(int, bpf_res_spin_lock_irqsave, struct bpf_res_spin_lock *lock,
      unsigned long *flags__irq_flag)
KFUNC(void, bpf_res_spin_unlock_irqrestore, struct bpf_res_spin_lock *lock,
      unsigned long *flags__irq_flag)

/* ---- arenas */

KFUNC(void __arena_ptr *, bpf_arena_alloc_pages, void *p__map, void __arena_ptr *addr__ign,
      u32 page_cnt, int node_id, u64 flags)
KFUNC(void, bpf_arena_free_pages, void *p__map, void __arena_ptr *ptr__ign, u32 page_cnt)
KFUNC(int, bpf_arena_reserve_pages, void *p__map, void __arena_ptr *ptr__ign, u32 page_cnt)

/* ---- deferred work */

KFUNC(int, bpf_wq_init, struct bpf_wq *wq, void *p__const_map, unsigned int flags)
KFUNC(int, bpf_wq_init___until_7_3, struct bpf_wq *wq, void *p__map, unsigned int flags)
KFUNC(int, bpf_wq_set_callback, struct bpf_wq *wq, int (*callback_fn)(void *, int *, void *),
      unsigned int flags)
KFUNC(int, bpf_wq_start, struct bpf_wq *wq, unsigned int flags)
KFUNC(int, bpf_timer_cancel_async, struct bpf_timer *timer)
KFUNC(int, bpf_task_work_schedule_resume, struct task_struct *task, struct bpf_task_work *tw,
      void *map__const_map, bpf_task_work_callback_t callback)
KFUNC(int, bpf_task_work_schedule_resume___until_7_3, struct task_struct *task,
      struct bpf_task_work *tw, void *map__map, bpf_task_work_callback_t callback)
KFUNC(int, bpf_task_work_schedule_signal, struct task_struct *task, struct bpf_task_work *tw,
      void *map__const_map, bpf_task_work_callback_t callback)
KFUNC(int, bpf_task_work_schedule_signal___until_7_3, struct task_struct *task,
      struct bpf_task_work *tw, void *map__map, bpf_task_work_callback_t callback)

/* ---- dynptrs */

KFUNC(int, bpf_dynptr_adjust, struct bpf_dynptr *p, u64 start, u64 end)
KFUNC(int, bpf_dynptr_clone, const struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit)
KFUNC(int, bpf_dynptr_copy, const struct bpf_dynptr *dst_ptr, u64 dst_off,
      const struct bpf_dynptr *src_ptr, u64 src_off, u64 size)
KFUNC(bool, bpf_dynptr_is_null, const struct bpf_dynptr *p)
KFUNC(bool, bpf_dynptr_is_rdonly, const struct bpf_dynptr *p)
KFUNC(int, bpf_dynptr_memset, const struct bpf_dynptr *p, u64 offset, u64 size, u8 val)
KFUNC(u64, bpf_dynptr_size, const struct bpf_dynptr *p)
KFUNC(void *, bpf_dynptr_slice, const struct bpf_dynptr *p, u64 offset, void *buffer__nullable,
      u64 buffer__szk)
KFUNC(void *, bpf_dynptr_slice_rdwr, const struct bpf_dynptr *p, u64 offset, void *buffer__nullable,
      u64 buffer__szk)

/* ---- strings and streams */

KFUNC(int, bpf_strcasecmp, const char *s1__ign, const char *s2__ign)
KFUNC(int, bpf_strcasestr, const char *s1__ign, const char *s2__ign)
KFUNC(int, bpf_strchr, const char *s__ign, char c)
KFUNC(int, bpf_strchrnul, const char *s__ign, char c)
KFUNC(int, bpf_strcmp, const char *s1__ign, const char *s2__ign)
KFUNC(int, bpf_strcspn, const char *s__ign, const char *reject__ign)
KFUNC(int, bpf_stream_print_stack, int stream_id)
KFUNC(int, bpf_stream_vprintk, int stream_id, const char *fmt__str, const void *args, u32 len__sz)
KFUNC(int, bpf_strlen, const char *s__ign)
KFUNC(int, bpf_strncasecmp, const char *s1__ign, const char *s2__ign, size_t len)
KFUNC(int, bpf_strncasestr, const char *s1__ign, const char *s2__ign, size_t len)
KFUNC(int, bpf_strnchr, const char *s__ign, size_t count, char c)
KFUNC(int, bpf_strnlen, const char *s__ign, size_t count)
KFUNC(int, bpf_strnstr, const char *s1__ign, const char *s2__ign, size_t len)
KFUNC(int, bpf_strrchr, const char *s__ign, int c)
KFUNC(int, bpf_strspn, const char *s__ign, const char *accept__ign)
KFUNC(int, bpf_strstr, const char *s1__ign, const char *s2__ign)

/* ---- casts, exceptions, maps */

KFUNC_FASTCALL(void *, bpf_cast_to_kern_ctx, void *obj)
KFUNC_FASTCALL(void *, bpf_rdonly_cast, const void *obj__ign, u32 btf_id__k)
KFUNC(void, bpf_throw, u64 cookie)
KFUNC(void, __bpf_trap, void)
KFUNC(s64, bpf_map_sum_elem_count, const struct bpf_map *map)
KFUNC(int, bpf_copy_from_user_str, void *dst, u32 dst__sz, const void *unsafe_ptr__ign, u64 flags)
KFUNC(int, bpf_copy_from_user_task_str, void *dst, u32 dst__sz, const void *unsafe_ptr__ign,
      struct task_struct *tsk, u64 flags)

#undef ABI_NEW
