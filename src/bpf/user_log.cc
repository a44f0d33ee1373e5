// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/user_log.h"

#include <algorithm>

namespace uscx::bpf {

Result<UserLog> UserLog::make(u64 buf, u32 size, u32 level) {
  if ((buf != 0) != (size != 0) || (buf && level == 0) || (level & ~kMask) || size > ~0u >> 2) {
    return fail(EINVAL);
  }
  UserLog log;
  log.buf_ = buf;
  log.size_ = size;
  log.level_ = level;
  return log;
}

Result<void> UserLog::finish(UserMemory& memory, u32& true_size) const {
  true_size = 0;
  if (!wanted()) return {};
  true_size = static_cast<u32>(text_.size() + 1);
  if (!buf_) return {};
  const std::size_t fits = std::min<std::size_t>(text_.size(), size_ - 1);
  const std::size_t from = level_ & kFixed ? 0 : text_.size() - fits;
  std::string out = text_.substr(from, fits);
  if (auto r = memory.write(buf_, out.c_str(), out.size() + 1); !r) return r;
  return true_size > size_ ? Result<void>(fail(ENOSPC)) : Result<void>();
}

}  // namespace uscx::bpf
