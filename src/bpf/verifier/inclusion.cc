// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/inclusion.h"

#include <algorithm>

#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

namespace {

/// Which id of the old state stands for which of the current one. Linux: struct bpf_idmap.
class IdMap {
 public:
  explicit IdMap(u32 id_gen) : next_(id_gen) {}

  bool same(u32 old_id, u32 cur_id) {
    if ((old_id != 0) != (cur_id != 0)) return false;
    if (old_id == 0) return true;
    for (u32 i = 0; i < cnt_; ++i) {
      if (map_[i].old_id == old_id) return map_[i].cur_id == cur_id;
      if (map_[i].cur_id == cur_id) return false;
    }
    if (cnt_ == map_.size()) return false;
    map_[cnt_++] = {old_id, cur_id};
    return true;
  }
  /// Scalars: one that is linked to nothing may stand where none need be.
  bool same_scalar(u32 old_id, u32 cur_id) {
    if (!old_id) return true;
    if (!cur_id) cur_id = ++next_;
    if (!same(old_id, cur_id)) return false;
    return !(old_id & kAddConst) || same(old_id & ~kAddConst, cur_id & ~kAddConst);
  }

 private:
  struct Pair {
    u32 old_id;
    u32 cur_id;
  };
  u32 next_;
  u32 cnt_ = 0;
  std::array<Pair, 256> map_;
};

class Comparison {
 public:
  Comparison(Verifier& v, Exactness exact) : v_(v), exact_(exact), ids_(v.id_gen) {}

  bool references(const VerifierState& old, const VerifierState& cur) {
    if (old.refs.size() != cur.refs.size() || old.active_locks != cur.active_locks ||
        old.active_preempt_locks != cur.active_preempt_locks ||
        old.active_rcu_locks != cur.active_rcu_locks ||
        !ids_.same(old.active_irq_id, cur.active_irq_id) ||
        !ids_.same(old.active_lock_id, cur.active_lock_id) ||
        old.active_lock_ptr != cur.active_lock_ptr) {
      return false;
    }
    for (std::size_t i = 0; i < old.refs.size(); ++i) {
      const Reference& a = old.refs[i];
      const Reference& b = cur.refs[i];
      if (!ids_.same(a.id, b.id) || a.type != b.type) return false;
      if (a.type == Reference::kPtr && !ids_.same(a.parent_id, b.parent_id)) return false;
      if ((a.type & Reference::kLockMask) && a.ptr != b.ptr) return false;
    }
    return true;
  }

  bool frames(const FuncState& old, const FuncState& cur, u32 insn_idx) {
    if (old.callback_depth > cur.callback_depth) return false;
    if (!old.no_stack_arg_load && cur.no_stack_arg_load) return false;
    const u16 live = v_.aux[insn_idx].live_regs_before;
    for (u32 r = 0; r < kNrRegs; ++r) {
      if ((live >> r & 1) && !reg(old.regs[r], cur.regs[r])) return false;
    }
    return stack(old, cur) && stack_args(old, cur);
  }

 private:
  bool exactly(const RegState& old, const RegState& cur) {
    return old.same_but_ids(cur) && ids_.same(old.id, cur.id) &&
           ids_.same(old.parent_id, cur.parent_id) && ids_.same(old.map_uid, cur.map_uid);
  }

  bool scalar(const RegState& old, const RegState& cur) {
    if (!old.precise && exact_ == Exactness::kNotExact) return true;
    if (planted(v_, PlantedFault::kPruneAnyNumber)) return true;
    if (old.id && (old.id & kAddConst) != (cur.id & kAddConst)) return false;
    if ((old.id & kAddConst) && old.delta != cur.delta) return false;
    return ids_.same_scalar(old.id, cur.id) && old.value.includes(cur.value);
  }

  bool packet(const RegState& old, const RegState& cur) {
    if (old.range() < 0 || cur.range() < 0) {
      if (old.range() != cur.range()) return false;
    } else if (old.range() > cur.range()) {
      return false;
    }
    if (!ids_.same(old.id, cur.id)) return false;
    if (old.id && old.value.r64.base != cur.value.r64.base) return false;
    return old.value.includes(cur.value);
  }

  bool reg(const RegState& old, const RegState& cur) {
    if (exact_ == Exactness::kExact) return exactly(old, cur);
    if (old.type == kNotInit) return true;
    if (old.type != cur.type) return false;
    switch (old.base()) {
      case kScalar:
        return scalar(old, cur);
      case kPtrToMapKey:
      case kPtrToMapValue:
      case kPtrToMem:
      case kPtrToBuf:
      case kPtrToTpBuffer:
        return old.same_payload(cur) && old.value.includes(cur.value) &&
               ids_.same(old.id, cur.id) && ids_.same(old.parent_id, cur.parent_id) &&
               ids_.same(old.map_uid, cur.map_uid);
      case kPtrToPacketMeta:
      case kPtrToPacket:
        return packet(old, cur);
      case kPtrToArena:
        return true;
      case kPtrToInsn:
        return old.same_payload(cur) && old.value.includes(cur.value);
      default:
        return exactly(old, cur);
    }
  }

  bool is_misc_from(const StackSlot& slot, u32 from) const {
    return std::all_of(slot.type.begin() + from, slot.type.end(), [&](u8 t) {
      return t == kSlotMisc || ((t == kSlotInvalid || t == kSlotPoison) && v_.allow_uninit_stack);
    });
  }

  /// What a load of the slot's part from byte `from` up would give, if that is a number.
  const RegState* scalar_at(const StackSlot& slot, u32 from) const {
    static const RegState kAnything = [] {
      RegState reg;
      reg.set_unknown(false);
      return reg;
    }();
    if (slot.type[from] == kSlotSpill && slot.spilled.is_scalar()) return &slot.spilled;
    return is_misc_from(slot, from) ? &kAnything : nullptr;
  }

  bool object(u8 kind, const RegState& old, const RegState& cur) {
    switch (kind) {
      case kSlotSpill:
        return reg(old, cur);
      case kSlotDynptr:
        return old.dynptr_type() == cur.dynptr_type() && old.dynptr_first() == cur.dynptr_first() &&
               ids_.same(old.id, cur.id) && ids_.same(old.parent_id, cur.parent_id);
      case kSlotIter:
        // Depth differs from turn to turn and means nothing here.
        return old.type == cur.type && old.btf() == cur.btf() && old.btf_id() == cur.btf_id() &&
               old.iter_state() == cur.iter_state() && ids_.same(old.id, cur.id);
      case kSlotIrqFlag:
        return ids_.same(old.id, cur.id) && old.irq_class() == cur.irq_class();
      default:
        return true;
    }
  }

  bool stack(const FuncState& old, const FuncState& cur) {
    const auto n = static_cast<u32>(old.stack.size() * kSlotSize);
    for (u32 i = 0; i < n; ++i) {
      const u32 spi = i / kSlotSize;
      const u32 im = i % kSlotSize;
      const StackSlot& a = old.stack[spi];
      const bool present = spi < cur.stack.size();
      if (exact_ == Exactness::kExact) {
        auto plain = [](u8 t) { return t == kSlotPoison ? u8{kSlotInvalid} : t; };
        if (!present || plain(a.type[im]) != plain(cur.stack[spi].type[im])) return false;
      }
      if (a.type[im] == kSlotInvalid || a.type[im] == kSlotPoison) continue;
      if (v_.allow_uninit_stack && a.type[im] == kSlotMisc) continue;
      if (!present) return false;
      const StackSlot& b = cur.stack[spi];
      if (im == 0 || im == 4) {
        const RegState* x = scalar_at(a, im);
        const RegState* y = scalar_at(b, im);
        if (x && y) {
          if (!reg(*x, *y)) return false;
          i += im == 0 ? 7 : 3;
          continue;
        }
      }
      if (a.type[im] == kSlotMisc && b.type[im] == kSlotZero) continue;
      if (a.type[im] != b.type[im]) return false;
      if (im != kSlotSize - 1) continue;
      if (!object(a.type[7], a.spilled, b.spilled)) return false;
    }
    return true;
  }

  bool stack_args(const FuncState& old, const FuncState& cur) {
    static const RegState kNone = {};
    const std::size_t n = std::max(old.stack_args.size(), cur.stack_args.size());
    for (std::size_t i = 0; i < n; ++i) {
      const RegState& a = i < old.stack_args.size() ? old.stack_args[i] : kNone;
      const RegState& b = i < cur.stack_args.size() ? cur.stack_args[i] : kNone;
      if (!reg(a, b)) return false;
    }
    return true;
  }

  Verifier& v_;
  Exactness exact_;
  IdMap ids_;
};

}  // namespace

bool states_equal(Verifier& v, const VerifierState& old, const VerifierState& cur,
                  Exactness exact) {
  if (old.curframe != cur.curframe || old.in_sleepable != cur.in_sleepable) return false;
  Comparison compare(v, exact);
  if (!compare.references(old, cur)) return false;
  for (u32 f = 0; f <= old.curframe; ++f) {
    if (old.frame[f]->callsite != cur.frame[f]->callsite) return false;
    if (!compare.frames(*old.frame[f], *cur.frame[f], old.frame_insn_idx(f))) return false;
  }
  return true;
}

}  // namespace uscx::bpf::verifier
