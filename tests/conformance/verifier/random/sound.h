// SPDX-License-Identifier: GPL-2.0-only
// Runs the generated programs that the verifier accepts in the checking interpreter.
#pragma once

#include <optional>
#include <set>
#include <string_view>

#include "bpf/verifier/claims.h"
#include "bpf/verifier/planted.h"
#include "conformance/verifier/random/generator.h"
#include "conformance/verifier/random/machine.h"
#include "conformance/verifier/random/run_check.h"

namespace uscx::conformance {

/// What a chunk of seeds came to; as text between processes.
struct SoundCounts {
  u64 accepted = 0;      // and run
  u64 with_packets = 0;  // of these
  u64 endless = 0;       // of these: known not to end, on Linux neither
  u64 left_in_r0 = 0;    // runs that end with a reference in r0, which Linux lets go
  u64 runs = 0;
  u64 claimed = 0;    // programs whose registers were compared with what was claimed
  u64 compared = 0;   // instructions executed that were compared
  u64 unclaimed = 0;  // instructions executed for which too many states were explored

  std::string text() const;
  void add(const std::string& text);
};

struct SoundRange : Range {
  /// Seeds of programs without end that Linux accepts, too (docs/verifier.md).
  std::set<u64> endless;
  bpf::verifier::PlantedFault planted = bpf::verifier::PlantedFault::kNone;
};

/// The seeds in a file, one a line; what follows on the line is a note. Exits where there is none.
std::set<u64> read_endless(const std::string& path);

/// check(): counts, and a line a fault: "COUNTS<RS>seed N: what<RS>...".
class SoundRunner : public Machine {
 public:
  SoundRunner(const SoundRange& range, std::span<const std::byte> vmlinux);
  ~SoundRunner() override;
  std::string check(u32 chunk) override;

 protected:
  /// What is wrong with a program that was accepted with `fault` in the verifier, or empty.
  std::string check_program(u64 seed, bpf::verifier::PlantedFault fault, SoundCounts& counts);

 private:
  Verdict load(const GeneratedProgram& program, bpf::verifier::Claims* claims);
  std::string runs(u64 seed, const GeneratedProgram& program, int fd,
                   const bpf::verifier::Claims* claims, Random& random, SoundCounts& counts);
  std::string run(const GeneratedProgram& program, int fd, RunCheck& check, Random& random);
  void run_plain(const GeneratedProgram& program, const bpf::Program& object, Random& random);
  std::string run_on_packet(const GeneratedProgram& program, int fd, Random& random);
  std::string why_endless(u64 seed, const std::string& line, const RunCheck& check,
                          SoundCounts& counts);
  void fill_maps(Random& random);
  void empty_ringbuf();

  const SoundRange& sound_range_;
  u64* ringbuf_ = nullptr;  // its consumer's and its producer's page
};

}  // namespace uscx::conformance
