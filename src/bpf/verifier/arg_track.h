// SPDX-License-Identifier: GPL-2.0-only
// Where in which frame a register may point, by data flow. Linux: struct arg_track.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

struct Verifier;

/// A pointer to one frame at one of a few offsets, or anywhere in it (off_cnt 0); to one of several
/// frames (kImprecise: mask); or no pointer to a frame at all.
struct ArgTrack {
  static constexpr s8 kNoPointer = -1;
  static constexpr s8 kUnvisited = -2;
  static constexpr s8 kImprecise = -3;
  static constexpr u32 kMaxOffsets = 4;

  s8 frame = kNoPointer;
  u8 off_cnt = 0;
  u16 mask = 0;
  std::array<s16, kMaxOffsets> off = {};  // ascending

  static ArgTrack none() { return {}; }
  static ArgTrack single(u32 frame, s16 off) {
    ArgTrack at;
    at.frame = static_cast<s8>(frame);
    at.off_cnt = 1;
    at.off[0] = off;
    return at;
  }
  static ArgTrack imprecise(u32 mask) {
    ArgTrack at;
    at.frame = kImprecise;
    at.mask = static_cast<u16>(mask);
    return at;
  }
  bool visited() const { return frame != kUnvisited; }
  bool is_fp() const { return frame >= 0 || frame == kImprecise; }
  bool operator==(const ArgTrack& o) const;
  /// Adds to each offset; anywhere in the frame where one leaves 16 bits. Linux: arg_padd.
  void shift_all(s64 delta);
  std::string text() const;
};
ArgTrack join(const ArgTrack& a, const ArgTrack& b);

inline constexpr u32 kTrackedSlots = 64;
/// Registers, then outgoing stack arguments.
using ArgTracks = std::array<ArgTrack, kNrRegs + kMaxStackArgs>;
using SlotTracks = std::array<ArgTrack, kTrackedSlots>;
/// The stack's contents before each call.
using StacksAtCalls = std::map<u32, SlotTracks>;

struct TrackInfo {
  bool done = false;
  std::vector<ArgTracks> at_in = {};  // before each instruction
};

/// Follows pointers through one function that is called at `depth` with `entry` (null: nothing
/// known to be a pointer). Linux: compute_subprog_args.
void track_arguments(Verifier& v, u32 subprog, u32 depth, const ArgTracks* entry,
                     const std::array<u32, kMaxFrames>& callsites, StacksAtCalls& stacks,
                     TrackInfo& info);

}  // namespace uscx::bpf::verifier
