// SPDX-License-Identifier: GPL-2.0-only
// Open-coded iterators: made, asked for the next element until there is none, destroyed. A loop
// over one converges when a turn adds nothing.
#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

namespace {

int iter_spi(Verifier& v, const RegState& reg, u32 slots) {
  return stack_object_spi(v, reg, "iter", slots);
}

bool is_uninit(Verifier& v, const RegState& reg, u32 slots) {
  const int spi = iter_spi(v, reg, slots);
  if (spi == -ERANGE) return true;
  if (spi < 0) return false;
  const FuncState& frame = v.frame_of(reg);
  for (u32 i = 0; i < slots; ++i) {
    for (u8 t : frame.stack[spi - i].type) {
      if (t == kSlotIter) return false;
    }
  }
  return true;
}

/// 0; -EPROTO: RCU protection was lost; -EINVAL.
int is_init(Verifier& v, const RegState& reg, const btf::Btf* btf, u32 btf_id, u32 slots) {
  const int spi = iter_spi(v, reg, slots);
  if (spi < 0) return -EINVAL;
  const FuncState& frame = v.frame_of(reg);
  for (u32 i = 0; i < slots; ++i) {
    const StackSlot& slot = frame.stack[spi - i];
    const RegState& st = slot.spilled;
    if (st.type & kUntrusted) return -EPROTO;
    if ((i == 0) != (st.id != 0)) return -EINVAL;
    if (st.btf() != btf || st.btf_id() != btf_id) return -EINVAL;
    for (u8 t : slot.type) {
      if (t != kSlotIter) return -EINVAL;
    }
  }
  return 0;
}

int mark_slots(Verifier& v, const CallMeta& meta, const RegState& reg, u32 insn_idx,
               const btf::Btf* btf, u32 btf_id, u32 slots) {
  FuncState& frame = v.frame_of(reg);
  const int spi = iter_spi(v, reg, slots);
  if (spi < 0) return spi;
  const u32 id = acquire_reference(v, insn_idx, 0);
  for (u32 i = 0; i < slots; ++i) {
    StackSlot& slot = frame.stack[spi - i];
    RegState& st = slot.spilled;
    st.set_known_zero();
    st.type = kPtrToStack;
    if (meta.kfunc->has(kKf_RcuProtected)) {
      st.type |= v.in_rcu_cs() ? u32{kMemRcu} : u32{kUntrusted};
    }
    st.id = i == 0 ? id : 0;
    st.set_iter(btf, btf_id, IterState::kActive, 0);
    slot.fill(kSlotIter);
    v.scratch_slot(static_cast<u32>(spi) - i);
  }
  return 0;
}

int unmark_slots(Verifier& v, const RegState& reg, u32 slots) {
  FuncState& frame = v.frame_of(reg);
  const int spi = iter_spi(v, reg, slots);
  if (spi < 0) return spi;
  for (u32 i = 0; i < slots; ++i) {
    StackSlot& slot = frame.stack[spi - i];
    if (i == 0) {
      if (int err = release_reference(v, slot.spilled.id)) return err;
    }
    v.mark_not_init(slot.spilled);
    slot.fill(kSlotInvalid);
    v.scratch_slot(static_cast<u32>(spi) - i);
  }
  return 0;
}

RegState& iter_of(VerifierState& state, const CallMeta& meta) {
  return state.frame[meta.iter_frameno]->stack[meta.iter_spi].spilled;
}

}  // namespace

int process_iter_arg(Verifier& v, RegState& reg, ArgNo arg, u32 insn_idx, CallMeta& meta) {
  if (reg.type != kPtrToStack) {
    return v.refuse(EINVAL, "{} expected pointer to an iterator on stack\n", arg.text());
  }
  const KfuncDesc& kfunc = *meta.kfunc;
  const auto btf_id = iter_arg_type(*kfunc.btf, kfunc.proto, static_cast<u32>(arg.argno()) - 1);
  if (!btf_id) return v.refuse(EINVAL, "expected valid iter pointer as {}\n", arg.text());
  const u32 slots = kfunc.btf->type(*btf_id).size / kSlotSize;
  const std::string_view name = iter_type_text(kfunc.btf, *btf_id);
  if (kfunc.has(kKf_IterNew)) {
    if (!is_uninit(v, reg, slots)) {
      return v.refuse(EINVAL, "expected uninitialized iter_{} as {}\n", name, arg.text());
    }
    for (u32 i = 0; i < slots; ++i) {
      if (int err = check_mem_access(v, insn_idx, reg, arg, static_cast<s32>(i * kSlotSize), 8,
                                     kWrite, -1, false, false)) {
        return err;
      }
    }
    return mark_slots(v, meta, reg, insn_idx, kfunc.btf, *btf_id, slots);
  }
  switch (is_init(v, reg, kfunc.btf, *btf_id, slots)) {
    case 0:
      break;
    case -EPROTO:
      return v.refuse(EPROTO, "expected an RCU CS when using {}\n", kfunc.name);
    default:
      return v.refuse(EINVAL, "expected an initialized iter_{} as {}\n", name, arg.text());
  }
  const int spi = iter_spi(v, reg, slots);
  if (spi < 0) return spi;
  for (u32 i = 0; i < slots; ++i) v.scratch_slot(static_cast<u32>(spi) - i);
  meta.iter_spi = static_cast<u32>(spi);
  meta.iter_frameno = reg.frameno();
  meta.ref_obj.update(v.frame_of(reg).stack[spi].spilled);
  return kfunc.has(kKf_IterDestroy) ? unmark_slots(v, reg, slots) : 0;
}

/// Two ways on: an element, with everything imprecise forgotten that a turn changed; or none.
int process_iter_next(Verifier& v, u32 insn_idx, CallMeta& meta) {
  VerifierState& cur = *v.state;
  RegState& iter = iter_of(cur, meta);
  if (iter.iter_state() == IterState::kInvalid) {
    return v.bug("unexpected iterator state {} ({})", 0, iter_state_text(iter.iter_state()));
  }
  const bool no_element = planted(v, PlantedFault::kIterNoElement);
  if (iter.iter_state() == IterState::kActive && !no_element) {
    if (!cur.parent || cur.parent->insn_idx != insn_idx) {
      return v.bug("bad parent state for iter next call");
    }
    VerifierState* prev = find_prev_entry(v, *cur.parent, insn_idx);
    VerifierState* queued = push_state(v, insn_idx + 1, static_cast<s32>(insn_idx));
    if (!queued) return -E2BIG;
    RegState& next = iter_of(*queued, meta);
    next.set_iter_state(IterState::kActive, next.iter_depth() + 1);
    if (prev) widen_imprecise_scalars(v, *prev, *queued);
    queued->cur().regs[0].type &= ~kMaybeNull;
  }
  iter.set_iter_state(IterState::kDrained, iter.iter_depth());
  v.mark_const_zero(v.reg(0));
  return 0;
}

}  // namespace uscx::bpf::verifier
