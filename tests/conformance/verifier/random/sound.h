// SPDX-License-Identifier: GPL-2.0-only
// Runs the generated programs that the verifier accepts, in the checking interpreter.
#pragma once

#include "bpf/verifier/claims.h"
#include "conformance/verifier/random/generator.h"
#include "conformance/verifier/random/machine.h"

namespace uscx::conformance {

/// What a chunk of seeds came to; as text between processes.
struct SoundCounts {
  u64 accepted = 0;     // and run
  u64 only_loaded = 0;  // accepted, of a type whose context is not made here
  u64 runs = 0;
  u64 claimed = 0;    // programs whose registers were compared with what was claimed
  u64 compared = 0;   // instructions executed that were compared
  u64 unclaimed = 0;  // instructions executed for which too many states were explored

  std::string text() const;
  void add(const std::string& text);
};

/// check(): counts, and a line a fault: "COUNTS<RS>seed N: what<RS>...".
class SoundRunner final : public Machine {
 public:
  using Machine::Machine;
  std::string check(u32 chunk) override;

 private:
  std::string check_program(u64 seed, SoundCounts& counts);
  std::string run(const GeneratedProgram& program, int fd, const bpf::verifier::Claims* claims,
                  Random& random, SoundCounts& counts);
  void fill_maps(Random& random);
  void empty_ringbuf();
};

}  // namespace uscx::conformance
