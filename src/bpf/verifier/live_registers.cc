// SPDX-License-Identifier: GPL-2.0-only
// Which registers an instruction's successors may still read; their halves apart.
// Linux: bpf_compute_live_registers.
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

struct LiveRegs {
  u32 use = 0;  // low 16 bits: the low halves of R0..; high 16: the upper halves
  u32 def = 0;
  u32 in = 0;
  u32 out = 0;
};

constexpr u32 whole(u32 reg) {
  return 1u << reg | 1u << (reg + 16);
}
constexpr u32 low(u32 mask) {
  return mask & 0xffff;
}
constexpr u32 kCallerSavedMask = 0x3f;

void use_and_def(const Verifier& v, const Insn& insn, LiveRegs& out) {
  const u32 src = whole(insn.src);
  const u32 dst = whole(insn.dst);
  const bool wide_size = size_of(insn) == kDw;
  const u32 stored = wide_size ? src : low(src);
  out.def = 0;
  out.use = ~0u;
  switch (class_of(insn)) {
    case kLd:
      if (is_ld_imm64(insn)) {
        out.def = dst;
        out.use = 0;
      }
      return;
    case kLdx:
      if (mode_of(insn) == kMem || mode_of(insn) == kMemsx) {
        out.def = dst;
        out.use = src;
      }
      return;
    case kSt:
      if (mode_of(insn) == kMem) out.use = dst;
      return;
    case kStx:
      if (mode_of(insn) == kMem) {
        out.use = dst | stored;
      } else if (mode_of(insn) == kAtomic) {
        const u32 r0 = whole(0);
        if (insn.imm == kCmpxchg) {
          out.use = (wide_size ? r0 : low(r0)) | dst | stored;
          out.def = r0;
        } else if (insn.imm == kLoadAcquire) {
          out.def = dst;
          out.use = src;
        } else if (insn.imm == kStoreRelease) {
          out.use = dst | stored;
        } else {
          out.use = dst | stored;
          out.def = insn.imm & kFetch ? src : 0;
        }
      }
      return;
    case kAlu:
    case kAlu64: {
      const bool wide = class_of(insn) == kAlu64;
      out.def = dst;
      if (op_of(insn) == kEnd) {
        out.use = dst;
      } else if (op_of(insn) == kMov) {
        out.use = !is_x(insn) ? 0 : wide ? src : low(src);
      } else {
        const u32 operands = is_x(insn) ? dst | src : dst;
        out.use = wide ? operands : low(operands);
      }
      return;
    }
    default:
      break;
  }
  switch (op_of(insn)) {
    case kJa:
      out.use = is_x(insn) ? dst : 0;
      return;
    case kJcond:
      out.use = 0;
      return;
    case kExit:
      out.use = whole(0);
      return;
    case kCall: {
      out.def = kCallerSavedMask;
      out.use = kCallerSavedMask & ~1u;
      if (const auto summary = call_summary(v, insn)) {
        const u32 params = std::min(summary->num_params, kMaxRegArgs);
        out.use = ((1u << params) - 1) << 1;
      }
      out.def |= out.def << 16;
      out.use |= out.use << 16;
      return;
    }
    default: {
      const u32 operands = is_x(insn) ? dst | src : dst;
      out.use = class_of(insn) == kJmp ? operands : low(operands);
    }
  }
}

/// The register that a 32-bit instruction writes; -1. Linux: bpf_insn_def32.
s32 defines_low_half(const Insn& insn) {
  const u8 c = class_of(insn);
  s32 dst = insn.dst;
  if (c == kJmp || c == kJmp32 || c == kSt) return -1;
  if (c == kStx) dst = atomic_load_reg(insn);
  if (dst < 0) return -1;
  if ((c == kAlu || c == kAlu64) && op_of(insn) == kEnd) return insn.imm != 64 ? dst : -1;
  if (c == kAlu) return dst;
  if (c == kLdx && mode_of(insn) == kMem && size_of(insn) != kDw) return dst;
  if (c == kStx && size_of(insn) != kDw) return dst;
  if (c == kLd && (mode_of(insn) == kInd || mode_of(insn) == kAbs)) return dst;
  return -1;
}

void print(Verifier& v, const std::vector<LiveRegs>& regs) {
  v.log("Live regs before insn:\n");
  for (u32 i = 0; i < v.len(); ++i) {
    const InsnAux& aux = v.aux[i];
    std::string line = aux.scc ? fmt::format("{:3} ", aux.scc) : "    ";
    line += fmt::format("{:3}: ", i);
    for (u32 r = 0; r < 10; ++r) {
      line += aux.live_regs_before >> r & 1 ? static_cast<char>('0' + r) : '.';
    }
    line += ' ';
    const std::string text = v.disassemble_at(i);
    line += text;
    const s32 def = defines_low_half(v.insns[i]);
    if (def >= 0 && (regs[i].out >> 16 >> def & 1)) {
      line += fmt::format("{:>{}}; zext", ' ', log_alignment(static_cast<u32>(text.size())));
    }
    v.log("{}\n", line);
    if (is_ld_imm64(v.insns[i])) ++i;
  }
}

}  // namespace

int compute_live_registers(Verifier& v) {
  std::vector<LiveRegs> regs(v.len());
  for (u32 i = 0; i < v.len(); ++i) use_and_def(v, v.insns[i], regs[i]);
  if (int err = compute_stack_accesses(v)) return err;
  for (bool changed = true; changed;) {
    changed = false;
    for (u32 idx : v.postorder) {
      LiveRegs& live = regs[idx];
      u32 out = 0;
      for (u32 s : v.successors(idx)) {
        if (s < v.len()) out |= regs[s].in;
      }
      const u32 in = (out & ~live.def) | live.use;
      if (out != live.out || in != live.in) {
        live.in = in;
        live.out = out;
        changed = true;
      }
    }
  }
  for (u32 i = 0; i < v.len(); ++i) {
    v.aux[i].live_regs_before = static_cast<u16>(regs[i].in | regs[i].in >> 16);
  }
  if (v.log.all_paths()) print(v, regs);
  return 0;
}

}  // namespace uscx::bpf::verifier
