// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/user_memory.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace uscx::bpf {

Result<std::string> UserMemory::get_string(u64 from, std::size_t max) {
  std::string text;
  char chunk[64];
  while (text.size() < max) {
    // Never beyond the page that holds the next byte: the string may end just before a hole.
    const u64 at = from + text.size();
    const std::size_t to_page_end = 4096 - at % 4096;
    const std::size_t n = std::min({sizeof(chunk), max - text.size(), to_page_end});
    if (auto r = read(chunk, at, n); !r) return std::unexpected(r.error());
    const char* end = std::find(chunk, chunk + n, '\0');
    text.append(chunk, static_cast<std::size_t>(end - chunk));
    if (end != chunk + n) return text;
  }
  return fail(E2BIG);
}

Result<void> OwnMemory::read(void* to, u64 from, std::size_t size) {
  if (size == 0) return {};
  const iovec local{to, size};
  const iovec remote{reinterpret_cast<void*>(from), size};
  if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) != static_cast<ssize_t>(size)) {
    return fail(EFAULT);
  }
  return {};
}

Result<void> OwnMemory::write(u64 to, const void* from, std::size_t size) {
  if (size == 0) return {};
  const iovec local{const_cast<void*>(from), size};
  const iovec remote{reinterpret_cast<void*>(to), size};
  if (::process_vm_writev(::getpid(), &local, 1, &remote, 1, 0) != static_cast<ssize_t>(size)) {
    return fail(EFAULT);
  }
  return {};
}

}  // namespace uscx::bpf
