// SPDX-License-Identifier: GPL-2.0-only
// Kinds of registers and of instructions, as the rules ask for them; helpers and types of maps that
// rules name.
#pragma once

#include "base/types.h"
#include "bpf/isa.h"
#include "bpf/verifier/state.h"
#include "bpf/verifier/types.h"

namespace uscx::bpf::verifier {

// -- register kinds

constexpr bool is_packet_pointer(RegType type) {
  return base_type(type) == kPtrToPacket || base_type(type) == kPtrToPacketMeta;
}
constexpr bool is_sock_pointer(RegType type) {
  return type == kPtrToSocket || type == kPtrToSockCommon || type == kPtrToTcpSock ||
         type == kPtrToXdpSock;
}
/// Linux: type_is_ptr_alloc_obj.
constexpr bool is_alloc_object(RegType type) {
  return base_type(type) == kPtrToBtfId && (type & kMemAlloc) && !(type & kUntrusted);
}
constexpr bool is_non_owning(RegType type) {
  return is_alloc_object(type) && (type & kNonOwnRef);
}
constexpr u32 kTrustedModifiers = kMemAlloc | kTrusted | kNonOwnRef;
constexpr bool has_unsafe_modifiers(RegType type) {
  return type_flags(type) & ~kTrustedModifiers;
}
/// Linux: bpf_may_fault_on_deref.
constexpr bool may_fault_on_deref(RegType type) {
  return type == kPtrToBtfId || (type & kUntrusted);
}
constexpr u32 spi_of(s64 off) {
  return static_cast<u32>((-off - 1) / static_cast<s64>(kSlotSize));
}
constexpr u32 slot_byte(s64 off) {
  return static_cast<u32>((-off - 1) % static_cast<s64>(kSlotSize));
}
constexpr bool is_ld_imm64(const Insn& insn) {
  return insn.code == isa::kLdImm64;
}
constexpr bool is_pseudo_func(const Insn& insn) {
  return is_ld_imm64(insn) && insn.src == isa::kPseudoFunc;
}
constexpr bool is_pseudo_call(const Insn& insn) {
  return isa::is_call(insn) && insn.src == isa::kPseudoCall;
}
constexpr bool is_kfunc_call(const Insn& insn) {
  return isa::is_call(insn) && insn.src == isa::kPseudoKfuncCall;
}
constexpr bool is_helper_call(const Insn& insn) {
  return isa::is_call(insn) && insn.src == 0;
}
constexpr bool is_may_goto(const Insn& insn) {
  return insn.code == isa::kMayGoto && insn.src == 0;
}
constexpr bool is_stack_arg_load(const Insn& insn) {
  return insn.code == (isa::kLdx | isa::kMem | isa::kDw) && insn.src == kStackArgReg &&
         insn.off > 0 && insn.off % 8 == 0;
}
constexpr bool is_stack_arg_store_imm(const Insn& insn) {
  return insn.code == (isa::kSt | isa::kMem | isa::kDw) && insn.dst == kStackArgReg &&
         insn.off < 0 && insn.off % 8 == 0;
}
constexpr bool is_stack_arg_store(const Insn& insn) {
  return insn.code == (isa::kStx | isa::kMem | isa::kDw) && insn.dst == kStackArgReg &&
         insn.off < 0 && insn.off % 8 == 0;
}
/// The register an atomic operation loads into; -1. Linux: bpf_atomic_load_reg.
constexpr s32 atomic_load_reg(const Insn& insn) {
  if (!isa::is_atomic(insn)) return -1;
  if (insn.imm == isa::kCmpxchg) return 0;
  if (insn.imm == isa::kLoadAcquire) return insn.dst;
  return insn.imm & isa::kFetch ? insn.src : -1;
}
/// Distance of a jump in instructions after the next. Linux: bpf_jmp_offset.
constexpr s32 jump_offset(const Insn& insn) {
  return isa::jump_distance(insn);
}

/// Helpers that the rules name. Linux: BPF_FUNC_*.
enum HelperId : u32 {
  kFnMapLookupElem = 1,
  kFnMapUpdateElem = 2,
  kFnMapDeleteElem = 3,
  kFnGetSmpProcessorId = 8,
  kFnTailCall = 12,
  kFnGetStackid = 27,
  kFnGetCurrentTask = 35,
  kFnProbeReadStr = 45,
  kFnRedirectMap = 51,
  kFnGetStack = 67,
  kFnGetLocalStorage = 81,
  kFnSkLookupTcp = 84,
  kFnSkLookupUdp = 85,
  kFnSkRelease = 86,
  kFnMapPushElem = 87,
  kFnMapPopElem = 88,
  kFnMapPeekElem = 89,
  kFnSpinLock = 93,
  kFnSpinUnlock = 94,
  kFnSkFullsock = 95,
  kFnTcpSock = 96,
  kFnSkcLookupTcp = 99,
  kFnProbeReadUserStr = 114,
  kFnProbeReadKernelStr = 115,
  kFnRingbufReserve = 131,
  kFnSkcToTcp6Sock = 136,
  kFnSkcToTcpSock = 137,
  kFnSkcToTcpTimewaitSock = 138,
  kFnSkcToTcpRequestSock = 139,
  kFnSkcToUdp6Sock = 140,
  kFnGetTaskStack = 141,
  kFnPerCpuPtr = 153,
  kFnThisCpuPtr = 154,
  kFnGetCurrentTaskBtf = 158,
  kFnForEachMapElem = 164,
  kFnSnprintf = 165,
  kFnTimerSetCallback = 170,
  kFnGetFuncIp = 173,
  kFnFindVma = 180,
  kFnLoop = 181,
  kFnGetRetval = 186,
  kFnSetRetval = 187,
  kFnKptrXchg = 194,
  kFnMapLookupPercpuElem = 195,
  kFnSkcToMptcpSock = 196,
  kFnDynptrFromMem = 197,
  kFnDynptrWrite = 202,
  kFnDynptrData = 203,
  kFnUserRingbufDrain = 209,
};
/// Map types beyond those that are served. Linux: enum bpf_map_type.
enum MapTypeId : u32 {
  kMtHash = 1,
  kMtArray,
  kMtProgArray,
  kMtPerfEventArray,
  kMtPercpuHash,
  kMtPercpuArray,
  kMtStackTrace,
  kMtCgroupArray,
  kMtLruHash,
  kMtLruPercpuHash,
  kMtLpmTrie,
  kMtArrayOfMaps,
  kMtHashOfMaps,
  kMtDevmap,
  kMtSockmap,
  kMtCpumap,
  kMtXskmap,
  kMtSockhash,
  kMtCgroupStorage,
  kMtReuseportSockarray,
  kMtPercpuCgroupStorage,
  kMtQueue,
  kMtStack,
  kMtSkStorage,
  kMtDevmapHash,
  kMtStructOps,
  kMtRingbuf,
  kMtInodeStorage,
  kMtTaskStorage,
  kMtBloomFilter,
  kMtUserRingbuf,
  kMtCgrpStorage,
  kMtArena,
  kMtInsnArray,
  kMtRhash,
};

}  // namespace uscx::bpf::verifier
