// SPDX-License-Identifier: GPL-2.0-only
// The generator of generate.h, one program at a time. It keeps what it believes of each register,
// which is enough to be right most of the time; the verifier is what decides. Random numbers are
// drawn in one order, whatever the compiler: never twice among the arguments of one call.
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "conformance/verifier/random/generate.h"

namespace uscx::conformance {

constexpr u8 kLd = 0, kLdx = 1, kSt = 2, kStx = 3, kAlu = 4, kJmp = 5, kJmp32 = 6, kAlu64 = 7;
constexpr u8 kImm = 0x00, kReg = 0x08;
constexpr u8 kW = 0x00, kH = 0x08, kB = 0x10, kDw = 0x18, kMem = 0x60, kAtomic = 0xc0;
constexpr u8 kAdd = 0x00, kMov = 0xb0, kNeg = 0x80, kJa = 0x00, kCall = 0x80, kExit = 0x90;
constexpr u8 kJeq = 0x10, kJgt = 0x20, kJge = 0x30, kJset = 0x40, kJne = 0x50, kJsgt = 0x60;

// Program types.
constexpr u32 kSocketFilter = 1, kKprobe = 2, kSchedCls = 3, kTracepoint = 5, kRawTracepoint = 17,
              kXdp = 6, kStructOps = 27, kSyscall = 31;

class Random {
 public:
  explicit Random(u64 seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
  u64 next() {
    u64 z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  u32 below(u32 n) { return static_cast<u32>(next() % n); }
  bool percent(u32 p) { return below(100) < p; }
  template <class T, std::size_t N>
  T pick(const T (&list)[N]) {
    return list[below(N)];
  }

 private:
  u64 state_;
};

class Generator {
 public:
  Generator(u64 seed, const GeneratorLinks& links)
      : random_(seed), links_(links), more_(seed >= kSecondFamily) {}

  GeneratedProgram run();

 private:
  using Insn = bpf::Insn;

  static constexpr u32 kMistake = 2;  // per cent of steps that are slightly wrong

  /// What a register is believed to hold.
  enum class Kind : u8 { kNone, kScalar, kCtx, kFrame, kValue, kValueOrNull, kTask };
  struct Register {
    Kind kind = Kind::kNone;
    u32 bound = ~0u;  // a scalar is at most this; a map value has this size
  };
  using Registers = std::array<Register, 11>;

  // The text and the registers (generate.cc).
  Register& reg(u32 r) { return regs_[r]; }
  u32 here() const { return static_cast<u32>(out_.size()); }
  Insn& emit(u8 code, u32 dst, u32 src, s32 off, s32 imm);
  void mov(u32 dst, u32 src) { emit(kAlu64 | kMov | kReg, dst, src, 0, 0); }
  void mov_imm(u32 dst, s32 imm);
  /// dst = fp + off
  void mov_frame(u32 dst, s32 off);
  void store_imm(u32 base, s32 off, u8 size, u32 imm) {
    emit(static_cast<u8>(kSt | kMem | size), base, 0, off, static_cast<s32>(imm));
  }
  void ld_map(u32 dst, u32 map);
  /// The jump at `jump` goes here.
  void land(u32 jump) { out_[jump].off = static_cast<s16>(here() - jump - 1); }
  void call(s32 helper);
  void clobber();
  bool mistake() { return random_.percent(kMistake); }
  bool has_packet() const {
    return program_.type == kSocketFilter || program_.type == kSchedCls || program_.type == kXdp;
  }
  /// A register of `kind`, or 16 where there is none.
  u32 any(Kind kind);
  /// A register to overwrite: not the context's, not a loop's counter.
  u32 target();
  u32 scalar();
  u32 scalar_but(u32 base);
  void unknown_scalar(u32 dst);
  u8 size();
  static s32 bytes(u8 size) { return size == kDw ? 8 : size == kW ? 4 : size == kH ? 2 : 1; }

  // The course of a program (generate_flow.cc).
  void choose_type();
  void load_task();
  void block(u32 steps, u32 depth);
  void step(u32 depth);
  void arithmetic();
  /// Masks or compares a scalar, so that it can be an offset.
  void bound();
  void bound_below(u32 r, u32 limit);
  void merge(const Registers& other);
  void condition(u32 depth);
  void loop(u32 depth);
  void leave();

  // Memory (generate_memory.cc).
  void stack_access();
  void lookup();
  void value_access();
  /// A load, a store or an atomic operation.
  void access(u32 base, s32 off, u8 s);
  void context_access();
  void spill();
  void packet();
  void task_access();

  // Calls (generate_calls.cc).
  void helper();
  void update_element();
  void read_into_stack();
  void ringbuf_record();
  void kfunc();
  void call_kfunc(std::string_view name);
  void section(std::string_view enter, std::string_view leave);
  void task_reference();
  void cpumask();
  void number_iterator();
  void sched_ext_kfunc();
  void subprogram_call();
  /// static u64 f(void *p) { return *(size *)(p + off) + constant; }
  void add_subprogram();

  // What only the second family does (generate_more.cc).
  void step_more(u32 depth);
  void linked_sum();
  void extend_sign();
  void narrow_fill();
  void variable_stack();
  void may_goto_loop(u32 depth);
  void nested_iterators();
  void packet_walk();
  void leaking_reference();

  Random random_;
  const GeneratorLinks& links_;
  GeneratedProgram program_;
  std::vector<Insn> out_;
  Registers regs_{};
  u32 reserved_ = 0;  // registers that a loop counts in
  u32 sections_ = 0;  // open sections, iterators and references: no way out of the program
  bool needs_subprogram_ = false;
  bool more_;
  std::vector<u32> calls_;
};

}  // namespace uscx::conformance
