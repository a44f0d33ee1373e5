// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/kfunc_proto.h"

#include <algorithm>

namespace uscx::bpf::verifier {

namespace {

constexpr u32 on(KfuncHook hook) {
  return 1u << static_cast<u32>(hook);
}

// The sets of hooks that occur.
constexpr u32 kForCommon = on(KfuncHook::kCommon);
constexpr u32 kStructOpsTracingSyscall =
    on(KfuncHook::kStructOps) | on(KfuncHook::kTracing) | on(KfuncHook::kSyscall);
constexpr u32 kGeneric = on(KfuncHook::kXdp) | on(KfuncHook::kTc) | on(KfuncHook::kStructOps) |
                         on(KfuncHook::kTracing) | on(KfuncHook::kSyscall) | on(KfuncHook::kCgroup);
constexpr u32 kForStructOps = on(KfuncHook::kStructOps);
constexpr u32 kForTracing = on(KfuncHook::kTracing);
constexpr u32 kStructOpsSyscall = on(KfuncHook::kStructOps) | on(KfuncHook::kSyscall);
constexpr u32 kForSyscall = on(KfuncHook::kSyscall);
constexpr u32 kForXdp = on(KfuncHook::kXdp);
constexpr u32 kForFmodret = on(KfuncHook::kFmodret);
constexpr u32 kForCgroup = on(KfuncHook::kCgroup);
constexpr u32 kTracingSyscall = on(KfuncHook::kTracing) | on(KfuncHook::kSyscall);
constexpr u32 kXdpTcSchedAct = on(KfuncHook::kXdp) | on(KfuncHook::kTc) | on(KfuncHook::kSchedAct);
constexpr u32 kTcTracingSyscall =
    on(KfuncHook::kTc) | on(KfuncHook::kTracing) | on(KfuncHook::kSyscall);
constexpr u32 kTracingKprobe = on(KfuncHook::kTracing) | on(KfuncHook::kKprobe);
constexpr u32 kSkb = on(KfuncHook::kTc) | on(KfuncHook::kTracing) | on(KfuncHook::kCgroup) |
                     on(KfuncHook::kSchedAct) | on(KfuncHook::kSkSkb) |
                     on(KfuncHook::kSocketFilter) | on(KfuncHook::kLwt) | on(KfuncHook::kNetfilter);
constexpr u32 kSkbStructOps = kSkb | on(KfuncHook::kStructOps);
constexpr u32 kTcSchedAct = on(KfuncHook::kTc) | on(KfuncHook::kSchedAct);
constexpr u32 kCommonFmodret = on(KfuncHook::kCommon) | on(KfuncHook::kFmodret);
constexpr u32 kForTc = on(KfuncHook::kTc);

/// Ascending by name.
constexpr KfuncProto kKfuncs[] = {
    {"__bpf_trap", 0, kForCommon},
    {"__scx_bpf_dsq_insert_vtime", kKf_Rcu | kKf_ImplicitArgs, kForStructOps},
    {"__scx_bpf_select_cpu_and", kKf_Rcu | kKf_ImplicitArgs, kStructOpsSyscall},
    {"bpf_arena_alloc_pages", kKf_ArenaRet | kKf_ArenaArg2 | kKf_SpinlockSafe, kForCommon},
    {"bpf_arena_free_pages", kKf_ArenaArg2 | kKf_SpinlockSafe, kForCommon},
    {"bpf_arena_reserve_pages", kKf_ArenaArg2 | kKf_SpinlockSafe, kForCommon},
    {"bpf_cast_to_kern_ctx", kKf_Fastcall, kForCommon},
    {"bpf_cgroup_acquire", kKf_Acquire | kKf_RetNull | kKf_Rcu, kGeneric},
    {"bpf_cgroup_ancestor", kKf_Acquire | kKf_RetNull | kKf_Rcu, kGeneric},
    {"bpf_cgroup_from_id", kKf_Acquire | kKf_RetNull, kGeneric},
    {"bpf_cgroup_read_xattr", kKf_Rcu, kForCommon},
    {"bpf_cgroup_release", kKf_Release, kGeneric},
    {"bpf_copy_from_user_dynptr", kKf_Sleepable | kKf_Perfmon, kForCommon},
    {"bpf_copy_from_user_str", kKf_Sleepable | kKf_Perfmon, kForCommon},
    {"bpf_copy_from_user_str_dynptr", kKf_Sleepable | kKf_Perfmon, kForCommon},
    {"bpf_copy_from_user_task_dynptr", kKf_Sleepable | kKf_Perfmon, kForCommon},
    {"bpf_copy_from_user_task_str", kKf_Sleepable | kKf_Perfmon, kForCommon},
    {"bpf_copy_from_user_task_str_dynptr", kKf_Sleepable | kKf_Perfmon, kForCommon},
    {"bpf_cpumask_acquire", kKf_Acquire, kStructOpsTracingSyscall},
    {"bpf_cpumask_and", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_any_and_distribute", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_any_distribute", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_clear", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_clear_cpu", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_copy", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_create", kKf_Acquire | kKf_RetNull, kStructOpsTracingSyscall},
    {"bpf_cpumask_empty", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_equal", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_first", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_first_and", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_first_zero", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_full", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_intersects", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_or", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_populate", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_release", kKf_Release, kStructOpsTracingSyscall},
    {"bpf_cpumask_set_cpu", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_setall", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_subset", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_test_and_clear_cpu", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_test_and_set_cpu", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_test_cpu", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_weight", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_cpumask_xor", kKf_Rcu, kStructOpsTracingSyscall},
    {"bpf_crypto_ctx_acquire", kKf_Acquire | kKf_RetNull | kKf_Rcu, kForSyscall},
    {"bpf_crypto_ctx_create", kKf_Acquire | kKf_RetNull | kKf_Sleepable, kForSyscall},
    {"bpf_crypto_ctx_release", kKf_Release, kForSyscall},
    {"bpf_crypto_decrypt", kKf_Rcu, kXdpTcSchedAct},
    {"bpf_crypto_encrypt", kKf_Rcu, kXdpTcSchedAct},
    {"bpf_dynptr_adjust", 0, kForCommon},
    {"bpf_dynptr_clone", 0, kForCommon},
    {"bpf_dynptr_copy", 0, kForCommon},
    {"bpf_dynptr_file_discard", kKf_Release, kForCommon},
    {"bpf_dynptr_from_file", 0, kForCommon},
    {"bpf_dynptr_from_skb", 0, kSkbStructOps},
    {"bpf_dynptr_from_skb_meta", 0, kTcSchedAct},
    {"bpf_dynptr_from_xdp", 0, kForXdp},
    {"bpf_dynptr_is_null", 0, kForCommon},
    {"bpf_dynptr_is_rdonly", 0, kForCommon},
    {"bpf_dynptr_memset", 0, kForCommon},
    {"bpf_dynptr_size", 0, kForCommon},
    {"bpf_dynptr_slice", kKf_RetNull, kForCommon},
    {"bpf_dynptr_slice_rdwr", kKf_RetNull, kForCommon},
    {"bpf_fentry_test1", kKf_Sleepable, kForFmodret},
    {"bpf_get_dentry_xattr", kKf_Sleepable, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_get_file_xattr", kKf_Sleepable, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_get_fsverity_digest", 0, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_get_kmem_cache", kKf_Perfmon, kForCommon},
    {"bpf_get_mem_cgroup", kKf_Acquire | kKf_RetNull | kKf_Rcu, kForCommon},
    {"bpf_get_root_mem_cgroup", kKf_Acquire | kKf_RetNull, kForCommon},
    {"bpf_get_task_exe_file", kKf_Acquire | kKf_RetNull, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_icmp_send", 0, kForCgroup},
    {"bpf_io_uring_get_region", kKf_RetNull, kForStructOps},
    {"bpf_io_uring_submit_sqes", kKf_Sleepable, kForStructOps},
    {"bpf_iter_bits_destroy", kKf_IterDestroy, kForCommon},
    {"bpf_iter_bits_new", kKf_IterNew | kKf_Perfmon, kForCommon},
    {"bpf_iter_bits_next", kKf_RetNull | kKf_IterNext, kForCommon},
    {"bpf_iter_css_destroy", kKf_IterDestroy, kForCommon},
    {"bpf_iter_css_new", kKf_IterNew | kKf_RcuProtected, kForCommon},
    {"bpf_iter_css_next", kKf_RetNull | kKf_IterNext, kForCommon},
    {"bpf_iter_css_task_destroy", kKf_IterDestroy, kForCommon},
    {"bpf_iter_css_task_new", kKf_IterNew, kForCommon},
    {"bpf_iter_css_task_next", kKf_RetNull | kKf_IterNext, kForCommon},
    {"bpf_iter_dmabuf_destroy", kKf_Sleepable | kKf_IterDestroy, kForCommon},
    {"bpf_iter_dmabuf_new", kKf_Sleepable | kKf_IterNew, kForCommon},
    {"bpf_iter_dmabuf_next", kKf_RetNull | kKf_Sleepable | kKf_IterNext, kForCommon},
    {"bpf_iter_kmem_cache_destroy", kKf_Sleepable | kKf_IterDestroy, kForCommon},
    {"bpf_iter_kmem_cache_new", kKf_Sleepable | kKf_IterNew, kForCommon},
    {"bpf_iter_kmem_cache_next", kKf_RetNull | kKf_Sleepable | kKf_IterNext, kForCommon},
    {"bpf_iter_num_destroy", kKf_IterDestroy | kKf_SpinlockSafe, kForCommon},
    {"bpf_iter_num_new", kKf_IterNew | kKf_SpinlockSafe, kForCommon},
    {"bpf_iter_num_next", kKf_RetNull | kKf_IterNext | kKf_SpinlockSafe, kForCommon},
    {"bpf_iter_scx_dsq_destroy", kKf_IterDestroy, kStructOpsTracingSyscall},
    {"bpf_iter_scx_dsq_new", kKf_IterNew | kKf_RcuProtected | kKf_ImplicitArgs,
     kStructOpsTracingSyscall},
    {"bpf_iter_scx_dsq_next", kKf_RetNull | kKf_IterNext, kStructOpsTracingSyscall},
    {"bpf_iter_task_destroy", kKf_IterDestroy, kForCommon},
    {"bpf_iter_task_new", kKf_IterNew | kKf_RcuProtected, kForCommon},
    {"bpf_iter_task_next", kKf_RetNull | kKf_IterNext, kForCommon},
    {"bpf_iter_task_vma_destroy", kKf_IterDestroy, kForCommon},
    {"bpf_iter_task_vma_new", kKf_Rcu | kKf_IterNew, kForCommon},
    {"bpf_iter_task_vma_next", kKf_RetNull | kKf_IterNext, kForCommon},
    {"bpf_key_put", kKf_Release, kGeneric},
    {"bpf_kfree_skb", kKf_Release, kForStructOps},
    {"bpf_kfunc_call_memb_release", kKf_Release, kTcTracingSyscall},
    {"bpf_kfunc_call_test_release", kKf_Release, kTcTracingSyscall},
    {"bpf_ksock_acquire", kKf_Acquire | kKf_RetNull | kKf_Rcu, kTracingSyscall,
     KfuncFilterKind::kKsock},
    {"bpf_ksock_connect", kKf_Sleepable, kForSyscall},
    {"bpf_ksock_create", kKf_Acquire | kKf_RetNull | kKf_Sleepable, kForSyscall},
    {"bpf_ksock_release", kKf_Release, kTracingSyscall, KfuncFilterKind::kKsock},
    {"bpf_ksock_send", kKf_Sleepable, kTracingSyscall, KfuncFilterKind::kKsock},
    {"bpf_list_add", kKf_ImplicitArgs | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_back", kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_del", kKf_Acquire | kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_empty", kKf_SpinlockSafe, kGeneric},
    {"bpf_list_front", kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_is_first", kKf_SpinlockSafe, kGeneric},
    {"bpf_list_is_last", kKf_SpinlockSafe, kGeneric},
    {"bpf_list_pop_back", kKf_Acquire | kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_pop_front", kKf_Acquire | kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_push_back", kKf_ImplicitArgs | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_push_back_impl", kKf_SpinlockSafe, kGeneric},
    {"bpf_list_push_front", kKf_ImplicitArgs | kKf_SpinlockSafe, kGeneric},
    {"bpf_list_push_front_impl", kKf_SpinlockSafe, kGeneric},
    {"bpf_local_irq_restore", 0, kForCommon},
    {"bpf_local_irq_save", 0, kForCommon},
    {"bpf_lookup_system_key", kKf_Acquire | kKf_RetNull, kGeneric},
    {"bpf_lookup_user_key", kKf_Acquire | kKf_RetNull | kKf_Sleepable, kGeneric},
    {"bpf_map_sum_elem_count", 0, kForCommon},
    {"bpf_mem_cgroup_flush_stats", kKf_Sleepable, kForCommon},
    {"bpf_mem_cgroup_memory_events", 0, kForCommon},
    {"bpf_mem_cgroup_page_state", 0, kForCommon},
    {"bpf_mem_cgroup_usage", 0, kForCommon},
    {"bpf_mem_cgroup_vm_events", 0, kForCommon},
    {"bpf_modify_return_test", 0, kForFmodret},
    {"bpf_modify_return_test2", 0, kForFmodret},
    {"bpf_modify_return_test_tp", 0, kCommonFmodret},
    {"bpf_obj_drop", kKf_Release | kKf_ImplicitArgs, kGeneric},
    {"bpf_obj_drop_impl", kKf_Release, kGeneric},
    {"bpf_obj_new", kKf_Acquire | kKf_RetNull | kKf_ImplicitArgs, kGeneric},
    {"bpf_obj_new_impl", kKf_Acquire | kKf_RetNull, kGeneric},
    {"bpf_path_d_path", 0, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_percpu_obj_drop", kKf_Release | kKf_ImplicitArgs, kGeneric},
    {"bpf_percpu_obj_drop_impl", kKf_Release, kGeneric},
    {"bpf_percpu_obj_new", kKf_Acquire | kKf_RetNull | kKf_ImplicitArgs, kGeneric},
    {"bpf_percpu_obj_new_impl", kKf_Acquire | kKf_RetNull, kGeneric},
    {"bpf_preempt_disable", 0, kForCommon},
    {"bpf_preempt_enable", 0, kForCommon},
    {"bpf_probe_read_kernel_dynptr", kKf_Perfmon, kForCommon},
    {"bpf_probe_read_kernel_str_dynptr", kKf_Perfmon, kForCommon},
    {"bpf_probe_read_user_dynptr", kKf_Perfmon, kForCommon},
    {"bpf_probe_read_user_str_dynptr", kKf_Perfmon, kForCommon},
    {"bpf_put_file", kKf_Release, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_put_mem_cgroup", kKf_Release, kForCommon},
    {"bpf_qdisc_bstats_update", 0, kForStructOps},
    {"bpf_qdisc_init_prologue", 0, kForStructOps},
    {"bpf_qdisc_reset_destroy_epilogue", 0, kForStructOps},
    {"bpf_qdisc_skb_drop", kKf_Release, kForStructOps},
    {"bpf_qdisc_watchdog_schedule", 0, kForStructOps},
    {"bpf_rbtree_add", kKf_ImplicitArgs | kKf_SpinlockSafe, kGeneric},
    {"bpf_rbtree_add_impl", kKf_SpinlockSafe, kGeneric},
    {"bpf_rbtree_first", kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_rbtree_left", kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_rbtree_remove", kKf_Acquire | kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_rbtree_right", kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_rbtree_root", kKf_RetNull | kKf_SpinlockSafe, kGeneric},
    {"bpf_rcu_read_lock", 0, kForCommon},
    {"bpf_rcu_read_unlock", 0, kForCommon},
    {"bpf_rdonly_cast", kKf_Fastcall | kKf_Perfmon, kForCommon},
    {"bpf_real_data_inode", kKf_RetNull | kKf_Sleepable, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_refcount_acquire",
     kKf_Acquire | kKf_RetNull | kKf_Rcu | kKf_ImplicitArgs | kKf_SpinlockSafe, kGeneric},
    {"bpf_refcount_acquire_impl", kKf_Acquire | kKf_RetNull | kKf_Rcu | kKf_SpinlockSafe, kGeneric},
    {"bpf_remove_dentry_xattr", kKf_Sleepable, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_res_spin_lock", kKf_RetNull | kKf_SpinlockSafe, kForCommon},
    {"bpf_res_spin_lock_irqsave", kKf_RetNull | kKf_SpinlockSafe, kForCommon},
    {"bpf_res_spin_unlock", kKf_SpinlockSafe, kForCommon},
    {"bpf_res_spin_unlock_irqrestore", kKf_SpinlockSafe, kForCommon},
    {"bpf_send_signal_task", 0, kGeneric},
    {"bpf_session_cookie", 0, kTracingKprobe, KfuncFilterKind::kSession},
    {"bpf_session_is_return", 0, kTracingKprobe, KfuncFilterKind::kSession},
    {"bpf_set_dentry_xattr", kKf_Sleepable, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_sk_assign_tcp_reqsk", 0, kForTc},
    {"bpf_skb_get_hash", 0, kForStructOps},
    {"bpf_sock_addr_set_sun_path", 0, kForCgroup},
    {"bpf_sock_destroy", 0, kForTracing, KfuncFilterKind::kIterator},
    {"bpf_sock_ops_enable_tx_tstamp", 0, kForCgroup},
    {"bpf_sock_read_xattr", kKf_Rcu, kForTracing, KfuncFilterKind::kLsm},
    {"bpf_strcasecmp", kKf_Perfmon, kForCommon},
    {"bpf_strcasestr", kKf_Perfmon, kForCommon},
    {"bpf_strchr", kKf_Perfmon, kForCommon},
    {"bpf_strchrnul", kKf_Perfmon, kForCommon},
    {"bpf_strcmp", kKf_Perfmon, kForCommon},
    {"bpf_strcspn", kKf_Perfmon, kForCommon},
    {"bpf_stream_print_stack", kKf_ImplicitArgs | kKf_SpinlockSafe | kKf_Perfmon, kForCommon},
    {"bpf_stream_vprintk", kKf_ImplicitArgs | kKf_SpinlockSafe | kKf_Perfmon, kForCommon},
    {"bpf_strlen", kKf_Perfmon, kForCommon},
    {"bpf_strncasecmp", kKf_Perfmon, kForCommon},
    {"bpf_strncasestr", kKf_Perfmon, kForCommon},
    {"bpf_strnchr", kKf_Perfmon, kForCommon},
    {"bpf_strnlen", kKf_Perfmon, kForCommon},
    {"bpf_strnstr", kKf_Perfmon, kForCommon},
    {"bpf_strrchr", kKf_Perfmon, kForCommon},
    {"bpf_strspn", kKf_Perfmon, kForCommon},
    {"bpf_strstr", kKf_Perfmon, kForCommon},
    {"bpf_task_acquire", kKf_Acquire | kKf_RetNull | kKf_Rcu, kGeneric},
    {"bpf_task_from_pid", kKf_Acquire | kKf_RetNull, kGeneric},
    {"bpf_task_from_vpid", kKf_Acquire | kKf_RetNull, kGeneric},
    {"bpf_task_get_cgroup1", kKf_Acquire | kKf_RetNull | kKf_Rcu, kGeneric},
    {"bpf_task_release", kKf_Release, kGeneric},
    {"bpf_task_under_cgroup", kKf_Rcu, kGeneric},
    {"bpf_task_work_schedule_resume", kKf_ImplicitArgs, kForCommon},
    {"bpf_task_work_schedule_signal", kKf_ImplicitArgs, kForCommon},
    {"bpf_throw", 0, kGeneric},
    {"bpf_timer_cancel_async", 0, kForCommon},
    {"bpf_verify_pkcs7_signature", kKf_Sleepable, kGeneric},
    {"bpf_wakeup_sources_get_head", 0, kForSyscall},
    {"bpf_wakeup_sources_read_lock", kKf_Acquire, kForSyscall},
    {"bpf_wakeup_sources_read_unlock", kKf_Release, kForSyscall},
    {"bpf_wq_init", 0, kForCommon},
    {"bpf_wq_set_callback", kKf_ImplicitArgs, kForCommon},
    {"bpf_wq_start", 0, kForCommon},
    {"bpf_xdp_get_xfrm_state", kKf_Acquire | kKf_RetNull, kForXdp},
    {"bpf_xdp_metadata_rx_hash", 0, kForXdp},
    {"bpf_xdp_metadata_rx_timestamp", 0, kForXdp},
    {"bpf_xdp_metadata_rx_vlan_tag", 0, kForXdp},
    {"bpf_xdp_pull_data", 0, kForXdp},
    {"bpf_xdp_xfrm_state_release", kKf_Release, kForXdp},
    {"crash_kexec", kKf_Destructive, kGeneric},
    {"css_rstat_flush", kKf_Sleepable, kForTracing},
    {"css_rstat_updated", 0, kForTracing},
    {"cubictcp_acked", 0, kForStructOps},
    {"cubictcp_cong_avoid", 0, kForStructOps},
    {"cubictcp_cwnd_event_tx_start", 0, kForStructOps},
    {"cubictcp_init", 0, kForStructOps},
    {"cubictcp_recalc_ssthresh", 0, kForStructOps},
    {"cubictcp_state", 0, kForStructOps},
    {"scx_bpf_cid_curr", kKf_RetNull | kKf_RcuProtected | kKf_ImplicitArgs,
     kStructOpsTracingSyscall},
    {"scx_bpf_cid_override", kKf_Sleepable | kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_cid_to_cpu", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cid_topo", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cidperf_cap", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cidperf_cur", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cidperf_set", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cpu_curr", kKf_RetNull | kKf_RcuProtected | kKf_ImplicitArgs,
     kStructOpsTracingSyscall},
    {"scx_bpf_cpu_node", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cpu_to_cid", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cpuperf_cap", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cpuperf_cur", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_cpuperf_set", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_create_dsq", kKf_Sleepable | kKf_ImplicitArgs, kStructOpsSyscall},
    {"scx_bpf_destroy_dsq", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_dispatch_cancel", kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_dispatch_nr_slots", kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_dsq_insert", kKf_Rcu | kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_dsq_insert___v2", kKf_Rcu | kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_dsq_insert_vtime", kKf_Rcu, kForStructOps},
    {"scx_bpf_dsq_move", kKf_Rcu, kStructOpsSyscall},
    {"scx_bpf_dsq_move_set_slice", kKf_Rcu, kStructOpsSyscall},
    {"scx_bpf_dsq_move_set_vtime", kKf_Rcu, kStructOpsSyscall},
    {"scx_bpf_dsq_move_to_local", kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_dsq_move_to_local___v2", kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_dsq_move_vtime", kKf_Rcu, kStructOpsSyscall},
    {"scx_bpf_dsq_nr_queued", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_dsq_peek", kKf_RetNull | kKf_RcuProtected | kKf_ImplicitArgs,
     kStructOpsTracingSyscall},
    {"scx_bpf_dsq_reenq", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_dump_bstr", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_error_bstr", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_events", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_exit_bstr", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_get_idle_cpumask", kKf_Acquire | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_get_idle_cpumask_node", kKf_Acquire | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_get_idle_smtmask", kKf_Acquire | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_get_idle_smtmask_node", kKf_Acquire | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_get_online_cpumask", kKf_Acquire, kStructOpsTracingSyscall},
    {"scx_bpf_get_possible_cpumask", kKf_Acquire, kStructOpsTracingSyscall},
    {"scx_bpf_kick_cid", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_kick_cpu", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_locked_rq", kKf_RetNull | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_now", 0, kStructOpsTracingSyscall},
    {"scx_bpf_nr_cids", 0, kStructOpsTracingSyscall},
    {"scx_bpf_nr_cpu_ids", 0, kStructOpsTracingSyscall},
    {"scx_bpf_nr_node_ids", 0, kStructOpsTracingSyscall},
    {"scx_bpf_nr_online_cids", 0, kStructOpsTracingSyscall},
    {"scx_bpf_online_cmask", kKf_ArenaRet | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_pick_any_cpu", kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_pick_any_cpu_node", kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_pick_idle_cpu", kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_pick_idle_cpu_node", kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_put_cpumask", kKf_Release, kStructOpsTracingSyscall},
    {"scx_bpf_put_idle_cpumask", kKf_Release, kStructOpsTracingSyscall},
    {"scx_bpf_reenqueue_local", kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_reenqueue_local___v2", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_select_cpu_and", kKf_Rcu, kStructOpsSyscall},
    {"scx_bpf_select_cpu_dfl", kKf_Rcu | kKf_ImplicitArgs, kStructOpsSyscall},
    {"scx_bpf_sub_caps", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_sub_dispatch", kKf_ImplicitArgs, kForStructOps},
    {"scx_bpf_sub_grant", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_sub_kill_bstr", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_sub_revoke", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_task_cgroup", kKf_Acquire | kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_task_cid", kKf_Rcu, kStructOpsTracingSyscall},
    {"scx_bpf_task_cpu", kKf_Rcu, kStructOpsTracingSyscall},
    {"scx_bpf_task_running", kKf_Rcu, kStructOpsTracingSyscall},
    {"scx_bpf_task_set_dsq_vtime", kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_task_set_slice", kKf_Rcu | kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_test_and_clear_cpu_idle", kKf_ImplicitArgs, kStructOpsTracingSyscall},
    {"scx_bpf_this_cid", 0, kStructOpsTracingSyscall},
    {"scx_bpf_tid_to_task", kKf_RetNull | kKf_RcuProtected, kStructOpsTracingSyscall},
    {"tcp_cong_avoid_ai", 0, kForStructOps},
    {"tcp_reno_cong_avoid", 0, kForStructOps},
    {"tcp_reno_ssthresh", 0, kForStructOps},
    {"tcp_reno_undo_cwnd", 0, kForStructOps},
    {"tcp_slow_start", 0, kForStructOps},
};
static_assert(std::is_sorted(std::begin(kKfuncs), std::end(kKfuncs),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));

/// What Linux checks beyond the type of the program.
bool passes(KfuncFilterKind filter, const ProgContext& prog) {
  switch (filter) {
    case KfuncFilterKind::kNone:
      return true;
    case KfuncFilterKind::kSession:
      if (prog.type == kProgTracing)
        return prog.attach_type == kTraceFsession || prog.attach_type == kTraceFsessionMulti;
      return prog.attach_type == kTraceKprobeSession || prog.attach_type == kTraceUprobeSession;
    case KfuncFilterKind::kIterator:
      return prog.attach_type == kTraceIter;
    case KfuncFilterKind::kKsock:
      return prog.type == kProgSyscall ||
             (prog.type == kProgLsm && prog.attach_name != "bpf_lsm_socket_sendmsg");
    case KfuncFilterKind::kLsm:
      return prog.type == kProgLsm;
  }
  return false;
}

/// Kfuncs of packet schedulers, for struct_ops programs. Linux: bpf_qdisc_kfunc_filter.
bool qdisc_passes(std::string_view kfunc, const ProgContext& prog) {
  static constexpr std::string_view kCommon[] = {"bpf_dynptr_from_skb", "bpf_kfree_skb",
                                                 "bpf_skb_get_hash"};
  const bool common = std::find(std::begin(kCommon), std::end(kCommon), kfunc) != std::end(kCommon);
  if (!common && !kfunc.starts_with("bpf_qdisc_")) return true;
  if (prog.struct_ops_type != "Qdisc_ops") return false;
  const bool enqueue = prog.attach_name == "enqueue", dequeue = prog.attach_name == "dequeue";
  if (kfunc == "bpf_qdisc_skb_drop") return enqueue;
  if (kfunc == "bpf_qdisc_watchdog_schedule") return enqueue || dequeue;
  if (kfunc == "bpf_qdisc_bstats_update") return dequeue;
  return common;
}

}  // namespace

const KfuncProto* kfunc_proto(std::string_view name) {
  const auto it = std::lower_bound(std::begin(kKfuncs), std::end(kKfuncs), name,
                                   [](const auto& k, std::string_view n) { return k.name < n; });
  return it != std::end(kKfuncs) && it->name == name ? it : nullptr;
}

std::span<const KfuncProto> all_kfuncs() {
  return kKfuncs;
}

KfuncHook kfunc_hook(u32 prog_type) {
  switch (prog_type) {
    case kProgUnspec:
      return KfuncHook::kCommon;
    case kProgXdp:
      return KfuncHook::kXdp;
    case kProgSchedCls:
      return KfuncHook::kTc;
    case kProgStructOps:
      return KfuncHook::kStructOps;
    case kProgTracing:
    case kProgTracepoint:
    case kProgRawTracepoint:
    case kProgPerfEvent:
    case kProgLsm:
      return KfuncHook::kTracing;
    case kProgSyscall:
      return KfuncHook::kSyscall;
    case kProgCgroupSkb:
    case kProgCgroupSock:
    case kProgCgroupDevice:
    case kProgCgroupSockAddr:
    case kProgCgroupSockopt:
    case kProgCgroupSysctl:
    case kProgSockOps:
      return KfuncHook::kCgroup;
    case kProgSchedAct:
      return KfuncHook::kSchedAct;
    case kProgSkSkb:
      return KfuncHook::kSkSkb;
    case kProgSocketFilter:
      return KfuncHook::kSocketFilter;
    case kProgLwtOut:
    case kProgLwtIn:
    case kProgLwtXmit:
    case kProgLwtSeg6local:
      return KfuncHook::kLwt;
    case kProgNetfilter:
      return KfuncHook::kNetfilter;
    case kProgKprobe:
      return KfuncHook::kKprobe;
    default:
      return KfuncHook::kNone;
  }
}

bool kfunc_allowed(const KfuncProto& kfunc, const ProgContext& prog) {
  if (kfunc.in(KfuncHook::kCommon)) return true;
  const KfuncHook hook = kfunc_hook(prog.type);
  if (hook == KfuncHook::kStructOps && !qdisc_passes(kfunc.name, prog)) return false;
  return hook != KfuncHook::kNone && kfunc.in(hook) && passes(kfunc.filter, prog);
}

}  // namespace uscx::bpf::verifier
