// SPDX-License-Identifier: GPL-2.0-only
// Which registers have a zero upper half. Through such a register an access is the arena's, without
// a look at its address: a cast to the kernel's address space leaves 32 bits.
#if defined(__x86_64__)
#include <algorithm>

#include "bpf/exec/jit_translator.h"

namespace uscx::bpf::jit {

namespace {

constexpr RegisterSet bit(u8 r) {
  return static_cast<RegisterSet>(1u << r);
}
constexpr RegisterSet with(RegisterSet set, u8 r, bool is) {
  return static_cast<RegisterSet>(is ? set | bit(r) : set & ~bit(r));
}

bool is_short_number(u64 value) {
  return value <= ~u32{0};
}

/// Of the operations that exist four times.
RegisterSet after_alu(OpCode base, u32 form, const Op& op, RegisterSet before) {
  const bool from_register = form & 1;
  const bool dst = before >> op.dst & 1;
  const bool src = from_register ? before >> op.src & 1 : is_short_number(op.imm);
  if (form & 2) return with(before, op.dst, true);
  switch (base) {
    case OpCode::k_mov64k:
      return with(before, op.dst, src);
    case OpCode::k_and64k:
      return with(before, op.dst, dst || src);
    case OpCode::k_or64k:
    case OpCode::k_xor64k:
      return with(before, op.dst, dst && src);
    case OpCode::k_rsh64k:
      return with(before, op.dst, dst || (!from_register && (op.imm & 63) >= 32));
    default:
      return with(before, op.dst, false);
  }
}

/// What calls leave: R1-R5 are zero after one that leaves the program (clear_arguments).
RegisterSet after_call(OpCode code, RegisterSet before) {
  constexpr RegisterSet kArguments = 0b11'1110;
  constexpr RegisterSet kResult = 0b1;
  const auto kept = static_cast<RegisterSet>(before & ~(kArguments | kResult));
  return code == OpCode::k_call_local ? kept : static_cast<RegisterSet>(kept | kArguments);
}

}  // namespace

RegisterSet short_after(const Op& op, RegisterSet before) {
  const u32 number = static_cast<u32>(op.code);
  if (number < kNrFourfold) {
    const auto base = static_cast<OpCode>(number & ~3u);
    return base >= OpCode::k_jeq64k ? before : after_alu(base, number & 3, op, before);
  }
  switch (op.code) {
    case OpCode::k_neg32:
    case OpCode::k_movsx8_32:
    case OpCode::k_movsx16_32:
    case OpCode::k_zext16:
    case OpCode::k_zext32:
    case OpCode::k_swap16:
    case OpCode::k_swap32:
    case OpCode::k_ldx1:
    case OpCode::k_ldx2:
    case OpCode::k_ldx4:
      return with(before, op.dst, true);
    case OpCode::k_ld_imm64:
      return with(before, op.dst, is_short_number(op.imm));
    case OpCode::k_neg64:
    case OpCode::k_movsx8_64:
    case OpCode::k_movsx16_64:
    case OpCode::k_movsx32_64:
    case OpCode::k_swap64:
    case OpCode::k_ldx8:
    case OpCode::k_ldsx1:
    case OpCode::k_ldsx2:
    case OpCode::k_ldsx4:
    case OpCode::k_cast_user:
      return with(before, op.dst, false);
    case OpCode::k_atomic8:
      return op.imm & 1 ? with(before, op.imm == 0xf1 ? 0 : op.src, false) : before;
    case OpCode::k_call_helper:
    case OpCode::k_call_kfunc:
    case OpCode::k_call_register:
    case OpCode::k_call_local:
    case OpCode::k_tail_call:
    case OpCode::k_ld_packet:
      return after_call(op.code, before);
    default:
      // Stores; jumps; and atomic4, whose result is short but which does nothing where it faults.
      return before;
  }
}

std::vector<RegisterSet> find_short_registers(const Program& program, const DecodedProgram& decoded,
                                              const std::vector<bool>& leader) {
  const auto& ops = decoded.ops;
  constexpr RegisterSet kAll = (1u << 11) - 1;
  std::vector<RegisterSet> at(ops.size(), kAll);
  std::vector<u32> changed;
  auto flow = [&](u32 to, RegisterSet set) {
    const auto both = static_cast<RegisterSet>(at[to] & set);
    if (both == at[to]) return;
    at[to] = both;
    changed.push_back(to);
  };
  flow(0, 0);
  for (const u32 start : program.subprogram_starts) flow(start, 0);
  while (!changed.empty()) {
    u32 i = changed.back();
    changed.pop_back();
    RegisterSet set = at[i];
    for (bool more = true; more;) {
      const Op& op = ops[i];
      set = short_after(op, set);
      const u32 next = i + (op.code == OpCode::k_ld_imm64 ? 2 : 1);
      if (is_jump(op.code)) {
        const u32 target = i + static_cast<u32>(op.off);
        flow(target, op.code == OpCode::k_call_local ? RegisterSet{0} : set);
      }
      if (op.code == OpCode::k_gotox) {
        for (const u32 target : decoded.jump_targets) flow(target, set);
      }
      const bool falls = op.code != OpCode::k_ja && op.code != OpCode::k_exit &&
                         op.code != OpCode::k_trap && op.code != OpCode::k_gotox &&
                         next < ops.size();
      more = falls && !leader[next];
      if (falls && !more) flow(next, set);
      i = next;
    }
  }
  return at;
}

}  // namespace uscx::bpf::jit
#endif
