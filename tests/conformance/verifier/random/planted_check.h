// SPDX-License-Identifier: GPL-2.0-only
// Is a verifier with a fault found out by the runs of what it accepts?
#pragma once

#include "conformance/verifier/random/sound.h"

namespace uscx::conformance {

/// check(N): "SEED<RS>what" of the first program that shows fault N + 1, or "" where none of the
/// range does.
class PlantedRunner final : public SoundRunner {
 public:
  using SoundRunner::SoundRunner;
  std::string check(u32 item) override;
};

}  // namespace uscx::conformance
