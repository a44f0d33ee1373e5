// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "base/types.h"

namespace uscx::bpf {

enum class EngineKind : u8 { kInterpreter, kJit };

/// The fastest this build has.
EngineKind default_engine();

}  // namespace uscx::bpf
