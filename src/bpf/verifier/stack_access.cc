// SPDX-License-Identifier: GPL-2.0-only
// Loads and stores of the stack: spills keep what they hold, other bytes are numbers or nothing.
#include <algorithm>

#include "bpf/verifier/internal.h"
#include "bpf/verifier/planted.h"

namespace uscx::bpf::verifier {

namespace {

bool holds_object(const StackSlot& slot) {
  switch (slot.type[7]) {
    case kSlotSpill:
    case kSlotDynptr:
    case kSlotIter:
    case kSlotIrqFlag:
      return true;
    default:
      return false;
  }
}

void scrub(u8& type) {
  if (type != kSlotInvalid && type != kSlotPoison) type = kSlotMisc;
}

/// A number or a part of an object is overwritten: what is left of it is bytes.
void scrub_object(StackSlot& slot) {
  const bool object = holds_object(slot);
  slot.spilled.type = kNotInit;
  if (object) std::ranges::for_each(slot.type, scrub);
}

void save_register(StackSlot& slot, const RegState& reg, u32 size) {
  slot.spilled = reg;
  u32 i = kSlotSize;
  for (; i > kSlotSize - size; --i) slot.type[i - 1] = kSlotSpill;
  for (; i; --i) {
    u8& t = slot.type[i - 1];
    if (t != kSlotZero && t != kSlotInvalid && t != kSlotPoison) t = kSlotMisc;
  }
}

/// A slot that fastcall spills use is used otherwise: then none may be removed.
void check_fastcall_contract(Verifier& v, const FuncState& frame, u32 insn_idx, s32 off) {
  Subprogram& sub = v.subprogs[frame.subprogno];
  if (sub.fastcall_stack_off <= off || v.aux[insn_idx].fastcall_pattern) return;
  sub.fastcall_stack_off = -32768;
  for (u32 i = sub.start; i < v.subprogs[frame.subprogno + 1].start; ++i) {
    v.aux[i].fastcall_spills_num = 0;
    v.aux[i].fastcall_pattern = 0;
  }
}

bool is_store_imm(const Insn& insn) {
  return isa::class_of(insn) == isa::kSt && isa::mode_of(insn) == isa::kMem;
}

bool stores_zero(const Insn& insn, const RegState* value) {
  return value ? value->is_null() : is_store_imm(insn) && insn.imm == 0;
}

int write_fixed(Verifier& v, FuncState& frame, s32 off, s32 size, s32 value_regno, u32 insn_idx) {
  const Insn& insn = v.insns[insn_idx];
  const u32 spi = spi_of(off);
  StackSlot& slot = frame.stack[spi];
  if (!v.allow_ptr_leaks && slot.is_spill() && !slot.is_scalar_spill() &&
      size != static_cast<s32>(kSlotSize)) {
    return v.refuse(EACCES, "attempt to corrupt spilled pointer on stack\n");
  }
  FuncState& cur = v.cur();
  RegState* reg = value_regno >= 0 ? &cur.regs[value_regno] : nullptr;
  if (int err = destroy_if_dynptr(v, frame, spi)) return err;
  check_fastcall_contract(v, frame, insn_idx, off);
  v.scratch_slot(spi);
  const bool aligned = off % static_cast<s32>(kSlotSize) == 0;
  bool in_history = true;
  if (reg && aligned && reg->is_scalar() && v.bpf_capable) {
    const bool fits = reg->value.width() <= static_cast<u32>(size) * 8;
    if (fits) assign_scalar_id_before_mov(v, *reg);
    save_register(slot, *reg, static_cast<u32>(size));
    if (!fits) slot.spilled.clear_scalar_id();
  } else if (!reg && aligned && is_store_imm(insn) && v.bpf_capable) {
    RegState value;
    value.set_scalar(static_cast<u64>(s64{insn.imm}));
    save_register(slot, value, static_cast<u32>(size));
  } else if (reg && reg->is_pointer()) {
    if (size != static_cast<s32>(kSlotSize)) {
      v.log_line(insn_idx, "; ");
      return v.refuse(EACCES, "invalid size of register spill\n");
    }
    if (&frame != &cur && reg->type == kPtrToStack) {
      return v.refuse(EINVAL, "cannot spill pointers to stack into stack frame of the caller\n");
    }
    save_register(slot, *reg, static_cast<u32>(size));
  } else {
    if (planted(v, PlantedFault::kSpillSurvives) && slot.is_scalar_spill()) return 0;
    u8 type = kSlotMisc;
    scrub_object(slot);
    if (stores_zero(insn, reg)) {
      if (value_regno >= 0) {
        if (int err = mark_chain_precision(v, static_cast<u32>(value_regno))) return err;
      } else if (int err = mark_chain_precision_batch(v, *v.state)) {
        return err;
      }
      type = kSlotZero;
    }
    for (s32 i = 0; i < size; ++i) slot.type[slot_byte(off + i)] = type;
    in_history = false;
  }
  if (!in_history) return 0;
  return push_jmp_history(v, *v.state, HistoryEntry::kStackAccess, spi, frame.frameno, 0);
}

int write_variable(Verifier& v, FuncState& frame, const RegState& ptr, s32 off, s32 size,
                   s32 value_regno, u32 insn_idx) {
  const Insn& insn = v.insns[insn_idx];
  const auto min_off = static_cast<s32>(ptr.value.smin() + off);
  const auto max_off = static_cast<s32>(ptr.value.smax() + off + size);
  const RegState* value = value_regno >= 0 ? &v.cur().regs[value_regno] : nullptr;
  const bool zero = stores_zero(insn, value);
  bool zero_used = false;
  for (s32 i = min_off; i < max_off; ++i) {
    if (int err = destroy_if_dynptr(v, frame, spi_of(i))) return err;
  }
  check_fastcall_contract(v, frame, insn_idx, min_off);
  for (s32 i = min_off; i < max_off; ++i) {
    StackSlot& slot = frame.stack[spi_of(i)];
    u8& type = slot.type[slot_byte(i)];
    v.scratch_slot(spi_of(i));
    if (!v.allow_ptr_leaks && type != kSlotMisc && type != kSlotZero) {
      return v.refuse(EINVAL,
                      "spilled ptr in range of var-offset stack write; insn {}, ptr off: {}",
                      insn_idx, i);
    }
    // Zero over zero is zero, wherever it lands.
    if (zero && type == kSlotSpill && slot.is_scalar_spill() && slot.spilled.is_null()) {
      zero_used = true;
      continue;
    }
    scrub_object(slot);
    u8 now = kSlotMisc;
    if (zero && type == kSlotZero) {
      now = kSlotZero;
      zero_used = true;
    }
    if ((type == kSlotInvalid || type == kSlotPoison) && !v.allow_uninit_stack) {
      return v.refuse(
          EINVAL,
          "uninit stack in range of var-offset write prohibited for !root; insn {}, off: {}",
          insn_idx, i);
    }
    type = now;
  }
  if (zero_used && value_regno >= 0) {
    return mark_chain_precision(v, static_cast<u32>(value_regno));
  }
  return 0;
}

/// What a load of bytes that are no spill gives: zero if all are, else some number.
int mark_stack_read(Verifier& v, FuncState& frame, s32 min_off, s32 max_off, u32 dst_regno) {
  u64 zero_spills = 0;
  s32 zeros = 0;
  for (s32 i = min_off; i < max_off; ++i) {
    const u32 spi = spi_of(i);
    v.scratch_slot(spi);
    const StackSlot& slot = frame.stack[spi];
    const u8 type = slot.type[slot_byte(i)];
    if (type == kSlotZero) {
      ++zeros;
    } else if (type == kSlotSpill && slot.spilled.is_null()) {
      zero_spills |= 1ull << spi;
      ++zeros;
    } else {
      break;
    }
  }
  RegState& dst = v.reg(dst_regno);
  if (zeros != max_off - min_off) {
    v.mark_unknown(dst);
    return 0;
  }
  v.mark_const_zero(dst);
  if (!zero_spills) return 0;
  v.bt.stack_masks[frame.frameno] |= zero_spills;
  return mark_chain_precision_batch(v, *v.state);
}

/// 0: all bytes may be read.
int check_bytes(Verifier& v, const StackSlot& slot, s32 off, s32 size, s32* spills, s32* zeros) {
  for (s32 i = 0; i < size; ++i) {
    const u8 type = slot.type[slot_byte(off + i)];
    if (type == kSlotSpill && spills) {
      ++*spills;
      continue;
    }
    if (type == kSlotMisc) continue;
    if (type == kSlotZero) {
      if (zeros) ++*zeros;
      continue;
    }
    if (type == kSlotInvalid && v.allow_uninit_stack) continue;
    if (type == kSlotPoison) {
      return v.refuse(EACCES,
                      "reading from stack off {}+{} size {}, slot poisoned by dead code "
                      "elimination\n",
                      off, i, size);
    }
    return v.refuse(EACCES, "invalid read from stack off {}+{} size {}\n", off, i, size);
  }
  return 0;
}

int read_fixed(Verifier& v, FuncState& frame, s32 off, s32 size, s32 dst_regno) {
  const u32 spi = spi_of(off);
  StackSlot& slot = frame.stack[spi];
  RegState& spill = slot.spilled;
  v.scratch_slot(spi);
  check_fastcall_contract(v, v.cur(), v.insn_idx, off);
  bool in_history = true;
  if (slot.is_spill()) {
    s32 spill_size = 1;
    for (u32 i = kSlotSize - 1; i > 0 && slot.type[i - 1] == kSlotSpill; --i) ++spill_size;
    if (size == static_cast<s32>(kSlotSize) && spill_size == static_cast<s32>(kSlotSize)) {
      if (dst_regno >= 0) {
        if (v.bpf_capable) assign_scalar_id_before_mov(v, spill);
        v.reg(dst_regno) = spill;
      } else if (v.is_pointer_value(spill)) {
        return v.refuse(EACCES, "leaking pointer from stack off {}\n", off);
      }
    } else {
      if (!spill.is_scalar()) {
        v.log_line(v.insn_idx, "; ");
        return v.refuse(EACCES, "invalid size of register fill\n");
      }
      if (dst_regno < 0) return 0;
      RegState& dst = v.reg(dst_regno);
      if (size <= spill_size && off % static_cast<s32>(kSlotSize) == 0) {
        if (v.bpf_capable && size == 4 && spill_size == 4 && spill.value.width() <= 32) {
          assign_scalar_id_before_mov(v, spill);
        }
        dst = spill;
        if (spill.value.width() > static_cast<u32>(size) * 8) dst.clear_scalar_id();
      } else {
        s32 spills = 0, zeros = 0;
        if (int err = check_bytes(v, slot, off, size, &spills, &zeros)) return err;
        if (spills == size && spill.is_const() && spill.const_value() == 0) {
          v.mark_const_zero(dst);
        } else if (zeros == size) {
          v.mark_const_zero(dst);
          in_history = false;
        } else {
          if (int err = mark_stack_read(v, frame, off, off + size, static_cast<u32>(dst_regno))) {
            return err;
          }
          in_history = false;
        }
      }
    }
  } else {
    if (int err = check_bytes(v, slot, off, size, nullptr, nullptr)) return err;
    if (dst_regno >= 0) {
      if (int err = mark_stack_read(v, frame, off, off + size, static_cast<u32>(dst_regno))) {
        return err;
      }
    }
    in_history = false;
  }
  if (!in_history) return 0;
  return push_jmp_history(v, *v.state, HistoryEntry::kStackAccess, spi, frame.frameno, 0);
}

}  // namespace

int grow_stack(Verifier& v, FuncState& frame, s64 size) {
  size = (size + 7) / 8 * 8;
  if (frame.allocated_stack() >= size) return 0;
  frame.stack.resize(static_cast<std::size_t>(size / 8));
  Subprogram& sub = v.subprogs[frame.subprogno];
  sub.stack_depth = std::max(sub.stack_depth, static_cast<s32>(size));
  return 0;
}

int check_stack_access_bounds(Verifier& v, const RegState& reg, ArgNo arg, s32 off, s32 size,
                              Access type) {
  FuncState& frame = v.frame_of(reg);
  const char* what = type == kRead ? " read from" : " write to";
  const bool fixed = reg.is_const();
  s64 min_off;
  s64 max_off;
  if (fixed) {
    min_off = static_cast<s64>(reg.const_value()) + off;
    max_off = min_off + size;
  } else {
    if (reg.value.smax() >= kMaxVarOff || reg.value.smin() <= -kMaxVarOff) {
      return v.refuse(EACCES, "invalid unbounded variable-offset{} stack {}\n", what, arg.text());
    }
    min_off = reg.value.smin() + off;
    max_off = reg.value.smax() + off + size;
  }
  const s64 lowest = type == kWrite || v.allow_uninit_stack ? -kMaxStack : -frame.allocated_stack();
  int err = 0;
  if (min_off < lowest || min_off > -1)
    err = -EACCES;
  else if (max_off > 0)
    err = -EINVAL;
  else if (size < 0)
    err = -EFAULT;
  if (err) {
    if (fixed) {
      v.log("invalid{} stack {} off={} size={}\n", what, arg.text(), min_off, size);
    } else {
      v.log("invalid variable-offset{} stack {} var_off={} off={} size={}\n", what, arg.text(),
            reg.value.var_off.text(), off, size);
    }
    return err;
  }
  return grow_stack(v, frame, -min_off);
}

int check_stack_read(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size, s32 dst_regno) {
  FuncState& frame = v.frame_of(reg);
  if (reg.is_const()) {
    return read_fixed(v, frame, off + static_cast<s32>(reg.const_value()), size, dst_regno);
  }
  if (dst_regno < 0) {
    return v.refuse(EACCES,
                    "variable offset stack pointer cannot be passed into helper function; "
                    "var_off={} off={} size={}\n",
                    reg.value.var_off.text(), off, size);
  }
  if (int err = check_stack_range_initialized(v, reg, arg, off, size, false, kRead, nullptr)) {
    return err;
  }
  const auto min_off = static_cast<s32>(reg.value.smin() + off);
  const auto max_off = static_cast<s32>(reg.value.smax() + off);
  if (int err = mark_stack_read(v, frame, min_off, max_off + size, static_cast<u32>(dst_regno))) {
    return err;
  }
  check_fastcall_contract(v, frame, v.insn_idx, min_off);
  return 0;
}

int check_stack_write(Verifier& v, RegState& reg, s32 off, s32 size, s32 value_regno,
                      u32 insn_idx) {
  FuncState& frame = v.frame_of(reg);
  if (reg.is_const()) {
    return write_fixed(v, frame, off + static_cast<s32>(reg.const_value()), size, value_regno,
                       insn_idx);
  }
  return write_variable(v, frame, reg, off, size, value_regno, insn_idx);
}

int check_stack_range_initialized(Verifier& v, RegState& reg, ArgNo arg, s32 off, s32 size,
                                  bool zero_size_allowed, Access type, CallMeta* meta) {
  FuncState& frame = v.frame_of(reg);
  const bool clobber = type == kWrite;
  // A global function does not look at slots that its caller left dead.
  const bool allow_poison = size < 0 || clobber;
  bool raw = meta && meta->raw_regno && static_cast<s32>(meta->raw_regno) == arg.regno();
  size = size < 0 ? -size : size;
  if (size == 0 && !zero_size_allowed) {
    return v.refuse(EACCES, "invalid zero-sized read\n");
  }
  if (int err = check_stack_access_bounds(v, reg, arg, off, size, type)) return err;
  s32 min_off;
  s32 max_off;
  if (reg.is_const()) {
    min_off = max_off = static_cast<s32>(reg.const_value()) + off;
  } else {
    if (!v.allow_ptr_leaks) {
      return v.refuse(EACCES, "{} variable offset stack access prohibited for !root, var_off={}\n",
                      arg.text(), reg.value.var_off.text());
    }
    raw = false;
    min_off = static_cast<s32>(reg.value.smin() + off);
    max_off = static_cast<s32>(reg.value.smax() + off);
  }
  if (raw) {
    meta->raw_size = size;
    return 0;
  }
  for (s32 i = min_off; i < max_off + size; ++i) {
    const u32 spi = spi_of(i);
    if (spi >= frame.stack.size()) return v.refuse(EFAULT, "allocated_stack too small\n");
    StackSlot& slot = frame.stack[spi];
    u8& t = slot.type[slot_byte(i)];
    if (t == kSlotMisc) continue;
    if (t == kSlotZero || (t == kSlotInvalid && v.allow_uninit_stack)) {
      if (clobber) t = kSlotMisc;
      continue;
    }
    if (slot.is_spill() && (slot.spilled.is_scalar() || v.allow_ptr_leaks)) {
      if (clobber) {
        v.mark_unknown(slot.spilled);
        std::ranges::for_each(slot.type, scrub);
      }
      continue;
    }
    if (t == kSlotPoison) {
      if (allow_poison) continue;
      v.log("reading from stack {} off {}+{} size {}, slot poisoned by dead code elimination\n",
            arg.text(), min_off, i - min_off, size);
    } else if (reg.is_const()) {
      v.log("invalid read from stack {} off {}+{} size {}\n", arg.text(), min_off, i - min_off,
            size);
    } else {
      v.log("invalid read from stack {} var_off {}+{} size {}\n", arg.text(),
            reg.value.var_off.text(), i - min_off, size);
    }
    return -EACCES;
  }
  return 0;
}

int check_stack_arg_write(Verifier& v, FuncState& frame, s32 off, const RegState* value) {
  const s32 spi = -off / 8 - 1;
  if (spi >= static_cast<s32>(kMaxStackArgs)) {
    return v.refuse(EINVAL, "stack arg write offset {} exceeds max {} stack args\n", off,
                    kMaxStackArgs);
  }
  if (frame.stack_args.size() <= static_cast<u32>(spi)) frame.stack_args.resize(spi + 1);
  RegState& arg = frame.stack_args[spi];
  if (value) {
    arg = *value;
  } else {
    arg.set_scalar(static_cast<u64>(s64{v.insn().imm}));
  }
  frame.no_stack_arg_load = true;
  return push_jmp_history(v, *v.state, HistoryEntry::kStackArgAccess, static_cast<u32>(spi), 0, 0);
}

int check_stack_arg_read(Verifier& v, FuncState& frame, s32 off, u32 dst_regno) {
  const Subprogram& sub = v.subprogs[frame.subprogno];
  const s32 spi = off / 8 - 1;
  if (frame.no_stack_arg_load) {
    return v.refuse(EINVAL, "r11 load must be before any r11 store or call insn\n");
  }
  if (spi + 1 > static_cast<s32>(sub.in_stack_args())) {
    return v.refuse(EACCES, "invalid read from stack arg off {} depth {}\n", off,
                    sub.in_stack_args() * 8);
  }
  if (v.state->curframe == 0) return -EACCES;
  FuncState& caller = *v.state->frame[v.state->curframe - 1];
  v.reg(dst_regno) = caller.stack_args[spi];
  return push_jmp_history(v, *v.state, HistoryEntry::kStackArgAccess, static_cast<u32>(spi), 0, 0);
}

}  // namespace uscx::bpf::verifier
