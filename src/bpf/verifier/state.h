// SPDX-License-Identifier: GPL-2.0-only
// What the verifier knows at one point of one path: registers, stack, frames, references.
#pragma once

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "base/types.h"
#include "bpf/isa.h"
#include "bpf/verifier/scalar.h"
#include "bpf/verifier/types.h"

namespace uscx::btf {
class Btf;
}
namespace uscx::bpf {
class Map;
}

namespace uscx::bpf::verifier {

inline constexpr u32 kMaxFrames = 16;    // MAX_CALL_FRAMES
inline constexpr s32 kMaxStack = 512;    // MAX_BPF_STACK
inline constexpr u32 kSlotSize = 8;      // BPF_REG_SIZE
inline constexpr u32 kMaxFuncArgs = 12;  // MAX_BPF_FUNC_ARGS
inline constexpr u32 kMaxRegArgs = 5;    // MAX_BPF_FUNC_REG_ARGS
inline constexpr u32 kMaxStackArgs = kMaxFuncArgs - kMaxRegArgs;
inline constexpr s32 kMainFunction = -1;  // callsite of a function that nobody calls
inline constexpr u32 kNrRegs = 11;
inline constexpr u32 kFp = 10;
inline constexpr u8 kStackArgReg = 11;  // names outgoing and incoming stack arguments

/// Bits of RegState::id of a scalar that is another one plus RegState::delta.
inline constexpr u32 kAddConst64 = 1u << 31;
inline constexpr u32 kAddConst32 = 1u << 30;
inline constexpr u32 kAddConst = kAddConst64 | kAddConst32;

enum class IterState : u8 { kInvalid, kActive, kDrained };
enum class IrqClass : u32 { kNative, kLock };

/// One register, or a spilled one, or what a dynptr, an iterator or an irq flag on the stack is.
/// A tagged struct, not a std::variant: it is copied and compared a million times a second, and
/// half of its members mean the same for every tag. Linux: struct bpf_reg_state.
struct RegState {
  RegType type = kNotInit;
  s32 delta = 0;  // to the scalar of the same id, where the id has kAddConst
  // What `type` says: see the accessors. All zero where it says nothing, so that they compare.
  const void* object = nullptr;
  u32 a = 0;
  u32 b = 0;
  /// Of a scalar: its value. Of a pointer: its offset from the object's start.
  Scalar value = {};
  /// Who shares a value, a null check, a reference or a packet range; 0: nobody.
  u32 id = 0;
  /// The object this one dies with; 0: none.
  u32 parent_id = 0;
  /// Which inner map, where several have one template.
  u32 map_uid = 0;
  /// The value mattered to a decision: pruning must compare it.
  bool precise = false;

  const Map* map() const { return static_cast<const Map*>(object); }
  const btf::Btf* btf() const { return static_cast<const btf::Btf*>(object); }
  u32 btf_id() const { return a; }
  u32 mem_size() const { return a; }
  s32 range() const { return static_cast<s32>(a); }  // of a packet pointer; < 0: past its end
  u32 frameno() const { return a; }
  u32 subprogno() const { return a; }
  DynptrType dynptr_type() const { return static_cast<DynptrType>(a); }
  bool dynptr_first() const { return b != 0; }
  IterState iter_state() const { return static_cast<IterState>(b & 3); }
  u32 iter_depth() const { return b >> 2; }
  IrqClass irq_class() const { return static_cast<IrqClass>(a); }

  void set_map(const Map* map) { object = map; }
  void set_btf(const btf::Btf* btf, u32 btf_id) {
    object = btf;
    a = btf_id;
  }
  void set_iter(const btf::Btf* btf, u32 btf_id, IterState state, u32 depth) {
    set_btf(btf, btf_id);
    b = static_cast<u32>(state) | depth << 2;
  }
  void set_iter_state(IterState state, u32 depth) { b = static_cast<u32>(state) | depth << 2; }

  bool is_scalar() const { return type == kScalar; }
  bool is_const() const { return value.is_const(); }
  u64 const_value() const { return value.var_off.value; }
  bool is_null() const { return is_scalar() && value.var_off.equals(0); }
  bool is_pointer() const { return type != kScalar && type != kNotInit; }
  u32 base() const { return base_type(type); }

  /// The object and offset 0, or the number 0: everything but the type. Linux: __mark_reg_known.
  void set_known(u64 v) {
    delta = 0;
    object = nullptr;
    a = b = 0;
    id = parent_id = map_uid = 0;
    value = Scalar::known(v);
  }
  void set_known_zero() { set_known(0); }
  void set_scalar(u64 v) {
    set_known(v);
    type = kScalar;
  }
  /// A number of which nothing is known.
  void set_unknown(bool precise_) {
    *this = {};
    type = kScalar;
    precise = precise_;
  }
  void clear_scalar_id() {
    id = 0;
    delta = 0;
  }
  void clear_payload() {
    object = nullptr;
    a = b = 0;
  }

  bool same_payload(const RegState& o) const {
    return type == o.type && delta == o.delta && object == o.object && a == o.a && b == o.b;
  }
  /// All but the ids and precision. Linux: memcmp up to offsetof(id).
  bool same_but_ids(const RegState& o) const { return same_payload(o) && value == o.value; }
  /// All but precision.
  bool same_but_precision(const RegState& o) const {
    return same_but_ids(o) && id == o.id && parent_id == o.parent_id && map_uid == o.map_uid;
  }
};

/// What a byte of the stack holds. Linux: enum bpf_stack_slot_type.
enum SlotType : u8 {
  kSlotInvalid,
  kSlotSpill,
  kSlotMisc,
  kSlotZero,
  kSlotDynptr,
  kSlotIter,
  kSlotIrqFlag,
  kSlotPoison,  // dead: found so by the static analysis
};

struct StackSlot {
  RegState spilled = {};
  std::array<u8, kSlotSize> type{};  // [i] is the byte at fp - 8 * slot - 1 - i

  bool is_spill() const { return type[7] == kSlotSpill; }
  bool is_scalar_spill() const { return is_spill() && spilled.is_scalar(); }
  void fill(u8 t) { type.fill(t); }
};

/// Linux: struct bpf_retval_range.
struct RetvalRange {
  s32 min = 0;
  s32 max = 0;
  bool return_32bit = false;
};

/// One frame. Slot i is [fp - 8 * (i + 1), fp - 8 * i). Linux: struct bpf_func_state.
struct FuncState {
  std::array<RegState, kNrRegs> regs = {};
  s32 callsite = kMainFunction;
  u32 frameno = 0;
  u32 subprogno = 0;
  u32 async_entry_cnt = 0;
  RetvalRange callback_ret_range = {};
  bool in_callback_fn = false;
  bool in_async_callback_fn = false;
  bool in_exception_callback_fn = false;
  bool no_stack_arg_load = false;
  u32 callback_depth = 0;
  u32 insns_subtotal = 0;
  std::vector<StackSlot> stack = {};
  std::vector<RegState> stack_args = {};  // outgoing

  /// Empty, but for the memory that its vectors have.
  void reset() {
    std::vector<StackSlot> slots = std::move(stack);
    std::vector<RegState> args = std::move(stack_args);
    slots.clear();
    args.clear();
    *this = {};
    stack = std::move(slots);
    stack_args = std::move(args);
  }
  s32 allocated_stack() const { return static_cast<s32>(stack.size() * kSlotSize); }
};

/// Linux: struct bpf_reference_state.
struct Reference {
  enum Type : u32 {
    kPtr = 1 << 1,
    kIrq = 1 << 2,
    kLock = 1 << 3,
    kResLock = 1 << 4,
    kResLockIrq = 1 << 5,
    kLockMask = kLock | kResLock | kResLockIrq,
  };
  u32 type = kPtr;
  u32 id = 0;
  s32 insn_idx = 0;
  u32 parent_id = 0;          // of kPtr
  const void* ptr = nullptr;  // of a lock: the map or BTF its object belongs to
};

/// One step that backtracking cannot find by itself. Linux: struct bpf_jmp_history_entry.
struct HistoryEntry {
  enum Flags : u8 { kStackAccess = 1, kDstStack = 2, kSrcStack = 4, kStackArgAccess = 8 };
  u32 idx = 0;
  u32 prev_idx = 0;
  u8 frame = 0;
  u8 spi = 0;
  u8 flags = 0;
  u64 linked_regs = 0;  // packed; see linked_regs.h
};

/// Linux: struct bpf_verifier_state.
struct VerifierState {
  std::array<FuncState*, kMaxFrames> frame{};
  VerifierState* parent = nullptr;  // an explored state
  std::vector<Reference> refs = {};
  u32 branches = 0;  // paths from here that are not done
  u32 insn_idx = 0;
  u32 curframe = 0;
  u32 active_locks = 0;
  u32 active_preempt_locks = 0;
  u32 active_irq_id = 0;
  u32 active_lock_id = 0;
  const void* active_lock_ptr = nullptr;
  u32 active_rcu_locks = 0;
  bool in_sleepable = false;
  u32 first_insn_idx = 0;
  s32 last_insn_idx = 0;
  const VerifierState* equal_state = nullptr;
  std::vector<HistoryEntry> jmp_history = {};
  u32 dfs_depth = 0;
  u32 callback_unroll_depth = 0;
  u32 may_goto_depth = 0;

  FuncState& cur() { return *frame[curframe]; }
  const FuncState& cur() const { return *frame[curframe]; }
  /// The instruction that frame `i` is at: its own, or the call it waits in.
  u32 frame_insn_idx(u32 i) const {
    return i == curframe ? insn_idx : static_cast<u32>(frame[i + 1]->callsite);
  }
};

/// A state kept for comparison. Linux: struct bpf_verifier_state_list.
struct Explored : VerifierState {
  Explored* prev = nullptr;
  Explored* next = nullptr;
  u32 miss_cnt = 0;
  u32 hit_cnt = 0;
  bool in_free_list = false;
};

/// Frames and states for reuse: no allocation once the largest number at a time was reached.
class StatePool {
 public:
  FuncState* new_frame();
  void free_frame(FuncState* frame);
  Explored* new_explored();
  void free_explored(Explored* state);
  /// Copies everything but the place in lists and counts. Linux: bpf_copy_verifier_state.
  void copy(VerifierState& to, const VerifierState& from);
  /// Gives the frames back and empties the rest.
  void clear(VerifierState& state);

 private:
  std::vector<std::unique_ptr<FuncState>> frames_;
  std::vector<std::unique_ptr<Explored>> states_;
  std::vector<FuncState*> free_frames_;
  std::vector<Explored*> free_states_;
};

/// Calls fn(frame, reg, slot) for each register, each slot whose last byte has a type of `slots`
/// (bits by SlotType) and each outgoing stack argument; slot is null for registers and arguments.
/// Linux: bpf_for_each_reg_in_vstate_mask.
template <class Fn>
void for_each_reg(VerifierState& state, u32 slots, Fn&& fn) {
  for (u32 f = 0; f <= state.curframe; ++f) {
    FuncState& frame = *state.frame[f];
    for (RegState& reg : frame.regs) fn(frame, reg, static_cast<StackSlot*>(nullptr));
    for (StackSlot& slot : frame.stack) {
      if (slots >> slot.type[7] & 1) fn(frame, slot.spilled, &slot);
    }
    for (RegState& reg : frame.stack_args) {
      if (reg.type != kNotInit) fn(frame, reg, static_cast<StackSlot*>(nullptr));
    }
  }
}
/// Registers, spilled registers and stack arguments.
template <class Fn>
void for_each_reg(VerifierState& state, Fn&& fn) {
  for_each_reg(state, 1u << kSlotSpill, [&](FuncState&, RegState& reg, StackSlot*) { fn(reg); });
}

}  // namespace uscx::bpf::verifier
