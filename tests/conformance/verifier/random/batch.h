// SPDX-License-Identifier: GPL-2.0-only
// Loads generated programs through bpf(2) of whichever kernel this process reaches.
#pragma once

#include <array>
#include <string>

#include "base/types.h"
#include "conformance/verifier/random/generate.h"

struct btf;

namespace uscx::conformance {

/// What a kernel said of one generated program.
struct Verdict {
  int errnum = 0;        // positive; 0: accepted
  std::string reason;    // refusal_template() of its log; empty where accepted
  std::string category;  // of the kernel's diagnosis ("Memory Safety: ..."); empty without one
  int fd = -1;           // of an accepted program, where it was to be kept
};

class Batch {
 public:
  /// `vmlinux` is the kernel's BTF; must outlive this. Makes the maps.
  explicit Batch(const ::btf* vmlinux);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  /// False where the maps could not be made.
  bool ready() const;
  s32 map_fd(u32 map) const { return links_.map_fds[map]; }
  GeneratedProgram program(u64 seed) const { return generate_program(seed, links_); }
  Verdict load(const GeneratedProgram& program, bool keep = false);
  /// The last load's whole log.
  const std::string& log() const { return log_; }

 private:
  GeneratorLinks links_;
  std::string log_;
};

}  // namespace uscx::conformance
