// SPDX-License-Identifier: GPL-2.0-only
// Which stack slots may still be read, found before the walk: pointers to frames are followed
// through registers, spills and calls, and each instruction's reads and writes of each frame are
// noted for every chain of calls that passes them. Pruning then ignores what is dead.
// Linux: liveness.c.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

/// 128 half slots of a frame. Linux: spis_t.
struct HalfSlots {
  std::array<u64, 2> bits = {};
  static constexpr HalfSlots all() { return {{~0ull, ~0ull}}; }
  bool empty() const { return !(bits[0] | bits[1]); }
  bool has(u32 i) const { return bits[i / 64] >> (i % 64) & 1; }
  void add_range(u32 first, u32 last) {
    for (u32 i = first; i <= last && i < 128; ++i) bits[i / 64] |= 1ull << (i % 64);
  }
  HalfSlots operator|(HalfSlots o) const { return {{bits[0] | o.bits[0], bits[1] | o.bits[1]}}; }
  HalfSlots operator&(HalfSlots o) const { return {{bits[0] & o.bits[0], bits[1] & o.bits[1]}}; }
  HalfSlots without(HalfSlots o) const { return {{bits[0] & ~o.bits[0], bits[1] & ~o.bits[1]}}; }
  bool operator==(const HalfSlots&) const = default;
};

struct FrameMasks {
  HalfSlots may_read = {};
  HalfSlots must_write = {};
  HalfSlots live_before = {};
};

/// A function, called from one place at one depth. Linux: struct func_instance.
struct FuncInstance {
  u32 callsite = 0;
  u32 depth = 0;
  u32 subprog = 0;
  u32 start = 0;
  u32 insn_cnt = 0;
  std::array<std::vector<FrameMasks>, kMaxFrames> frames = {};  // by frame; empty: not accessed
  bool analyzed = false;

  FrameMasks* masks(u32 frame, u32 insn) {
    return frames[frame].empty() ? nullptr : &frames[frame][insn - start];
  }
  FrameMasks& make_masks(u32 frame, u32 insn) {
    if (frames[frame].empty()) frames[frame].resize(insn_cnt);
    return frames[frame][insn - start];
  }
};

struct Verifier;

struct StackLiveness {
  std::map<std::pair<u32, u32>, std::unique_ptr<FuncInstance>> instances = {};  // callsite, depth
  u32 subprog_calls = 0;

  /// Prepares live() for one state. Linux: bpf_live_stack_query_init.
  void query(const Verifier& v, const VerifierState& state);
  /// The half slots of a frame that may still be read.
  HalfSlots live(const Verifier& v, u32 frameno) const;
  FuncInstance* find(u32 callsite, u32 depth) const {
    auto it = instances.find({callsite, depth});
    return it == instances.end() ? nullptr : it->second.get();
  }

 private:
  std::array<FuncInstance*, kMaxFrames> query_instances_ = {};
  std::array<u32, kMaxFrames> query_callsites_ = {};
  u32 query_curframe_ = 0;
  u32 query_insn_ = 0;
};

/// Fills Verifier::liveness. Linux: bpf_compute_subprog_arg_access.
int compute_stack_accesses(Verifier& v);

}  // namespace uscx::bpf::verifier
