// SPDX-License-Identifier: GPL-2.0-only
// What is known of the program's parts beside the states of its paths: instructions, functions, the
// kfuncs that it calls.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "bpf/kfunc.h"
#include "bpf/maps/map.h"
#include "bpf/verifier/helper_proto.h"
#include "bpf/verifier/special_kfuncs.h"
#include "bpf/verifier/state.h"
#include "bpf/verifier/types.h"
#include "btf/btf.h"

namespace uscx::bpf::verifier {

/// What is known of an instruction beside itself. Linux: struct bpf_insn_aux_data.
struct InsnAux {
  RegType ptr_type = kNotInit;  // of the pointer that a memory access goes through
  // ld_imm64.
  u32 map_index = 0;
  u32 map_off = 0;
  RegType var_type = kNotInit;
  u32 var_a = 0;  // its BTF id or its size
  // A call.
  const Map* call_map = nullptr;
  bool call_map_poisoned = false;
  bool loop_seen = false;
  bool loop_fits = false;
  u32 loop_callback = 0;
  bool is_iter_next = false;
  bool non_sleepable = false;

  bool seen = false;  // on some path
  bool prune_point = false;
  bool jmp_point = false;
  bool force_checkpoint = false;
  bool calls_callback = false;
  bool jump_target = false;
  bool needs_zext = false;    // arena pointer in a 64-bit operation
  bool prevent_zext = false;  // the same instruction without one
  u8 fastcall_pattern = 0;
  u8 fastcall_spills_num = 0;
  u16 live_regs_before = 0;
  u16 const_reg_mask = 0;
  u16 const_reg_map_mask = 0;
  u16 const_reg_subprog_mask = 0;
  u32 scc = 0;
  s32 jump_table = -1;  // index into Verifier::jump_tables
  std::array<u32, 10> const_reg_vals = {};
};

/// What a global function, or a static one with good BTF, takes. Linux: struct
/// bpf_subprog_arg_info.
struct ArgInfo {
  ArgType type = kArgDontcare;
  u32 mem_size = 0;
  u32 btf_id = 0;  // in the kernel's BTF
};

enum class PrivStack : u8 { kUnknown, kNo, kAdaptive };

/// Linux: struct bpf_subprog_info and bpf_func_info_aux.
struct Subprogram {
  std::string_view name = {};
  u32 start = 0;
  u32 postorder_start = 0;
  u32 exit_idx = 0;
  s32 stack_depth = 0;
  u32 insns_total = 0;
  u32 insns_self = 0;
  s32 fastcall_stack_off = 0;
  bool keep_fastcall_stack = false;
  bool has_tail_call = false;
  bool tail_call_reachable = false;
  bool has_ld_abs = false;
  bool might_throw = false;
  bool might_sleep = false;
  bool changes_pkt_data = false;
  bool is_cb = false;
  bool is_async_cb = false;
  bool is_exception_cb = false;
  bool args_cached = false;
  PrivStack priv_stack = PrivStack::kUnknown;
  u32 arg_cnt = 0;
  std::array<ArgInfo, kMaxFuncArgs> args = {};
  u32 stack_arg_cnt = 0;
  u32 type_id = 0;  // the FUNC in the program's BTF; 0: not known
  u32 linkage = btf::kStatic;
  bool unreliable = false;          // its BTF says something else than its callers
  std::array<bool, 2> called = {};  // in a context that may (not) sleep
  std::array<bool, 2> verified = {};

  u32 in_stack_args() const { return arg_cnt > kMaxRegArgs ? arg_cnt - kMaxRegArgs : 0; }
};

/// How the verifier takes a kfunc's argument. Linux: enum kfunc_ptr_arg_type.
enum class KfArg : u32 {
  kNone,  // ignored, implicit, or the program itself
  kConstMemSize,
  kMemSize,
  kConst,
  kConstAllocSizeOrZero,
  kAnything,
  kCtx,
  kAllocBtfId,
  kRefcountedKptr,
  kDynptr,
  kIter,
  kListHead,
  kListNode,
  kBtfId,
  kMem,
  kCallback,
  kRbRoot,
  kRbNode,
  kConstStr,
  kConstMapPtr,
  kTimer,
  kWorkqueue,
  kIrqFlag,
  kResSpinLock,
  kTaskWork,
  kArena,
};
struct KfArgInfo {
  KfArg kind = KfArg::kNone;
  bool nullable = false;
  bool fixed_size = false;
};

/// A kfunc that the program calls somewhere. Linux: struct bpf_kfunc_desc.
struct KfuncDesc {
  u32 func_id = 0;
  s16 off = 0;
  std::string name = {};
  const Kfunc* kfunc = nullptr;  // null: not served
  const btf::Btf* btf = nullptr;
  btf::Proto proto = {};
  bool known = false;  // flags are valid: registered for the program's type
  u32 flags = 0;       // KfFlag
  bool allowed = false;
  SpecialKfunc special = SpecialKfunc::kNone;
  u32 public_args = 0;
  std::array<KfArgInfo, kMaxFuncArgs> args = {};

  bool has(u32 flag) const { return flags & flag; }
  u32 nr_args() const { return static_cast<u32>(proto.params.size()); }
};

}  // namespace uscx::bpf::verifier
