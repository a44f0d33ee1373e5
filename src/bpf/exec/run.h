// SPDX-License-Identifier: GPL-2.0-only
// One run of the interpreter: what is shared by the frames of a program and its callbacks.
#pragma once

#include <array>
#include <string>

#include "base/types.h"
#include "bpf/exec/decode.h"
#include "bpf/exec/exec.h"

namespace uscx::bpf {

inline constexpr u32 kStackBlock = kStackSize * kMaxFrames;

struct ExecRun {
  const ExecEnvironment& env;
  const Program& program;
  const DecodedProgram& decoded;
  u64 stack;    // lowest address of the run's stack block
  u64 context;  // window address, or 0

  u32 depth = 0;    // frames in use
  u64 insns = 0;    // executed so far
  u64 charged = 0;  // of these, told to the host
  u64 loads_to_zero = 0;
  bool abandoned = false;
  std::string reason = {};  // why, for Host::program_fault

  /// Runs from instruction `entry` in a new frame until it exits; R0, or 0 once abandoned.
  u64 execute(u32 entry, const std::array<u64, 5>& registers);
  /// execute() for a PSEUDO_FUNC value.
  u64 call_back(u64 callback, const std::array<u64, 5>& registers);
  /// Tells the host about the instructions executed since the last time.
  void charge();

  /// Abandons the run at instruction `insn`; returns 0, the run's result.
  u64 abandon(u32 insn, std::string_view why);
  u64 abandon_store(u32 insn, u64 addr, u32 bytes);

  u64 call_helper(u32 insn, const Helper& helper, const u64* r);
  u64 call_kfunc(u32 insn, const Kfunc& kfunc, const u64* r);
};

}  // namespace uscx::bpf
