// SPDX-License-Identifier: GPL-2.0-only
// Prototypes of the helpers that are no network's: arguments and results as Linux 7.3 has them.
// Data of helper_proto.cc.
#pragma once

#include "bpf/verifier/helper_proto.h"

namespace uscx::bpf::verifier::protos {

// Conditions of single helpers. Linux: bpf_func_proto::allowed.
bool d_path_allowed(const ProgContext& prog);
bool on_sleepable_hook(const ProgContext& prog);
bool sk_storage_tracing_allowed(const ProgContext& prog);

inline constexpr HelperProto kOverrideReturn{.id = 58,
                                             .name = "bpf_override_return",
                                             .args = {kArgPtrToCtx, kArgAnything},
                                             .gpl_only = true};
inline constexpr HelperProto kProbeReadUser{
    .id = 112,
    .name = "bpf_probe_read_user",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kProbeReadUserStr{
    .id = 114,
    .name = "bpf_probe_read_user_str",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kProbeReadKernel{
    .id = 113,
    .name = "bpf_probe_read_kernel",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kProbeReadKernelStr{
    .id = 115,
    .name = "bpf_probe_read_kernel_str",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kProbeReadCompat{
    .id = 4,
    .name = "bpf_probe_read",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kProbeReadCompatStr{
    .id = 45,
    .name = "bpf_probe_read_str",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kProbeWriteUser{
    .id = 36,
    .name = "bpf_probe_write_user",
    .args = {kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize},
    .gpl_only = true};
inline constexpr HelperProto kTracePrintk{.id = 6,
                                          .name = "bpf_trace_printk",
                                          .args = {kArgPtrToMem | kMemRdonly, kArgMemSize},
                                          .gpl_only = true};
inline constexpr HelperProto kTraceVprintk{
    .id = 177,
    .name = "bpf_trace_vprintk",
    .args = {kArgPtrToMem | kMemRdonly, kArgMemSize, kArgPtrToMem | kMaybeNull | kMemRdonly,
             kArgMemSizeOrZero},
    .gpl_only = true};
inline constexpr HelperProto kSeqPrintf{
    .id = 126,
    .name = "bpf_seq_printf",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemRdonly, kArgMemSize,
             kArgPtrToMem | kMaybeNull | kMemRdonly, kArgMemSizeOrZero},
    .arg_btf = {"seq_file"},
    .gpl_only = true};
inline constexpr HelperProto kSeqWrite{
    .id = 127,
    .name = "bpf_seq_write",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero},
    .arg_btf = {"seq_file"},
    .gpl_only = true};
inline constexpr HelperProto kSeqPrintfBtf{
    .id = 150,
    .name = "bpf_seq_printf_btf",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero, kArgAnything},
    .arg_btf = {"seq_file"},
    .gpl_only = true};
inline constexpr HelperProto kPerfEventRead{.id = 22,
                                            .name = "bpf_perf_event_read",
                                            .args = {kArgConstMapPtr, kArgAnything},
                                            .gpl_only = true};
inline constexpr HelperProto kPerfEventReadValue{
    .id = 55,
    .name = "bpf_perf_event_read_value",
    .args = {kArgConstMapPtr, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize},
    .gpl_only = true};
inline constexpr HelperProto kPerfEventOutput{
    .id = 25,
    .name = "bpf_perf_event_output",
    .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything, kArgPtrToMem | kMemRdonly,
             kArgMemSizeOrZero},
    .gpl_only = true};
inline constexpr HelperProto kGetCurrentTask{
    .id = 35, .name = "bpf_get_current_task", .gpl_only = true};
inline constexpr HelperProto kGetCurrentTaskBtf{.id = 158,
                                                .name = "bpf_get_current_task_btf",
                                                .ret = kRetPtrToBtfId | kTrusted,
                                                .ret_btf = "task_struct",
                                                .gpl_only = true};
inline constexpr HelperProto kTaskPtRegs{.id = 175,
                                         .name = "bpf_task_pt_regs",
                                         .ret = kRetPtrToBtfId,
                                         .args = {kArgPtrToBtfId},
                                         .arg_btf = {"task_struct"},
                                         .ret_btf = "pt_regs",
                                         .gpl_only = true};
inline constexpr HelperProto kSendSignal{
    .id = 109, .name = "bpf_send_signal", .args = {kArgAnything}};
inline constexpr HelperProto kSendSignalThread{
    .id = 117, .name = "bpf_send_signal_thread", .args = {kArgAnything}};
inline constexpr HelperProto kDPath{
    .id = 147,
    .name = "bpf_d_path",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemWrite, kArgMemSizeOrZero},
    .arg_btf = {"path"},
    .allowed = d_path_allowed};
inline constexpr HelperProto kSnprintfBtf{
    .id = 149,
    .name = "bpf_snprintf_btf",
    .args = {kArgPtrToMem | kMemWrite, kArgMemSize, kArgPtrToMem | kMemRdonly, kArgMemSize,
             kArgAnything}};
inline constexpr HelperProto kGetFuncIpTracing{
    .id = 173, .name = "bpf_get_func_ip", .args = {kArgPtrToCtx}, .gpl_only = true};
inline constexpr HelperProto kGetFuncIp{
    .id = 173, .name = "bpf_get_func_ip", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetAttachCookie{
    .id = 174, .name = "bpf_get_attach_cookie", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetBranchSnapshot{
    .id = 176,
    .name = "bpf_get_branch_snapshot",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero},
    .gpl_only = true};
inline constexpr HelperProto kGetFuncArg{
    .id = 183,
    .name = "bpf_get_func_arg",
    .args = {kArgPtrToCtx, kArgAnything,
             kArgPtrToMem | kMemFixedSize | kMemUninit | kMemWrite | kMemAligned},
    .arg_size = {0, 0, 8}};
inline constexpr HelperProto kGetFuncRet{
    .id = 184,
    .name = "bpf_get_func_ret",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemFixedSize | kMemUninit | kMemWrite | kMemAligned},
    .arg_size = {0, 8}};
inline constexpr HelperProto kGetFuncArgCnt{
    .id = 185, .name = "bpf_get_func_arg_cnt", .args = {kArgPtrToCtx}};
inline constexpr HelperProto kGetStackid{.id = 27,
                                         .name = "bpf_get_stackid",
                                         .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything},
                                         .gpl_only = true};
inline constexpr HelperProto kGetStack{
    .id = 67,
    .name = "bpf_get_stack",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kPerfProgReadValue{
    .id = 56,
    .name = "bpf_perf_prog_read_value",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize},
    .gpl_only = true};
inline constexpr HelperProto kReadBranchRecords{
    .id = 119,
    .name = "bpf_read_branch_records",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMaybeNull | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true};
inline constexpr HelperProto kInodeStorageGet{
    .id = 145,
    .name = "bpf_inode_storage_get",
    .ret = kRetPtrToMapValue | kMaybeNull,
    .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull, kArgPtrToMapValue | kMaybeNull,
             kArgAnything},
    .arg_btf = {"", "inode"}};
inline constexpr HelperProto kInodeStorageDelete{
    .id = 146,
    .name = "bpf_inode_storage_delete",
    .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull},
    .arg_btf = {"", "inode"}};
inline constexpr HelperProto kForEachMapElem{
    .id = 164,
    .name = "bpf_for_each_map_elem",
    .args = {kArgConstMapPtr, kArgPtrToFunc, kArgPtrToStack | kMaybeNull, kArgAnything}};
inline constexpr HelperProto kLoop{
    .id = 181,
    .name = "bpf_loop",
    .args = {kArgScalar, kArgPtrToFunc, kArgPtrToStack | kMaybeNull, kArgAnything}};
inline constexpr HelperProto kGetStackidPe{
    .id = 27, .name = "bpf_get_stackid", .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything}};
inline constexpr HelperProto kGetStackSleepable{
    .id = 67,
    .name = "bpf_get_stack",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .gpl_only = true,
    .might_sleep = true};
inline constexpr HelperProto kGetTaskStack{
    .id = 141,
    .name = "bpf_get_task_stack",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero,
             kArgAnything},
    .arg_btf = {"task_struct"}};
inline constexpr HelperProto kGetTaskStackSleepable{
    .id = 141,
    .name = "bpf_get_task_stack",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero,
             kArgAnything},
    .arg_btf = {"task_struct"},
    .might_sleep = true};
inline constexpr HelperProto kCgrpStorageGet{.id = 210,
                                             .name = "bpf_cgrp_storage_get",
                                             .ret = kRetPtrToMapValue | kMaybeNull,
                                             .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull,
                                                      kArgPtrToMapValue | kMaybeNull, kArgAnything},
                                             .arg_btf = {"", "cgroup"}};
inline constexpr HelperProto kCgrpStorageDelete{
    .id = 211,
    .name = "bpf_cgrp_storage_delete",
    .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull},
    .arg_btf = {"", "cgroup"}};
inline constexpr HelperProto kRingbufReserve{
    .id = 131,
    .name = "bpf_ringbuf_reserve",
    .ret = kRetPtrToMem | kMemRingbuf | kMaybeNull,
    .args = {kArgConstMapPtr, kArgConstAllocSizeOrZero, kArgAnything}};
inline constexpr HelperProto kRingbufSubmit{
    .id = 132,
    .name = "bpf_ringbuf_submit",
    .ret = kRetVoid,
    .args = {kArgPtrToRingbufMem | kObjRelease, kArgAnything}};
inline constexpr HelperProto kRingbufDiscard{
    .id = 133,
    .name = "bpf_ringbuf_discard",
    .ret = kRetVoid,
    .args = {kArgPtrToRingbufMem | kObjRelease, kArgAnything}};
inline constexpr HelperProto kRingbufOutput{
    .id = 130,
    .name = "bpf_ringbuf_output",
    .args = {kArgConstMapPtr, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero, kArgAnything}};
inline constexpr HelperProto kRingbufQuery{
    .id = 134, .name = "bpf_ringbuf_query", .args = {kArgConstMapPtr, kArgAnything}};
inline constexpr HelperProto kRingbufReserveDynptr{
    .id = 198,
    .name = "bpf_ringbuf_reserve_dynptr",
    .args = {kArgConstMapPtr, kArgAnything, kArgAnything,
             kArgPtrToDynptr | kDynptrRingbuf | kMemUninit | kMemWrite}};
inline constexpr HelperProto kRingbufSubmitDynptr{
    .id = 199,
    .name = "bpf_ringbuf_submit_dynptr",
    .ret = kRetVoid,
    .args = {kArgPtrToDynptr | kDynptrRingbuf | kObjRelease, kArgAnything}};
inline constexpr HelperProto kRingbufDiscardDynptr{
    .id = 200,
    .name = "bpf_ringbuf_discard_dynptr",
    .ret = kRetVoid,
    .args = {kArgPtrToDynptr | kDynptrRingbuf | kObjRelease, kArgAnything}};
inline constexpr HelperProto kUserRingbufDrain{
    .id = 209,
    .name = "bpf_user_ringbuf_drain",
    .args = {kArgConstMapPtr, kArgPtrToFunc, kArgPtrToStack | kMaybeNull, kArgAnything}};
inline constexpr HelperProto kTailCall{.id = 12,
                                       .name = "bpf_tail_call",
                                       .ret = kRetVoid,
                                       .args = {kArgPtrToCtx, kArgConstMapPtr, kArgAnything},
                                       .changes_pkt_data = true};
inline constexpr HelperProto kFindVma{.id = 180,
                                      .name = "bpf_find_vma",
                                      .args = {kArgPtrToBtfId, kArgAnything, kArgPtrToFunc,
                                               kArgPtrToStack | kMaybeNull, kArgAnything},
                                      .arg_btf = {"task_struct"}};
inline constexpr HelperProto kBprmOptsSet{.id = 159,
                                          .name = "bpf_bprm_opts_set",
                                          .args = {kArgPtrToBtfId, kArgAnything},
                                          .arg_btf = {"linux_binprm"}};
inline constexpr HelperProto kImaInodeHash{
    .id = 161,
    .name = "bpf_ima_inode_hash",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize},
    .arg_btf = {"inode"},
    .might_sleep = true,
    .allowed = on_sleepable_hook};
inline constexpr HelperProto kImaFileHash{
    .id = 193,
    .name = "bpf_ima_file_hash",
    .args = {kArgPtrToBtfId, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize},
    .arg_btf = {"file"},
    .might_sleep = true,
    .allowed = on_sleepable_hook};
inline constexpr HelperProto kMapLookupElem{.id = 1,
                                            .name = "bpf_map_lookup_elem",
                                            .ret = kRetPtrToMapValue | kMaybeNull,
                                            .args = {kArgConstMapPtr, kArgPtrToMapKey},
                                            .pkt_access = true};
inline constexpr HelperProto kMapUpdateElem{
    .id = 2,
    .name = "bpf_map_update_elem",
    .args = {kArgConstMapPtr, kArgPtrToMapKey, kArgPtrToMapValue, kArgAnything},
    .pkt_access = true};
inline constexpr HelperProto kMapDeleteElem{.id = 3,
                                            .name = "bpf_map_delete_elem",
                                            .args = {kArgConstMapPtr, kArgPtrToMapKey},
                                            .pkt_access = true};
inline constexpr HelperProto kMapPushElem{
    .id = 87,
    .name = "bpf_map_push_elem",
    .args = {kArgConstMapPtr, kArgPtrToMapValue, kArgAnything},
    .pkt_access = true};
inline constexpr HelperProto kMapPopElem{
    .id = 88,
    .name = "bpf_map_pop_elem",
    .args = {kArgConstMapPtr, kArgPtrToMapValue | kMemUninit | kMemWrite}};
inline constexpr HelperProto kMapPeekElem{
    .id = 89,
    .name = "bpf_map_peek_elem",
    .args = {kArgConstMapPtr, kArgPtrToMapValue | kMemUninit | kMemWrite}};
inline constexpr HelperProto kMapLookupPercpuElem{
    .id = 195,
    .name = "bpf_map_lookup_percpu_elem",
    .ret = kRetPtrToMapValue | kMaybeNull,
    .args = {kArgConstMapPtr, kArgPtrToMapKey, kArgAnything},
    .pkt_access = true};
inline constexpr HelperProto kGetPrandomU32{.id = 7, .name = "bpf_get_prandom_u32"};
inline constexpr HelperProto kGetSmpProcessorId{
    .id = 8, .name = "bpf_get_smp_processor_id", .allow_fastcall = true};
inline constexpr HelperProto kGetNumaNodeId{.id = 42, .name = "bpf_get_numa_node_id"};
inline constexpr HelperProto kKtimeGetNs{.id = 5, .name = "bpf_ktime_get_ns"};
inline constexpr HelperProto kKtimeGetBootNs{.id = 125, .name = "bpf_ktime_get_boot_ns"};
inline constexpr HelperProto kKtimeGetCoarseNs{.id = 160, .name = "bpf_ktime_get_coarse_ns"};
inline constexpr HelperProto kKtimeGetTaiNs{.id = 208, .name = "bpf_ktime_get_tai_ns"};
inline constexpr HelperProto kGetCurrentPidTgid{.id = 14, .name = "bpf_get_current_pid_tgid"};
inline constexpr HelperProto kGetCurrentUidGid{.id = 15, .name = "bpf_get_current_uid_gid"};
inline constexpr HelperProto kGetCurrentComm{
    .id = 16,
    .name = "bpf_get_current_comm",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kSpinLock{
    .id = 93, .name = "bpf_spin_lock", .ret = kRetVoid, .args = {kArgPtrToSpinLock}};
inline constexpr HelperProto kSpinUnlock{
    .id = 94, .name = "bpf_spin_unlock", .ret = kRetVoid, .args = {kArgPtrToSpinLock}};
inline constexpr HelperProto kJiffies64{.id = 118, .name = "bpf_jiffies64"};
inline constexpr HelperProto kGetCurrentCgroupId{.id = 80, .name = "bpf_get_current_cgroup_id"};
inline constexpr HelperProto kGetCurrentAncestorCgroupId{
    .id = 123, .name = "bpf_get_current_ancestor_cgroup_id", .args = {kArgAnything}};
inline constexpr HelperProto kStrtol{
    .id = 105,
    .name = "bpf_strtol",
    .args = {kArgPtrToMem | kMemRdonly, kArgMemSize, kArgAnything,
             kArgPtrToMem | kMemFixedSize | kMemUninit | kMemWrite | kMemAligned},
    .arg_size = {0, 0, 0, 8}};
inline constexpr HelperProto kStrtoul{
    .id = 106,
    .name = "bpf_strtoul",
    .args = {kArgPtrToMem | kMemRdonly, kArgMemSize, kArgAnything,
             kArgPtrToMem | kMemFixedSize | kMemUninit | kMemWrite | kMemAligned},
    .arg_size = {0, 0, 0, 8}};
inline constexpr HelperProto kStrncmp{
    .id = 182,
    .name = "bpf_strncmp",
    .args = {kArgPtrToMem | kMemRdonly, kArgMemSize, kArgPtrToConstStr}};
inline constexpr HelperProto kGetNsCurrentPidTgid{
    .id = 120,
    .name = "bpf_get_ns_current_pid_tgid",
    .args = {kArgAnything, kArgAnything, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kGetRawSmpProcessorId{.id = 8, .name = "bpf_get_smp_processor_id"};
inline constexpr HelperProto kCopyFromUser{
    .id = 148,
    .name = "bpf_copy_from_user",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything},
    .might_sleep = true};
inline constexpr HelperProto kCopyFromUserTask{
    .id = 191,
    .name = "bpf_copy_from_user_task",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything, kArgPtrToBtfId,
             kArgAnything},
    .arg_btf = {"", "", "", "task_struct"},
    .gpl_only = true,
    .might_sleep = true};
inline constexpr HelperProto kPerCpuPtr{.id = 153,
                                        .name = "bpf_per_cpu_ptr",
                                        .ret = kRetPtrToMemOrBtfId | kMaybeNull | kMemRdonly,
                                        .args = {kArgPtrToPercpuBtfId, kArgAnything}};
inline constexpr HelperProto kThisCpuPtr{.id = 154,
                                         .name = "bpf_this_cpu_ptr",
                                         .ret = kRetPtrToMemOrBtfId | kMemRdonly,
                                         .args = {kArgPtrToPercpuBtfId}};
inline constexpr HelperProto kSnprintf{
    .id = 165,
    .name = "bpf_snprintf",
    .args = {kArgPtrToMem | kMaybeNull | kMemWrite, kArgMemSizeOrZero, kArgPtrToConstStr,
             kArgPtrToMem | kMaybeNull | kMemRdonly, kArgMemSizeOrZero},
    .gpl_only = true};
inline constexpr HelperProto kTimerInit{.id = 169,
                                        .name = "bpf_timer_init",
                                        .args = {kArgPtrToTimer, kArgConstMapPtr, kArgAnything},
                                        .gpl_only = true};
inline constexpr HelperProto kTimerSetCallback{.id = 170,
                                               .name = "bpf_timer_set_callback",
                                               .args = {kArgPtrToTimer, kArgPtrToFunc},
                                               .gpl_only = true};
inline constexpr HelperProto kTimerStart{.id = 171,
                                         .name = "bpf_timer_start",
                                         .args = {kArgPtrToTimer, kArgAnything, kArgAnything},
                                         .gpl_only = true};
inline constexpr HelperProto kTimerCancel{
    .id = 172, .name = "bpf_timer_cancel", .args = {kArgPtrToTimer}, .gpl_only = true};
inline constexpr HelperProto kKptrXchg{
    .id = 194,
    .name = "bpf_kptr_xchg",
    .ret = kRetPtrToBtfId | kMaybeNull,
    .args = {kArgKptrXchgDest, kArgPtrToBtfId | kMaybeNull | kObjRelease}};
inline constexpr HelperProto kDynptrFromMem{
    .id = 197,
    .name = "bpf_dynptr_from_mem",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgAnything,
             kArgPtrToDynptr | kDynptrLocal | kMemUninit | kMemWrite}};
inline constexpr HelperProto kDynptrRead{
    .id = 201,
    .name = "bpf_dynptr_read",
    .args = {kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSizeOrZero, kArgPtrToDynptr,
             kArgAnything, kArgAnything}};
inline constexpr HelperProto kDynptrWrite{
    .id = 202,
    .name = "bpf_dynptr_write",
    .args = {kArgPtrToDynptr, kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero,
             kArgAnything}};
inline constexpr HelperProto kDynptrData{
    .id = 203,
    .name = "bpf_dynptr_data",
    .ret = kRetPtrToMem | kMaybeNull,
    .args = {kArgPtrToDynptr, kArgAnything, kArgConstAllocSizeOrZero}};
inline constexpr HelperProto kCurrentTaskUnderCgroup{
    .id = 37, .name = "bpf_current_task_under_cgroup", .args = {kArgConstMapPtr, kArgAnything}};
inline constexpr HelperProto kSysBpf{.id = 166,
                                     .name = "bpf_sys_bpf",
                                     .args = {kArgAnything, kArgPtrToMem | kMemRdonly, kArgMemSize},
                                     .might_sleep = true};
inline constexpr HelperProto kSysClose{
    .id = 168, .name = "bpf_sys_close", .args = {kArgAnything}, .might_sleep = true};
inline constexpr HelperProto kKallsymsLookupName{
    .id = 179,
    .name = "bpf_kallsyms_lookup_name",
    .args = {kArgPtrToMem | kMemRdonly, kArgMemSizeOrZero, kArgAnything,
             kArgPtrToMem | kMemFixedSize | kMemUninit | kMemWrite | kMemAligned},
    .arg_size = {0, 0, 0, 8}};
inline constexpr HelperProto kBtfFindByNameKind{
    .id = 167,
    .name = "bpf_btf_find_by_name_kind",
    .args = {kArgPtrToMem | kMemRdonly, kArgMemSize, kArgAnything, kArgAnything},
    .might_sleep = true};
inline constexpr HelperProto kTaskStorageGet{.id = 156,
                                             .name = "bpf_task_storage_get",
                                             .ret = kRetPtrToMapValue | kMaybeNull,
                                             .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull,
                                                      kArgPtrToMapValue | kMaybeNull, kArgAnything},
                                             .arg_btf = {"", "task_struct"}};
inline constexpr HelperProto kTaskStorageDelete{
    .id = 157,
    .name = "bpf_task_storage_delete",
    .args = {kArgConstMapPtr, kArgPtrToBtfId | kMaybeNull},
    .arg_btf = {"", "task_struct"}};
inline constexpr HelperProto kGetLocalStorage{.id = 81,
                                              .name = "bpf_get_local_storage",
                                              .ret = kRetPtrToMapValue,
                                              .args = {kArgConstMapPtr, kArgAnything}};
inline constexpr HelperProto kGetRetval{.id = 186, .name = "bpf_get_retval"};
inline constexpr HelperProto kSetRetval{
    .id = 187, .name = "bpf_set_retval", .args = {kArgAnything}};
inline constexpr HelperProto kSysctlGetName{
    .id = 101,
    .name = "bpf_sysctl_get_name",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemWrite, kArgMemSize, kArgAnything}};
inline constexpr HelperProto kSysctlGetCurrentValue{
    .id = 102,
    .name = "bpf_sysctl_get_current_value",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kSysctlGetNewValue{
    .id = 103,
    .name = "bpf_sysctl_get_new_value",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemUninit | kMemWrite, kArgMemSize}};
inline constexpr HelperProto kSysctlSetNewValue{
    .id = 104,
    .name = "bpf_sysctl_set_new_value",
    .args = {kArgPtrToCtx, kArgPtrToMem | kMemRdonly, kArgMemSize}};
inline constexpr HelperProto kGetNetnsCookie{
    .id = 122, .name = "bpf_get_netns_cookie", .args = {kArgPtrToCtx | kMaybeNull}};

}  // namespace uscx::bpf::verifier::protos
