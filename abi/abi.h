// SPDX-License-Identifier: GPL-2.0-only
// The kernel's types for the C++ core: everything of kernel_types.h, in namespace uscx::abi
// (not ::abi, which <cxxabi.h> takes).
#pragma once

namespace uscx::abi {
#include "abi/kernel_types.h"
}  // namespace uscx::abi

#undef SINCE
#undef UNTIL
#undef ENUM_SINCE
#undef ENUM_UNTIL
#undef ENUM_NAMED_SINCE
#undef VALUE_SINCE
#undef VALUE_UNTIL
#undef KFUNC
#undef KFUNC_FASTCALL
#undef KERNEL_FUNC
#undef KERNEL_FUNC_WIDE
#undef PERCPU_VAR
#undef __arena_ptr
