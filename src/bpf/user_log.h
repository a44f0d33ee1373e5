// SPDX-License-Identifier: GPL-2.0-only
// The log a caller of PROG_LOAD, BTF_LOAD or MAP_CREATE asks for.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/types.h"
#include "bpf/user_memory.h"

namespace uscx::bpf {

/// Collects text and copies it out at the end. Linux: struct bpf_verifier_log.
class UserLog {
 public:
  static constexpr u32 kFixed = 8;  // BPF_LOG_FIXED: keep the beginning instead of the end
  static constexpr u32 kMask = 15;

  UserLog() = default;
  /// EINVAL for a combination Linux refuses.
  static Result<UserLog> make(u64 buf, u32 size, u32 level);

  bool wanted() const { return level_ != 0; }
  void add(std::string_view text) {
    if (wanted()) text_ += text;
  }
  /// Copies out with a NUL; ENOSPC where it did not fit, EFAULT. `true_size` gets the whole length.
  Result<void> finish(UserMemory& memory, u32& true_size) const;

  /// Where the caller wants the true size: an address, 0 for nowhere.
  u64 true_size_address = 0;

 private:
  u64 buf_ = 0;
  u32 size_ = 0;
  u32 level_ = 0;
  std::string text_;
};

}  // namespace uscx::bpf
