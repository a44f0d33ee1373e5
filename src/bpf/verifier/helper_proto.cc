// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/helper_proto.h"

#include <algorithm>
#include <span>

#include "bpf/verifier/helper_protos_core.h"
#include "bpf/verifier/helper_protos_net.h"

namespace uscx::bpf::verifier {

using namespace protos;

namespace {

constexpr std::string_view kNames[] = {"",
                                       "bpf_map_lookup_elem",
                                       "bpf_map_update_elem",
                                       "bpf_map_delete_elem",
                                       "bpf_probe_read",
                                       "bpf_ktime_get_ns",
                                       "bpf_trace_printk",
                                       "bpf_get_prandom_u32",
                                       "bpf_get_smp_processor_id",
                                       "bpf_skb_store_bytes",
                                       "bpf_l3_csum_replace",
                                       "bpf_l4_csum_replace",
                                       "bpf_tail_call",
                                       "bpf_clone_redirect",
                                       "bpf_get_current_pid_tgid",
                                       "bpf_get_current_uid_gid",
                                       "bpf_get_current_comm",
                                       "bpf_get_cgroup_classid",
                                       "bpf_skb_vlan_push",
                                       "bpf_skb_vlan_pop",
                                       "bpf_skb_get_tunnel_key",
                                       "bpf_skb_set_tunnel_key",
                                       "bpf_perf_event_read",
                                       "bpf_redirect",
                                       "bpf_get_route_realm",
                                       "bpf_perf_event_output",
                                       "bpf_skb_load_bytes",
                                       "bpf_get_stackid",
                                       "bpf_csum_diff",
                                       "bpf_skb_get_tunnel_opt",
                                       "bpf_skb_set_tunnel_opt",
                                       "bpf_skb_change_proto",
                                       "bpf_skb_change_type",
                                       "bpf_skb_under_cgroup",
                                       "bpf_get_hash_recalc",
                                       "bpf_get_current_task",
                                       "bpf_probe_write_user",
                                       "bpf_current_task_under_cgroup",
                                       "bpf_skb_change_tail",
                                       "bpf_skb_pull_data",
                                       "bpf_csum_update",
                                       "bpf_set_hash_invalid",
                                       "bpf_get_numa_node_id",
                                       "bpf_skb_change_head",
                                       "bpf_xdp_adjust_head",
                                       "bpf_probe_read_str",
                                       "bpf_get_socket_cookie",
                                       "bpf_get_socket_uid",
                                       "bpf_set_hash",
                                       "bpf_setsockopt",
                                       "bpf_skb_adjust_room",
                                       "bpf_redirect_map",
                                       "bpf_sk_redirect_map",
                                       "bpf_sock_map_update",
                                       "bpf_xdp_adjust_meta",
                                       "bpf_perf_event_read_value",
                                       "bpf_perf_prog_read_value",
                                       "bpf_getsockopt",
                                       "bpf_override_return",
                                       "bpf_sock_ops_cb_flags_set",
                                       "bpf_msg_redirect_map",
                                       "bpf_msg_apply_bytes",
                                       "bpf_msg_cork_bytes",
                                       "bpf_msg_pull_data",
                                       "bpf_bind",
                                       "bpf_xdp_adjust_tail",
                                       "bpf_skb_get_xfrm_state",
                                       "bpf_get_stack",
                                       "bpf_skb_load_bytes_relative",
                                       "bpf_fib_lookup",
                                       "bpf_sock_hash_update",
                                       "bpf_msg_redirect_hash",
                                       "bpf_sk_redirect_hash",
                                       "bpf_lwt_push_encap",
                                       "bpf_lwt_seg6_store_bytes",
                                       "bpf_lwt_seg6_adjust_srh",
                                       "bpf_lwt_seg6_action",
                                       "bpf_rc_repeat",
                                       "bpf_rc_keydown",
                                       "bpf_skb_cgroup_id",
                                       "bpf_get_current_cgroup_id",
                                       "bpf_get_local_storage",
                                       "bpf_sk_select_reuseport",
                                       "bpf_skb_ancestor_cgroup_id",
                                       "bpf_sk_lookup_tcp",
                                       "bpf_sk_lookup_udp",
                                       "bpf_sk_release",
                                       "bpf_map_push_elem",
                                       "bpf_map_pop_elem",
                                       "bpf_map_peek_elem",
                                       "bpf_msg_push_data",
                                       "bpf_msg_pop_data",
                                       "bpf_rc_pointer_rel",
                                       "bpf_spin_lock",
                                       "bpf_spin_unlock",
                                       "bpf_sk_fullsock",
                                       "bpf_tcp_sock",
                                       "bpf_skb_ecn_set_ce",
                                       "bpf_get_listener_sock",
                                       "bpf_skc_lookup_tcp",
                                       "bpf_tcp_check_syncookie",
                                       "bpf_sysctl_get_name",
                                       "bpf_sysctl_get_current_value",
                                       "bpf_sysctl_get_new_value",
                                       "bpf_sysctl_set_new_value",
                                       "bpf_strtol",
                                       "bpf_strtoul",
                                       "bpf_sk_storage_get",
                                       "bpf_sk_storage_delete",
                                       "bpf_send_signal",
                                       "bpf_tcp_gen_syncookie",
                                       "bpf_skb_output",
                                       "bpf_probe_read_user",
                                       "bpf_probe_read_kernel",
                                       "bpf_probe_read_user_str",
                                       "bpf_probe_read_kernel_str",
                                       "bpf_tcp_send_ack",
                                       "bpf_send_signal_thread",
                                       "bpf_jiffies64",
                                       "bpf_read_branch_records",
                                       "bpf_get_ns_current_pid_tgid",
                                       "bpf_xdp_output",
                                       "bpf_get_netns_cookie",
                                       "bpf_get_current_ancestor_cgroup_id",
                                       "bpf_sk_assign",
                                       "bpf_ktime_get_boot_ns",
                                       "bpf_seq_printf",
                                       "bpf_seq_write",
                                       "bpf_sk_cgroup_id",
                                       "bpf_sk_ancestor_cgroup_id",
                                       "bpf_ringbuf_output",
                                       "bpf_ringbuf_reserve",
                                       "bpf_ringbuf_submit",
                                       "bpf_ringbuf_discard",
                                       "bpf_ringbuf_query",
                                       "bpf_csum_level",
                                       "bpf_skc_to_tcp6_sock",
                                       "bpf_skc_to_tcp_sock",
                                       "bpf_skc_to_tcp_timewait_sock",
                                       "bpf_skc_to_tcp_request_sock",
                                       "bpf_skc_to_udp6_sock",
                                       "bpf_get_task_stack",
                                       "bpf_load_hdr_opt",
                                       "bpf_store_hdr_opt",
                                       "bpf_reserve_hdr_opt",
                                       "bpf_inode_storage_get",
                                       "bpf_inode_storage_delete",
                                       "bpf_d_path",
                                       "bpf_copy_from_user",
                                       "bpf_snprintf_btf",
                                       "bpf_seq_printf_btf",
                                       "bpf_skb_cgroup_classid",
                                       "bpf_redirect_neigh",
                                       "bpf_per_cpu_ptr",
                                       "bpf_this_cpu_ptr",
                                       "bpf_redirect_peer",
                                       "bpf_task_storage_get",
                                       "bpf_task_storage_delete",
                                       "bpf_get_current_task_btf",
                                       "bpf_bprm_opts_set",
                                       "bpf_ktime_get_coarse_ns",
                                       "bpf_ima_inode_hash",
                                       "bpf_sock_from_file",
                                       "bpf_check_mtu",
                                       "bpf_for_each_map_elem",
                                       "bpf_snprintf",
                                       "bpf_sys_bpf",
                                       "bpf_btf_find_by_name_kind",
                                       "bpf_sys_close",
                                       "bpf_timer_init",
                                       "bpf_timer_set_callback",
                                       "bpf_timer_start",
                                       "bpf_timer_cancel",
                                       "bpf_get_func_ip",
                                       "bpf_get_attach_cookie",
                                       "bpf_task_pt_regs",
                                       "bpf_get_branch_snapshot",
                                       "bpf_trace_vprintk",
                                       "bpf_skc_to_unix_sock",
                                       "bpf_kallsyms_lookup_name",
                                       "bpf_find_vma",
                                       "bpf_loop",
                                       "bpf_strncmp",
                                       "bpf_get_func_arg",
                                       "bpf_get_func_ret",
                                       "bpf_get_func_arg_cnt",
                                       "bpf_get_retval",
                                       "bpf_set_retval",
                                       "bpf_xdp_get_buff_len",
                                       "bpf_xdp_load_bytes",
                                       "bpf_xdp_store_bytes",
                                       "bpf_copy_from_user_task",
                                       "bpf_skb_set_tstamp",
                                       "bpf_ima_file_hash",
                                       "bpf_kptr_xchg",
                                       "bpf_map_lookup_percpu_elem",
                                       "bpf_skc_to_mptcp_sock",
                                       "bpf_dynptr_from_mem",
                                       "bpf_ringbuf_reserve_dynptr",
                                       "bpf_ringbuf_submit_dynptr",
                                       "bpf_ringbuf_discard_dynptr",
                                       "bpf_dynptr_read",
                                       "bpf_dynptr_write",
                                       "bpf_dynptr_data",
                                       "bpf_tcp_raw_gen_syncookie_ipv4",
                                       "bpf_tcp_raw_gen_syncookie_ipv6",
                                       "bpf_tcp_raw_check_syncookie_ipv4",
                                       "bpf_tcp_raw_check_syncookie_ipv6",
                                       "bpf_ktime_get_tai_ns",
                                       "bpf_user_ringbuf_drain",
                                       "bpf_cgrp_storage_get",
                                       "bpf_cgrp_storage_delete"};
static_assert(std::size(kNames) == kMaxHelperId + 1);

// What each type adds to the set it builds on, in Linux's order. What depends on more than the type
// is below, beside the type's function.
constexpr const HelperProto* kBaseHelpers[] = {&kMapLookupElem,
                                        &kMapUpdateElem,
                                        &kMapDeleteElem,
                                        &kMapPushElem,
                                        &kMapPopElem,
                                        &kMapPeekElem,
                                        &kMapLookupPercpuElem,
                                        &kGetPrandomU32,
                                        &kGetRawSmpProcessorId,
                                        &kGetNumaNodeId,
                                        &kTailCall,
                                        &kKtimeGetNs,
                                        &kKtimeGetBootNs,
                                        &kKtimeGetTaiNs,
                                        &kRingbufOutput,
                                        &kRingbufReserve,
                                        &kRingbufSubmit,
                                        &kRingbufDiscard,
                                        &kRingbufQuery,
                                        &kStrncmp,
                                        &kStrtol,
                                        &kStrtoul,
                                        &kGetCurrentPidTgid,
                                        &kGetNsCurrentPidTgid,
                                        &kGetCurrentUidGid,
                                        &kSpinLock,
                                        &kSpinUnlock,
                                        &kJiffies64,
                                        &kPerCpuPtr,
                                        &kThisCpuPtr,
                                        &kTimerInit,
                                        &kTimerSetCallback,
                                        &kTimerStart,
                                        &kTimerCancel,
                                        &kKptrXchg,
                                        &kForEachMapElem,
                                        &kLoop,
                                        &kUserRingbufDrain,
                                        &kRingbufReserveDynptr,
                                        &kRingbufSubmitDynptr,
                                        &kRingbufDiscardDynptr,
                                        &kDynptrFromMem,
                                        &kDynptrRead,
                                        &kDynptrWrite,
                                        &kDynptrData,
                                        &kCgrpStorageGet,
                                        &kCgrpStorageDelete,
                                        &kGetCurrentCgroupId,
                                        &kGetCurrentAncestorCgroupId,
                                        &kCurrentTaskUnderCgroup,
                                        &kGetCgroupClassidCurr,
                                        &kTaskStorageGet,
                                        &kTaskStorageDelete,
                                        &kTracePrintk,
                                        &kGetCurrentTask,
                                        &kGetCurrentTaskBtf,
                                        &kGetCurrentComm,
                                        &kProbeReadUser,
                                        &kProbeReadKernel,
                                        &kProbeReadUserStr,
                                        &kProbeReadKernelStr,
                                        &kCopyFromUser,
                                        &kCopyFromUserTask,
                                        &kSnprintfBtf,
                                        &kSnprintf,
                                        &kTaskPtRegs,
                                        &kTraceVprintk,
                                        &kPerfEventReadValue,
                                        &kPerfEventRead,
                                        &kSendSignal,
                                        &kSendSignalThread,
                                        &kGetBranchSnapshot,
                                        &kFindVma};
constexpr const HelperProto* kTracingHelpers[] = {&kGetSmpProcessorId, &kProbeReadCompat,
                                           &kProbeReadCompatStr, &kGetFuncIpTracing,
                                           &kProbeWriteUser};
constexpr const HelperProto* kKprobeProgHelpers[] = {&kPerfEventOutput, &kGetStackid, &kGetFuncIp,
                                              &kGetAttachCookie};
constexpr const HelperProto* kTpProgHelpers[] = {&kPerfEventOutput, &kGetStackid, &kGetStack,
                                          &kGetAttachCookie};
constexpr const HelperProto* kPeProgHelpers[] = {&kPerfEventOutput,   &kGetStackidPe,
                                          &kGetStack,          &kPerfProgReadValue,
                                          &kReadBranchRecords, &kGetAttachCookie};
constexpr const HelperProto* kRawTpProgHelpers[] = {&kPerfEventOutput, &kGetStackid, &kGetStack,
                                             &kGetAttachCookie};
constexpr const HelperProto* kTracingProgHelpers[] = {&kSkbOutput,
                                               &kXdpOutput,
                                               &kSkcToTcp6Sock,
                                               &kSkcToTcpSock,
                                               &kSkcToTcpTimewaitSock,
                                               &kSkcToTcpRequestSock,
                                               &kSkcToUdp6Sock,
                                               &kSkcToUnixSock,
                                               &kSkcToMptcpSock,
                                               &kSkStorageGetTracing,
                                               &kSkStorageDeleteTracing,
                                               &kSockFromFile,
                                               &kGetSocketPtrCookie,
                                               &kXdpGetBuffLenTrace,
                                               &kDPath};
constexpr const HelperProto* kCgroupDevHelpers[] = {&kPerfEventOutput};
constexpr const HelperProto* kSysctlHelpers[] = {&kSysctlGetName,     &kSysctlGetCurrentValue,
                                          &kSysctlGetNewValue, &kSysctlSetNewValue,
                                          &kKtimeGetCoarseNs,  &kPerfEventOutput};
constexpr const HelperProto* kCgSockoptHelpers[] = {&kGetNetnsCookie, &kSkStorageGet, &kSkStorageDelete,
                                             &kTcpSock, &kPerfEventOutput};
constexpr const HelperProto* kCgroupCommonHelpers[] = {&kGetLocalStorage};
constexpr const HelperProto* kLsmHelpers[] = {&kInodeStorageGet, &kInodeStorageDelete, &kSkStorageGet,
                                       &kSkStorageDelete, &kSpinLock,           &kSpinUnlock,
                                       &kBprmOptsSet,     &kImaInodeHash,       &kImaFileHash};
constexpr const HelperProto* kSyscallProgHelpers[] = {&kSysBpf, &kBtfFindByNameKind, &kSysClose,
                                               &kKallsymsLookupName};
constexpr const HelperProto* kSockFilterHelpers[] = {&kGetSocketCookie, &kGetNetnsCookie,
                                              &kPerfEventOutput, &kSkStorageGetCgSock,
                                              &kKtimeGetCoarseNs};
constexpr const HelperProto* kSockAddrHelpers[] = {&kGetSocketCookie, &kGetNetnsCookie, &kPerfEventOutput,
                                            &kCtxSkLookupTcp,  &kCtxSkLookupUdp, &kSkRelease,
                                            &kCtxSkcLookupTcp, &kSkStorageGet,   &kSkStorageDelete};
constexpr const HelperProto* kSkFilterHelpers[] = {&kSkbLoadBytes,    &kSkbLoadBytesRelative,
                                            &kGetSocketCookie, &kGetNetnsCookie,
                                            &kGetSocketUid,    &kPerfEventOutput};
constexpr const HelperProto* kCgSkbHelpers[] = {
    &kSkFullsock,  &kSkStorageGet,        &kSkStorageDelete, &kPerfEventOutput,
    &kSkbCgroupId, &kSkbAncestorCgroupId, &kSkCgroupId,      &kSkAncestorCgroupId,
    &kSkLookupTcp, &kSkLookupUdp,         &kSkRelease,       &kSkcLookupTcp,
    &kTcpSock,     &kGetListenerSock,     &kSkbEcnSetCe};
constexpr const HelperProto* kTcClsActHelpers[] = {&kSkbStoreBytes,
                                            &kSkbLoadBytes,
                                            &kSkbLoadBytesRelative,
                                            &kSkbPullData,
                                            &kCsumDiff,
                                            &kCsumUpdate,
                                            &kCsumLevel,
                                            &kL3CsumReplace,
                                            &kL4CsumReplace,
                                            &kCloneRedirect,
                                            &kGetCgroupClassid,
                                            &kSkbVlanPush,
                                            &kSkbVlanPop,
                                            &kSkbChangeProto,
                                            &kSkbChangeType,
                                            &kSkSkbAdjustRoom,
                                            &kSkbChangeTail,
                                            &kSkbChangeHead,
                                            &kSkbGetTunnelKey,
                                            &kSkbSetTunnelKey,
                                            &kSkbGetTunnelOpt,
                                            &kSkbSetTunnelOpt,
                                            &kRedirect,
                                            &kRedirectNeigh,
                                            &kRedirectPeer,
                                            &kGetRouteRealm,
                                            &kGetHashRecalc,
                                            &kSetHashInvalid,
                                            &kSetHash,
                                            &kPerfEventOutput,
                                            &kGetSmpProcessorId,
                                            &kSkbUnderCgroup,
                                            &kGetSocketCookie,
                                            &kGetNetnsCookie,
                                            &kGetSocketUid,
                                            &kXdpFibLookup,
                                            &kSkbCheckMtu,
                                            &kSkFullsock,
                                            &kSkStorageGet,
                                            &kSkStorageDelete,
                                            &kSkbGetXfrmState,
                                            &kSkbCgroupClassid,
                                            &kSkbCgroupId,
                                            &kSkbAncestorCgroupId,
                                            &kSkLookupTcp,
                                            &kSkLookupUdp,
                                            &kSkRelease,
                                            &kTcpSock,
                                            &kGetListenerSock,
                                            &kSkcLookupTcp,
                                            &kTcpCheckSyncookie,
                                            &kSkbEcnSetCe,
                                            &kTcpGenSyncookie,
                                            &kSkAssign,
                                            &kSkbSetTstamp,
                                            &kTcpRawGenSyncookieIpv4,
                                            &kTcpRawGenSyncookieIpv6,
                                            &kTcpRawCheckSyncookieIpv4,
                                            &kTcpRawCheckSyncookieIpv6};
constexpr const HelperProto* kXdpHelpers[] = {&kPerfEventOutput,
                                       &kGetSmpProcessorId,
                                       &kCsumDiff,
                                       &kXdpAdjustHead,
                                       &kXdpAdjustMeta,
                                       &kRedirect,
                                       &kXdpRedirectMap,
                                       &kXdpAdjustTail,
                                       &kXdpGetBuffLen,
                                       &kXdpLoadBytes,
                                       &kXdpStoreBytes,
                                       &kXdpFibLookup,
                                       &kSkbCheckMtu,
                                       &kSkLookupUdp,
                                       &kSkLookupTcp,
                                       &kSkRelease,
                                       &kSkcLookupTcp,
                                       &kTcpCheckSyncookie,
                                       &kTcpGenSyncookie,
                                       &kTcpRawGenSyncookieIpv4,
                                       &kTcpRawGenSyncookieIpv6,
                                       &kTcpRawCheckSyncookieIpv4,
                                       &kTcpRawCheckSyncookieIpv6};
constexpr const HelperProto* kSockOpsHelpers[] = {
    &kCtxSetsockopt,        &kCtxGetsockopt,   &kSockOpsCbFlagsSet, &kSockMapUpdate,
    &kSockHashUpdate,       &kGetSocketCookie, &kPerfEventOutput,   &kSkStorageGet,
    &kSkStorageDelete,      &kGetNetnsCookie,  &kSockOpsLoadHdrOpt, &kSockOpsStoreHdrOpt,
    &kSockOpsReserveHdrOpt, &kTcpSock};
constexpr const HelperProto* kSkMsgHelpers[] = {&kMsgRedirectMap,  &kMsgRedirectHash, &kMsgApplyBytes,
                                         &kMsgCorkBytes,    &kMsgPullData,     &kMsgPushData,
                                         &kMsgPopData,      &kPerfEventOutput, &kSkStorageGet,
                                         &kSkStorageDelete, &kGetNetnsCookie};
constexpr const HelperProto* kSkSkbHelpers[] = {
    &kSkbStoreBytes,   &kSkbLoadBytes,    &kSkbPullData,  &kSkbChangeTail, &kSkbChangeHead,
    &kSkSkbAdjustRoom, &kGetSocketCookie, &kGetSocketUid, &kSkRedirectMap, &kSkRedirectHash,
    &kPerfEventOutput, &kSkLookupTcp,     &kSkLookupUdp,  &kSkRelease,     &kSkcLookupTcp};
constexpr const HelperProto* kFlowDissectorHelpers[] = {&kSkbLoadBytes};
constexpr const HelperProto* kLwtOutHelpers[] = {
    &kSkbLoadBytes,  &kSkbPullData,     &kCsumDiff,          &kGetCgroupClassid, &kGetRouteRealm,
    &kGetHashRecalc, &kPerfEventOutput, &kGetSmpProcessorId, &kSkbUnderCgroup};
constexpr const HelperProto* kLwtInHelpers[] = {&kLwtInPushEncap};
constexpr const HelperProto* kLwtXmitHelpers[] = {
    &kSkbGetTunnelKey, &kSkbSetTunnelKey, &kSkbGetTunnelOpt, &kSkbSetTunnelOpt, &kRedirect,
    &kCloneRedirect,   &kSkbChangeTail,   &kSkbChangeHead,   &kSkbStoreBytes,   &kCsumUpdate,
    &kCsumLevel,       &kL3CsumReplace,   &kL4CsumReplace,   &kSetHashInvalid,  &kLwtInPushEncap};
constexpr const HelperProto* kLwtSeg6localHelpers[] = {&kLwtSeg6StoreBytes, &kLwtSeg6Action,
                                                &kLwtSeg6AdjustSrh};
constexpr const HelperProto* kSkReuseportHelpers[] = {&kSkSelectReuseport, &kSkbLoadBytes,
                                               &kSkbLoadBytesRelative, &kGetSocketPtrCookie,
                                               &kKtimeGetCoarseNs};
constexpr const HelperProto* kSkLookupHelpers[] = {&kPerfEventOutput, &kSkLookupAssign, &kSkRelease};
constexpr const HelperProto* kSkBaseHelpers[] = {
    &kSkcToTcp6Sock, &kSkcToTcpSock,  &kSkcToTcpTimewaitSock, &kSkcToTcpRequestSock,
    &kSkcToUdp6Sock, &kSkcToUnixSock, &kSkcToMptcpSock,       &kKtimeGetCoarseNs};

using Set = std::span<const HelperProto* const>;

const HelperProto* find(Set set, u32 id) {
  const auto it = std::find_if(set.begin(), set.end(), [&](const auto* p) { return p->id == id; });
  return it == set.end() ? nullptr : *it;
}

using Lookup = const HelperProto* (*)(const ProgContext&, u32);

/// From `set`, else from what it builds on.
const HelperProto* find_or(Set set, const ProgContext& prog, u32 id, Lookup otherwise) {
  const HelperProto* proto = find(set, id);
  return proto ? proto : otherwise(prog, id);
}

template <class... Types>
bool attach_is(const ProgContext& prog, Types... types) {
  return ((prog.attach_type == types) || ...);
}

bool has_trampoline(const ProgContext& prog) {
  if (prog.type == kProgLsm) return prog.attach_type == kLsmMac;
  return prog.type == kProgTracing &&
         attach_is(prog, kTraceFentry, kTraceFexit, kModifyReturn, kTraceFsession,
                   kTraceFentryMulti, kTraceFexitMulti, kTraceFsessionMulti);
}

const HelperProto* base(const ProgContext& prog, u32 id) {
  if (id == kGetTaskStack.id) return prog.sleepable ? &kGetTaskStackSleepable : &kGetTaskStack;
  return find(kBaseHelpers, id);
}

const HelperProto* sk_base(const ProgContext& prog, u32 id) {
  return find_or(kSkBaseHelpers, prog, id, base);
}

// Tracing.

const HelperProto* tracing(const ProgContext& prog, u32 id) {
  return find_or(kTracingHelpers, prog, id, base);
}

const HelperProto* kprobe(const ProgContext& prog, u32 id) {
  if (id == kGetStack.id) return prog.sleepable ? &kGetStackSleepable : &kGetStack;
  return find_or(kKprobeProgHelpers, prog, id, tracing);
}

const HelperProto* tracepoint(const ProgContext& prog, u32 id) {
  return find_or(kTpProgHelpers, prog, id, tracing);
}

const HelperProto* perf_event(const ProgContext& prog, u32 id) {
  return find_or(kPeProgHelpers, prog, id, tracing);
}

const HelperProto* raw_tracepoint(const ProgContext& prog, u32 id) {
  return find_or(kRawTpProgHelpers, prog, id, tracing);
}

/// Iterators over TCP and unix sockets may set their options.
const HelperProto* iterator(const ProgContext& prog, u32 id) {
  if (prog.attach_name != "bpf_iter_tcp" && prog.attach_name != "bpf_iter_unix") return nullptr;
  return id == kSkSetsockopt.id   ? &kSkSetsockopt
         : id == kSkGetsockopt.id ? &kSkGetsockopt
                                  : nullptr;
}

const HelperProto* tracing_program(const ProgContext& prog, u32 id) {
  const bool is_iterator = prog.attach_type == kTraceIter;
  const bool is_raw_tp = prog.attach_type == kTraceRawTp;
  auto when = [](bool allowed, const HelperProto& proto) { return allowed ? &proto : nullptr; };
  switch (id) {
    case kSeqPrintf.id:
      return when(is_iterator, kSeqPrintf);
    case kSeqWrite.id:
      return when(is_iterator, kSeqWrite);
    case kSeqPrintfBtf.id:
      return when(is_iterator, kSeqPrintfBtf);
    case kGetFuncArg.id:
      return when(has_trampoline(prog) || is_raw_tp, kGetFuncArg);
    case kGetFuncRet.id:
      return when(has_trampoline(prog), kGetFuncRet);
    case kGetFuncArgCnt.id:
      return when(has_trampoline(prog) || is_raw_tp, kGetFuncArgCnt);
    case kGetAttachCookie.id:
      return when(has_trampoline(prog) || (prog.type == kProgTracing && is_raw_tp),
                  kGetAttachCookie);
    default:
      break;
  }
  const HelperProto* proto = find_or(kTracingProgHelpers, prog, id, raw_tracepoint);
  return proto || !is_iterator ? proto : iterator(prog, id);
}

const HelperProto* syscall(const ProgContext& prog, u32 id) {
  return find_or(kSyscallProgHelpers, prog, id, tracing_program);
}

// Cgroups.

const HelperProto* cgroup_common(const ProgContext& prog, u32 id) {
  if (id != kGetRetval.id && id != kSetRetval.id) return find(kCgroupCommonHelpers, id);
  if (attach_is(prog, kCgroupInetIngress, kCgroupInetEgress, kCgroupSockOps, kCgroupUdp4Recvmsg,
                kCgroupUdp6Recvmsg, kCgroupUnixRecvmsg, kCgroupInet4Getpeername,
                kCgroupInet6Getpeername, kCgroupUnixGetpeername, kCgroupInet4Getsockname,
                kCgroupInet6Getsockname, kCgroupUnixGetsockname)) {
    return nullptr;
  }
  return id == kGetRetval.id ? &kGetRetval : &kSetRetval;
}

const HelperProto* cgroup_device(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kCgroupDevHelpers, prog, id, base);
}

const HelperProto* cgroup_sysctl(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kSysctlHelpers, prog, id, base);
}

/// Get and set socket options, where `allowed`.
const HelperProto* sockopt(u32 id, bool allowed, const HelperProto& set, const HelperProto& get) {
  if (!allowed) return nullptr;
  return id == set.id ? &set : &get;
}
bool is_sockopt(u32 id) {
  return id == kSkSetsockopt.id || id == kSkGetsockopt.id;
}

const HelperProto* cgroup_sockopt(const ProgContext& prog, u32 id) {
  if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  if (is_sockopt(id)) {
    return sockopt(id, prog.attach_type == kCgroupSetsockopt, kSkSetsockopt, kSkGetsockopt);
  }
  return find_or(kCgSockoptHelpers, prog, id, base);
}

const HelperProto* cgroup_sock(const ProgContext& prog, u32 id) {
  if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  if (is_sockopt(id)) {
    return sockopt(id, prog.attach_type == kCgroupInetSockCreate, kCtxSetsockopt, kCtxGetsockopt);
  }
  return find_or(kSockFilterHelpers, prog, id, base);
}

const HelperProto* cgroup_sock_addr(const ProgContext& prog, u32 id) {
  if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  if (id == kBind.id) {
    return attach_is(prog, kCgroupInet4Connect, kCgroupInet6Connect) ? &kBind : nullptr;
  }
  if (is_sockopt(id)) {
    const bool allowed = attach_is(
        prog, kCgroupInet4Bind, kCgroupInet6Bind, kCgroupInet4Connect, kCgroupInet6Connect,
        kCgroupUnixConnect, kCgroupUdp4Recvmsg, kCgroupUdp6Recvmsg, kCgroupUnixRecvmsg,
        kCgroupUdp4Sendmsg, kCgroupUdp6Sendmsg, kCgroupUnixSendmsg, kCgroupInet4Getpeername,
        kCgroupInet6Getpeername, kCgroupInet4Getsockname, kCgroupInet6Getsockname);
    return sockopt(id, allowed, kCtxSetsockopt, kCtxGetsockopt);
  }
  return find_or(kSockAddrHelpers, prog, id, sk_base);
}

const HelperProto* lsm(const ProgContext& prog, u32 id) {
  const bool of_cgroup = prog.attach_type == kLsmCgroup;
  if (of_cgroup) {
    if (const HelperProto* proto = cgroup_common(prog, id)) return proto;
  }
  if (id == kGetAttachCookie.id) return has_trampoline(prog) ? &kGetAttachCookie : nullptr;
  if (is_sockopt(id)) {
    static constexpr std::string_view kHooks[] = {
        "bpf_lsm_sock_graft", "bpf_lsm_inet_csk_clone", "bpf_lsm_inet_conn_established",
        "bpf_lsm_socket_post_create", "bpf_lsm_socket_socketpair"};
    const bool allowed =
        std::find(std::begin(kHooks), std::end(kHooks), prog.attach_name) != std::end(kHooks);
    return sockopt(id, of_cgroup && allowed, kSkSetsockopt, kSkGetsockopt);
  }
  return find_or(kLsmHelpers, prog, id, tracing_program);
}

// Network.

const HelperProto* socket_filter(const ProgContext& prog, u32 id) {
  return find_or(kSkFilterHelpers, prog, id, sk_base);
}

const HelperProto* cgroup_skb(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kCgSkbHelpers, prog, id, socket_filter);
}

const HelperProto* sock_ops(const ProgContext& prog, u32 id) {
  const HelperProto* proto = cgroup_common(prog, id);
  return proto ? proto : find_or(kSockOpsHelpers, prog, id, sk_base);
}

const HelperProto* lwt_out(const ProgContext& prog, u32 id) {
  return find_or(kLwtOutHelpers, prog, id, sk_base);
}

const HelperProto* lwt_seg6local(const ProgContext& prog, u32 id) {
  if (id == kSkbPullData.id) return nullptr;
  return find_or(kLwtSeg6localHelpers, prog, id, lwt_out);
}

const HelperProto* struct_ops(const ProgContext& prog, u32 id) {
  if (prog.struct_ops_type == "bpf_dummy_ops") return nullptr;
  if (prog.struct_ops_type == "tcp_congestion_ops") {
    if (is_sockopt(id)) {
      return sockopt(id, prog.attach_name != "release", kSkSetsockopt, kSkGetsockopt);
    }
    for (const HelperProto* proto :
         {&kTcpSendAck, &kSkStorageGet, &kSkStorageDelete, &kKtimeGetCoarseNs}) {
      if (proto->id == id) return proto;
    }
  }
  return base(prog, id);
}

}  // namespace

namespace protos {

bool d_path_allowed(const ProgContext& prog) {
  static constexpr std::string_view kFunctions[] = {"security_file_permission",
                                                    "security_inode_getattr",
                                                    "security_file_open",
                                                    "security_path_truncate",
                                                    "vfs_truncate",
                                                    "vfs_fallocate",
                                                    "dentry_open",
                                                    "vfs_getattr",
                                                    "filp_close"};
  if (prog.type == kProgTracing && prog.attach_type == kTraceIter) return true;
  if (prog.type == kProgLsm) return lsm_hook_is_sleepable(prog.attach_name);
  return std::find(std::begin(kFunctions), std::end(kFunctions), prog.attach_name) !=
         std::end(kFunctions);
}

bool on_sleepable_hook(const ProgContext& prog) {
  return lsm_hook_is_sleepable(prog.attach_name);
}

bool sk_storage_tracing_allowed(const ProgContext& prog) {
  if (prog.attach_is_prog) return false;
  if (attach_is(prog, kTraceIter, kTraceRawTp)) return true;
  return attach_is(prog, kTraceFentry, kTraceFexit, kTraceFsession) &&
         !prog.attach_name.starts_with("bpf_sk_storage");
}

}  // namespace protos

std::string_view helper_name(u32 id) {
  return id <= kMaxHelperId ? kNames[id] : std::string_view{};
}

const HelperProto* helper_for(const ProgContext& prog, u32 id) {
  switch (prog.type) {
    case kProgSocketFilter:
      return socket_filter(prog, id);
    case kProgSchedCls:
    case kProgSchedAct:
      return find_or(kTcClsActHelpers, prog, id, sk_base);
    case kProgXdp:
      return find_or(kXdpHelpers, prog, id, sk_base);
    case kProgCgroupSkb:
      return cgroup_skb(prog, id);
    case kProgLwtIn:
      return find_or(kLwtInHelpers, prog, id, lwt_out);
    case kProgLwtOut:
      return lwt_out(prog, id);
    case kProgLwtXmit:
      return find_or(kLwtXmitHelpers, prog, id, lwt_out);
    case kProgLwtSeg6local:
      return lwt_seg6local(prog, id);
    case kProgCgroupSock:
      return cgroup_sock(prog, id);
    case kProgCgroupSockAddr:
      return cgroup_sock_addr(prog, id);
    case kProgSockOps:
      return sock_ops(prog, id);
    case kProgSkSkb:
      return find_or(kSkSkbHelpers, prog, id, sk_base);
    case kProgSkMsg:
      return find_or(kSkMsgHelpers, prog, id, sk_base);
    case kProgFlowDissector:
      return find_or(kFlowDissectorHelpers, prog, id, sk_base);
    case kProgSkReuseport:
      return find_or(kSkReuseportHelpers, prog, id, base);
    case kProgSkLookup:
      return find_or(kSkLookupHelpers, prog, id, sk_base);
    case kProgKprobe:
      return kprobe(prog, id);
    case kProgTracepoint:
      return tracepoint(prog, id);
    case kProgPerfEvent:
      return perf_event(prog, id);
    case kProgRawTracepoint:
    case kProgRawTracepointWritable:
      return raw_tracepoint(prog, id);
    case kProgTracing:
      return tracing_program(prog, id);
    case kProgLsm:
      return lsm(prog, id);
    case kProgSyscall:
      return syscall(prog, id);
    case kProgCgroupDevice:
      return cgroup_device(prog, id);
    case kProgCgroupSysctl:
      return cgroup_sysctl(prog, id);
    case kProgCgroupSockopt:
      return cgroup_sockopt(prog, id);
    case kProgStructOps:
      return struct_ops(prog, id);
    case kProgNetfilter:
      return base(prog, id);
    default:
      return nullptr;  // EXT takes the type of its target
  }
}

}  // namespace uscx::bpf::verifier
