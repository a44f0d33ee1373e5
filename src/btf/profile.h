// SPDX-License-Identifier: GPL-2.0-only
// Which kernel is being played: its version, the versions there are, and the BTF of each.
#pragma once

#include <compare>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/types.h"

namespace uscx::btf {

/// A kernel release by its first two numbers.
struct KernelVersion {
  u16 major = 0;
  u16 minor = 0;

  constexpr auto operator<=>(const KernelVersion&) const = default;
  std::string to_string() const;
};

/// Reads "7.3". The error says what was expected; whether such a profile exists is not asked.
OrError<KernelVersion> parse_version(std::string_view text);

/// The versions that have a profile, oldest first. The last one is the default.
std::span<const KernelVersion> known_versions();
constexpr KernelVersion kDefaultVersion{7, 3};

/// The kernel BTF of `version`, what /sys/kernel/btf/vmlinux holds there; empty if it has no
/// profile. The bytes live as long as the process.
std::span<const std::byte> builtin_btf(KernelVersion version);

}  // namespace uscx::btf
