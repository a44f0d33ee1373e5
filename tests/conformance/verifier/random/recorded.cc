// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/recorded.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

namespace uscx::conformance {

bool RecordedVerdict::for_memory_safety() const {
  if (errnum == 0) return false;
  for (const char* kind : {"Memory Safety", "Register Type Safety", "Resource Lifetime Safety"}) {
    if (category.starts_with(kind)) return true;
  }
  if (!category.empty()) return false;
  constexpr int kEacces = 13;
  if (reason.empty()) return errnum == kEacces;  // not recorded: taken for the worst
  for (const char* part : {"!read_ok", "invalid mem access", "invalid access to", "outside of the",
                           "min value is negative", "unbounded", "stack", "pointer", "Unreleased",
                           "misaligned", "invalid bpf_context access"}) {
    if (reason.find(part) != reason.npos) return true;
  }
  return false;
}

OrError<Recorded> read_recorded(const std::string& path) {
  std::ifstream file(path);
  if (!file) return error(fmt::format("{}: cannot be read", path));
  Recorded out;
  std::string line;
  while (std::getline(file, line) && !line.starts_with("--")) {
    if (line.starts_with('#')) continue;
    std::istringstream fields(line);
    std::string errnum;
    RecordedVerdict kind;
    std::getline(fields, errnum, '\t');
    std::getline(fields, kind.category, '\t');
    std::getline(fields, kind.reason);
    kind.errnum = std::stoi(errnum);
    out.kinds.push_back(std::move(kind));
  }
  if (line.size() > 2) out.first = std::stoull(line.substr(2));
  for (u32 index; file >> index;) {
    if (index >= out.kinds.size()) return error(fmt::format("{}: no kind {}", path, index));
    out.by_seed.push_back(index);
  }
  return out;
}

}  // namespace uscx::conformance
