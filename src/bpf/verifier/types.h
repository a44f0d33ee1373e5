// SPDX-License-Identifier: GPL-2.0-only
// The words of the verifier: what a register holds, what an argument must be, what a call returns.
// A type is a base (low 8 bits) and flags; the numbering is Linux's (7.3), so that a log that
// prints one as a number prints the same.
#pragma once

#include "base/types.h"

namespace uscx::bpf::verifier {

inline constexpr u32 kBaseTypeBits = 8;
inline constexpr u32 kBaseTypeMask = (1u << kBaseTypeBits) - 1;

constexpr u32 base_type(u32 type) {
  return type & kBaseTypeMask;
}
constexpr u32 type_flags(u32 type) {
  return type & ~kBaseTypeMask;
}

/// Linux: enum bpf_type_flag, where each is explained.
enum TypeFlag : u32 {
  kMaybeNull = 1u << 8,
  kMemRdonly = 1u << 9,
  kMemRingbuf = 1u << 10,
  kMemUser = 1u << 11,
  kMemPercpu = 1u << 12,
  kObjRelease = 1u << 13,
  kUntrusted = 1u << 14,
  kMemUninit = 1u << 15,
  kDynptrLocal = 1u << 16,
  kDynptrRingbuf = 1u << 17,
  kMemFixedSize = 1u << 18,
  kMemAlloc = 1u << 19,
  kTrusted = 1u << 20,
  kMemRcu = 1u << 21,
  kNonOwnRef = 1u << 22,
  kDynptrSkb = 1u << 23,
  kDynptrXdp = 1u << 24,
  kMemAligned = 1u << 25,
  kMemWrite = 1u << 26,
  kDynptrSkbMeta = 1u << 27,
  kDynptrFile = 1u << 28,
  kDynptrFlags =
      kDynptrLocal | kDynptrRingbuf | kDynptrSkb | kDynptrXdp | kDynptrSkbMeta | kDynptrFile,
};

/// What a register holds. Linux: enum bpf_reg_type.
enum RegBase : u32 {
  kNotInit,
  kScalar,
  kPtrToCtx,
  kConstPtrToMap,
  kPtrToMapValue,
  kPtrToMapKey,
  kPtrToStack,
  kPtrToPacketMeta,
  kPtrToPacket,
  kPtrToPacketEnd,
  kPtrToFlowKeys,
  kPtrToSocket,
  kPtrToSockCommon,
  kPtrToTcpSock,
  kPtrToTpBuffer,
  kPtrToXdpSock,
  kPtrToBtfId,
  kPtrToMem,
  kPtrToArena,
  kPtrToBuf,
  kPtrToFunc,
  kPtrToInsn,
  kConstPtrToDynptr,
  kRegBaseCount,
};
using RegType = u32;  // RegBase | TypeFlag...

/// What an argument of a helper or of a global function must be. Linux: enum bpf_arg_type.
enum ArgBase : u32 {
  kArgDontcare,
  kArgConstMapPtr,
  kArgPtrToMapKey,
  kArgPtrToMapValue,
  kArgPtrToMem,
  kArgPtrToArena,
  kArgMemSize,
  kArgMemSizeOrZero,
  kArgPtrToCtx,
  kArgAnything,
  kArgScalar,
  kArgPtrToSpinLock,
  kArgPtrToSockCommon,
  kArgPtrToSocket,
  kArgPtrToBtfId,
  kArgPtrToRingbufMem,
  kArgConstAllocSizeOrZero,
  kArgPtrToBtfIdSockCommon,
  kArgPtrToPercpuBtfId,
  kArgPtrToFunc,
  kArgPtrToStack,
  kArgPtrToConstStr,
  kArgPtrToTimer,
  kArgKptrXchgDest,
  kArgPtrToDynptr,
  kArgBaseCount,
};
using ArgType = u32;  // ArgBase | TypeFlag...

/// What a helper returns. Linux: enum bpf_return_type.
enum RetBase : u32 {
  kRetInteger,
  kRetVoid,
  kRetPtrToMapValue,
  kRetPtrToSocket,
  kRetPtrToTcpSock,
  kRetPtrToSockCommon,
  kRetPtrToMem,
  kRetPtrToMemOrBtfId,
  kRetPtrToBtfId,
};
using RetType = u32;  // RetBase | TypeFlag...

constexpr u32 operator|(RegBase base, TypeFlag flag) {
  return u32{base} | u32{flag};
}
constexpr u32 operator|(ArgBase base, TypeFlag flag) {
  return u32{base} | u32{flag};
}
constexpr u32 operator|(RetBase base, TypeFlag flag) {
  return u32{base} | u32{flag};
}

constexpr bool may_be_null(u32 type) {
  return type & kMaybeNull;
}
constexpr bool is_alloc(u32 type) {
  return type & kMemAlloc;
}

/// Linux: enum bpf_dynptr_type.
enum class DynptrType : u8 { kInvalid, kLocal, kRingbuf, kSkb, kXdp, kSkbMeta, kFile };

/// KF_* of Linux 7.3, by the kernel's bits. What kfunc.h has is the runtime's own numbering.
enum KfFlag : u32 {
  kKf_Acquire = 1u << 0,
  kKf_Release = 1u << 1,
  kKf_RetNull = 1u << 2,
  kKf_Sleepable = 1u << 5,
  kKf_Destructive = 1u << 6,
  kKf_Rcu = 1u << 7,
  kKf_IterNew = 1u << 8,
  kKf_IterNext = 1u << 9,
  kKf_IterDestroy = 1u << 10,
  kKf_RcuProtected = 1u << 11,
  kKf_Fastcall = 1u << 12,
  kKf_ArenaRet = 1u << 13,
  kKf_ArenaArg1 = 1u << 14,
  kKf_ArenaArg2 = 1u << 15,
  kKf_ImplicitArgs = 1u << 16,
  kKf_SpinlockSafe = 1u << 17,
  kKf_Perfmon = 1u << 18,
};

}  // namespace uscx::bpf::verifier
