// SPDX-License-Identifier: GPL-2.0-only
// The just-in-time compiler for x86-64: one pass over a decoded program. It agrees with the
// interpreter in every register, byte, count and message, on every program.
#pragma once

#include <array>
#include <memory>

#include "base/types.h"

namespace uscx::bpf {

class Program;
struct DecodedProgram;
struct ExecRun;
struct RunState;

/// Whether this build has the compiler at all.
bool jit_available();

/// A program's machine code.
class JitCode {
 public:
  virtual ~JitCode() = default;
  /// May a run begin at instruction `insn`?
  virtual bool is_entry(u32 insn) const = 0;
  /// Runs from `insn` with R10 = `frame_pointer` until it exits or is abandoned (result 0).
  virtual u64 enter(RunState& run, u32 insn, const std::array<u64, 5>& registers,
                    u64 frame_pointer) const = 0;
  /// Bytes of machine code, and from where.
  virtual u64 size() const = 0;
};

/// Makes machine code, and owns the memory it is in (which lives as long as any of it).
class Jit {
 public:
  /// Null where the host is no x86-64.
  static std::unique_ptr<Jit> create();
  virtual ~Jit() = default;
  /// `trust_proof`: leaves out the checks of accesses that Program::proof calls proven.
  virtual std::shared_ptr<const JitCode> compile(const Program& program,
                                                 const DecodedProgram& decoded,
                                                 bool trust_proof) = 0;
};

}  // namespace uscx::bpf
