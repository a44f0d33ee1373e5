// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/generator.h"

namespace uscx::conformance {

GeneratedProgram Generator::run() {
  choose_type();
  reg(1) = {Kind::kCtx, 0};
  reg(10) = {Kind::kFrame, 0};
  mov(6, 1);
  reg(6) = reg(1);
  for (int slot = 1; slot <= 4; ++slot) {
    if (random_.percent(96)) store_imm(10, static_cast<s16>(-8 * slot), kDw, random_.below(9));
  }
  if (program_.type == kStructOps) load_task();
  block(4 + random_.below(14), 0);
  leave();
  if (needs_subprogram_) add_subprogram();
  program_.insns = std::move(out_);
  return std::move(program_);
}

void Generator::choose_type() {
  constexpr u32 kTypes[] = {kSocketFilter, kSocketFilter, kSchedCls,  kSchedCls,     kTracepoint,
                            kTracepoint,   kKprobe,       kSyscall,   kSyscall,      kStructOps,
                            kStructOps,    kStructOps,    kStructOps, kRawTracepoint};
  program_.type = more_ && random_.percent(15) ? kXdp : random_.pick(kTypes);
  if (program_.type == kSyscall) program_.sleepable = true;
  if (program_.type == kStructOps) {
    constexpr std::string_view kMembers[] = {"enqueue", "running", "tick", "stopping"};
    program_.attach_btf_id = links_.btf_id("sched_ext_ops", false);
    program_.expected_attach_type = links_.ops_member(random_.pick(kMembers));
  }
}

void Generator::load_task() {
  emit(kLdx | kMem | kDw, 7, 6, mistake() ? 8 : 0, 0);
  reg(7) = {Kind::kTask, 0};
}

void Generator::block(u32 steps, u32 depth) {
  for (u32 i = 0; i < steps && here() < 220; ++i) step(depth);
}

void Generator::step(u32 depth) {
  if (more_ && random_.percent(30)) return step_more(depth);
  switch (random_.below(20)) {
    case 0:
    case 1:
    case 2:
      return arithmetic();
    case 3:
    case 4:
      return condition(depth);
    case 5:
      return loop(depth);
    case 6:
    case 7:
      return stack_access();
    case 8:
    case 9:
    case 10:
      return lookup();
    case 11:
    case 12:
    case 13:
      return value_access();
    case 14:
      return context_access();
    case 15:
      return spill();
    case 16:
      return helper();
    case 17:
      return program_.type == kSchedCls || program_.type == kXdp ? packet() : task_access();
    case 18:
      return kfunc();
    default:
      return random_.percent(30) ? subprogram_call() : bound();
  }
}

void Generator::arithmetic() {
  constexpr u8 kOps[] = {0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0};
  const u8 op = random_.pick(kOps);
  const u8 cls = random_.percent(65) ? kAlu64 : kAlu;
  const u32 dst = mistake() ? target() : scalar();
  if (random_.percent(60)) {
    s32 imm = static_cast<s32>(random_.below(64)) + 1;
    if (op == 0x60 || op == 0x70 || op == 0xc0) imm &= 31;
    if (random_.percent(10)) imm = -imm;
    emit(static_cast<u8>(cls | op | kImm), dst, 0, 0, imm);
  } else {
    emit(static_cast<u8>(cls | op | kReg), dst, mistake() ? target() : scalar(), 0, 0);
  }
  reg(dst) = {Kind::kScalar, ~0u};
}

void Generator::bound() {
  const u32 r = scalar();
  bound_below(r, 1 + random_.below(64));
}

void Generator::bound_below(u32 r, u32 limit) {
  if (random_.percent(50) || sections_) {
    u32 mask = 1;
    while (mask * 2 + 1 <= limit) mask = mask * 2 + 1;
    emit(kAlu64 | 0x50 | kImm, r, 0, 0, static_cast<s32>(mask));
    reg(r) = {Kind::kScalar, mask};
    return;
  }
  // if r > limit goto exit; signed now and then, which leaves negative numbers in.
  const u8 op = random_.percent(92) ? kJgt : kJsgt;
  emit(static_cast<u8>(kJmp | op | kImm), r, 0, 2, static_cast<s32>(limit));
  emit(kJmp | kJa, 0, 0, 2, 0);
  mov_imm(0, 0);
  emit(kJmp | kExit, 0, 0, 0, 0);
  // (the first jump goes to the exit, the second around it)
  out_[here() - 4].off = 1;
  reg(r) = {Kind::kScalar, limit};
  reg(0) = {};
}

void Generator::merge(const Registers& other) {
  for (u32 r = 0; r < 10; ++r) {
    if (regs_[r].kind != other[r].kind) regs_[r] = {};
    regs_[r].bound = std::max(regs_[r].bound, other[r].bound);
  }
}

void Generator::condition(u32 depth) {
  if (depth > 2) return arithmetic();
  constexpr u8 kOps[] = {kJeq, kJgt, kJge, kJset, kJne, kJsgt, 0x70, 0xa0, 0xb0, 0xc0, 0xd0};
  const u8 cls = random_.percent(70) ? kJmp : kJmp32;
  const u32 r = scalar();
  const u8 op = random_.pick(kOps);
  u32 jump;
  if (random_.percent(65)) {
    jump = here();
    emit(static_cast<u8>(cls | op | kImm), r, 0, 0, static_cast<s32>(random_.below(70)));
  } else {
    const u32 other = scalar();
    jump = here();
    emit(static_cast<u8>(cls | op | kReg), r, other, 0, 0);
  }
  const auto before = regs_;
  block(1 + random_.below(4), depth + 1);
  land(jump);
  merge(before);
}

void Generator::loop(u32 depth) {
  if (depth > 0 || reserved_) return condition(depth);
  mov_imm(9, 0);
  reserved_ |= 1u << 9;
  const u32 top = here();
  const auto before = regs_;
  block(1 + random_.below(4), depth + 1);
  if (!mistake()) emit(kAlu64 | kAdd | kImm, 9, 0, 0, 1);
  const u32 limit = random_.percent(90) ? 1 + random_.below(12) : 40;
  emit(kJmp | 0xa0 | kImm, 9, 0, static_cast<s32>(top) - static_cast<s32>(here()) - 1,
       static_cast<s32>(limit));
  reserved_ &= ~(1u << 9);
  merge(before);
  reg(9) = {Kind::kScalar, limit};
}

void Generator::leave() {
  if (!mistake()) mov_imm(0, static_cast<s32>(random_.below(2)));
  emit(kJmp | kExit, 0, 0, 0, 0);
}

}  // namespace uscx::conformance
