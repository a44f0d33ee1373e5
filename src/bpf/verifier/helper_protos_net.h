// SPDX-License-Identifier: GPL-2.0-only
// Prototypes of the helpers of network programs, as Linux 7.3 has them.
// Data of helper_proto.cc.
#pragma once

#include "bpf/verifier/helper_protos_core.h"

namespace uscx::bpf::verifier::protos {

inline constexpr HelperProto kSockMapUpdate{
    .id = 53,
    .name = "bpf_sock_map_update",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgPtrToMapKey, kArgAnything},
    .pkt_access = true};
inline constexpr HelperProto kSkRedirectMap{
    .id = 52,
    .name = "bpf_sk_redirect_map",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything, kArgAnything}};
inline constexpr HelperProto kMsgRedirectMap{
    .id = 60,
    .name = "bpf_msg_redirect_map",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything, kArgAnything}};
inline constexpr HelperProto kSockHashUpdate{
    .id = 70,
    .name = "bpf_sock_hash_update",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgPtrToMapKey, kArgAnything},
    .pkt_access = true};
inline constexpr HelperProto kSkRedirectHash{
    .id = 72,
    .name = "bpf_sk_redirect_hash",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgPtrToMapKey, kArgAnything}};
inline constexpr HelperProto kMsgRedirectHash{
    .id = 71,
    .name = "bpf_msg_redirect_hash",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgPtrToMapKey, kArgAnything}};
inline constexpr HelperProto kSkbStoreBytes{
    .id = 9,
    .name = "bpf_skb_store_bytes",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kSkbLoadBytes{
    .id = 26,
    .name = "bpf_skb_load_bytes",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kSkbLoadBytesRelative{
    .id = 68,
    .name = "bpf_skb_load_bytes_relative",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize,
             kArgAnything}};
inline constexpr HelperProto kSkbPullData{.id = 39,
                                          .name = "bpf_skb_pull_data",
                                          .args = {kArgPtrToCtx, kArgAnything},
                                          .changes_pkt_data = true};
inline constexpr HelperProto kSkFullsock{.id = 95,
                                         .name = "bpf_sk_fullsock",
                                         .ret = kRetPtrToSocket | kMaybeNull,
                                         .args = {kArgPtrToSockCommon}};
inline constexpr HelperProto kL3CsumReplace{
    .id = 10,
    .name = "bpf_l3_csum_replace",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgAnything, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kL4CsumReplace{
    .id = 11,
    .name = "bpf_l4_csum_replace",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgAnything, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kCsumDiff{
    .id = 28,
    .name = "bpf_csum_diff",
    .args = {kArgPtrToMem | kMaybeNull | kMemRdonly, kArgMemSizeOrZero,
             kArgPtrToMem | kMaybeNull | kMemRdonly, kArgMemSizeOrZero, kArgAnything},
    .pkt_access = true};
inline constexpr HelperProto kCsumUpdate{
    .id = 40, .name = "bpf_csum_update", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kCsumLevel{
    .id = 135, .name = "bpf_csum_level", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kCloneRedirect{.id = 13,
                                            .name = "bpf_clone_redirect",
                                            .args = {kArgPtrToCtx, kArgAnything, kArgAnything},
                                            .changes_pkt_data = true};
inline constexpr HelperProto kRedirect{
    .id = 23, .name = "bpf_redirect", .args = {kArgAnything, kArgAnything}};
inline constexpr HelperProto kRedirectPeer{
    .id = 155, .name = "bpf_redirect_peer", .args = {kArgAnything, kArgAnything}};
inline constexpr HelperProto kRedirectNeigh{
    .id = 152,
    .name = "bpf_redirect_neigh",
    .args = {kArgAnything, kArgPtrToMem | kMaybeNull | kMemRdonly, kArgMemSizeOrZero,
             kArgAnything}};
inline constexpr HelperProto kMsgApplyBytes{
    .id = 61, .name = "bpf_msg_apply_bytes", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kMsgCorkBytes{
    .id = 62, .name = "bpf_msg_cork_bytes", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kMsgPullData{
    .id = 63,
    .name = "bpf_msg_pull_data",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kMsgPushData{
    .id = 90,
    .name = "bpf_msg_push_data",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kMsgPopData{
    .id = 91,
    .name = "bpf_msg_pop_data",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kGetCgroupClassidCurr{.id = 17, .name = "bpf_get_cgroup_classid"};
inline constexpr HelperProto kSkbCgroupClassid{
    .id = 151, .name = "bpf_skb_cgroup_classid", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetCgroupClassid{
    .id = 17, .name = "bpf_get_cgroup_classid", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetRouteRealm{
    .id = 24, .name = "bpf_get_route_realm", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetHashRecalc{
    .id = 34, .name = "bpf_get_hash_recalc", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kSetHashInvalid{
    .id = 41, .name = "bpf_set_hash_invalid", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kSetHash{
    .id = 48, .name = "bpf_set_hash", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kSkbVlanPush{.id = 18,
                                          .name = "bpf_skb_vlan_push",
                                          .args = {kArgPtrToCtx, kArgAnything, kArgAnything},
                                          .changes_pkt_data = true};
inline constexpr HelperProto kSkbVlanPop{
    .id = 19, .name = "bpf_skb_vlan_pop", .args = {kArgPtrToCtx}, .changes_pkt_data = true};
inline constexpr HelperProto kSkbChangeProto{.id = 31,
                                             .name = "bpf_skb_change_proto",
                                             .args = {kArgPtrToCtx, kArgAnything, kArgAnything},
                                             .changes_pkt_data = true};
inline constexpr HelperProto kSkbChangeType{
    .id = 32, .name = "bpf_skb_change_type", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kSkSkbAdjustRoom{
    .id = 50,
    .name = "bpf_skb_adjust_room",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kSkbChangeTail{.id = 38,
                                            .name = "bpf_skb_change_tail",
                                            .args = {kArgPtrToCtx, kArgAnything, kArgAnything},
                                            .changes_pkt_data = true};
inline constexpr HelperProto kSkbChangeHead{.id = 43,
                                            .name = "bpf_skb_change_head",
                                            .args = {kArgPtrToCtx, kArgAnything, kArgAnything},
                                            .changes_pkt_data = true};
inline constexpr HelperProto kXdpGetBuffLen{
    .id = 188, .name = "bpf_xdp_get_buff_len", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kXdpGetBuffLenTrace{
    .id = 188, .name = "bpf_xdp_get_buff_len", .args = {kArgPtrToBtfId}, .arg_btf = {"xdp_buff"}};
inline constexpr HelperProto kXdpAdjustHead{.id = 44,
                                            .name = "bpf_xdp_adjust_head",
                                            .args = {kArgPtrToCtx, kArgAnything},
                                            .changes_pkt_data = true};
inline constexpr HelperProto kXdpLoadBytes{
    .id = 189,
    .name = "bpf_xdp_load_bytes",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kXdpStoreBytes{
    .id = 190,
    .name = "bpf_xdp_store_bytes",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize}};
inline constexpr HelperProto kXdpAdjustTail{.id = 65,
                                            .name = "bpf_xdp_adjust_tail",
                                            .args = {kArgPtrToCtx, kArgAnything},
                                            .changes_pkt_data = true};
inline constexpr HelperProto kXdpAdjustMeta{.id = 54,
                                            .name = "bpf_xdp_adjust_meta",
                                            .args = {kArgPtrToCtx, kArgAnything},
                                            .changes_pkt_data = true};
inline constexpr HelperProto kXdpRedirectMap{
    .id = 51, .name = "bpf_redirect_map", .args = {kArgConstMapPtr, kArgAnything, kArgAnything}};
inline constexpr HelperProto kSkbOutput{.id = 111,
                                        .name = "bpf_skb_output",
                                        .args = {kArgPtrToBtfId, kArgConstMapPtr, kArgAnything,
                                                 kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero},
                                        .arg_btf = {"sk_buff"},
                                        .gpl_only = true};
inline constexpr HelperProto kSkbGetTunnelKey{
    .id = 20,
    .name = "bpf_skb_get_tunnel_key",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize, kArgAnything}};
inline constexpr HelperProto kSkbGetTunnelOpt{
    .id = 29,
    .name = "bpf_skb_get_tunnel_opt",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kSkbSetTunnelKey{
    .id = 21,
    .name = "bpf_skb_set_tunnel_key",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSize, kArgAnything}};
inline constexpr HelperProto kSkbSetTunnelOpt{
    .id = 30,
    .name = "bpf_skb_set_tunnel_opt",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSize}};
inline constexpr HelperProto kSkbUnderCgroup{.id = 33,
                                             .name = "bpf_skb_under_cgroup",
                                             .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything}};
inline constexpr HelperProto kSkbCgroupId{
    .id = 79, .name = "bpf_skb_cgroup_id", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kSkbAncestorCgroupId{
    .id = 83, .name = "bpf_skb_ancestor_cgroup_id", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kSkCgroupId{
    .id = 128, .name = "bpf_sk_cgroup_id", .args = {kArgPtrToBtfIdSockCommon}};
inline constexpr HelperProto kSkAncestorCgroupId{.id = 129,
                                                 .name = "bpf_sk_ancestor_cgroup_id",
                                                 .args = {kArgPtrToBtfIdSockCommon, kArgAnything}};
inline constexpr HelperProto kXdpOutput{.id = 121,
                                        .name = "bpf_xdp_output",
                                        .args = {kArgPtrToBtfId, kArgConstMapPtr, kArgAnything,
                                                 kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero},
                                        .arg_btf = {"xdp_buff"},
                                        .gpl_only = true};
inline constexpr HelperProto kGetSocketCookie{
    .id = 46, .name = "bpf_get_socket_cookie", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetSocketPtrCookie{
    .id = 46, .name = "bpf_get_socket_cookie", .args = {kArgPtrToBtfIdSockCommon | kMaybeNull}};
inline constexpr HelperProto kGetSocketUid{
    .id = 47, .name = "bpf_get_socket_uid", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kSkSetsockopt{
    .id = 49,
    .name = "bpf_setsockopt",
    .args = {kArgPtrToBtfIdSockCommon, kArgAnything, kArgAnything, kArgPtrToMem | kMemRdonly,
             kArgMemSize}};
inline constexpr HelperProto kSkGetsockopt{
    .id = 57,
    .name = "bpf_getsockopt",
    .args = {kArgPtrToBtfIdSockCommon, kArgAnything, kArgAnything,
             kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kCtxSetsockopt{
    .id = 49,
    .name = "bpf_setsockopt",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize}};
inline constexpr HelperProto kCtxGetsockopt{
    .id = 57,
    .name = "bpf_getsockopt",
    .args = {kArgPtrToCtx, kArgAnything, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite,
             kArgMemSize}};
inline constexpr HelperProto kSockOpsCbFlagsSet{
    .id = 59, .name = "bpf_sock_ops_cb_flags_set", .args = {kArgPtrToCtx, kArgAnything}};
inline constexpr HelperProto kBind{
    .id = 64, .name = "bpf_bind", .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSize}};
inline constexpr HelperProto kSkbGetXfrmState{
    .id = 66,
    .name = "bpf_skb_get_xfrm_state",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize,
             kArgAnything}};
inline constexpr HelperProto kXdpFibLookup{
    .id = 69,
    .name = "bpf_fib_lookup",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemWrite, kArgMemSize, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kSkbCheckMtu{
    .id = 163,
    .name = "bpf_check_mtu",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemFixedSize | kMemWrite | kMemAligned,
             kArgAnything, kArgAnything},
    .arg_size = {0, 0, 4},
    .gpl_only = true};
inline constexpr HelperProto kLwtInPushEncap{
    .id = 73,
    .name = "bpf_lwt_push_encap",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize},
    .changes_pkt_data = true};
inline constexpr HelperProto kLwtSeg6StoreBytes{
    .id = 74,
    .name = "bpf_lwt_seg6_store_bytes",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize},
    .changes_pkt_data = true};
inline constexpr HelperProto kLwtSeg6Action{
    .id = 76,
    .name = "bpf_lwt_seg6_action",
    .args = {kArgPtrToCtx, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize},
    .changes_pkt_data = true};
inline constexpr HelperProto kLwtSeg6AdjustSrh{.id = 75,
                                               .name = "bpf_lwt_seg6_adjust_srh",
                                               .args = {kArgPtrToCtx, kArgAnything, kArgAnything},
                                               .changes_pkt_data = true};
inline constexpr HelperProto kSkcLookupTcp{.id = 99,
                                           .name = "bpf_skc_lookup_tcp",
                                           .ret = kRetPtrToSockCommon | kMaybeNull,
                                           .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly,
                                                    kArgMemSizeOrZero, kArgAnything, kArgAnything},
                                           .pkt_access = true};
inline constexpr HelperProto kSkLookupTcp{.id = 84,
                                          .name = "bpf_sk_lookup_tcp",
                                          .ret = kRetPtrToSocket | kMaybeNull,
                                          .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly,
                                                   kArgMemSizeOrZero, kArgAnything, kArgAnything},
                                          .pkt_access = true};
inline constexpr HelperProto kSkLookupUdp{.id = 85,
                                          .name = "bpf_sk_lookup_udp",
                                          .ret = kRetPtrToSocket | kMaybeNull,
                                          .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly,
                                                   kArgMemSizeOrZero, kArgAnything, kArgAnything},
                                          .pkt_access = true};
inline constexpr HelperProto kSkRelease{
    .id = 86, .name = "bpf_sk_release", .args = {kArgPtrToBtfIdSockCommon | kObjRelease}};
inline constexpr HelperProto kCtxSkcLookupTcp{
    .id = 99,
    .name = "bpf_skc_lookup_tcp",
    .ret = kRetPtrToSockCommon | kMaybeNull,
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero, kArgAnything,
             kArgAnything}};
inline constexpr HelperProto kCtxSkLookupTcp{
    .id = 84,
    .name = "bpf_sk_lookup_tcp",
    .ret = kRetPtrToSocket | kMaybeNull,
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero, kArgAnything,
             kArgAnything}};
inline constexpr HelperProto kCtxSkLookupUdp{
    .id = 85,
    .name = "bpf_sk_lookup_udp",
    .ret = kRetPtrToSocket | kMaybeNull,
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero, kArgAnything,
             kArgAnything}};
inline constexpr HelperProto kTcpSock{.id = 96,
                                      .name = "bpf_tcp_sock",
                                      .ret = kRetPtrToTcpSock | kMaybeNull,
                                      .args = {kArgPtrToSockCommon}};
inline constexpr HelperProto kGetListenerSock{.id = 98,
                                              .name = "bpf_get_listener_sock",
                                              .ret = kRetPtrToSocket | kMaybeNull,
                                              .args = {kArgPtrToSockCommon}};
inline constexpr HelperProto kSkbEcnSetCe{
    .id = 97, .name = "bpf_skb_ecn_set_ce", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kTcpCheckSyncookie{
    .id = 100,
    .name = "bpf_tcp_check_syncookie",
    .args = {kArgPtrToBtfIdSockCommon, kArgPtrToMem | kMemRdonly, kArgMemSize,
             kArgPtrToMem | kMemRdonly, kArgMemSize},
    .gpl_only = true,
    .pkt_access = true};
inline constexpr HelperProto kTcpGenSyncookie{
    .id = 110,
    .name = "bpf_tcp_gen_syncookie",
    .args = {kArgPtrToBtfIdSockCommon, kArgPtrToMem | kMemRdonly, kArgMemSize,
             kArgPtrToMem | kMemRdonly, kArgMemSize},
    .gpl_only = true,
    .pkt_access = true};
inline constexpr HelperProto kSkAssign{
    .id = 124,
    .name = "bpf_sk_assign",
    .args = {kArgPtrToCtx, kArgPtrToBtfIdSockCommon, kArgAnything}};
inline constexpr HelperProto kSockOpsLoadHdrOpt{
    .id = 142,
    .name = "bpf_load_hdr_opt",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemWrite, kArgMemSize, kArgAnything}};
inline constexpr HelperProto kSockOpsStoreHdrOpt{
    .id = 143,
    .name = "bpf_store_hdr_opt",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSize, kArgAnything},
    .changes_pkt_data = true};
inline constexpr HelperProto kSockOpsReserveHdrOpt{
    .id = 144, .name = "bpf_reserve_hdr_opt", .args = {kArgPtrToCtx, kArgAnything, kArgAnything}};
inline constexpr HelperProto kSkbSetTstamp{
    .id = 192, .name = "bpf_skb_set_tstamp", .args = {kArgPtrToCtx, kArgAnything, kArgAnything}};
inline constexpr HelperProto kTcpRawGenSyncookieIpv4{
    .id = 204,
    .name = "bpf_tcp_raw_gen_syncookie_ipv4",
    .args = {kArgPtrToMem | kMemFixedSize | kMemRdonly, kArgPtrToMem | kMemRdonly,
             kArgMemSizeOrZero},
    .arg_size = {20},
    .gpl_only = true,
    .pkt_access = true};
inline constexpr HelperProto kTcpRawGenSyncookieIpv6{
    .id = 205,
    .name = "bpf_tcp_raw_gen_syncookie_ipv6",
    .args = {kArgPtrToMem | kMemFixedSize | kMemRdonly, kArgPtrToMem | kMemRdonly,
             kArgMemSizeOrZero},
    .arg_size = {40},
    .gpl_only = true,
    .pkt_access = true};
inline constexpr HelperProto kTcpRawCheckSyncookieIpv4{
    .id = 206,
    .name = "bpf_tcp_raw_check_syncookie_ipv4",
    .args = {kArgPtrToMem | kMemFixedSize | kMemRdonly, kArgPtrToMem | kMemFixedSize | kMemRdonly},
    .arg_size = {20, 20},
    .gpl_only = true,
    .pkt_access = true};
inline constexpr HelperProto kTcpRawCheckSyncookieIpv6{
    .id = 207,
    .name = "bpf_tcp_raw_check_syncookie_ipv6",
    .args = {kArgPtrToMem | kMemFixedSize | kMemRdonly, kArgPtrToMem | kMemFixedSize | kMemRdonly},
    .arg_size = {40, 20},
    .gpl_only = true,
    .pkt_access = true};
inline constexpr HelperProto kSkSelectReuseport{
    .id = 82,
    .name = "bpf_sk_select_reuseport",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgPtrToMapKey, kArgAnything}};
inline constexpr HelperProto kSkLookupAssign{
    .id = 124,
    .name = "bpf_sk_assign",
    .args = {kArgPtrToCtx, kArgPtrToSocket | kMaybeNull, kArgAnything}};
inline constexpr HelperProto kSkcToTcp6Sock{.id = 136,
                                            .name = "bpf_skc_to_tcp6_sock",
                                            .ret = kRetPtrToBtfId | kMaybeNull,
                                            .args = {kArgPtrToBtfIdSockCommon},
                                            .ret_btf = "tcp6_sock"};
inline constexpr HelperProto kSkcToTcpSock{.id = 137,
                                           .name = "bpf_skc_to_tcp_sock",
                                           .ret = kRetPtrToBtfId | kMaybeNull,
                                           .args = {kArgPtrToBtfIdSockCommon},
                                           .ret_btf = "tcp_sock"};
inline constexpr HelperProto kSkcToTcpTimewaitSock{.id = 138,
                                                   .name = "bpf_skc_to_tcp_timewait_sock",
                                                   .ret = kRetPtrToBtfId | kMaybeNull,
                                                   .args = {kArgPtrToBtfIdSockCommon},
                                                   .ret_btf = "tcp_timewait_sock"};
inline constexpr HelperProto kSkcToTcpRequestSock{.id = 139,
                                                  .name = "bpf_skc_to_tcp_request_sock",
                                                  .ret = kRetPtrToBtfId | kMaybeNull,
                                                  .args = {kArgPtrToBtfIdSockCommon},
                                                  .ret_btf = "tcp_request_sock"};
inline constexpr HelperProto kSkcToUdp6Sock{.id = 140,
                                            .name = "bpf_skc_to_udp6_sock",
                                            .ret = kRetPtrToBtfId | kMaybeNull,
                                            .args = {kArgPtrToBtfIdSockCommon},
                                            .ret_btf = "udp6_sock"};
inline constexpr HelperProto kSkcToUnixSock{.id = 178,
                                            .name = "bpf_skc_to_unix_sock",
                                            .ret = kRetPtrToBtfId | kMaybeNull,
                                            .args = {kArgPtrToBtfIdSockCommon},
                                            .ret_btf = "unix_sock"};
inline constexpr HelperProto kSkcToMptcpSock{.id = 196,
                                             .name = "bpf_skc_to_mptcp_sock",
                                             .ret = kRetPtrToBtfId | kMaybeNull,
                                             .args = {kArgPtrToSockCommon},
                                             .ret_btf = "mptcp_sock"};
inline constexpr HelperProto kSockFromFile{.id = 162,
                                           .name = "bpf_sock_from_file",
                                           .ret = kRetPtrToBtfId | kMaybeNull,
                                           .args = {kArgPtrToBtfId},
                                           .arg_btf = {"file"},
                                           .ret_btf = "socket"};
inline constexpr HelperProto kSkStorageGet{.id = 107,
                                           .name = "bpf_sk_storage_get",
                                           .ret = kRetPtrToMapValue | kMaybeNull,
                                           .args = {kArgConstMapPtr, kArgPtrToBtfIdSockCommon,
                                                    kArgPtrToMapValue | kMaybeNull, kArgAnything}};
inline constexpr HelperProto kSkStorageGetCgSock{
    .id = 107,
    .name = "bpf_sk_storage_get",
    .ret = kRetPtrToMapValue | kMaybeNull,
    .args = {kArgConstMapPtr, kArgPtrToCtx, kArgPtrToMapValue | kMaybeNull, kArgAnything}};
inline constexpr HelperProto kSkStorageDelete{.id = 108,
                                              .name = "bpf_sk_storage_delete",
                                              .args = {kArgConstMapPtr, kArgPtrToBtfIdSockCommon}};
inline constexpr HelperProto kSkStorageGetTracing{
    .id = 107,
    .name = "bpf_sk_storage_get",
    .ret = kRetPtrToMapValue | kMaybeNull,
    .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull, kArgPtrToMapValue | kMaybeNull,
             kArgAnything},
    .arg_btf = {"", "sock_common"},
    .allowed = sk_storage_tracing_allowed};
inline constexpr HelperProto kSkStorageDeleteTracing{
    .id = 108,
    .name = "bpf_sk_storage_delete",
    .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull},
    .arg_btf = {"", "sock_common"},
    .allowed = sk_storage_tracing_allowed};
inline constexpr HelperProto kTcpSendAck{.id = 116,
                                         .name = "bpf_tcp_send_ack",
                                         .args = {kArgPtrToBtfId, kArgAnything},
                                         .arg_btf = {"tcp_sock"}};

}  // namespace uscx::bpf::verifier::protos
