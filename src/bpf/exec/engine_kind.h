// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <string_view>

#include "base/types.h"

namespace uscx::bpf {

enum class EngineKind : u8 {
  kInterpreter,  // the reference: checks every access
  kJit,          // machine code; leaves out checks of what Program::proof proves
  kCheckingJit,  // machine code that checks every access, whatever is proven
};

/// Its name on the command line: "interpreter", "jit" or "checking-jit".
std::string_view name_of(EngineKind kind);

/// The fastest this build has.
EngineKind default_engine();

}  // namespace uscx::bpf
