// SPDX-License-Identifier: GPL-2.0-only
#include <algorithm>
#include <cctype>

#include "conformance/verifier/random/generate.h"

namespace uscx::conformance {

std::string refusal_template(std::string_view log) {
  std::string_view told;
  while (!log.empty()) {
    const auto eol = std::min(log.find('\n'), log.size());
    const std::string_view line = log.substr(0, eol);
    log.remove_prefix(std::min(eol + 1, log.size()));
    if (line.starts_with("Verification failed: ")) break;  // the diagnosis comes after the reason
    const bool other = line.starts_with("processed ") || line.starts_with("verification time ") ||
                       line.starts_with("stack depth ") || line.find(" insns_self ") != line.npos;
    if (!line.empty() && !other) told = line;
  }
  std::string out;
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (!std::isxdigit(static_cast<unsigned char>(told[i])) ||
        (i && (std::isalpha(static_cast<unsigned char>(told[i - 1])) && told[i - 1] != 'R' &&
               told[i - 1] != 'x')) ||
        std::isalpha(static_cast<unsigned char>(told[i]))) {
      out += told[i];
      continue;
    }
    while (i + 1 < told.size() &&
           (std::isxdigit(static_cast<unsigned char>(told[i + 1])) || told[i + 1] == 'x')) {
      ++i;
    }
    out += '#';
  }
  return out;
}

}  // namespace uscx::conformance
