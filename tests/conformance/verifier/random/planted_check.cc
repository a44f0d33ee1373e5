// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/planted_check.h"

#include <fmt/format.h>

namespace uscx::conformance {

std::string PlantedRunner::check(u32 item) {
  using bpf::verifier::PlantedFault;
  const auto fault = static_cast<PlantedFault>(item + 1);
  std::string found;
  host_.run([&] {
    SoundCounts counts;
    for (u64 seed = range_.first; seed < range_.first + range_.count && found.empty(); ++seed) {
      const std::string problem = check_program(seed, fault, counts);
      // What is shown without the fault, too, shows nothing of it.
      if (!problem.empty() && check_program(seed, PlantedFault::kNone, counts).empty()) {
        found = fmt::format("{}{}{}", seed, kBetween, problem);
      }
      if (seed % 16 == 0) host_.kernel().bpf().reap_closed_fds();
    }
  });
  return found;
}

}  // namespace uscx::conformance
