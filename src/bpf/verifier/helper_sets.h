// SPDX-License-Identifier: GPL-2.0-only
// Which helpers programs of a type may call, as far as the type alone says. For helper_proto.cc.
#pragma once

#include "bpf/verifier/helper_protos_core.h"
#include "bpf/verifier/helper_protos_net.h"

namespace uscx::bpf::verifier::protos {

// What each type adds to the set it builds on, in Linux's order. What depends on more than the type
// is in helper_proto.cc, beside the type's function.
inline constexpr const HelperProto* kBaseHelpers[] = {&kMapLookupElem,
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
inline constexpr const HelperProto* kTracingHelpers[] = {&kGetSmpProcessorId, &kProbeReadCompat,
                                                         &kProbeReadCompatStr, &kGetFuncIpTracing,
                                                         &kProbeWriteUser};
inline constexpr const HelperProto* kKprobeProgHelpers[] = {&kPerfEventOutput, &kGetStackid,
                                                            &kGetFuncIp, &kGetAttachCookie};
inline constexpr const HelperProto* kTpProgHelpers[] = {&kPerfEventOutput, &kGetStackid, &kGetStack,
                                                        &kGetAttachCookie};
inline constexpr const HelperProto* kPeProgHelpers[] = {&kPerfEventOutput,   &kGetStackidPe,
                                                        &kGetStack,          &kPerfProgReadValue,
                                                        &kReadBranchRecords, &kGetAttachCookie};
inline constexpr const HelperProto* kRawTpProgHelpers[] = {&kPerfEventOutput, &kGetStackid,
                                                           &kGetStack, &kGetAttachCookie};
inline constexpr const HelperProto* kTracingProgHelpers[] = {&kSkbOutput,
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
inline constexpr const HelperProto* kCgroupDevHelpers[] = {&kPerfEventOutput};
inline constexpr const HelperProto* kSysctlHelpers[] = {
    &kSysctlGetName,     &kSysctlGetCurrentValue, &kSysctlGetNewValue,
    &kSysctlSetNewValue, &kKtimeGetCoarseNs,      &kPerfEventOutput};
inline constexpr const HelperProto* kCgSockoptHelpers[] = {
    &kGetNetnsCookie, &kSkStorageGet, &kSkStorageDelete, &kTcpSock, &kPerfEventOutput};
inline constexpr const HelperProto* kCgroupCommonHelpers[] = {&kGetLocalStorage};
inline constexpr const HelperProto* kLsmHelpers[] = {
    &kInodeStorageGet, &kInodeStorageDelete, &kSkStorageGet, &kSkStorageDelete, &kSpinLock,
    &kSpinUnlock,      &kBprmOptsSet,        &kImaInodeHash, &kImaFileHash};
inline constexpr const HelperProto* kSyscallProgHelpers[] = {&kSysBpf, &kBtfFindByNameKind,
                                                             &kSysClose, &kKallsymsLookupName};
inline constexpr const HelperProto* kSockFilterHelpers[] = {&kGetSocketCookie, &kGetNetnsCookie,
                                                            &kPerfEventOutput, &kSkStorageGetCgSock,
                                                            &kKtimeGetCoarseNs};
inline constexpr const HelperProto* kSockAddrHelpers[] = {
    &kGetSocketCookie, &kGetNetnsCookie,  &kPerfEventOutput, &kCtxSkLookupTcp, &kCtxSkLookupUdp,
    &kSkRelease,       &kCtxSkcLookupTcp, &kSkStorageGet,    &kSkStorageDelete};
inline constexpr const HelperProto* kSkFilterHelpers[] = {&kSkbLoadBytes,    &kSkbLoadBytesRelative,
                                                          &kGetSocketCookie, &kGetNetnsCookie,
                                                          &kGetSocketUid,    &kPerfEventOutput};
inline constexpr const HelperProto* kCgSkbHelpers[] = {
    &kSkFullsock,  &kSkStorageGet,        &kSkStorageDelete, &kPerfEventOutput,
    &kSkbCgroupId, &kSkbAncestorCgroupId, &kSkCgroupId,      &kSkAncestorCgroupId,
    &kSkLookupTcp, &kSkLookupUdp,         &kSkRelease,       &kSkcLookupTcp,
    &kTcpSock,     &kGetListenerSock,     &kSkbEcnSetCe};
inline constexpr const HelperProto* kTcClsActHelpers[] = {&kSkbStoreBytes,
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
inline constexpr const HelperProto* kXdpHelpers[] = {&kPerfEventOutput,
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
inline constexpr const HelperProto* kSockOpsHelpers[] = {
    &kCtxSetsockopt,        &kCtxGetsockopt,   &kSockOpsCbFlagsSet, &kSockMapUpdate,
    &kSockHashUpdate,       &kGetSocketCookie, &kPerfEventOutput,   &kSkStorageGet,
    &kSkStorageDelete,      &kGetNetnsCookie,  &kSockOpsLoadHdrOpt, &kSockOpsStoreHdrOpt,
    &kSockOpsReserveHdrOpt, &kTcpSock};
inline constexpr const HelperProto* kSkMsgHelpers[] = {
    &kMsgRedirectMap, &kMsgRedirectHash, &kMsgApplyBytes, &kMsgCorkBytes,
    &kMsgPullData,    &kMsgPushData,     &kMsgPopData,    &kPerfEventOutput,
    &kSkStorageGet,   &kSkStorageDelete, &kGetNetnsCookie};
inline constexpr const HelperProto* kSkSkbHelpers[] = {
    &kSkbStoreBytes,   &kSkbLoadBytes,    &kSkbPullData,  &kSkbChangeTail, &kSkbChangeHead,
    &kSkSkbAdjustRoom, &kGetSocketCookie, &kGetSocketUid, &kSkRedirectMap, &kSkRedirectHash,
    &kPerfEventOutput, &kSkLookupTcp,     &kSkLookupUdp,  &kSkRelease,     &kSkcLookupTcp};
inline constexpr const HelperProto* kFlowDissectorHelpers[] = {&kSkbLoadBytes};
inline constexpr const HelperProto* kLwtOutHelpers[] = {
    &kSkbLoadBytes,  &kSkbPullData,     &kCsumDiff,          &kGetCgroupClassid, &kGetRouteRealm,
    &kGetHashRecalc, &kPerfEventOutput, &kGetSmpProcessorId, &kSkbUnderCgroup};
inline constexpr const HelperProto* kLwtInHelpers[] = {&kLwtInPushEncap};
inline constexpr const HelperProto* kLwtXmitHelpers[] = {
    &kSkbGetTunnelKey, &kSkbSetTunnelKey, &kSkbGetTunnelOpt, &kSkbSetTunnelOpt, &kRedirect,
    &kCloneRedirect,   &kSkbChangeTail,   &kSkbChangeHead,   &kSkbStoreBytes,   &kCsumUpdate,
    &kCsumLevel,       &kL3CsumReplace,   &kL4CsumReplace,   &kSetHashInvalid,  &kLwtInPushEncap};
inline constexpr const HelperProto* kLwtSeg6localHelpers[] = {&kLwtSeg6StoreBytes, &kLwtSeg6Action,
                                                              &kLwtSeg6AdjustSrh};
inline constexpr const HelperProto* kSkReuseportHelpers[] = {
    &kSkSelectReuseport, &kSkbLoadBytes, &kSkbLoadBytesRelative, &kGetSocketPtrCookie,
    &kKtimeGetCoarseNs};
inline constexpr const HelperProto* kSkLookupHelpers[] = {&kPerfEventOutput, &kSkLookupAssign,
                                                          &kSkRelease};
inline constexpr const HelperProto* kSkBaseHelpers[] = {
    &kSkcToTcp6Sock, &kSkcToTcpSock,  &kSkcToTcpTimewaitSock, &kSkcToTcpRequestSock,
    &kSkcToUdp6Sock, &kSkcToUnixSock, &kSkcToMptcpSock,       &kKtimeGetCoarseNs};

}  // namespace uscx::bpf::verifier::protos
