// SPDX-License-Identifier: GPL-2.0-only
// Constants by data flow, before the walk: which branches can never be taken, which map or callback
// a call gets. Linux: const_fold.c.
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

enum class Known : u8 { kUnvisited, kUnknown, kConst, kMapPtr, kMapValue, kSubprog };

struct ConstReg {
  Known state = Known::kUnvisited;
  u32 map_index = 0;
  u64 val = 0;
  bool is(Known k) const { return state == k; }
  bool operator==(const ConstReg&) const = default;
};
constexpr ConstReg kUnknownReg{Known::kUnknown, 0, 0};
using ConstRegs = std::array<ConstReg, kNrRegs>;

class Transfer {
 public:
  Transfer(Verifier& v, ConstRegs& out, u32 idx) : v_(v), out_(out), idx_(idx) {}

  void run() {
    const Insn& insn = v_.insns[idx_];
    if (is_stack_arg_store(insn) || is_stack_arg_store_imm(insn)) return;
    if (is_stack_arg_load(insn)) {
      out_[insn.dst] = kUnknownReg;
      return;
    }
    switch (class_of(insn)) {
      case kAlu:
      case kAlu64:
        return alu(insn);
      case kLd:
        return load_wide(insn);
      case kLdx:
        return load(insn);
      case kJmp:
        if (op_of(insn) == kCall) call();
        return;
      case kStx:
        if (const s32 r = atomic_load_reg(insn); r >= 0) out_[r] = kUnknownReg;
        return;
      default:
        return;
    }
  }

 private:
  void call() {
    for (u32 r = 0; r <= 5; ++r) out_[r] = kUnknownReg;
  }

  void alu(const Insn& insn) {
    ConstReg& dst = out_[insn.dst];
    const ConstReg src = insn.src < kNrRegs ? out_[insn.src] : kUnknownReg;
    const auto imm = static_cast<u64>(s64{insn.imm});
    switch (insn.code & 0xf8) {
      case kMov | kK:
        dst = {Known::kConst, dst.map_index, imm};
        break;
      case kMov | kX:
        dst = src;
        if (insn.off) sign_extend(dst, insn.off);
        break;
      case kAdd | kK:
      case kSub | kK:
        if (!dst.is(Known::kConst) && !dst.is(Known::kMapValue)) {
          dst = kUnknownReg;
        } else {
          dst.val = op_of(insn) == kAdd ? dst.val + imm : dst.val - imm;
        }
        break;
      case kAnd | kK:
        if (dst.is(Known::kConst)) {
          dst.val &= imm;
        } else if (!insn.imm) {
          dst.state = Known::kConst;
          dst.val = 0;
        } else {
          dst = kUnknownReg;
        }
        break;
      case kAnd | kX:
        if (dst.is(Known::kConst) && dst.val == 0) break;
        if (src.is(Known::kConst) && src.val == 0) {
          dst.state = Known::kConst;
          dst.val = 0;
        } else if (!dst.is(Known::kConst) || !src.is(Known::kConst)) {
          dst = kUnknownReg;
        } else {
          dst.val &= src.val;
        }
        break;
      default:
        dst = kUnknownReg;
    }
    if (class_of(insn) == kAlu) {
      if (dst.is(Known::kConst)) {
        dst.val = static_cast<u32>(dst.val);
      } else if (!dst.is(Known::kUnknown)) {
        dst = kUnknownReg;
      }
    }
  }

  static void sign_extend(ConstReg& dst, s16 bits) {
    if (!dst.is(Known::kConst)) {
      dst = kUnknownReg;
    } else if (bits == 8) {
      dst.val = static_cast<u64>(s64{static_cast<s8>(dst.val)});
    } else if (bits == 16) {
      dst.val = static_cast<u64>(s64{static_cast<s16>(dst.val)});
    } else if (bits == 32) {
      dst.val = static_cast<u64>(s64{static_cast<s32>(dst.val)});
    } else {
      dst = kUnknownReg;
    }
  }

  void load_wide(const Insn& insn) {
    if (mode_of(insn) == kAbs || mode_of(insn) == kInd) return call();
    if (insn.code != kLdImm64) return;
    ConstReg& dst = out_[insn.dst];
    const InsnAux& aux = v_.aux[idx_];
    switch (insn.src) {
      case 0:
        dst = {Known::kConst, dst.map_index,
               static_cast<u32>(insn.imm) | u64{static_cast<u32>(v_.insns[idx_ + 1].imm)} << 32};
        return;
      case kPseudoFunc: {
        const s32 subprog = v_.find_subprog(s64{idx_} + insn.imm + 1);
        dst = subprog < 0 ? kUnknownReg
                          : ConstReg{Known::kSubprog, dst.map_index, static_cast<u64>(subprog)};
        return;
      }
      case kPseudoMapValue:
      case kPseudoMapIdxValue:
        dst = {Known::kMapValue, aux.map_index, aux.map_off};
        return;
      case kPseudoMapFd:
      case kPseudoMapIdx:
        dst = {Known::kMapPtr, aux.map_index, dst.val};
        return;
      default:
        dst = kUnknownReg;
    }
  }

  void load(const Insn& insn) {
    const ConstReg src = out_[insn.src];
    ConstReg& dst = out_[insn.dst];
    if (!src.is(Known::kMapValue)) {
      dst = kUnknownReg;
      return;
    }
    const Map& map = *v_.used_maps[src.map_index].map;
    const u32 size = bytes_of(insn);
    const s64 off = static_cast<s32>(static_cast<s32>(src.val) + insn.off);
    u64 value = 0;
    if (!map_is_rdonly(map) || off < 0 || off + size > map.spec().value_size ||
        map_direct_read(v_, map, off, size, value, mode_of(insn) == kMemsx)) {
      dst = kUnknownReg;
      return;
    }
    dst = {Known::kConst, dst.map_index, value};
  }

  Verifier& v_;
  ConstRegs& out_;
  u32 idx_;
};

bool join(ConstRegs& target, const ConstRegs& out) {
  bool changed = false;
  for (u32 r = 0; r < kNrRegs; ++r) {
    ConstReg& old = target[r];
    const ConstReg& now = out[r];
    if (old.is(Known::kUnvisited) && !now.is(Known::kUnvisited)) {
      old = now;
      changed = true;
    } else if (!old.is(Known::kUnknown) && !old.is(Known::kUnvisited) && !(now == old)) {
      old.state = Known::kUnknown;
      changed = true;
    }
  }
  return changed;
}

int taken(u8 op, u64 a, u64 b) {
  const auto sa = static_cast<s64>(a);
  const auto sb = static_cast<s64>(b);
  switch (op) {
    case kJeq:
      return a == b;
    case kJne:
      return a != b;
    case kJgt:
      return a > b;
    case kJge:
      return a >= b;
    case kJlt:
      return a < b;
    case kJle:
      return a <= b;
    case kJsgt:
      return sa > sb;
    case kJsge:
      return sa >= sb;
    case kJslt:
      return sa < sb;
    case kJsle:
      return sa <= sb;
    case kJset:
      return (a & b) != 0;
    default:
      return -1;
  }
}

void keep(InsnAux& aux, const ConstRegs& in) {
  aux.const_reg_mask = aux.const_reg_map_mask = aux.const_reg_subprog_mask = 0;
  for (u32 r = 0; r < aux.const_reg_vals.size(); ++r) {
    const u16 bit = static_cast<u16>(1u << r);
    switch (in[r].state) {
      case Known::kConst:
        if (in[r].val != static_cast<u32>(in[r].val)) break;
        aux.const_reg_mask |= bit;
        aux.const_reg_vals[r] = static_cast<u32>(in[r].val);
        break;
      case Known::kMapPtr:
        aux.const_reg_map_mask |= bit;
        aux.const_reg_vals[r] = in[r].map_index;
        break;
      case Known::kSubprog:
        aux.const_reg_subprog_mask |= bit;
        aux.const_reg_vals[r] = static_cast<u32>(in[r].val);
        break;
      default:
        break;
    }
  }
}

}  // namespace

int compute_const_regs(Verifier& v) {
  std::vector<ConstRegs> in(v.len());
  for (u32 s = 0; s < v.subprog_cnt; ++s) in[v.subprogs[s].start].fill(kUnknownReg);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t p = v.postorder.size(); p-- > 0;) {
      const u32 idx = v.postorder[p];
      ConstRegs out = in[idx];
      Transfer(v, out, idx).run();
      for (u32 next : v.successors(idx)) {
        if (next < v.len()) changed |= join(in[next], out);
      }
    }
  }
  for (u32 i = 0; i < v.len(); ++i) keep(v.aux[i], in[i]);
  return 0;
}

int prune_dead_branches(Verifier& v) {
  bool changed = false;
  for (u32 i = 0; i < v.len(); ++i) {
    Insn& insn = v.insns[i];
    const InsnAux& aux = v.aux[i];
    if (!is_conditional(insn) || insn.code == kMayGoto || op_of(insn) == kJcond) continue;
    if (insn.dst >= 10 || !(aux.const_reg_mask >> insn.dst & 1)) continue;
    u64 a = aux.const_reg_vals[insn.dst];
    u64 b = static_cast<u64>(s64{insn.imm});
    if (is_x(insn)) {
      if (insn.src >= 10 || !(aux.const_reg_mask >> insn.src & 1)) continue;
      b = aux.const_reg_vals[insn.src];
    }
    if (class_of(insn) == kJmp32) {
      a = static_cast<u64>(s64{static_cast<s32>(a)});
      b = static_cast<u64>(s64{static_cast<s32>(b)});
    }
    const int way = taken(op_of(insn), a, b);
    if (way < 0) return v.refuse(EFAULT, "Unknown conditional jump {:x}\n", insn.code);
    insn = Insn{kGoto, 0, 0, way ? insn.off : s16{0}, 0};
    changed = true;
  }
  return changed ? compute_postorder(v) : 0;
}

}  // namespace uscx::bpf::verifier
