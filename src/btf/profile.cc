// SPDX-License-Identifier: GPL-2.0-only
#include "btf/profile.h"

#include <fmt/format.h>

#include <charconv>

namespace uscx::btf {

std::string KernelVersion::to_string() const {
  return fmt::format("{}.{}", major, minor);
}

OrError<KernelVersion> parse_version(std::string_view text) {
  KernelVersion v;
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, v.major);
  if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.') {
    const auto minor = std::from_chars(major.ptr + 1, end, v.minor);
    if (minor.ec == std::errc{} && minor.ptr == end) return v;
  }
  return error(fmt::format("'{}' is no kernel version; expected one like 7.3", text));
}

std::span<const KernelVersion> known_versions() {
  static constexpr KernelVersion kKnown[] = {{7, 2}, {7, 3}};
  return kKnown;
}

}  // namespace uscx::btf
