// SPDX-License-Identifier: GPL-2.0-only
#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace uscx {

void assertion_failed(const char* what, const char* file, int line, const char* func) {
  std::fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, func, what);
  std::fflush(stderr);
  std::abort();
}

}  // namespace uscx
