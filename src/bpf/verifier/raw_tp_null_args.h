// SPDX-License-Identifier: GPL-2.0-only
// Tracepoints whose arguments may be null, or an error in a pointer's clothes.
#pragma once

#include <string_view>

#include "base/types.h"

namespace uscx::bpf::verifier {

/// Argument i is the hex digit i of `mask`: 1 may be null, 2 may be an error.
/// Linux: raw_tp_null_args in btf.c.
struct RawTpNullArgs {
  std::string_view name;
  u64 mask;
};
/// Null: nothing special about that one.
const RawTpNullArgs* raw_tp_null_args(std::string_view tracepoint);

}  // namespace uscx::bpf::verifier
