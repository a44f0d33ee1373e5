// SPDX-License-Identifier: GPL-2.0-only
// What must hold where a program, a callback or a global function ends.
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr std::string_view kAtProgramExit = "At program exit";

/// A struct_ops member that returns a pointer: the struct it points to.
const btf::Btf* returned_struct(Verifier& v, u32& id) {
  if (v.prog.type != kProgStructOps || !v.attach.proto || !v.attach.btf) return nullptr;
  const auto target = pointee(*v.attach.btf, v.attach.proto->result);
  if (!target) return nullptr;
  id = *target;
  return v.attach.btf;
}

int check_global_return(Verifier& v) {
  if (subprog_returns_void(v, v.cur().subprogno)) return 0;
  if (int err = check_reg_arg(v, 0, ArgUse::kSrc)) return err;
  const RegState& r0 = v.reg(0);
  if (r0.type == kPtrToArena) return 0;
  if (v.is_pointer_value(r0)) return v.refuse(EACCES, "R0 leaks addr as return value\n");
  if (r0.is_scalar()) return 0;
  return v.refuse(EINVAL, "At subprogram exit the register R0 is not a scalar value ({})\n",
                  reg_type_text(r0.type));
}

bool is_within(const RetvalRange& range, const RegState& reg) {
  if (range.return_32bit) {
    return range.min <= reg.value.s32_min() && reg.value.s32_max() <= range.max;
  }
  return range.min <= reg.value.smin() && reg.value.smax() <= range.max;
}

int enforce(Verifier& v, u32 regno, std::string_view reg_name, const RetvalRange& range,
            std::string_view where) {
  const RegState& reg = v.reg(regno);
  if (!reg.is_scalar()) {
    return v.refuse(EINVAL, "{} the register R{} is not a known value ({})\n", where, regno,
                    reg_type_text(reg.type));
  }
  if (int err = mark_chain_precision(v, regno)) return err;
  if (is_within(range, reg)) return 0;
  refuse_value(v, reg, range, where, reg_name);
  if (v.prog.type == kProgLsm && v.prog.attach_type == kLsmCgroup && v.prog.attach_returns_void) {
    v.log("Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n");
  }
  return -EINVAL;
}

}  // namespace

int refuse_value(Verifier& v, const RegState& reg, const RetvalRange& range, std::string_view where,
                 std::string_view reg_name) {
  constexpr s64 kMin = std::numeric_limits<s64>::min();
  constexpr s64 kMax = std::numeric_limits<s64>::max();
  v.log("{} the register {} has", where, reg_name);
  if (reg.value.smin() > kMin) v.log(" smin={}", reg.value.smin());
  if (reg.value.smax() < kMax) v.log(" smax={}", reg.value.smax());
  if (reg.value.smin() == kMin && reg.value.smax() == kMax) v.log(" unknown scalar value");
  return v.refuse(EINVAL, " should have been in [{}, {}]\n", range.min, range.max);
}

int check_return_code(Verifier& v, u32 regno, std::string_view reg_name) {
  const RegState& reg = v.reg(regno);
  const FuncState& bottom = *v.state->frame[0];
  const bool async = bottom.in_async_callback_fn;
  const bool void_result =
      v.prog.type == kProgExt ? subprog_returns_void(v, 0) : returns_void(v.prog);
  if (!async && void_result) return 0;

  u32 struct_id = 0;
  const btf::Btf* struct_btf = returned_struct(v, struct_id);
  if (struct_btf && reg.base() == kPtrToBtfId && reg.btf_id() == struct_id &&
      v.same_type(reg.btf(), struct_id, struct_btf, struct_id) && is_referenced(v, reg)) {
    return check_ptr_off_reg(v, reg, ArgNo::reg(regno), false);
  }
  if (int err = check_reg_arg(v, regno, ArgUse::kSrc)) return err;
  if (v.is_pointer_value(reg)) {
    return v.refuse(EACCES, "R{} leaks addr as return value\n", regno);
  }
  if (async) {
    return enforce(v, regno, reg_name, bottom.callback_ret_range, "At async callback return");
  }
  if (v.prog.type == kProgStructOps) {
    if (!struct_btf) return 0;
    return enforce(v, regno, reg_name, {0, 0}, kAtProgramExit);
  }
  const auto range = return_range(v.prog);
  if (!range) return 0;
  return enforce(v, regno, reg_name, {range->min, range->max, range->is32}, kAtProgramExit);
}

int process_exit(Verifier& v, bool* do_print_state, bool exception_exit) {
  const bool last_frame = v.state->curframe == 0;
  if (int err =
          check_resource_leak(v, exception_exit, exception_exit || last_frame,
                              exception_exit ? "bpf_throw" : "BPF_EXIT instruction in main prog")) {
    return err;
  }
  // bpf_throw leaves all frames; each was checked.
  if (exception_exit) return kStepExit;
  if (!last_frame) {
    if (int err = prepare_function_exit(v)) return err;
    *do_print_state = true;
    return kStepJumped;
  }
  const FuncState& frame = v.cur();
  const bool global =
      frame.subprogno && !frame.in_async_callback_fn && !frame.in_exception_callback_fn;
  const int err = global ? check_global_return(v) : check_return_code(v, 0, "R0");
  return err ? err : kStepExit;
}

}  // namespace uscx::bpf::verifier
