// SPDX-License-Identifier: GPL-2.0-only
// Which registers are read later. The others need no value, where several operations become one.
#if defined(__x86_64__)
#include <vector>

#include "bpf/exec/jit_translator.h"

namespace uscx::bpf::jit {

namespace {

constexpr RegisterSet kAll = (1u << 11) - 1;
constexpr RegisterSet kArguments = 0b11'1110;
constexpr RegisterSet kResult = 0b1;

constexpr RegisterSet bit(u8 r) {
  return static_cast<RegisterSet>(1u << r);
}
constexpr RegisterSet both(RegisterSet a, RegisterSet b) {
  return static_cast<RegisterSet>(a | b);
}

RegisterUse use_of_fourfold(OpCode base, u32 form, const Op& op) {
  const RegisterSet src = form & 1 ? bit(op.src) : RegisterSet{0};
  if (base >= OpCode::k_jeq64k) return {both(src, bit(op.dst)), 0};
  return {base == OpCode::k_mov64k ? src : both(src, bit(op.dst)), bit(op.dst)};
}

}  // namespace

RegisterUse use_of(const Op& op) {
  const u32 number = static_cast<u32>(op.code);
  if (number < kNrFourfold) {
    return use_of_fourfold(static_cast<OpCode>(number & ~3u), number & 3, op);
  }
  switch (op.code) {
    case OpCode::k_neg64:
    case OpCode::k_neg32:
    case OpCode::k_zext16:
    case OpCode::k_zext32:
    case OpCode::k_swap16:
    case OpCode::k_swap32:
    case OpCode::k_swap64:
      return {bit(op.dst), bit(op.dst)};
    case OpCode::k_movsx8_64:
    case OpCode::k_movsx16_64:
    case OpCode::k_movsx32_64:
    case OpCode::k_movsx8_32:
    case OpCode::k_movsx16_32:
    case OpCode::k_cast_user:
    case OpCode::k_ldx1:
    case OpCode::k_ldx2:
    case OpCode::k_ldx4:
    case OpCode::k_ldx8:
    case OpCode::k_ldsx1:
    case OpCode::k_ldsx2:
    case OpCode::k_ldsx4:
      return {bit(op.src), bit(op.dst)};
    case OpCode::k_ld_imm64:
      return {0, bit(op.dst)};
    case OpCode::k_st1:
    case OpCode::k_st2:
    case OpCode::k_st4:
    case OpCode::k_st8:
      return {bit(op.dst), 0};
    case OpCode::k_stx1:
    case OpCode::k_stx2:
    case OpCode::k_stx4:
    case OpCode::k_stx8:
      return {both(bit(op.dst), bit(op.src)), 0};
    case OpCode::k_atomic4:
    case OpCode::k_atomic8:
      return {both(both(bit(op.dst), bit(op.src)), kResult), 0};
    case OpCode::k_nop:
    case OpCode::k_ja:
    case OpCode::k_may_goto:
    case OpCode::k_trap:
      return {0, 0};
    case OpCode::k_gotox:
      return {bit(op.dst), 0};
    case OpCode::k_ld_packet:
      return {both(bit(6), op.off ? bit(op.src) : RegisterSet{0}), both(kArguments, kResult)};
    case OpCode::k_tail_call:
    case OpCode::k_call_helper:
    case OpCode::k_call_kfunc:
      return {kArguments, both(kArguments, kResult)};
    case OpCode::k_call_register:
      return {both(kArguments, bit(op.dst)), both(kArguments, kResult)};
    case OpCode::k_exit:
      return {both(kArguments, kResult), 0};  // what was not verified reads its callee's R1-R5
    default:
      return {kAll, 0};  // k_call_local: or its caller's R6-R9
  }
}

/// The registers that are read after the operation at `index`, which ends its block, or before it.
RegisterSet Translator::live_before(u32 index) const {
  const Op& op = decoded_.ops[index];
  RegisterSet after = 0;
  if (is_jump(op.code)) after = both(after, live_at_[index + static_cast<u32>(op.off)]);
  if (op.code == OpCode::k_gotox) {
    for (const u32 target : decoded_.jump_targets) after = both(after, live_at_[target]);
  }
  const bool falls = op.code != OpCode::k_ja && op.code != OpCode::k_exit &&
                     op.code != OpCode::k_trap && op.code != OpCode::k_gotox;
  if (falls && index + 1 < live_at_.size()) after = both(after, live_at_[index + 1]);
  const RegisterUse use = use_of(op);
  return both(static_cast<RegisterSet>(after & ~use.writes), use.reads);
}

/// Fills live_at_: by leader, the registers that are read from there on before they are written.
void Translator::find_live_registers() {
  const auto& ops = decoded_.ops;
  live_at_.assign(ops.size(), 0);
  for (bool more = true; more;) {
    more = false;
    RegisterSet live = 0;
    // Backwards, so that most blocks follow what they lead to.
    for (u32 i = static_cast<u32>(ops.size()); i-- > 0;) {
      if (second_half_[i]) continue;
      if (ends_block(ops[i].code)) {
        live = live_before(i);
      } else {
        const RegisterUse use = use_of(ops[i]);
        live = both(static_cast<RegisterSet>(live & ~use.writes), use.reads);
      }
      if (!leader_[i]) continue;
      more = more || live_at_[i] != live;
      live_at_[i] = live;
    }
  }
}

/// Does nobody read what the register has before `index`?
bool Translator::dead_after(u32 index, u8 r) const {
  if (live_at_.empty()) return false;
  while (index < decoded_.ops.size()) {
    if (leader_[index]) return !(live_at_[index] >> r & 1);
    const Op& op = decoded_.ops[index];
    if (ends_block(op.code)) return !(live_before(index) >> r & 1);
    const RegisterUse use = use_of(op);
    if (use.reads >> r & 1) return false;
    if (use.writes >> r & 1) return true;
    index += op.code == OpCode::k_ld_imm64 ? 2 : 1;
  }
  return false;
}

}  // namespace uscx::bpf::jit
#endif
