// SPDX-License-Identifier: GPL-2.0-only
// Registers as such, and what they own: references, and who dies with whom.
#include <algorithm>

#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

std::string ArgNo::text() const {
  if (const s32 reg = regno(); reg >= 0) return fmt::format("R{}", reg);
  return fmt::format("*(R11-{})", (argno() - static_cast<s32>(kMaxRegArgs)) * 8);
}

const Record* Verifier::record_of(const RegState& reg) {
  if (reg.type == kPtrToMapValue) return records.of_map(*reg.map());
  if (is_alloc_object(reg.type)) return records.of_struct(*reg.btf(), reg.btf_id());
  return nullptr;
}

std::string_view Verifier::non_sleepable_text() const {
  if (state->active_rcu_locks) return "rcu_read_lock region";
  if (state->active_preempt_locks) return "non-preemptible region";
  if (state->active_irq_id) return "IRQ-disabled region";
  if (state->active_locks) return "lock region";
  return "non-sleepable prog";
}

int check_reg_arg(Verifier& v, FuncState& frame, u32 regno, ArgUse use) {
  v.scratch_reg(regno);
  RegState& reg = frame.regs[regno];
  if (use == ArgUse::kSrc) {
    if (reg.type == kNotInit) return v.refuse(EACCES, "R{} !read_ok\n", regno);
    return 0;
  }
  if (regno == kFp) return v.refuse(EACCES, "frame pointer is read only\n");
  if (use == ArgUse::kDst) v.mark_unknown(reg);
  return 0;
}

int check_reg_arg(Verifier& v, u32 regno, ArgUse use) {
  return check_reg_arg(v, v.cur(), regno, use);
}

void assign_scalar_id_before_mov(Verifier& v, RegState& src) {
  if (!src.is_scalar()) return;
  // A copy of "x + 1" is linked to it, not to x.
  if (src.id & kAddConst) src.clear_scalar_id();
  if (!src.id && !src.is_const()) src.id = v.new_id();
}

int check_invariants(Verifier& v, RegState& reg, std::string_view context) {
  const char* what = reg.value.invariant_violation();
  if (!what) return 0;
  v.bug("REG INVARIANTS VIOLATION ({}): {} {}", context, what, reg.value.violation_text());
  if (v.test_reg_invariants) return -EFAULT;
  reg.value.forget_ranges();
  return 0;
}

bool has_reference(const VerifierState& state, u32 id) {
  return std::ranges::any_of(state.refs, [&](const Reference& ref) {
    return ref.type == Reference::kPtr && ref.id == id;
  });
}

bool is_referenced(const Verifier& v, const RegState& reg) {
  return has_reference(*v.state, reg.id);
}

std::string_view reg_btf_struct(RegType base) {
  switch (base) {
    case kPtrToSocket:
      return "sock";
    case kPtrToSockCommon:
      return "sock_common";
    case kPtrToTcpSock:
      return "tcp_sock";
    case kConstPtrToMap:
      return "bpf_map";
    default:
      return {};
  }
}

bool is_trusted(const Verifier& v, const RegState& reg) {
  if (is_referenced(v, reg)) return true;
  const bool clean = !has_unsafe_modifiers(reg.type);
  if (!reg_btf_struct(reg.base()).empty() && clean) return true;
  return (reg.type & kTrustedModifiers) && clean;
}

u32 acquire_reference(Verifier& v, u32 insn_idx, u32 parent_id) {
  Reference ref;
  ref.id = v.new_id();
  ref.insn_idx = static_cast<s32>(insn_idx);
  ref.parent_id = parent_id;
  v.state->refs.push_back(ref);
  return ref.id;
}

int release_reference_nomark(VerifierState& state, u32 id) {
  auto it = std::ranges::find_if(state.refs, [&](const Reference& ref) {
    return ref.type == Reference::kPtr && ref.id == id;
  });
  if (it == state.refs.end()) return -EINVAL;
  state.refs.erase(it);
  return 0;
}

namespace {

/// Both slots of a dynptr. `first`: the one at the lower index of the array.
void invalidate_dynptr(Verifier& v, StackSlot* first) {
  for (StackSlot* slot : {first, first + 1}) {
    slot->fill(kSlotInvalid);
    v.mark_not_init(slot->spilled);
  }
}

}  // namespace

int release_reference(Verifier& v, u32 id) {
  VerifierState& state = *v.state;
  std::vector<u32> todo;
  std::vector<u32> seen;
  auto push = [&](u32 x) {
    if (!x || std::ranges::find(seen, x) != seen.end()) return;
    seen.push_back(x);
    todo.push_back(x);
  };
  push(id);
  if (has_reference(state, id)) release_reference_nomark(state, id);
  if (planted(v, PlantedFault::kReleaseKeepsPointer)) return 0;
  while (!todo.empty()) {
    id = todo.back();
    todo.pop_back();
    for (const Reference& ref : state.refs) {
      if (ref.type == Reference::kPtr && ref.parent_id == id) {
        return v.refuse(EINVAL, "Leaking reference id={} alloc_insn={}. Release it first.\n",
                        ref.id, ref.insn_idx);
      }
    }
    constexpr u32 kSlots = 1u << kSlotSpill | 1u << kSlotDynptr;
    for_each_reg(state, kSlots, [&](FuncState&, RegState& reg, StackSlot* slot) {
      if (reg.id != id && reg.parent_id != id) return;
      if (reg.parent_id == id) push(reg.id);
      if (slot && slot->type[7] == kSlotDynptr) {
        invalidate_dynptr(v, reg.dynptr_first() ? slot - 1 : slot);
        return;
      }
      v.mark_invalid(reg);
    });
  }
  return 0;
}

void invalidate_non_owning_refs(Verifier& v) {
  for_each_reg(*v.state, [&](RegState& reg) {
    if (is_non_owning(reg.type)) v.mark_invalid(reg);
  });
}

void invalidate_rcu_protected_refs(Verifier& v) {
  constexpr u32 kSlots = 1u << kSlotSpill | 1u << kSlotIter;
  for_each_reg(*v.state, kSlots, [&](FuncState&, RegState& reg, StackSlot*) {
    if (!(reg.type & kMemRcu)) return;
    reg.type &= ~(kMemRcu | kMaybeNull | kNonOwnRef);
    reg.type |= kUntrusted;
  });
}

void clear_all_packet_pointers(Verifier& v) {
  for_each_reg(*v.state, [&](RegState& reg) {
    const bool slice =
        reg.base() == kPtrToMem && (reg.type & (kDynptrSkb | kDynptrXdp | kDynptrSkbMeta));
    if (is_packet_pointer(reg.type) || reg.type == kPtrToPacketEnd || slice) v.mark_invalid(reg);
  });
}

void clear_caller_saved(Verifier& v, FuncState& frame) {
  for (u32 r : kCallerSaved) {
    v.mark_not_init(frame.regs[r]);
    v.scratch_reg(r);
  }
}

void invalidate_outgoing_stack_args(Verifier& v, FuncState& frame) {
  for (RegState& reg : frame.stack_args) v.mark_not_init(reg);
}

int check_reference_leak(Verifier& v, bool exception_exit) {
  if (!exception_exit && v.cur().frameno) return 0;
  bool leaks = false;
  for (const Reference& ref : v.state->refs) {
    if (ref.type != Reference::kPtr) continue;
    // A struct_ops member may return what it owns; its return value is checked for that.
    if (v.prog.type == kProgStructOps && !exception_exit && v.reg(0).id == ref.id) continue;
    v.log("Unreleased reference id={} alloc_insn={}\n", ref.id, ref.insn_idx);
    leaks = true;
  }
  return leaks ? -EINVAL : 0;
}

int check_resource_leak(Verifier& v, bool exception_exit, bool check_lock, std::string_view what) {
  if (check_lock && v.state->active_locks) {
    return v.refuse(EINVAL, "{} cannot be used inside bpf_spin_lock-ed region\n", what);
  }
  if (int err = check_reference_leak(v, exception_exit)) {
    v.log("{} would lead to reference leak\n", what);
    return err;
  }
  if (!check_lock || planted(v, PlantedFault::kSectionLeft)) return 0;
  if (v.state->active_irq_id) {
    return v.refuse(EINVAL, "{} cannot be used inside bpf_local_irq_save-ed region\n", what);
  }
  if (v.state->active_rcu_locks) {
    return v.refuse(EINVAL, "{} cannot be used inside bpf_rcu_read_lock-ed region\n", what);
  }
  if (v.state->active_preempt_locks) {
    return v.refuse(EINVAL, "{} cannot be used inside bpf_preempt_disable-ed region\n", what);
  }
  return 0;
}

}  // namespace uscx::bpf::verifier
