// SPDX-License-Identifier: GPL-2.0-only
// The just-in-time compiler for x86-64: one pass over a decoded program. It agrees with the
// interpreter in every register, byte, count and message, on every program.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

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
  using Enter = u64 (*)(RunState* run, const u64* registers, u64 frame_pointer, const void* code);
  /// `entries`: offset of the code of each instruction at which a run may begin; kNoEntry of
  /// others.
  JitCode(const void* at, u64 size, std::vector<u32> entries, Enter enter)
      : at_(static_cast<const std::byte*>(at)),
        enter_(enter),
        size_(size),
        entries_(std::move(entries)),
        first_(entry(0)) {}
  virtual ~JitCode() = default;
  static constexpr u32 kNoEntry = ~0U;

  /// Where a run from instruction `insn` begins; null where none may.
  const void* entry(u32 insn) const {
    return insn < entries_.size() && entries_[insn] != kNoEntry ? at_ + entries_[insn] : nullptr;
  }
  /// entry(0).
  const void* first() const { return first_; }
  /// Runs from an entry() with R10 = `frame_pointer` until it exits or is abandoned (result 0).
  u64 enter(RunState& run, const std::array<u64, 5>& registers, u64 frame_pointer,
            const void* code) const {
    return enter_(&run, registers.data(), frame_pointer, code);
  }
  /// Bytes of machine code.
  u64 size() const { return size_; }

 protected:
  const std::byte* at_;

 private:
  Enter enter_;
  u64 size_;
  std::vector<u32> entries_;
  const void* first_;
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
