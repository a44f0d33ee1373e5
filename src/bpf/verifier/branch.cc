// SPDX-License-Identifier: GPL-2.0-only
// Jumps: which way, and what is known afterwards on each.
#include <algorithm>

#include "bpf/maps/insn_array.h"
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

constexpr s32 kAtPacketEnd = -1;
constexpr s32 kBeyondPacketEnd = -2;
constexpr u64 kMaxPacketOff = 0xffff;

bool is_packet_any(const RegState& reg) {
  return is_packet_pointer(reg.type) || reg.type == kPtrToPacketEnd;
}

/// Certainly not null. Linux: reg_not_null.
bool not_null(const Verifier& v, const RegState& reg) {
  if (may_be_null(reg.type)) return false;
  // An offset could bring it to 0.
  if (reg.value.smin() <= -kMaxVarOff || reg.value.smax() >= kMaxVarOff) return false;
  switch (reg.base()) {
    case kPtrToSocket:
    case kPtrToTcpSock:
    case kPtrToXdpSock:
    case kPtrToBuf:
    case kPtrToMapValue:
    case kPtrToMapKey:
    case kPtrToSockCommon:
    case kConstPtrToMap:
      return true;
    case kPtrToBtfId:
      return is_trusted(v, reg);
    case kPtrToMem:
      return !(reg.type & kUntrusted);
    default:
      return false;
  }
}

std::optional<bool> packet_branch(const RegState& dst, const RegState& src, u8 op) {
  const RegState* packet;
  if (src.type == kPtrToPacketEnd) {
    packet = &dst;
  } else if (dst.type == kPtrToPacketEnd) {
    packet = &src;
    op = flip_jump(op);
  } else {
    return std::nullopt;
  }
  if (packet->range() >= 0) return std::nullopt;
  if (op == kJle || op == kJgt) {
    if (packet->range() == kBeyondPacketEnd) return op == kJgt;
  } else if (op == kJlt || op == kJge) {
    return op == kJge;
  }
  return std::nullopt;
}

/// Null checks of what cannot be null. Linux: the middle of is_branch_taken.
std::optional<bool> pointer_branch(const Verifier& v, const RegState* a, const RegState* b, u8 op,
                                   bool is32) {
  if (is32) return std::nullopt;
  if (!(b->is_scalar() && b->is_const())) {
    op = flip_jump(op);
    std::swap(a, b);
  }
  if (!(b->is_scalar() && b->is_const()) || b->const_value() != 0 || !not_null(v, *a)) {
    return std::nullopt;
  }
  if (op == kJeq) return false;
  if (op == kJne) return true;
  return std::nullopt;
}

void note_good_packet_range(const Verifier& v, VerifierState& state, const RegState& dst,
                            RegType type, bool range_right_open) {
  const u64 umax = dst.value.umax();
  if ((umax == 0 && range_right_open) || umax > kMaxPacketOff) return;
  s32 range = static_cast<s32>(umax);
  if (range_right_open) ++range;
  if (planted(v, PlantedFault::kPacketRangeLong)) ++range;
  const u32 id = dst.id;
  for_each_reg(state, [&](RegState& reg) {
    if (reg.type == type && reg.id == id) {
      reg.a = static_cast<u32>(std::max(reg.range(), range));
    }
  });
}

void mark_packet_end(VerifierState& state, u32 regno, bool range_open) {
  RegState& reg = state.cur().regs[regno];
  if (reg.type != kPtrToPacket) return;
  reg.a = static_cast<u32>(range_open ? kBeyondPacketEnd : kAtPacketEnd);
}

/// A comparison of packet pointers that says how much of the packet is there.
/// Linux: try_match_pkt_pointers.
bool match_packet_pointers(const Verifier& v, const Insn& insn, const RegState& dst,
                           const RegState& src, VerifierState& here, VerifierState& there) {
  if (!is_x(insn) || class_of(insn) == kJmp32) return false;
  auto is_init = [](const RegState& reg) {
    return reg.type == kPtrToPacket && reg.id == 0 && reg.value.var_off.equals(0);
  };
  const bool forward = (dst.type == kPtrToPacket && src.type == kPtrToPacketEnd) ||
                       (dst.type == kPtrToPacketMeta && is_init(src));
  const bool backward = (dst.type == kPtrToPacketEnd && src.type == kPtrToPacket) ||
                        (is_init(dst) && src.type == kPtrToPacketMeta);
  if (!forward && !backward) return false;
  const RegState& packet = forward ? dst : src;
  const u32 regno = forward ? insn.dst : insn.src;
  // As `packet op end`.
  u8 op = op_of(insn);
  if (op != kJgt && op != kJlt && op != kJge && op != kJle) return false;
  if (!forward) op = flip_jump(op);
  const RegState copy = packet;
  switch (op) {
    case kJgt:  // taken: beyond
      note_good_packet_range(v, here, copy, copy.type, false);
      mark_packet_end(there, regno, true);
      return true;
    case kJlt:  // taken: before the end
      note_good_packet_range(v, there, copy, copy.type, true);
      mark_packet_end(here, regno, false);
      return true;
    case kJge:
      note_good_packet_range(v, here, copy, copy.type, true);
      mark_packet_end(there, regno, false);
      return true;
    default:  // kJle
      note_good_packet_range(v, there, copy, copy.type, false);
      mark_packet_end(here, regno, true);
      return true;
  }
}

/// All pointers of one id turned out to be null, or not to be. Linux: mark_ptr_or_null_regs.
void mark_ptr_or_null(const Verifier& v, VerifierState& state, u32 regno, bool is_null) {
  const u32 id = state.cur().regs[regno].id;
  if (is_null || planted(v, PlantedFault::kReleasedWhereNotNull))
    release_reference_nomark(state, id);
  for_each_reg(state, [&](RegState& reg) {
    if (!may_be_null(reg.type) || reg.id != id) return;
    if (!(is_alloc_object(reg.type)) && !reg.value.var_off.equals(0)) return;
    if (is_null) {
      reg.set_known_zero();
      reg.type = kScalar;
    } else {
      reg.type &= ~kMaybeNull;
    }
  });
}

void collect_linked(Verifier& v, VerifierState& state, u32 id, LinkedRegs& out) {
  id &= ~kAddConst;
  auto collect = [&](RegState& reg, u32 frame, u32 index, bool is_reg) {
    if (!reg.is_scalar() || (reg.id & ~kAddConst) != id) return;
    if (!out.push({static_cast<u8>(frame), static_cast<u8>(index), is_reg})) {
      reg.clear_scalar_id();
    }
  };
  for (u32 f = state.curframe + 1; f-- > 0;) {
    const u16 live = v.aux[state.frame_insn_idx(f)].live_regs_before;
    FuncState& func = *state.frame[f];
    for (u32 r = 0; r < kFp; ++r) {
      if (live >> r & 1) collect(func.regs[r], f, r, true);
    }
    for (u32 s = 0; s < func.stack.size(); ++s) {
      if (func.stack[s].is_spill()) collect(func.stack[s].spilled, f, s, false);
    }
  }
}

/// What became known of `known` holds for what is linked to it.
void sync_linked(Verifier& v, VerifierState& state, const RegState& known_ref,
                 const LinkedRegs& linked) {
  const RegState known = known_ref;
  for (u32 i = 0; i < linked.cnt; ++i) {
    const LinkedReg& e = linked.entries[i];
    FuncState& func = *state.frame[e.frameno];
    RegState& reg = e.is_reg ? func.regs[e.index] : func.stack[e.index].spilled;
    if (!reg.is_scalar() || &reg == &known_ref) continue;
    if ((reg.id & ~kAddConst) != (known.id & ~kAddConst)) continue;
    if (((reg.id ^ known.id) & kAddConst) == kAddConst) continue;  // 32- and 64-bit sums
    if ((!(reg.id & kAddConst) && !(known.id & kAddConst)) || reg.delta == known.delta) {
      reg = known;
    } else {
      const s32 delta = reg.delta;
      const u32 id = reg.id;
      const bool lost = planted(v, PlantedFault::kLinkWithoutDelta);
      const s64 distance = lost ? 0 : s64{delta} - known.delta;
      reg = known;
      reg.delta = delta;
      reg.id = id;
      reg.value = add_delta(reg.value, distance, (id | known.id) & kAddConst32);
    }
    if (e.is_reg)
      v.scratch_reg(e.index);
    else
      v.scratch_slot(e.index);
  }
}

/// may_goto: both ways, and how often is somebody else's concern.
int check_may_goto(Verifier& v, const Insn& insn) {
  const u32 idx = v.insn_idx;
  VerifierState* prev = find_prev_entry(v, *v.state->parent, idx);
  VerifierState* queued = push_state(v, idx + 1, static_cast<s32>(idx));
  if (!queued) return -E2BIG;
  queued->may_goto_depth++;
  if (prev) widen_imprecise_scalars(v, *prev, *queued);
  v.insn_idx = static_cast<u32>(static_cast<s32>(idx) + insn.off);
  return 0;
}

/// Operands of a comparison and what it says of them.
class CondJump {
 public:
  CondJump(Verifier& v, const Insn& insn)
      : v_(v), insn_(insn), op_(op_of(insn)), is32_(class_of(insn) == kJmp32) {}

  int run() {
    if (int err = check_operands()) return err;
    if (int err = link_operands()) return err;
    const bool both_scalars = dst().is_scalar() && src().is_scalar();
    const bool same = is_x(insn_) && insn_.src == insn_.dst;
    Condition cond;
    if (is_packet_any(dst()) && is_packet_any(src()) && !is32_) {
      cond.taken = packet_branch(dst(), src(), op_);
    } else if (!both_scalars) {
      cond.taken = pointer_branch(v_, &dst(), &src(), op_, is32_);
    } else {
      const bool off_by_one = planted(v_, PlantedFault::kJumpOffByOne) && op_ == kJgt;
      cond = evaluate(off_by_one ? kJge : op_, dst().value, src().value, is32_, same);
    }
    if (cond.taken) return one_way(*cond.taken);
    return both_ways(cond, both_scalars);
  }

 private:
  RegState& dst() { return v_.reg(insn_.dst); }
  RegState& src() { return is_x(insn_) ? v_.reg(insn_.src) : imm_; }

  int check_operands() {
    if (int err = check_reg_arg(v_, insn_.dst, ArgUse::kSrc)) return err;
    u8 flags = 0;
    if (is_x(insn_)) {
      if (int err = check_reg_arg(v_, insn_.src, ArgUse::kSrc)) return err;
      if (!(is_packet_any(dst()) && is_packet_any(src())) && v_.is_pointer_value(src())) {
        return v_.refuse(EACCES, "R{} pointer comparison prohibited\n", +insn_.src);
      }
      if (src().type == kPtrToStack) flags |= HistoryEntry::kSrcStack;
    } else {
      imm_.set_scalar(static_cast<u64>(s64{insn_.imm}));
    }
    if (dst().type == kPtrToStack) flags |= HistoryEntry::kDstStack;
    return flags ? push_jmp_history(v_, *v_.state, flags, 0, 0, 0) : 0;
  }

  int link_operands() {
    if (is_x(insn_) && src().is_scalar() && src().id) {
      collect_linked(v_, *v_.state, src().id, linked_);
    }
    if (dst().is_scalar() && dst().id) collect_linked(v_, *v_.state, dst().id, linked_);
    return 0;
  }

  void print() {
    if (v_.log.per_insn()) v_.print_insn_state(*v_.state, v_.state->curframe);
  }

  int one_way(bool taken) {
    if (!dst().is_pointer()) {
      if (int err = mark_chain_precision(v_, insn_.dst)) return err;
    }
    if (is_x(insn_) && !src().is_pointer()) {
      if (int err = mark_chain_precision(v_, insn_.src)) return err;
    }
    print();
    if (taken) v_.insn_idx = static_cast<u32>(static_cast<s32>(v_.insn_idx) + insn_.off);
    return 0;
  }

  int check_both_invariants(VerifierState& other) {
    if (int err = check_invariants(v_, other.cur().regs[insn_.dst], "true_reg1")) return err;
    if (is_x(insn_)) {
      if (int err = check_invariants(v_, other.cur().regs[insn_.src], "true_reg2")) return err;
    }
    if (int err = check_invariants(v_, dst(), "false_reg1")) return err;
    return is_x(insn_) ? check_invariants(v_, src(), "false_reg2") : 0;
  }

  int both_ways(const Condition& cond, bool refined) {
    VerifierState& here = *v_.state;
    if (linked_.cnt > 1) {
      if (int err = push_jmp_history(v_, here, 0, 0, 0, linked_.pack())) return err;
    }
    VerifierState* there =
        push_state(v_, static_cast<u32>(static_cast<s32>(v_.insn_idx) + insn_.off + 1),
                   static_cast<s32>(v_.insn_idx));
    if (!there) return -E2BIG;
    auto& other = there->cur().regs;
    if (refined) {
      dst().value = cond.a[0];
      other[insn_.dst].value = cond.a[1];
      if (is_x(insn_)) {
        src().value = cond.b[0];
        other[insn_.src].value = cond.b[1];
      }
      if (int err = check_both_invariants(*there)) return err;
    }
    if (is_x(insn_) && src().is_scalar() && src().id) {
      sync_linked(v_, here, src(), linked_);
      sync_linked(v_, *there, other[insn_.src], linked_);
    }
    if (dst().is_scalar() && dst().id) {
      sync_linked(v_, here, dst(), linked_);
      sync_linked(v_, *there, other[insn_.dst], linked_);
    }
    equal_to_non_null(other);
    return null_check(*there);
  }

  /// Equal to a pointer that is not null: not null.
  void equal_to_non_null(std::array<RegState, kNrRegs>& other) {
    if (is32_ || !is_x(insn_) || !src().is_pointer() || !dst().is_pointer() ||
        src().base() == kPtrToBtfId || dst().base() == kPtrToBtfId) {
      return;
    }
    if (op_ != kJeq && op_ != kJne) return;
    auto& eq = op_ == kJeq ? other : v_.regs();
    const bool dst_not_null = not_null(v_, dst());
    const bool src_not_null = not_null(v_, src());
    if (dst_not_null && may_be_null(src().type)) eq[insn_.src].type &= ~kMaybeNull;
    if (src_not_null && may_be_null(dst().type)) eq[insn_.dst].type &= ~kMaybeNull;
  }

  int null_check(VerifierState& there) {
    VerifierState& here = *v_.state;
    const bool against_null = is_x(insn_) ? src().is_null() : insn_.imm == 0;
    if (!is32_ && (op_ == kJeq || op_ == kJne) && may_be_null(dst().type) && against_null) {
      if (is_x(insn_)) {
        if (int err = mark_chain_precision(v_, insn_.src)) return err;
      }
      mark_ptr_or_null(v_, here, insn_.dst, op_ == kJne);
      mark_ptr_or_null(v_, there, insn_.dst, op_ == kJeq);
    } else if (!match_packet_pointers(v_, insn_, dst(), v_.reg(insn_.src), here, there) &&
               v_.is_pointer_value(dst())) {
      return v_.refuse(EACCES, "R{} pointer comparison prohibited\n", +insn_.dst);
    }
    print();
    return 0;
  }

  Verifier& v_;
  const Insn& insn_;
  u8 op_;
  bool is32_;
  RegState imm_ = {};
  LinkedRegs linked_ = {};
};

}  // namespace

int check_cond_jump(Verifier& v, const Insn& insn) {
  const u8 op = op_of(insn);
  if (op == kJa || op > kJcond) return v.refuse(EINVAL, "invalid BPF_JMP/JMP32 opcode {:x}\n", op);
  if (op == kJcond) return check_may_goto(v, insn);
  return CondJump(v, insn).run();
}

int insn_array_targets(Verifier&, const Map& map, u32 first, u32 last, std::vector<u32>& out) {
  out.clear();
  for (u32 i = first; i <= last; ++i) {
    out.push_back(static_cast<const InsnArrayMap&>(map).target(i));
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return 0;
}

int check_indirect_jump(Verifier& v, const Insn& insn) {
  const RegState& reg = v.reg(insn.dst);
  if (reg.type != kPtrToInsn) {
    return v.refuse(EINVAL, "R{} has type {}, expected PTR_TO_INSN\n", +insn.dst,
                    reg_type_text(reg.type));
  }
  const Map& map = *reg.map();
  constexpr u64 kSize = 8;
  const u64 umin = reg.value.umin(), umax = reg.value.umax();
  if (umin > 0xffffffffULL * kSize) {
    return v.refuse(ERANGE, "the sum of R{} umin_value {} is too big\n", +insn.dst, umin);
  }
  if (umax > 0xffffffffULL * kSize) {
    return v.refuse(ERANGE, "the sum of R{} umax_value {} is too big\n", +insn.dst, umax);
  }
  if (umax / kSize >= map.spec().max_entries) {
    return v.refuse(EINVAL, "R{} points to outside of jump table: [{},{}] max_entries {}\n",
                    +insn.dst, umin / kSize, umax / kSize, map.spec().max_entries);
  }
  std::vector<u32> targets;
  if (int err = insn_array_targets(v, map, static_cast<u32>(umin / kSize),
                                   static_cast<u32>(umax / kSize), targets)) {
    return err;
  }
  if (targets.empty()) {
    return v.refuse(EINVAL, "register R{} doesn't point to any offset in map id={}\n", +insn.dst,
                    map.id);
  }
  for (std::size_t i = 0; i + 1 < targets.size(); ++i) {
    if (!push_state(v, targets[i], static_cast<s32>(v.insn_idx))) return -E2BIG;
  }
  v.insn_idx = targets.back();
  return kStepJumped;
}

int check_ld_imm64(Verifier& v, const Insn& insn) {
  const InsnAux& aux = v.cur_aux();
  if (int err = check_reg_arg(v, insn.dst, ArgUse::kDst)) return err;
  RegState& dst = v.reg(insn.dst);
  const Insn& high = v.insns[v.insn_idx + 1];
  if (insn.src == 0) {
    dst.set_scalar(static_cast<u32>(insn.imm) | u64{static_cast<u32>(high.imm)} << 32);
    return 0;
  }
  dst.set_known_zero();
  if (insn.src == kPseudoBtfId) {
    dst.type = aux.var_type;
    if (base_type(dst.type) == kPtrToMem)
      dst.a = aux.var_a;
    else
      dst.set_btf(&v.vmlinux, aux.var_a);
    return 0;
  }
  if (insn.src == kPseudoFunc) {
    const s32 subprog = v.find_subprog(s64{v.insn_idx} + insn.imm + 1);
    if (v.in.functions.empty()) return v.refuse(EINVAL, "missing btf func_info\n");
    if (v.is_global(static_cast<u32>(subprog))) {
      return v.refuse(EINVAL, "callback function not static\n");
    }
    if (subprog == 0) {
      return v.refuse(EINVAL, "callback function cannot be the main program\n");
    }
    dst.type = kPtrToFunc;
    dst.a = static_cast<u32>(subprog);
    return 0;
  }
  const Map& map = *v.used_maps[aux.map_index].map;
  if (insn.src == kPseudoMapValue || insn.src == kPseudoMapIdxValue) {
    if (map.spec().type == kMtArena) {
      v.mark_unknown(dst);
      dst.set_map(&map);
      return 0;
    }
    dst.set_known(aux.map_off);
    dst.type = kPtrToMapValue;
    dst.set_map(&map);
    return 0;
  }
  dst.type = kConstPtrToMap;
  dst.set_map(&map);
  return 0;
}

int check_ld_abs(Verifier& v, const Insn& insn) {
  constexpr u32 kCtxReg = 6;
  if (!may_access_skb(v.prog.type)) {
    return v.refuse(EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type\n");
  }
  for (u32 f = v.state->curframe; f; --f) {
    if (v.state->frame[f]->in_callback_fn) {
      return v.refuse(EINVAL, "cannot use BPF_LD_[ABS|IND] within callback\n");
    }
  }
  if (int err = check_reg_arg(v, kCtxReg, ArgUse::kSrc)) return err;
  if (int err = check_resource_leak(v, false, true, "BPF_LD_[ABS|IND]")) return err;
  if (v.reg(kCtxReg).type != kPtrToCtx) {
    return v.refuse(EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb\n");
  }
  if (mode_of(insn) == kInd) {
    if (int err = check_reg_arg(v, insn.src, ArgUse::kSrc)) return err;
  }
  if (int err = check_ptr_off_reg(v, v.reg(kCtxReg), ArgNo::reg(kCtxReg), false)) return err;
  clear_caller_saved(v, v.cur());
  v.mark_unknown(v.reg(0));
  if (v.state->curframe) {
    // Beyond the packet's end it returns 0 to the caller.
    v.scratch_reg(0);
    if (!push_state(v, v.insn_idx + 1, static_cast<s32>(v.insn_idx))) return -E2BIG;
    v.reg(0).set_known_zero();
    if (int err = prepare_function_exit(v)) return err;
    v.insn_idx--;
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
