// SPDX-License-Identifier: GPL-2.0-only
// The instructions that load and store, atomic ones among them.
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

namespace {

bool mismatch_ok(RegType type) {
  switch (base_type(type)) {
    case kPtrToCtx:
    case kPtrToSocket:
    case kPtrToSockCommon:
    case kPtrToTcpSock:
    case kPtrToXdpSock:
    case kPtrToBtfId:
    case kPtrToArena:
      return false;
    case kPtrToMem:
      return !may_fault_on_deref(type);
    default:
      return true;
  }
}

bool is_mem_or_btf(RegType type) {
  return base_type(type) == kPtrToMem || base_type(type) == kPtrToBtfId;
}

/// Both ways of reaching memory need the care of the more careful one.
RegType merge_ptr_types(RegType a, RegType b) {
  const bool to_mem = base_type(a) == kPtrToMem || base_type(b) == kPtrToMem;
  RegType merged = to_mem ? kPtrToMem : kPtrToBtfId;
  if (may_fault_on_deref(a) || may_fault_on_deref(b)) {
    merged |= to_mem ? kMemRdonly | kUntrusted : u32{kUntrusted};
  } else {
    merged |= (a | b) & kMemRdonly;
  }
  return merged;
}

bool atomic_ptr_ok(Verifier& v, u32 regno, const Insn& insn) {
  const RegType type = v.reg(regno).type;
  if (type == kPtrToCtx || is_packet_pointer(type) || type == kPtrToFlowKeys ||
      is_sock_pointer(type)) {
    return false;
  }
  return !(insn.imm == isa::kLoadAcquire && type != kPtrToArena && may_fault_on_deref(type));
}

int check_atomic_rmw(Verifier& v, const Insn& insn) {
  const u32 size = isa::bytes_of(insn);
  if (size < 4) return v.refuse(EINVAL, "invalid atomic operand size\n");
  if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  if (insn.imm == isa::kCmpxchg) {
    if (int err = check_reg_arg(v, 0, ArgUse::kSrc)) return err;
    if (v.is_pointer_value(v.reg(0))) return leak(v, 0, "mem");
  }
  if (v.is_pointer_value(v.reg(insn.src))) return leak(v, insn.src, "mem");
  if (!atomic_ptr_ok(v, insn.dst, insn)) {
    return v.refuse(EACCES, "BPF_ATOMIC stores into R{} {} is not allowed\n", +insn.dst,
                    reg_type_text(v.reg(insn.dst).type));
  }
  const bool unseen = planted(v, PlantedFault::kFetchUnseen);
  const s32 load_reg = unseen ? -1 : atomic_load_reg(insn);
  if (load_reg >= 0) {
    if (int err = check_reg_arg(v, static_cast<u32>(load_reg), ArgUse::kDst)) return err;
  }
  RegState& dst = v.reg(insn.dst);
  const ArgNo arg = ArgNo::reg(insn.dst);
  if (int err = check_mem_access(v, v.insn_idx, dst, arg, insn.off, size, kRead, -1, true, false)) {
    return err;
  }
  if (load_reg >= 0) {
    if (int err = check_mem_access(v, v.insn_idx, dst, arg, insn.off, size, kRead, load_reg, true,
                                   false)) {
      return err;
    }
  }
  if (int err = save_ptr_type(v, dst.type, false)) return err;
  return check_mem_access(v, v.insn_idx, dst, arg, insn.off, size, kWrite, -1, true, false);
}

}  // namespace

int save_ptr_type(Verifier& v, RegType type, bool allow_trust_mismatch) {
  RegType& prev = v.cur_aux().ptr_type;
  if (prev == kNotInit) {
    prev = type;
    return 0;
  }
  if (type == prev) return 0;
  if (mismatch_ok(type) && mismatch_ok(prev)) {
    // What is proven of the place must hold for each of them.
    if (base_type(type) != base_type(prev)) prev = kPtrToMem;
    return 0;
  }
  if (allow_trust_mismatch && is_mem_or_btf(type) && is_mem_or_btf(prev)) {
    prev = merge_ptr_types(type, prev);
    return 0;
  }
  return v.refuse(EINVAL, "same insn cannot be used with different pointers\n");
}

int check_load(Verifier& v, const Insn& insn, bool strict_once, bool ldsx, bool allow_mismatch,
               std::string_view context) {
  if (is_stack_arg_load(insn)) {
    if (int err = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return err;
    return check_stack_arg_read(v, v.cur(), insn.off, insn.dst);
  }
  if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kDstNoMark)) return err;
  RegState src = v.reg(insn.src);  // dst may be the same register
  const RegType type = src.type;
  if (int err = check_mem_access(v, v.insn_idx, insn.src == insn.dst ? src : v.reg(insn.src),
                                 ArgNo::reg(insn.src), insn.off, isa::bytes_of(insn), kRead,
                                 insn.dst, strict_once, ldsx)) {
    return err;
  }
  if (int err = save_ptr_type(v, type, allow_mismatch)) return err;
  return check_invariants(v, v.reg(insn.dst), context);
}

int check_store_reg(Verifier& v, const Insn& insn, bool strict_once) {
  if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  if (is_stack_arg_store(insn)) {
    return check_stack_arg_write(v, v.cur(), insn.off, &v.reg(insn.src));
  }
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  const RegType type = v.reg(insn.dst).type;
  if (int err = check_mem_access(v, v.insn_idx, v.reg(insn.dst), ArgNo::reg(insn.dst), insn.off,
                                 isa::bytes_of(insn), kWrite, insn.src, strict_once, false)) {
    return err;
  }
  return save_ptr_type(v, type, false);
}

int check_store_imm(Verifier& v, const Insn& insn) {
  if (is_stack_arg_store_imm(insn)) {
    return check_stack_arg_write(v, v.cur(), insn.off, nullptr);
  }
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kSrc)) return err;
  const RegType type = v.reg(insn.dst).type;
  if (int err = check_mem_access(v, v.insn_idx, v.reg(insn.dst), ArgNo::reg(insn.dst), insn.off,
                                 isa::bytes_of(insn), kWrite, -1, false, false)) {
    return err;
  }
  return save_ptr_type(v, type, false);
}

int check_atomic(Verifier& v, const Insn& insn) {
  switch (insn.imm) {
    case isa::kAdd:
    case isa::kAdd | isa::kFetch:
    case isa::kAnd:
    case isa::kAnd | isa::kFetch:
    case isa::kOr:
    case isa::kOr | isa::kFetch:
    case isa::kXor:
    case isa::kXor | isa::kFetch:
    case isa::kXchg:
    case isa::kCmpxchg:
      return check_atomic_rmw(v, insn);
    case isa::kLoadAcquire:
      if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
      if (!atomic_ptr_ok(v, insn.src, insn)) {
        return v.refuse(EACCES, "BPF_ATOMIC loads from R{} {} is not allowed\n", +insn.src,
                        reg_type_text(v.reg(insn.src).type));
      }
      return check_load(v, insn, true, false, false, "atomic_load");
    case isa::kStoreRelease:
      if (int err = check_store_reg(v, insn, true)) return err;
      if (!atomic_ptr_ok(v, insn.dst, insn)) {
        return v.refuse(EACCES, "BPF_ATOMIC stores into R{} {} is not allowed\n", +insn.dst,
                        reg_type_text(v.reg(insn.dst).type));
      }
      return 0;
    default:
      return v.refuse(EINVAL, "BPF_ATOMIC uses invalid atomic opcode {:02x}\n",
                      static_cast<u32>(insn.imm));
  }
}

}  // namespace uscx::bpf::verifier
