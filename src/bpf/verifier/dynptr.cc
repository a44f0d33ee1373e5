// SPDX-License-Identifier: GPL-2.0-only
// Dynptrs: two slots of the stack that helpers and kfuncs make, use and release.
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr u32 kDynptrSlots = 2;

int dynptr_spi(Verifier& v, const RegState& reg) {
  return stack_object_spi(v, reg, "dynptr", kDynptrSlots);
}

/// How many dynptrs share one referenced object.
u32 sharers(VerifierState& state, u32 parent_id) {
  u32 n = 0;
  for_each_reg(state, 1u << kSlotDynptr, [&](FuncState&, RegState& reg, StackSlot* slot) {
    if (slot && slot->type[0] == kSlotDynptr && reg.dynptr_first() && reg.parent_id == parent_id) {
      ++n;
    }
  });
  return n;
}

bool is_uninit(Verifier& v, const RegState& reg) {
  if (reg.type == kConstPtrToDynptr) return false;
  const int spi = dynptr_spi(v, reg);
  return spi >= 0 || spi == -ERANGE;  // what is there may be overwritten, or not
}

bool is_init(Verifier& v, const RegState& reg) {
  if (reg.type == kConstPtrToDynptr) return true;
  const int spi = dynptr_spi(v, reg);
  if (spi < 0) return false;
  const FuncState& frame = v.frame_of(reg);
  if (!frame.stack[spi].spilled.dynptr_first()) return false;
  for (u32 i = 0; i < kSlotSize; ++i) {
    if (frame.stack[spi].type[i] != kSlotDynptr || frame.stack[spi - 1].type[i] != kSlotDynptr) {
      return false;
    }
  }
  return true;
}

DynptrType type_of(Verifier& v, const RegState& reg) {
  if (reg.type == kConstPtrToDynptr) return reg.dynptr_type();
  const int spi = dynptr_spi(v, reg);
  return spi < 0 ? DynptrType::kInvalid : v.frame_of(reg).stack[spi].spilled.dynptr_type();
}

int mark_slots(Verifier& v, const RegState& reg, ArgType arg_type, u32 insn_idx,
               const RefObj& ref_obj, const DynptrDesc& dynptr) {
  FuncState& frame = v.frame_of(reg);
  const int spi = dynptr_spi(v, reg);
  if (spi < 0) return spi;
  if (int err = destroy_if_dynptr(v, frame, static_cast<u32>(spi))) return err;
  if (int err = destroy_if_dynptr(v, frame, static_cast<u32>(spi) - 1)) return err;
  frame.stack[spi].fill(kSlotDynptr);
  frame.stack[spi - 1].fill(kSlotDynptr);
  const DynptrType type = dynptr_type_of_arg(arg_type);
  if (type == DynptrType::kInvalid) return -EINVAL;
  u32 parent_id = dynptr.parent_id;  // of a clone
  if (dynptr.type == DynptrType::kInvalid) {
    if (ref_obj.cnt > 1) {
      return v.bug("function expects only one referenced object but got {}\n", ref_obj.cnt);
    }
    parent_id = ref_obj.id;
    if (dynptr_referenced(type)) parent_id = acquire_reference(v, insn_idx, parent_id);
  }
  const u32 id = v.new_id();
  mark_dynptr_reg(frame.stack[spi].spilled, type, true, id, parent_id);
  mark_dynptr_reg(frame.stack[spi - 1].spilled, type, false, id, parent_id);
  return 0;
}

int construct(Verifier& v, RegState& reg, ArgNo arg, u32 insn_idx, ArgType type,
              const RefObj& ref_obj, const DynptrDesc* dynptr) {
  if (!is_uninit(v, reg)) return v.refuse(EINVAL, "Dynptr has to be an uninitialized dynptr\n");
  for (s32 i = 0; i < static_cast<s32>(kDynptrSlots * kSlotSize); i += 8) {
    if (int err = check_mem_access(v, insn_idx, reg, arg, i, 8, kWrite, -1, false, false)) {
      return err;
    }
  }
  return mark_slots(v, reg, type, insn_idx, ref_obj, dynptr ? *dynptr : DynptrDesc{});
}

}  // namespace

DynptrType dynptr_type_of_arg(ArgType type) {
  switch (type & kDynptrFlags) {
    case kDynptrLocal:
      return DynptrType::kLocal;
    case kDynptrRingbuf:
      return DynptrType::kRingbuf;
    case kDynptrSkb:
      return DynptrType::kSkb;
    case kDynptrXdp:
      return DynptrType::kXdp;
    case kDynptrSkbMeta:
      return DynptrType::kSkbMeta;
    case kDynptrFile:
      return DynptrType::kFile;
    default:
      return DynptrType::kInvalid;
  }
}

u32 dynptr_flag_of(DynptrType type) {
  static constexpr u32 kFlags[] = {0,          kDynptrLocal,   kDynptrRingbuf, kDynptrSkb,
                                   kDynptrXdp, kDynptrSkbMeta, kDynptrFile};
  return kFlags[static_cast<u32>(type)];
}

bool dynptr_referenced(DynptrType type) {
  return type == DynptrType::kRingbuf || type == DynptrType::kFile;
}

void mark_dynptr_reg(RegState& reg, DynptrType type, bool first, u32 id, u32 parent_id) {
  reg.set_known_zero();
  reg.type = kConstPtrToDynptr;
  reg.id = id;
  reg.parent_id = parent_id;
  reg.a = static_cast<u32>(type);
  reg.b = first;
}

int stack_object_spi(Verifier& v, const RegState& reg, std::string_view kind, u32 slots) {
  if (!reg.is_const()) return v.refuse(EINVAL, "{} has to be at a constant offset\n", kind);
  const auto off = static_cast<s32>(reg.const_value());
  if (off >= 0 || off % static_cast<s32>(kSlotSize)) {
    return v.refuse(EINVAL, "cannot pass in {} at an offset={}\n", kind, off);
  }
  const u32 spi = spi_of(off);
  if (spi + 1 < slots) {
    return v.refuse(EINVAL, "cannot pass in {} at an offset={}\n", kind, off);
  }
  return spi < v.frame_of(reg).stack.size() ? static_cast<int>(spi) : -ERANGE;
}

int destroy_if_dynptr(Verifier& v, FuncState& frame, u32 spi) {
  if (frame.stack[spi].type[0] != kSlotDynptr) return 0;
  if (!frame.stack[spi].spilled.dynptr_first()) ++spi;
  const RegState& first = frame.stack[spi].spilled;
  if (dynptr_referenced(first.dynptr_type()) && sharers(*v.state, first.parent_id) <= 1) {
    return v.refuse(EINVAL, "cannot overwrite referenced dynptr\n");
  }
  const int err = release_reference(v, first.id);
  if (!err) {
    v.scratch_slot(spi);
    v.scratch_slot(spi - 1);
  }
  return err;
}

int release_dynptr(Verifier& v, RegState& reg) {
  const int spi = dynptr_spi(v, reg);
  if (spi < 0) return spi;
  const RegState& first = v.frame_of(reg).stack[spi].spilled;
  return release_reference(v, dynptr_referenced(first.dynptr_type()) ? first.parent_id : first.id);
}

int process_dynptr(Verifier& v, RegState& reg, ArgNo arg, u32 insn_idx, ArgType type,
                   RefObj& ref_obj, DynptrDesc* dynptr) {
  if (reg.type != kPtrToStack && reg.type != kConstPtrToDynptr) {
    return v.refuse(EINVAL, "{} expected pointer to stack or const struct bpf_dynptr\n",
                    arg.text());
  }
  if (type & kMemUninit) return construct(v, reg, arg, insn_idx, type, ref_obj, dynptr);
  if (reg.type == kConstPtrToDynptr && (type & kObjRelease)) {
    return v.refuse(EINVAL, "CONST_PTR_TO_DYNPTR cannot be released\n");
  }
  if (!is_init(v, reg)) {
    return v.refuse(EINVAL, "Expected an initialized dynptr as {}\n", arg.text());
  }
  const ArgType plain = type & ~kObjRelease;
  const DynptrType wanted = dynptr_type_of_arg(type);
  if (plain != kArgPtrToDynptr && type_of(v, reg) != wanted) {
    return v.refuse(EINVAL, "Expected a dynptr of type {} as {}\n", dynptr_type_text(wanted),
                    arg.text());
  }
  const RegState* object = &reg;
  if (reg.type != kConstPtrToDynptr) {
    const int spi = dynptr_spi(v, reg);
    if (spi < 0) return spi;
    v.scratch_slot(static_cast<u32>(spi));
    v.scratch_slot(static_cast<u32>(spi) - 1);
    object = &v.frame_of(reg).stack[spi].spilled;
  }
  if (dynptr) *dynptr = {object->dynptr_type(), object->id, object->parent_id};
  return 0;
}

}  // namespace uscx::bpf::verifier
