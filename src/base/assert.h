// SPDX-License-Identifier: GPL-2.0-only
// Assertions state what must hold; they stay on in every build, since a simulator that goes on
// after a broken invariant gives answers nobody should trust.
#pragma once

namespace uscx {

/// Prints "file:line: function: assertion failed: what" on stderr and aborts.
[[noreturn, gnu::cold]] void assertion_failed(const char* what, const char* file, int line,
                                              const char* func);

}  // namespace uscx

#define USCX_ASSERT(cond)                       \
  (__builtin_expect(static_cast<bool>(cond), 1) \
       ? static_cast<void>(0)                   \
       : ::uscx::assertion_failed(#cond, __FILE__, __LINE__, __func__))
