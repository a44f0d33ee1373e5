// SPDX-License-Identifier: GPL-2.0-only
// Spin locks, resilient ones, and saved irq flags: taken and given back in order, and none is held
// where the program might stop.
#include <algorithm>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

void acquire_lock(Verifier& v, u32 type, u32 id, const void* ptr) {
  VerifierState& state = *v.state;
  Reference ref;
  ref.type = type;
  ref.id = id;
  ref.insn_idx = static_cast<s32>(v.insn_idx);
  ref.ptr = ptr;
  state.refs.push_back(ref);
  state.active_locks++;
  state.active_lock_id = id;
  state.active_lock_ptr = ptr;
}

/// Gives a lock back; the one taken before it is the active one again.
int release_lock(VerifierState& state, u32 type, u32 id, const void* ptr) {
  u32 prev_id = 0;
  const void* prev_ptr = nullptr;
  for (auto it = state.refs.begin(); it != state.refs.end(); ++it) {
    if (it->type == type && it->id == id && it->ptr == ptr) {
      state.refs.erase(it);
      state.active_locks--;
      state.active_lock_id = prev_id;
      state.active_lock_ptr = prev_ptr;
      return 0;
    }
    if (it->type & Reference::kLockMask) {
      prev_id = it->id;
      prev_ptr = it->ptr;
    }
  }
  return -EINVAL;
}

int take(Verifier& v, const RegState& reg, const void* ptr, u32 type, bool resilient) {
  const VerifierState& state = *v.state;
  // A second bpf_spin_lock never gets here: no helper is called under one but those that end it.
  if (resilient && find_lock(state, Reference::kResLock | Reference::kResLockIrq, reg.id, ptr)) {
    return v.refuse(EINVAL, "Acquiring the same lock again, AA deadlock detected\n");
  }
  acquire_lock(v, type, reg.id, ptr);
  return 0;
}

int give_back(Verifier& v, const RegState& reg, const void* ptr, u32 type, std::string_view name) {
  VerifierState& state = *v.state;
  if (!state.active_locks) {
    return v.refuse(EINVAL, "{}_unlock without taking a lock\n", name);
  }
  if (!find_lock(state, type, reg.id, ptr)) {
    return v.refuse(EINVAL, "{}_unlock of different lock\n", name);
  }
  if (reg.id != state.active_lock_id || ptr != state.active_lock_ptr) {
    return v.refuse(EINVAL, "{}_unlock cannot be out of order\n", name);
  }
  if (release_lock(state, type, reg.id, ptr)) {
    return v.refuse(EINVAL, "{}_unlock of different lock\n", name);
  }
  invalidate_non_owning_refs(v);
  if (!v.in_rcu_cs()) invalidate_rcu_protected_refs(v);
  return 0;
}

// -- irq flags

int flag_spi(Verifier& v, const RegState& reg) {
  return stack_object_spi(v, reg, "irq_flag", 1);
}

bool flag_uninit(Verifier& v, const RegState& reg) {
  const int spi = flag_spi(v, reg);
  if (spi == -ERANGE) return true;
  if (spi < 0) return false;
  const auto& type = v.frame_of(reg).stack[spi].type;
  return std::ranges::find(type, kSlotIrqFlag) == type.end();
}

bool flag_init(Verifier& v, const RegState& reg) {
  const int spi = flag_spi(v, reg);
  if (spi < 0) return false;
  const StackSlot& slot = v.frame_of(reg).stack[spi];
  return slot.spilled.id && std::ranges::all_of(slot.type, [](u8 t) { return t == kSlotIrqFlag; });
}

int save_flag(Verifier& v, const RegState& reg, IrqClass irq_class) {
  const int spi = flag_spi(v, reg);
  if (spi < 0) return spi;
  Reference ref;
  ref.type = Reference::kIrq;
  ref.id = v.new_id();
  ref.insn_idx = static_cast<s32>(v.insn_idx);
  v.state->refs.push_back(ref);
  v.state->active_irq_id = ref.id;
  StackSlot& slot = v.frame_of(reg).stack[spi];
  slot.spilled.set_known_zero();
  slot.spilled.type = kPtrToStack;
  slot.spilled.id = ref.id;
  slot.spilled.a = static_cast<u32>(irq_class);
  slot.fill(kSlotIrqFlag);
  v.scratch_slot(static_cast<u32>(spi));
  return 0;
}

int release_irq(VerifierState& state, u32 id) {
  if (id != state.active_irq_id) return -EACCES;
  u32 prev = 0;
  for (auto it = state.refs.begin(); it != state.refs.end(); ++it) {
    if (it->type != Reference::kIrq) continue;
    if (it->id == id) {
      state.refs.erase(it);
      state.active_irq_id = prev;
      return 0;
    }
    prev = it->id;
  }
  return -EINVAL;
}

int restore_flag(Verifier& v, const RegState& reg, IrqClass irq_class) {
  const int spi = flag_spi(v, reg);
  if (spi < 0) return spi;
  StackSlot& slot = v.frame_of(reg).stack[spi];
  const auto name = [](IrqClass c) { return c == IrqClass::kNative ? "native" : "lock"; };
  if (slot.spilled.irq_class() != irq_class) {
    return v.refuse(EINVAL, "irq flag acquired by {} kfuncs cannot be restored with {} kfuncs\n",
                    name(slot.spilled.irq_class()), name(irq_class));
  }
  if (int err = release_irq(*v.state, slot.spilled.id)) {
    s32 insn_idx = 0;
    for (const Reference& ref : v.state->refs) {
      if (ref.id == v.state->active_irq_id) {
        insn_idx = ref.insn_idx;
        break;
      }
    }
    v.log("cannot restore irq state out of order, expected id={} acquired at insn_idx={}\n",
          v.state->active_irq_id, insn_idx);
    return err;
  }
  v.mark_not_init(slot.spilled);
  slot.fill(kSlotInvalid);
  v.scratch_slot(static_cast<u32>(spi));
  return 0;
}

}  // namespace

const Reference* find_lock(const VerifierState& state, u32 types, u32 id, const void* ptr) {
  for (const Reference& ref : state.refs) {
    if (!(ref.type & types)) continue;
    if (ref.id == id && ref.ptr == ptr) return &ref;
  }
  return nullptr;
}

int process_spin_lock(Verifier& v, RegState& reg, ArgNo arg, bool lock, bool resilient, bool irq) {
  const std::string_view name = resilient ? "bpf_res_spin" : "bpf_spin";
  if (!reg.is_const()) {
    return v.refuse(EINVAL,
                    "{} doesn't have constant offset. {}_lock has to be at the constant offset\n",
                    arg.text(), name);
  }
  const Map* map = reg.type == kPtrToMapValue ? reg.map() : nullptr;
  if (map && !map->spec().btf) {
    return v.refuse(EINVAL, "map '{}' has to have BTF in order to use {}_lock\n", map->spec().name,
                    name);
  }
  const FieldType field = resilient ? kFieldResSpinLock : kFieldSpinLock;
  const Record* record = v.record_of(reg);
  if (!record || !record->has(field)) {
    return v.refuse(EINVAL, "{} '{}' has no valid {}_lock\n", map ? "map" : "local",
                    map ? std::string_view(map->spec().name) : "kptr", name);
  }
  const s32 off = record->offset_of(field);
  if (off != static_cast<s64>(reg.const_value())) {
    return v.refuse(EINVAL, "off {} doesn't point to 'struct {}_lock' that is at {}\n",
                    static_cast<s64>(reg.const_value()), name, off);
  }
  const void* ptr = reg.object;  // the map, or the BTF of the object
  const u32 type = !resilient ? Reference::kLock
                   : irq      ? Reference::kResLockIrq
                              : Reference::kResLock;
  return lock ? take(v, reg, ptr, type, resilient) : give_back(v, reg, ptr, type, name);
}

int process_irq_flag(Verifier& v, RegState& reg, ArgNo arg, CallMeta& meta) {
  const SpecialKfunc special = meta.special();
  const bool save =
      special == SpecialKfunc::kLocalIrqSave || special == SpecialKfunc::kResSpinLockIrqsave;
  const bool native =
      special == SpecialKfunc::kLocalIrqSave || special == SpecialKfunc::kLocalIrqRestore;
  if (!save && special != SpecialKfunc::kLocalIrqRestore &&
      special != SpecialKfunc::kResSpinUnlockIrqrestore) {
    return v.bug("unknown irq flags kfunc");
  }
  const IrqClass irq_class = native ? IrqClass::kNative : IrqClass::kLock;
  if (save) {
    if (!flag_uninit(v, reg)) {
      return v.refuse(EINVAL, "expected uninitialized irq flag as {}\n", arg.text());
    }
    if (int err = check_mem_access(v, v.insn_idx, reg, arg, 0, 8, kWrite, -1, false, false)) {
      return err;
    }
    return save_flag(v, reg, irq_class);
  }
  if (!flag_init(v, reg)) {
    return v.refuse(EINVAL, "expected an initialized irq flag as {}\n", arg.text());
  }
  v.scratch_slot(static_cast<u32>(flag_spi(v, reg)));
  if (int err = restore_flag(v, reg, irq_class)) return err;
  if (!v.in_rcu_cs()) invalidate_rcu_protected_refs(v);
  return 0;
}

}  // namespace uscx::bpf::verifier
