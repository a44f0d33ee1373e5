// SPDX-License-Identifier: GPL-2.0-only
// Steps of the second family of programs: numbers that are linked, signed and narrow loads,
// variable offsets into the stack, may_goto, iterators in iterators, variable offsets into packets.
#include "conformance/verifier/random/generator.h"

namespace uscx::conformance {

namespace {

constexpr u8 kMemSx = 0x80, kMovSx = kAlu64 | kMov | kReg;
constexpr u8 kMayGoto = kJmp | 0xe0;
constexpr u8 kJlt = 0xa0;

}  // namespace

void Generator::step_more(u32 depth) {
  switch (random_.below(9)) {
    case 0:
    case 1:
      return linked_sum();
    case 2:
      return extend_sign();
    case 3:
      return narrow_fill();
    case 4:
      return variable_stack();
    case 5:
      return may_goto_loop(depth);
    case 6:
      return nested_iterators();
    case 7:
      return has_packet() && program_.type != kSocketFilter ? packet_walk() : linked_sum();
    default:
      return leaking_reference();
  }
}

/// y = x + constant; what a comparison of one says holds for the other, which is then an index.
void Generator::linked_sum() {
  const u32 x = scalar();
  const u32 y = target();
  if (y == x) return arithmetic();
  mov(y, x);
  reg(y) = reg(x);
  const u8 cls = random_.percent(80) ? kAlu64 : kAlu;
  const auto distance = static_cast<s32>(random_.below(24)) - 8;
  emit(static_cast<u8>(cls | kAdd | kImm), y, 0, 0, distance);
  const u32 asked = random_.percent(50) ? x : y;
  const u32 used = asked == x ? y : x;
  const u32 limit = 1 + random_.below(16);
  emit(static_cast<u8>((cls == kAlu64 ? kJmp : kJmp32) | kJlt | kImm), asked, 0, 1,
       static_cast<s32>(limit));
  mov_imm(asked, static_cast<s32>(random_.below(4)));
  reg(asked) = {Kind::kScalar, limit};
  reg(used) = {Kind::kScalar, limit + 24};
  if (const u32 value = any(Kind::kValue); value < 10 && value != used && random_.percent(60)) {
    const u32 at = target();
    if (at == used || at == value || at == asked) return;
    mov(at, value);
    emit(kAlu64 | kAdd | kReg, at, used, 0, 0);
    reg(at) = {};
    access(at, static_cast<s32>(random_.below(16)), kB);
  }
}

/// ldsx of the stack or a value, movsx, bswap.
void Generator::extend_sign() {
  const u32 dst = target();
  constexpr u8 kSizes[] = {kB, kH, kW};
  constexpr s16 kWidths[] = {8, 16, 32};
  switch (random_.below(3)) {
    case 0: {
      const u8 s = random_.pick(kSizes);
      const u32 value = any(Kind::kValue);
      const s32 off = bytes(s) * static_cast<s32>(random_.below(3));
      emit(static_cast<u8>(kLdx | kMemSx | s), dst, value < 10 ? value : 10,
           value < 10 ? off : -16 + off, 0);
      break;
    }
    case 1: {
      const u32 src = scalar();
      emit(kMovSx, dst, src, random_.pick(kWidths), 0);
      break;
    }
    default: {
      const u32 src = scalar();
      mov(dst, src);
      emit(kAlu64 | 0xd0, dst, 0, 0, 16 << random_.below(3));
    }
  }
  reg(dst) = {Kind::kScalar, ~0u};
}

/// A spilled number, filled in part.
void Generator::narrow_fill() {
  const u32 src = scalar();
  const s32 slot = -8 * static_cast<s32>(1 + random_.below(4));
  emit(kStx | kMem | kDw, 10, src, slot, 0);
  if (random_.percent(30)) {
    const auto at = static_cast<s32>(random_.below(8));
    store_imm(10, slot + at, kB, random_.below(200));
  }
  constexpr u8 kSizes[] = {kB, kH, kW};
  const u8 s = random_.pick(kSizes);
  const s32 part = bytes(s) * static_cast<s32>(random_.percent(60) ? 0 : random_.below(2));
  const u32 dst = target();
  emit(static_cast<u8>(kLdx | kMem | s), dst, 10, slot + part, 0);
  reg(dst) = {Kind::kScalar, ~0u};
}

/// A load or store at a bounded, variable offset of the stack.
void Generator::variable_stack() {
  const u32 index = scalar();
  const u32 room = 1 + random_.below(28);
  bound_below(index, room);
  const u32 base = target();
  if (base == index) return;
  mov_frame(base, -32 + (mistake() ? static_cast<s32>(random_.below(8)) : 0));
  emit(kAlu64 | kAdd | kReg, base, index, 0, 0);
  reg(base) = {};
  if (random_.percent(60)) {
    const u32 dst = target();
    emit(kLdx | kMem | kB, dst, base, random_.percent(90) ? 0 : 3, 0);
    reg(dst) = {Kind::kScalar, 255};
  } else {
    store_imm(base, 0, kB, random_.below(100));
  }
}

/// for (;;) { if (!may_goto) break; block; }
void Generator::may_goto_loop(u32 depth) {
  if (depth > 0 || reserved_ || sections_) return condition(depth);
  mov_imm(9, 0);
  reserved_ |= 1u << 9;
  const auto before = regs_;
  const u32 top = here();
  emit(kMayGoto, 0, 0, 0, 0);
  block(1 + random_.below(3), depth + 1);
  emit(kAlu64 | kAdd | kImm, 9, 0, 0, 1);
  // Nearly all leave after a few turns: eight million are many.
  const bool leaves = random_.below(5000);
  u32 out = here();
  if (leaves) emit(kJmp | kJgt | kImm, 9, 0, 0, static_cast<s32>(1 + random_.below(20)));
  emit(kJmp | kJa, 0, 0, static_cast<s32>(top) - static_cast<s32>(here()) - 1, 0);
  if (leaves) land(out);
  land(top);
  reserved_ &= ~(1u << 9);
  merge(before);
  reg(9) = {Kind::kScalar, ~0u};
}

/// An iterator within another, each in slots of its own.
void Generator::nested_iterators() {
  if (has_packet() || sections_) return bound();
  constexpr s32 kOuter = -96, kInner = -112;
  auto begin = [&](s32 slot) {
    mov_frame(1, slot);
    mov_imm(2, 0);
    mov_imm(3, 1 + static_cast<s32>(random_.below(4)));
    call_kfunc("bpf_iter_num_new");
  };
  auto next = [&](s32 slot) {
    mov_frame(1, slot);
    call_kfunc("bpf_iter_num_next");
    emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
    return here() - 1;
  };
  auto back = [&](u32 top) {
    emit(kJmp | kJa, 0, 0, static_cast<s32>(top) - static_cast<s32>(here()) - 1, 0);
  };
  begin(kOuter);
  const auto before = regs_;
  ++sections_;
  const u32 outer = here();
  const u32 outer_done = next(kOuter);
  begin(kInner);
  const u32 inner = here();
  const u32 inner_done = next(kInner);
  if (random_.percent(50)) {
    emit(kLdx | kMem | kW, 1, 0, 0, 0);  // the element
    emit(kStx | kMem | kDw, 10, 1, -8, 0);
  }
  block(1, 3);
  back(inner);
  land(inner_done);
  mov_frame(1, kInner);
  if (!mistake()) call_kfunc("bpf_iter_num_destroy");
  back(outer);
  land(outer_done);
  --sections_;
  merge(before);
  clobber();
  mov_frame(1, kOuter);
  if (!mistake()) call_kfunc("bpf_iter_num_destroy");
}

/// A variable step into the packet, then a comparison with its end, then an access.
void Generator::packet_walk() {
  const u32 step = scalar();
  if (step >= 2 && step <= 5) return packet();
  bound_below(step, 1 + random_.below(24));
  if (step >= 2 && step <= 5) return;
  const bool xdp = program_.type == kXdp;
  emit(kLdx | kMem | kW, 2, 6, xdp ? 0 : 76, 0);
  emit(kLdx | kMem | kW, 3, 6, xdp ? 4 : 80, 0);
  emit(kAlu64 | kAdd | kReg, 2, step, 0, 0);
  mov(4, 2);
  const u8 s = size();
  const s32 need = bytes(s) + static_cast<s32>(random_.below(8));
  emit(kAlu64 | kAdd | kImm, 4, 0, 0, need);
  const u32 jump = here();
  // Beyond the end: not taken. `3 < 4` says the same; `<=` and `>=` one byte less or more.
  switch (random_.below(4)) {
    case 0:
      emit(kJmp | kJlt | kReg, 3, 4, 0, 0);
      break;
    case 1:
      emit(kJmp | kJge | kReg, 4, 3, 0, 0);
      break;
    default:
      emit(kJmp | kJgt | kReg, 4, 3, 0, 0);
  }
  const s32 off = need - bytes(s) + (mistake() ? 1 : 0);
  if (random_.percent(30)) {
    store_imm(2, off, s, random_.below(100));
  } else {
    emit(static_cast<u8>(kLdx | kMem | s), 5, 2, off, 0);
  }
  land(jump);
  for (u32 r = 2; r <= 5; ++r) reg(r) = {};
}

/// A mask, rarely given back twice, used afterwards, or kept.
void Generator::leaking_reference() {
  if (has_packet() || sections_ || (reserved_ & (1u << 8))) return bound();
  if (program_.type == kKprobe) return bound();
  call_kfunc("bpf_cpumask_create");
  const u32 jump = here();
  emit(kJmp | kJne | kImm, 0, 0, 0, 0);
  mov_imm(0, 0);
  emit(kJmp | kExit, 0, 0, 0, 0);
  land(jump);
  mov(8, 0);
  reg(8) = {};
  const u32 fault = random_.below(24);
  auto test = [&] {
    mov_imm(1, static_cast<s32>(random_.below(8)));
    mov(2, 8);
    call_kfunc("bpf_cpumask_test_cpu");
  };
  if (fault == 0) emit(kStx | kMem | kDw, 10, 8, -56, 0);
  if (random_.percent(50)) test();
  mov(1, 8);
  if (fault != 1) call_kfunc("bpf_cpumask_release");
  if (fault == 2) test();
  if (fault == 0) {
    emit(kLdx | kMem | kDw, 8, 10, -56, 0);
    test();
  }
  clobber();
  reg(8) = {};
}

}  // namespace uscx::conformance
