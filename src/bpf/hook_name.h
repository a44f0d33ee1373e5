// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "base/types.h"

namespace uscx::bpf {

/// One bit of 64 for the name of a function or tracepoint, which others may share.
constexpr u64 hook_bit(std::string_view name) {
  u64 hash = 0;
  for (const char c : name) hash = (hash ^ static_cast<u8>(c)) * 0x9fb21c651e98df25ULL;
  return 1ULL << (hash >> 58);
}

/// A name in the source, whose bit the compiler knows.
struct HookName {
  consteval HookName(const char* literal) : name(literal), bit(hook_bit(literal)) {}
  std::string_view name;
  u64 bit;
};

}  // namespace uscx::bpf
