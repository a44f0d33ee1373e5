// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "support/toy_kernel.h"

namespace uscx::bpf::test {

/// While it lives, libbpf in this process talks to `kernel`.
class UserHalf {
 public:
  explicit UserHalf(ToyKernel& kernel);
  ~UserHalf();
  UserHalf(const UserHalf&) = delete;
  UserHalf& operator=(const UserHalf&) = delete;
};

}  // namespace uscx::bpf::test
