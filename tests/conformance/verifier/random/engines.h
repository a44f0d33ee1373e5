// SPDX-License-Identifier: GPL-2.0-only
// Runs the generated programs that the verifier accepts by every engine: they must agree, also
// where one of them leaves out the checks of what was proven.
#pragma once

#include <vector>

#include "bpf/exec/engine_kind.h"
#include "conformance/verifier/random/machine.h"

namespace uscx::conformance {

/// check(): "ACCEPTED UNREPEATABLE<RS>seed N: what<RS>...", a line for each program about which
/// they disagree.
class EngineComparer final : public Machine {
 public:
  using Machine::Machine;
  std::string check(u32 chunk) override;

 private:
  /// What one run can be seen to have done.
  struct Outcome {
    u64 result = 0;
    u64 insns = 0;
    u64 loads_to_zero = 0;
    std::vector<std::string> logged = {};
    std::vector<u64> values = {};  // of the maps, and what the program may write of the task
    bool operator==(const Outcome&) const = default;
  };
  /// How the engines differ in a program, or empty.
  std::string differences(u64 seed, const GeneratedProgram& program, int fd);
  Outcome run(const GeneratedProgram& program, int fd, bpf::EngineKind kind, u64 seed);
  void fill(u64 seed);

  u32 unrepeatable_ = 0;  // programs of which two runs by one engine differ
};

}  // namespace uscx::conformance
