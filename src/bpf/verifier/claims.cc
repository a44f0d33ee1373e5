// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/claims.h"

#include <algorithm>

namespace uscx::bpf::verifier {

void Claims::add(u32 insn, const VerifierState& state) {
  if (by_insn.size() <= insn) by_insn.resize(insn + 1);
  Point& point = by_insn[insn];
  if (point.too_many) return;
  StateClaim claim;
  claim.frames = state.curframe + 1;
  for (u32 r = 0; r < kNrRegs; ++r) {
    const RegState& reg = state.cur().regs[r];
    if (reg.type == kNotInit) continue;
    RegisterClaim& c = claim.regs[r];
    c.type = reg.type;
    c.value = reg.value;
    if (reg.base() == kPtrToStack) c.frame = reg.frameno();
    if (reg.base() == kPtrToMapValue) c.map = reg.map();
    if (reg.type == kPtrToPacket) c.range = reg.range();
  }
  if (std::find(point.states.begin(), point.states.end(), claim) != point.states.end()) return;
  point.too_many = point.states.size() == kMaxStates;
  if (!point.too_many) point.states.push_back(claim);
}

}  // namespace uscx::bpf::verifier
