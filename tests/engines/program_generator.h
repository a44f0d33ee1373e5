// SPDX-License-Identifier: GPL-2.0-only
// Writes valid random programs: every register is written before it is read, every jump leads to an
// instruction.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "bpf/exec/exec.h"
#include "bpf/exec/jump_target.h"
#include "bpf/isa.h"
#include "bpf/maps/arena.h"

namespace uscx::bpf::test {

using namespace isa;

inline constexpr u32 kDataBytes = 64;
inline constexpr u64 kArenaStart = (u64{1} << 44) + 0x8000'0000;  // of user space
inline constexpr u32 kArenaPages = 8;
inline constexpr u64 kPage = ArenaMap::kPage;
inline constexpr u32 kStackBytes = kStackSize * kMaxFrames;
inline constexpr u32 kMapEntries = 4;
inline constexpr u32 kValueBytes = 24;
inline constexpr s32 kLookup = 1, kMix = 2, kTailCall = 12, kCallBack = 300;  // helpers
inline constexpr u32 kPacketBytes = 32;
inline constexpr u32 kCallsItself = 1;  // of the programs to tail call
inline constexpr s32 kSomeKfunc = 0, kThrow = 1;

/// What programs may know the addresses of.
struct Places {
  std::vector<u64> blocks;
  std::vector<u64> maps;
  u64 prog_array = 0;
  u64 skb = 0;
};

/// Writes one valid program.
class Generator {
 public:
  Generator(Random& random, const Places& places)
      : random_(random), places_(places), blocks_(places.blocks), maps_(places.maps) {}

  /// Where its indirect jumps go.
  std::vector<u32> jump_targets() const { return jump_targets_; }

  Program program() {
    const u32 subprograms = 1 + below(3);
    std::vector<u32> starts;
    for (u32 i = 0; i < subprograms; i++) {
      starts.push_back(size());
      first_callee_ = i + 1;
      last_callee_ = subprograms;
      subprogram(i == 0);
    }
    for (const auto& [at, callee] : calls_) {
      if (is_call(insns_[at])) {
        insns_[at].imm = static_cast<s32>(starts[callee]) - static_cast<s32>(at) - 1;
      } else {
        const u64 value = encode_callback(starts[callee]);
        insns_[at].imm = static_cast<s32>(value);
        insns_[at + 1].imm = static_cast<s32>(value >> 32);
      }
    }
    Program program;
    program.name = "random";
    program.insns = std::move(insns_);
    program.subprogram_starts = std::move(starts);
    if (subprograms > 1 && chance(50))
      program.exception_callback = program.subprogram_starts.back();
    return program;
  }

 private:
  u32 below(u32 n) { return static_cast<u32>(random_.below(n)); }
  bool chance(u32 percent) { return below(100) < percent; }
  u32 size() const { return static_cast<u32>(insns_.size()); }
  u8 any_register() { return static_cast<u8>(below(10)); }
  void emit(int code, u8 dst, u8 src, s32 off, s32 imm) {
    insns_.push_back({static_cast<u8>(code), static_cast<u8>(dst & 15), static_cast<u8>(src & 15),
                      static_cast<s16>(off), imm});
  }
  s32 number() {
    static constexpr s32 kEdges[] = {0,   1,   -1,   2,   31,     32,        63,       64,
                                     127, 128, -128, 255, 0x7fff, INT32_MAX, INT32_MIN};
    return chance(40) ? kEdges[below(std::size(kEdges))] : static_cast<s32>(random_.next());
  }
  u64 wide_number() {
    static constexpr u64 kEdges[] = {0,          1ULL << 63,    ~0ULL,
                                     1ULL << 32, 0xffffffffULL, 0x80000000ULL};
    return chance(40) ? kEdges[below(std::size(kEdges))] : random_.next();
  }
  void wide(u8 dst, u64 value) {
    emit(kLdImm64, dst, 0, 0, static_cast<s32>(value));
    emit(0, 0, 0, 0, static_cast<s32>(value >> 32));
  }
  void set(u8 r) {
    if (chance(50)) return wide(r, wide_number());
    emit(kAlu64 | kMov | kK, r, 0, 0, number());
  }

  void subprogram(bool main) {
    jumps_.clear();
    for (u8 r = main ? 1 : 6; r < 10; r++) set(r);
    set(0);
    const u32 length = 4 + below(28);
    if (first_callee_ < last_callee_) call(2 + below(2), first_callee_);  // so that it is reached
    for (u32 i = 0; i < length; i++) statement();
    // All registers become memory, which is compared.
    const u32 end = size();
    for (u8 r = 0; r < 10; r++) {
      emit(kStx | kMem | kDw, 10, r, main ? -8 * (r + 1) : -8 * (r + 11), 0);
    }
    emit(kExitOpcode, 0, 0, 0, 0);
    for (const auto& [at, anywhere] : jumps_) {
      // To the start of some statement: a later one, mostly.
      u32 target = end;
      const auto later = std::ranges::upper_bound(starts_, at);
      const u32 nr_later = static_cast<u32>(starts_.end() - later);
      if (anywhere) target = starts_[below(static_cast<u32>(starts_.size()))];
      if (!anywhere && nr_later) target = later[below(nr_later)];
      if (insns_[at].code == kLdImm64) {
        const u64 value = encode_jump_target(target);
        insns_[at].imm = static_cast<s32>(value);
        insns_[at + 1].imm = static_cast<s32>(value >> 32);
        if (chance(97)) jump_targets_.push_back(target);
        continue;
      }
      const s32 distance = static_cast<s32>(target) - static_cast<s32>(at) - 1;
      if (insns_[at].code == kGotol) {
        insns_[at].imm = distance;
      } else {
        insns_[at].off = static_cast<s16>(distance);
      }
    }
    starts_.clear();
  }

  void statement() {
    starts_.push_back(size());
    const u32 kind = below(100);
    if (kind < 45) {
      arithmetic();
    } else if (kind < 70) {
      memory();
    } else if (kind < 85) {
      jump();
    } else if (kind < 93) {
      set(any_register());
    } else {
      call();
    }
  }

  void arithmetic() {
    static constexpr u8 kOps[] = {kAdd, kSub, kMul, kDiv, kOr,  kAnd,  kLsh,
                                  kRsh, kNeg, kMod, kXor, kMov, kArsh, kEnd};
    const u8 op = kOps[below(std::size(kOps))];
    const bool wide = chance(50);
    const bool from_register = chance(50);
    const u8 cls = wide ? kAlu64 : kAlu;
    const u8 dst = any_register();
    const u8 src = chance(90) ? any_register() : 10;
    s32 imm = number();
    if (op == kNeg) return emit(cls | op, dst, 0, 0, 0);
    if (op == kEnd) {
      // On ALU64 a swap; on ALU to little (K) or big (X) endian.
      return emit(cls | op | (!wide && from_register ? kX : kK), dst, 0, 0, 16 << below(3));
    }
    s32 off = 0;
    if (op == kDiv || op == kMod) {
      off = chance(50) ? 1 : 0;
      if (imm == 0) imm = 3;
    }
    if (op == kLsh || op == kRsh || op == kArsh) imm &= wide ? 63 : 31;
    if (op == kMov && from_register && src != 10) {
      static constexpr s32 kSigned[] = {0, 0, 8, 16, 32};
      off = kSigned[below(wide ? 5 : 4)];
    }
    if (from_register) {
      if (src == 10 && !(op == kMov && wide) && op != kAdd)
        return emit(cls | op | kX, dst, dst, off, 0);
      return emit(cls | op | kX, dst, src == 10 && !wide ? dst : src, off, 0);
    }
    emit(cls | op | kK, dst, 0, off, imm);
    if (chance(3)) emit(kAlu64 | kMov | kX, dst, any_register(), kAddrSpaceCast, 1 << 16);
  }

  /// A register and offset that point at something, mostly.
  std::pair<u8, s32> place(u32 bytes) {
    const s32 aligned = -static_cast<s32>((1 + below(kStackSize / bytes)) * bytes);
    if (chance(50)) return {10, aligned};
    const u8 base = static_cast<u8>(6 + below(4));
    if (chance(25)) {
      if (chance(5)) {  // the ends of what is near
        emit(kAlu | kMov | kK, base, 0, 0, static_cast<s32>(below(64)) - 32);
        return {base, chance(50) ? INT16_MIN : INT16_MAX - 32};
      }
      wide(base, kArenaStart + below(kArenaPages + 1) * kPage + (chance(50) ? 8 * below(512) : 0));
      emit(kAlu64 | kMov | kX, base, base, kAddrSpaceCast, 1);
      if (chance(20)) emit(kAlu64 | kAdd | kK, base, 0, 0, static_cast<s32>(below(64)) - 8);
      return {base, static_cast<s32>(below(16)) - 4};
    }
    if (chance(30)) {
      emit(kAlu64 | kMov | kX, base, 10, 0, 0);
      emit(kAlu64 | kAdd | kK, base, 0, 0,
           aligned + (chance(4) ? static_cast<s32>(below(1024)) : 0));
      return {base, chance(70) ? 0 : static_cast<s32>(below(16)) - 8};
    }
    if (chance(98)) {
      wide(base, chance(85) ? blocks_[0] : blocks_[below(static_cast<u32>(blocks_.size()))]);
      if (chance(5)) {
        emit(kAlu64 | kMov | kK, 0, 0, 0, static_cast<s32>(below(kDataBytes)));
        emit(kAlu64 | kAdd | kX, base, 0, 0, 0);
      }
      return {base, static_cast<s32>(below(kDataBytes / bytes) * bytes) +
                        (chance(2) ? static_cast<s32>(below(256)) - 128 : 0)};
    }
    return {any_register(), static_cast<s32>(below(32)) - 16};
  }

  void memory() {
    static constexpr u8 kSizes[] = {kB, kH, kW, kDw};
    const u32 log2 = below(4);
    const u8 size = kSizes[log2];
    const auto [base, off] = place(1u << log2);
    const u8 other = any_register();
    switch (below(6)) {
      case 0:
        return emit(kLdx | kMem | size, other, base, off, 0);
      case 1:
        return emit(kLdx | (size == kDw ? kMem : kMemsx) | size, other, base, off, 0);
      case 2:
        return emit(kSt | kMem | size, base, 0, off, number());
      case 3:
        return emit(kStx | kMem | size, base, other, off, 0);
      case 4:
        if (chance(50)) return emit(kStx | kAtomic | size, other, base, off, kLoadAcquire);
        return emit(kStx | kAtomic | size, base, other, off, kStoreRelease);
      default: {
        static constexpr s32 kOps[] = {kAdd,  kAdd | kFetch, kOr,  kOr | kFetch,
                                       kAnd,  kAnd | kFetch, kXor, kXor | kFetch,
                                       kXchg, kCmpxchg};
        const auto [where, at] = place(log2 < 2 || chance(50) ? 8 : 4);
        return emit(kStx | kAtomic | (at % 8 == 0 && chance(60) ? kDw : kW), where, other, at,
                    kOps[below(std::size(kOps))]);
      }
    }
  }

  /// By the name of an instruction, mostly.
  void jump_indirect() {
    const u8 r = any_register();
    jumps_.emplace_back(size(), chance(10));
    wide(r, 0);
    if (chance(3)) emit(kAlu64 | kAdd | kK, r, 0, 0, number());
    emit(kGotox, r, 0, 0, 0);
  }

  /// LD_ABS or LD_IND, of a packet mostly.
  void load_packet() {
    static constexpr u8 kSizes[] = {kB, kH, kW};
    static constexpr s32 kHeaders[] = {-0x100000, -0x200000};
    if (chance(97)) wide(6, places_.skb);
    s32 off = static_cast<s32>(below(kPacketBytes + 1)) - 2;
    if (chance(10)) off += kHeaders[below(2)];
    const u8 src = any_register();
    const bool indirect = chance(50);
    if (indirect && src != 6) emit(kAlu64 | kMov | kK, src, 0, 0, static_cast<s32>(below(8)));
    emit(kLd | (indirect ? kInd : kAbs) | kSizes[below(3)], 0, indirect ? src : 0, 0, off);
  }

  void tail_call() {
    set(1);
    wide(2, chance(97) ? places_.prog_array : blocks_[0]);
    emit(kAlu64 | kMov | kK, 3, 0, 0, static_cast<s32>(below(8)));
    emit(kCallOpcode, 0, 0, 0, kTailCall);
  }

  void jump() {
    if (chance(12)) return jump_indirect();
    static constexpr u8 kOps[] = {kJeq,  kJgt, kJge, kJset, kJne, kJsgt,
                                  kJsge, kJlt, kJle, kJslt, kJsle};
    const bool always = chance(10);
    if (always) emit(kJmp | kJset | kK, any_register(), 0, 1, number());  // around the goto
    jumps_.emplace_back(size(), chance(6));
    if (always) return emit(chance(50) ? kGoto : kGotol, 0, 0, 0, 0);
    if (chance(6)) return emit(kMayGoto, 0, 0, 0, 0);
    const u8 cls = chance(50) ? kJmp : kJmp32;
    const u8 op = kOps[below(std::size(kOps))];
    if (chance(50)) return emit(cls | op | kX, any_register(), any_register(), 0, 0);
    emit(cls | op | kK, any_register(), 0, 0, number());
  }

  void call() {
    const u32 callees = last_callee_ - first_callee_;
    call(below(callees ? 4 : 2), first_callee_ + (callees ? below(callees) : 0));
  }

  /// R0 becomes a value of a map, mostly, which is then used.
  void lookup() {
    if (chance(90)) {
      const s32 key = -static_cast<s32>(8 * (1 + below(8)));
      if (chance(80)) emit(kSt | kMem | kW, 10, 0, key, static_cast<s32>(below(kMapEntries + 1)));
      emit(kAlu64 | kMov | kX, 2, 10, 0, 0);
      emit(kAlu64 | kAdd | kK, 2, 0, 0, key);
    } else {
      wide(2, chance(70) ? blocks_[0] : wide_number());
    }
    wide(1, maps_[below(static_cast<u32>(maps_.size()))]);
    emit(kCallOpcode, 0, 0, 0, kLookup);
    const s32 off = static_cast<s32>(below(4)) * 8;  // the last is beyond the value
    emit(kJmp | kJeq | kK, 0, 0, 1, 0);
    if (chance(50)) return emit(kLdx | kMem | kDw, any_register(), 0, off, 0);
    emit(kStx | kMem | kW, 0, any_register(), off, 0);
  }

  /// A call of what a register says.
  void call_by_register() {
    const u8 r = any_register();
    emit(kAlu64 | kMov | kK, r, 0, 0, chance(95) ? kMix : number());
    emit(kCallOpcode | kX, r, 0, 0, 0);
  }

  /// 0: a helper, 1: a kfunc, 2: subprogram `which`, 3: the same as a callback.
  void call(u32 kind, u32 which) {
    for (u8 r = 1; r < 6; r++) {
      if (chance(20)) set(r);
    }
    if (kind == 0) {
      if (chance(10)) {
        load_packet();
      } else if (chance(10)) {
        tail_call();
      } else if (chance(40)) {
        lookup();
      } else if (chance(15)) {
        call_by_register();
      } else {
        emit(kCallOpcode, 0, 0, 0, kMix);
      }
    } else if (kind == 1) {
      emit(kCallOpcode, 0, kPseudoKfuncCall, 0, chance(10) ? kThrow : kSomeKfunc);
    } else {
      calls_.emplace_back(size(), which);
      if (kind == 2) {
        emit(kCallOpcode, 0, kPseudoCall, 0, 0);
      } else {
        wide(1, 0);
        emit(kCallOpcode, 0, 0, 0, kCallBack);
      }
    }
    for (u8 r = 1; r < 6; r++) {
      if (chance(70)) set(r);  // else zero
    }
  }

  Random& random_;
  const Places& places_;
  std::vector<u32> jump_targets_;
  const std::vector<u64>& blocks_;
  const std::vector<u64>& maps_;
  std::vector<Insn> insns_;
  std::vector<u32> starts_;                  // of statements
  std::vector<std::pair<u32, bool>> jumps_;  // insn, and: to any statement, not a later one
  std::vector<std::pair<u32, u32>> calls_;   // insn, and which subprogram
  u32 first_callee_ = 0;
  u32 last_callee_ = 0;
};

}  // namespace uscx::bpf::test
