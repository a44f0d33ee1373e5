// SPDX-License-Identifier: GPL-2.0-only
// The only way from the kernel to its caller's memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::bpf {

/// copy_from_user and copy_to_user. Addresses are the caller's; EFAULT where they cannot be
/// accessed, and then nothing is promised about what was copied.
class UserMemory {
 public:
  virtual ~UserMemory() = default;
  virtual Result<void> read(void* to, u64 from, std::size_t size) = 0;
  virtual Result<void> write(u64 to, const void* from, std::size_t size) = 0;

  template <class T>
  Result<T> get(u64 from) {
    T value;
    if (auto r = read(&value, from, sizeof(T)); !r) return std::unexpected(r.error());
    return value;
  }
  /// A NUL-terminated string of at most `max` bytes with its NUL; E2BIG where it is longer.
  Result<std::string> get_string(u64 from, std::size_t max);
};

/// The memory of this very process, for a loader that runs in it. Checked by
/// process_vm_readv/writev on itself, so that a bad pointer is EFAULT and not a crash.
class OwnMemory final : public UserMemory {
 public:
  Result<void> read(void* to, u64 from, std::size_t size) override;
  Result<void> write(u64 to, const void* from, std::size_t size) override;
};

}  // namespace uscx::bpf
