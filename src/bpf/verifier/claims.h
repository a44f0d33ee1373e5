// SPDX-License-Identifier: GPL-2.0-only
// What the verifier held to be true of the registers at each instruction, for tests that compare it
// with what a run has in them.
#pragma once

#include <array>
#include <vector>

#include "base/types.h"
#include "bpf/verifier/planted.h"
#include "bpf/verifier/state.h"

namespace uscx::bpf::verifier {

/// What was known of a register: nothing where `type` is kNotInit.
struct RegisterClaim {
  RegType type = kNotInit;
  Scalar value;   // of a number; of a pointer: its offset
  s32 range = 0;  // of a packet pointer: bytes of the packet from its start that are there
  u32 frame = 0;  // of a stack pointer: whose
  const Map* map = nullptr;  // of a pointer to a map's value
  bool operator==(const RegisterClaim&) const = default;
};

/// One explored state; its frame is the (frames - 1)th.
struct StateClaim {
  std::array<RegisterClaim, kNrRegs> regs;
  u32 frames = 0;
  bool operator==(const StateClaim&) const = default;
};

/// Where VerifyInput asks for claims to be recorded, all numbers count in pruning, precise or not:
/// otherwise a run may have others than those of any state that was explored, where they do not
/// matter. Every run's registers are then in one of the states of the instruction it is at.
struct Claims {
  static constexpr std::size_t kMaxStates = 64;
  struct Point {
    std::vector<StateClaim> states;
    bool too_many = false;  // not all states are here: nothing is claimed
  };
  std::vector<Point> by_insn = {};
  bool record = true;  // false: nothing is asked for but the fault
  PlantedFault planted = PlantedFault::kNone;

  void add(u32 insn, const VerifierState& state);
};

}  // namespace uscx::bpf::verifier
