// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/generator.h"

namespace uscx::conformance {

void Generator::stack_access() {
  const u8 s = size();
  s32 off = -bytes(s) * static_cast<s32>(1 + random_.below(32u / static_cast<u32>(bytes(s))));
  if (mistake()) off = random_.percent(50) ? -static_cast<s32>(random_.below(600)) : 0;
  if (mistake()) off -= 1;
  if (random_.percent(50)) {
    const u32 src = random_.percent(98) ? scalar() : target();
    emit(static_cast<u8>(kStx | kMem | s), 10, src, off, 0);
    return;
  }
  const u32 dst = target();
  emit(static_cast<u8>(kLdx | kMem | s), dst, 10, off, 0);
  reg(dst) = {Kind::kScalar, ~0u};
}

void Generator::lookup() {
  if (sections_) return arithmetic();  // a way out would leave the section open
  const u32 map = random_.below(2);
  const s32 key = -8 * static_cast<s32>(1 + random_.below(4));
  ld_map(1, map);
  mov(2, 10);
  emit(kAlu64 | kAdd | kImm, 2, 0, 0, mistake() ? -2 : key);
  call(1);
  reg(0) = {Kind::kValueOrNull, kGeneratedMaps[map].value_size};
  if (random_.percent(94)) {
    emit(kJmp | kJne | kImm, 0, 0, 2, 0);
    mov_imm(0, 0);
    emit(kJmp | kExit, 0, 0, 0, 0);
    reg(0) = {Kind::kValue, kGeneratedMaps[map].value_size};
  }
  if (random_.percent(70)) {
    const u32 keep = 7 + random_.below(2);
    if (reserved_ & (1u << keep)) return;
    mov(keep, 0);
    reg(keep) = reg(0);
  }
}

void Generator::value_access() {
  u32 base = any(Kind::kValue);
  if (base > 9 || mistake()) base = any(Kind::kValueOrNull);
  if (base > 9) return lookup();
  const u32 room = reg(base).bound;
  const u8 s = size();
  const u32 n = static_cast<u32>(bytes(s));
  u32 use = base;
  s32 off = static_cast<s32>(random_.below(room / n) * n);
  if (random_.percent(55)) {
    // A variable offset that just fits, or just does not.
    const u32 index = scalar();
    const u32 slack = mistake() ? 1 + random_.below(8) : 0;
    const u32 limit = 1 + random_.below(room - n + 1);
    bound_below(index, limit);
    use = target();
    if (use == index || use == base) return;
    mov(use, base);
    emit(kAlu64 | kAdd | kReg, use, index, 0, 0);
    off = static_cast<s32>(room - n) - static_cast<s32>(reg(index).bound) + static_cast<s32>(slack);
    reg(use) = {};
  } else if (mistake()) {
    off = static_cast<s32>(room - n) + 1 + static_cast<s32>(random_.below(4));
  }
  if (mistake()) off = -off;
  access(use, off, s);
}

void Generator::access(u32 base, s32 off, u8 s) {
  switch (random_.below(5)) {
    case 0:
      store_imm(base, off, s, random_.below(100));
      return;
    case 1:
      emit(static_cast<u8>(kStx | kMem | s), base, random_.percent(93) ? scalar_but(base) : base,
           off, 0);
      return;
    case 2:
      if (s == kDw || s == kW || mistake()) {
        constexpr s32 kOps[] = {0x00, 0x01, 0x50, 0xa0, 0x41, 0xe1};
        const u32 operand = scalar_but(base);
        emit(static_cast<u8>(kStx | kAtomic | s), base, operand, off, random_.pick(kOps));
      }
      return;
    default: {
      const u32 dst = target();
      emit(static_cast<u8>(kLdx | kMem | s), dst, base, off, 0);
      reg(dst) = {Kind::kScalar, ~0u};
    }
  }
}

void Generator::context_access() {
  if (reg(6).kind != Kind::kCtx) return;
  const u32 dst = target();
  constexpr s32 kSkb[] = {0, 0, 4, 16, 16, 24, 32, 40, 40, 48, 52, 60, 64, 68, 68, 76, 104, 140};
  constexpr s32 kRaw[] = {8, 8, 16, 24, 32};
  constexpr s32 kXdpFields[] = {0, 4, 8, 12, 12, 16, 16};  // pointers, then numbers
  s32 off = program_.type == kXdp         ? random_.pick(kXdpFields)
            : has_packet()                ? random_.pick(kSkb)
            : program_.type == kStructOps ? 0
                                          : random_.pick(kRaw);
  const u8 s = has_packet() ? kW : kDw;
  if (mistake()) off += 1 + static_cast<s32>(random_.below(7));
  if (mistake()) off = 400;
  if (random_.percent(8)) {
    emit(static_cast<u8>(kStx | kMem | s), 6, scalar(), off, 0);
    return;
  }
  emit(static_cast<u8>(kLdx | kMem | s), dst, 6, off, 0);
  reg(dst) = {program_.type == kStructOps ? Kind::kNone : Kind::kScalar, ~0u};
  if (program_.type == kSchedCls && (off == 76 || off == 80)) reg(dst) = {};
  if (program_.type == kXdp && off < 12) reg(dst) = {};
}

void Generator::spill() {
  const Kind kinds[] = {Kind::kValue, Kind::kScalar, Kind::kCtx, Kind::kTask, Kind::kValueOrNull};
  const u32 src = any(kinds[random_.below(5)]);
  if (src > 9) return;
  const s32 off = -40 - 8 * static_cast<s32>(random_.below(3));
  emit(kStx | kMem | kDw, 10, src, off, 0);
  const Register held = reg(src);
  if (mistake()) store_imm(10, off + 4, kB, 1);
  if (random_.percent(60)) block(1, 3);
  const u32 dst = target();
  emit(static_cast<u8>(kLdx | kMem | (mistake() ? u8{kW} : u8{kDw})), dst, 10, off, 0);
  reg(dst) = held;
}

void Generator::packet() {
  emit(kLdx | kMem | kW, 2, 6, program_.type == kXdp ? 0 : 76, 0);
  emit(kLdx | kMem | kW, 3, 6, program_.type == kXdp ? 4 : 80, 0);
  const u32 need = 1 + random_.below(40);
  mov(4, 2);
  emit(kAlu64 | kAdd | kImm, 4, 0, 0, static_cast<s32>(need));
  const u8 s = size();
  const u32 n = static_cast<u32>(bytes(s));
  const u32 jump = here();
  emit(kJmp | kJgt | kReg, 4, 3, 0, 0);
  s32 off = need >= n ? static_cast<s32>(need - n) : 0;
  if (mistake()) off += 1;
  emit(static_cast<u8>(kLdx | kMem | s), 5, 2, off, 0);
  land(jump);
  for (u32 r = 2; r <= 5; ++r) reg(r) = {};
}

void Generator::task_access() {
  u32 task = any(Kind::kTask);
  if (task > 9) {
    if (program_.type != kTracepoint && program_.type != kSyscall) return arithmetic();
    call(158);  // get_current_task_btf
    mov(7, 0);
    reg(7) = {Kind::kTask, 0};
    task = 7;
  }
  constexpr std::string_view kPaths[] = {"pid", "scx.slice", "scx.dsq_vtime", "flags", "comm"};
  const std::string_view path = random_.pick(kPaths);
  const s32 off = static_cast<s32>(links_.task_offset(path)) + (mistake() ? 3 : 0);
  const u8 s = path.starts_with("scx") ? kDw : kW;
  if (random_.percent(program_.type == kStructOps ? 25 : 3)) {
    const u32 value = scalar();
    if (value != task) emit(static_cast<u8>(kStx | kMem | s), task, value, off, 0);
    return;
  }
  const u32 dst = target();
  if (dst == task) return;
  emit(static_cast<u8>(kLdx | kMem | s), dst, task, off, 0);
  reg(dst) = {Kind::kScalar, ~0u};
}

}  // namespace uscx::conformance
