// SPDX-License-Identifier: GPL-2.0-only
// A look at a program while it is interpreted, for tests of what the verifier claims.
#pragma once

#include "base/types.h"

namespace uscx::bpf {

struct ExecRun;

class StepObserver {
 public:
  virtual ~StepObserver() = default;
  /// Instruction `insn` of `run` comes next; `registers` are its eleven. The frame it is in is the
  /// (run.depth - 1)th of the run.
  virtual void step(const ExecRun& run, u32 insn, const u64* registers) = 0;
};

}  // namespace uscx::bpf
