// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/generate.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

namespace uscx::conformance {

namespace {

using bpf::Insn;

constexpr u8 kLd = 0, kLdx = 1, kSt = 2, kStx = 3, kAlu = 4, kJmp = 5, kJmp32 = 6, kAlu64 = 7;
constexpr u8 kImm = 0x00, kReg = 0x08;
constexpr u8 kW = 0x00, kH = 0x08, kB = 0x10, kDw = 0x18, kMem = 0x60, kAtomic = 0xc0;
constexpr u8 kAdd = 0x00, kMov = 0xb0, kNeg = 0x80, kJa = 0x00, kCall = 0x80, kExit = 0x90;
constexpr u8 kJeq = 0x10, kJgt = 0x20, kJge = 0x30, kJset = 0x40, kJne = 0x50, kJsgt = 0x60;

// Program types.
constexpr u32 kSocketFilter = 1, kKprobe = 2, kSchedCls = 3, kTracepoint = 5, kRawTracepoint = 17,
              kStructOps = 27, kSyscall = 31;

/// What the generator believes a register to hold.
enum class Kind : u8 { kNone, kScalar, kCtx, kFrame, kValue, kValueOrNull, kTask, kPacket, kEnd };

struct Register {
  Kind kind = Kind::kNone;
  u32 bound = ~0u;  // a scalar is at most this; a map value has this size
};

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
  Generator(u64 seed, const GeneratorLinks& links) : random_(seed), links_(links) {}

  GeneratedProgram run() {
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

 private:
  static constexpr u32 kMistake = 2;  // per cent of steps that are slightly wrong

  Register& reg(u32 r) { return regs_[r]; }
  u32 here() const { return static_cast<u32>(out_.size()); }
  Insn& emit(u8 code, u32 dst, u32 src, s32 off, s32 imm) {
    Insn insn{};
    insn.code = code;
    insn.dst = static_cast<u8>(dst & 15);
    insn.src = static_cast<u8>(src & 15);
    insn.off = static_cast<s16>(off);
    insn.imm = imm;
    out_.push_back(insn);
    return out_.back();
  }
  void mov(u32 dst, u32 src) { emit(kAlu64 | kMov | kReg, dst, src, 0, 0); }
  void mov_imm(u32 dst, s32 imm) {
    emit(kAlu64 | kMov | kImm, dst, 0, 0, imm);
    reg(dst) = {Kind::kScalar, static_cast<u32>(imm)};
  }
  void store_imm(u32 base, s32 off, u8 size, u32 imm) {
    emit(static_cast<u8>(kSt | kMem | size), base, 0, off, static_cast<s32>(imm));
  }
  bool mistake() { return random_.percent(kMistake); }

  void choose_type() {
    constexpr u32 kTypes[] = {kSocketFilter, kSocketFilter, kSchedCls,  kSchedCls,     kTracepoint,
                              kTracepoint,   kKprobe,       kSyscall,   kSyscall,      kStructOps,
                              kStructOps,    kStructOps,    kStructOps, kRawTracepoint};
    program_.type = random_.pick(kTypes);
    if (program_.type == kSyscall) program_.sleepable = true;
    if (program_.type == kStructOps) {
      constexpr std::string_view kMembers[] = {"enqueue", "running", "tick", "stopping"};
      program_.attach_btf_id = links_.btf_id("sched_ext_ops", false);
      program_.expected_attach_type = links_.ops_member(random_.pick(kMembers));
    }
  }

  void load_task() {
    emit(kLdx | kMem | kDw, 7, 6, mistake() ? 8 : 0, 0);
    reg(7) = {Kind::kTask, 0};
  }

  /// A register of `kind`, or 16 where there is none.
  u32 any(Kind kind) {
    u32 found[10], n = 0;
    for (u32 r = 0; r < 10; ++r) {
      if (regs_[r].kind == kind && !(reserved_ & (1u << r))) found[n++] = r;
    }
    return n ? found[random_.below(n)] : 16;
  }
  /// A register to overwrite: not the context's, not a loop's counter.
  u32 target() {
    u32 r = random_.below(10);
    while (r == 6 || (reserved_ & (1u << r))) r = random_.below(10);
    return r;
  }
  u32 scalar() {
    const u32 r = any(Kind::kScalar);
    if (r < 16 && random_.percent(75)) return r;
    const u32 fresh = target();
    if (random_.percent(50)) {
      mov_imm(fresh, static_cast<s32>(random_.below(64)) - (random_.percent(20) ? 32 : 0));
    } else {
      unknown_scalar(fresh);
    }
    return fresh;
  }
  void unknown_scalar(u32 dst) {
    emit(kLdx | kMem | kDw, dst, 10, -8 * static_cast<s32>(1 + random_.below(4)), 0);
    reg(dst) = {Kind::kScalar, ~0u};
    if (random_.percent(50)) {
      call(7);  // get_prandom_u32
      mov(dst, 0);
      reg(dst) = {Kind::kScalar, ~0u};
    }
  }
  void clobber() {
    for (u32 r = 0; r <= 5; ++r) reg(r) = {};
  }
  void call(s32 helper) {
    emit(kJmp | kCall, 0, 0, 0, helper);
    clobber();
    reg(0) = {Kind::kScalar, ~0u};
  }

  void block(u32 steps, u32 depth) {
    for (u32 i = 0; i < steps && here() < 220; ++i) step(depth);
  }

  void step(u32 depth) {
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
        return program_.type == kSchedCls ? packet() : task_access();
      case 18:
        return kfunc();
      default:
        return random_.percent(30) ? subprogram_call() : bound();
    }
  }

  void arithmetic() {
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

  /// Masks or compares a scalar, so that it can be an offset.
  void bound() { bound_below(scalar(), 1 + random_.below(64)); }
  void bound_below(u32 r, u32 limit) {
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

  void merge(const std::array<Register, 11>& other) {
    for (u32 r = 0; r < 10; ++r) {
      if (regs_[r].kind != other[r].kind) regs_[r] = {};
      regs_[r].bound = std::max(regs_[r].bound, other[r].bound);
    }
  }

  void condition(u32 depth) {
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
    out_[jump].off = static_cast<s16>(here() - jump - 1);
    merge(before);
  }

  void loop(u32 depth) {
    if (depth > 0 || reserved_) return condition(depth);
    mov_imm(9, 0);
    reserved_ |= 1u << 9;
    const u32 top = here();
    const auto before = regs_;
    block(1 + random_.below(4), depth + 1);
    if (!mistake()) emit(kAlu64 | kAdd | kImm, 9, 0, 0, 1);
    const u32 limit = random_.percent(90) ? 1 + random_.below(12) : 400;
    emit(kJmp | 0xa0 | kImm, 9, 0, static_cast<s32>(top) - static_cast<s32>(here()) - 1,
         static_cast<s32>(limit));
    reserved_ &= ~(1u << 9);
    merge(before);
    reg(9) = {Kind::kScalar, limit};
  }

  u8 size() {
    constexpr u8 kSizes[] = {kW, kH, kB, kDw, kDw};
    return random_.pick(kSizes);
  }
  static s32 bytes(u8 size) { return size == kDw ? 8 : size == kW ? 4 : size == kH ? 2 : 1; }

  void stack_access() {
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

  void ld_map(u32 dst, u32 map) {
    emit(kLd | kDw, dst, 1, 0, links_.map_fds[map]);
    emit(0, 0, 0, 0, 0);
  }

  void lookup() {
    if (sections_) return arithmetic();  // a way out would leave the section open
    const u32 map = random_.below(kGeneratedMaps.size());
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

  void value_access() {
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
      off =
          static_cast<s32>(room - n) - static_cast<s32>(reg(index).bound) + static_cast<s32>(slack);
      reg(use) = {};
    } else if (mistake()) {
      off = static_cast<s32>(room - n) + 1 + static_cast<s32>(random_.below(4));
    }
    if (mistake()) off = -off;
    access(use, off, s);
  }

  /// A load, a store or an atomic operation.
  void access(u32 base, s32 off, u8 s) {
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
          emit(static_cast<u8>(kStx | kAtomic | s), base, scalar_but(base), off,
               random_.pick(kOps));
        }
        return;
      default: {
        const u32 dst = target();
        emit(static_cast<u8>(kLdx | kMem | s), dst, base, off, 0);
        reg(dst) = {Kind::kScalar, ~0u};
      }
    }
  }
  u32 scalar_but(u32 base) {
    const u32 r = any(Kind::kScalar);
    if (r < 16 && r != base) return r;
    return 10;  // a pointer: a leak, where that matters
  }

  void context_access() {
    if (reg(6).kind != Kind::kCtx) return;
    const u32 dst = target();
    constexpr s32 kSkb[] = {0, 0, 4, 16, 16, 24, 32, 40, 40, 48, 52, 60, 64, 68, 68, 76, 104, 140};
    constexpr s32 kRaw[] = {8, 8, 16, 24, 32};
    s32 off = program_.type == kSocketFilter || program_.type == kSchedCls ? random_.pick(kSkb)
              : program_.type == kStructOps                                ? 0
                                                                           : random_.pick(kRaw);
    const u8 s = program_.type == kSocketFilter || program_.type == kSchedCls ? kW : kDw;
    if (mistake()) off += 1 + static_cast<s32>(random_.below(7));
    if (mistake()) off = 400;
    if (random_.percent(8)) {
      emit(static_cast<u8>(kStx | kMem | s), 6, scalar(), off, 0);
      return;
    }
    emit(static_cast<u8>(kLdx | kMem | s), dst, 6, off, 0);
    reg(dst) = {program_.type == kStructOps ? Kind::kNone : Kind::kScalar, ~0u};
    if (program_.type == kSchedCls && (off == 76 || off == 80)) reg(dst) = {};
  }

  void spill() {
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

  void helper() {
    switch (random_.below(5)) {
      case 0:
        call(5);  // ktime_get_ns
        return;
      case 1:
        call(8);  // get_smp_processor_id
        return;
      case 2: {  // map_update_elem
        const u32 map = random_.below(kGeneratedMaps.size());
        const u32 value = any(Kind::kValue);
        ld_map(1, map);
        mov(2, 10);
        emit(kAlu64 | kAdd | kImm, 2, 0, 0, -8);
        if (value > 5 && value < 10 && random_.percent(50)) {
          mov(3, value);
        } else {
          mov(3, 10);
          emit(kAlu64 | kAdd | kImm, 3, 0, 0, random_.percent(50) ? -32 : -24);
        }
        mov_imm(4, 0);
        call(2);
        return;
      }
      case 3: {  // map_delete_elem
        ld_map(1, 1);
        mov(2, 10);
        emit(kAlu64 | kAdd | kImm, 2, 0, 0, -8 * static_cast<s32>(1 + random_.below(5)));
        call(3);
        return;
      }
      default: {  // probe_read_kernel, or skb_load_bytes, into the stack, a bounded number of bytes
        const u32 n = scalar();
        const u32 limit = 1 + random_.below(40);
        bound_below(n, limit);
        if (n <= 4 && n != 2) mov(5, n);
        const bool skb = program_.type == kSocketFilter || program_.type == kSchedCls;
        const u32 length = n <= 4 && n != 2 ? 5 : n;
        if (skb) {
          mov(4, length);
          mov(1, 6);
          mov_imm(2, 0);
          mov(3, 10);
          emit(kAlu64 | kAdd | kImm, 3, 0, 0, -32);
          call(26);
        } else {
          mov(2, length);
          mov(1, 10);
          emit(kAlu64 | kAdd | kImm, 1, 0, 0, -32);
          mov_imm(3, 0);
          call(113);
        }
      }
    }
  }

  void packet() {
    emit(kLdx | kMem | kW, 2, 6, 76, 0);
    emit(kLdx | kMem | kW, 3, 6, 80, 0);
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
    out_[jump].off = static_cast<s16>(here() - jump - 1);
    for (u32 r = 2; r <= 5; ++r) reg(r) = {};
  }

  void task_access() {
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

  void call_kfunc(std::string_view name) {
    emit(kJmp | kCall, 0, 2, 0, static_cast<s32>(links_.btf_id(name, true)));
    clobber();
    // A result, of those that have one.
    constexpr std::string_view kVoid[] = {"bpf_rcu_read_lock", "bpf_rcu_read_unlock",
                                          "bpf_task_release", "bpf_iter_num_destroy"};
    if (std::find(std::begin(kVoid), std::end(kVoid), name) == std::end(kVoid)) {
      reg(0) = {Kind::kScalar, ~0u};
    }
  }

  void kfunc() {
    if (program_.type == kSocketFilter || program_.type == kSchedCls) return helper();
    if (sections_) return arithmetic();
    switch (random_.below(4)) {
      case 0:  // an RCU section
        call_kfunc("bpf_rcu_read_lock");
        ++sections_;
        block(1 + random_.below(2), 3);
        --sections_;
        if (!mistake()) call_kfunc("bpf_rcu_read_unlock");
        return;
      case 1: {  // a reference, released or not
        mov_imm(1, static_cast<s32>(random_.below(5)));
        call_kfunc("bpf_task_from_pid");
        const u32 jump = here();
        if (!mistake()) emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
        const bool checked = here() > jump;
        mov(1, 0);
        if (mistake()) emit(kLdx | kMem | kW, 2, 1, static_cast<s32>(links_.task_offset("pid")), 0);
        if (!mistake()) call_kfunc("bpf_task_release");
        if (checked) out_[jump].off = static_cast<s16>(here() - jump - 1);
        clobber();
        return;
      }
      case 2: {  // for (i = 0; i < n; i++)
        mov(1, 10);
        emit(kAlu64 | kAdd | kImm, 1, 0, 0, -80);
        mov_imm(2, 0);
        mov_imm(3, 1 + static_cast<s32>(random_.below(6)));
        call_kfunc("bpf_iter_num_new");
        const u32 top = here();
        mov(1, 10);
        emit(kAlu64 | kAdd | kImm, 1, 0, 0, -80);
        call_kfunc("bpf_iter_num_next");
        const u32 jump = here();
        emit(kJmp | kJeq | kImm, 0, 0, 0, 0);
        const auto before = regs_;
        ++sections_;
        block(1, 3);
        --sections_;
        emit(kJmp | kJa, 0, 0, static_cast<s32>(top) - static_cast<s32>(here()) - 1, 0);
        out_[jump].off = static_cast<s16>(here() - jump - 1);
        merge(before);
        mov(1, 10);
        emit(kAlu64 | kAdd | kImm, 1, 0, 0, -80);
        if (!mistake()) call_kfunc("bpf_iter_num_destroy");
        return;
      }
      default:
        if (program_.type != kStructOps) return helper();
        if (const u32 task = any(Kind::kTask); task < 10 && random_.percent(70)) {
          mov(1, task);
          call_kfunc(random_.percent(70) ? "scx_bpf_task_cpu" : "scx_bpf_task_running");
          return;
        }
        mov_imm(1, 0);
        call_kfunc(random_.percent(50) ? "scx_bpf_nr_cpu_ids" : "scx_bpf_dsq_nr_queued");
    }
  }

  void subprogram_call() {
    if (here() > 150) return;
    const u32 value = any(Kind::kValue);
    if (value < 10) {
      mov(1, value);
    } else {
      mov(1, 10);
      emit(kAlu64 | kAdd | kImm, 1, 0, 0, -32);
    }
    calls_.push_back(here());
    emit(kJmp | kCall, 0, 1, 0, 0);
    clobber();
    reg(0) = {Kind::kScalar, ~0u};
    needs_subprogram_ = true;
  }

  /// static u64 f(void *p) { return *(size *)(p + off) + constant; }
  void add_subprogram() {
    const u32 start = here();
    for (const u32 at : calls_) out_[at].imm = static_cast<s32>(start - at - 1);
    const u8 s = size();
    const u32 room = mistake() ? 40 : 16;
    emit(static_cast<u8>(kLdx | kMem | s), 0, 1, static_cast<s32>(random_.below(room / 8) * 8), 0);
    emit(kAlu64 | kAdd | kImm, 0, 0, 0, 3);
    if (random_.percent(30)) store_imm(10, -8, kDw, 1);
    emit(kJmp | kExit, 0, 0, 0, 0);
  }

  void leave() {
    if (!mistake()) mov_imm(0, static_cast<s32>(random_.below(2)));
    emit(kJmp | kExit, 0, 0, 0, 0);
  }

  Random random_;
  const GeneratorLinks& links_;
  GeneratedProgram program_;
  std::vector<Insn> out_;
  std::array<Register, 11> regs_{};
  u32 reserved_ = 0;  // registers that a loop counts in
  u32 sections_ = 0;  // open RCU sections and iterators: no way out of the program
  bool needs_subprogram_ = false;
  std::vector<u32> calls_;
};

}  // namespace

GeneratedProgram generate_program(u64 seed, const GeneratorLinks& links) {
  return Generator(seed, links).run();
}

std::string refusal_template(std::string_view log) {
  std::string_view told;
  while (!log.empty()) {
    const auto eol = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, eol);
    log.remove_prefix(std::min(eol + 1, log.size()));
    if (line.starts_with("Verification failed: ")) break;  // the diagnosis comes after the reason
    const bool other = line.starts_with("processed ") || line.starts_with("verification time ") ||
                       line.starts_with("stack depth ") || line.find(" insns_self ") != line.npos;
    if (!line.empty() && !other) told = line;
  }
  std::string out;
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (!std::isxdigit(static_cast<unsigned char>(told[i])) ||
        (i && (std::isalpha(static_cast<unsigned char>(told[i - 1])) && told[i - 1] != 'R' &&
               told[i - 1] != 'x')) ||
        std::isalpha(static_cast<unsigned char>(told[i]))) {
      out += told[i];
      continue;
    }
    while (i + 1 < told.size() &&
           (std::isxdigit(static_cast<unsigned char>(told[i + 1])) || told[i + 1] == 'x')) {
      ++i;
    }
    out += '#';
  }
  return out;
}

}  // namespace uscx::conformance
