// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/fd_table.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"

namespace uscx::bpf {

FdTable::~FdTable() {
  for (auto& [key, file] : files_) {
    if (file.peer >= 0) ::close(file.peer);
  }
}

Result<FdTable::Key> FdTable::key_of(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return fail(errno);
  return Key{st.st_dev, st.st_ino};
}

Result<long> FdTable::add(ObjectRef object) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail(errno);
  auto key = key_of(ends[0]);
  USCX_ASSERT(key.has_value());
  // A stale entry means its descriptors are gone and the inode number came round again.
  if (auto it = files_.find(*key); it != files_.end() && it->second.peer >= 0) {
    ::close(it->second.peer);
  }
  files_[*key] = File{std::move(object), ends[1], next_sequence_++};
  return ends[0];
}

Result<void> FdTable::add_memfd(ObjectRef object, int fd) {
  auto key = key_of(fd);
  if (!key) return std::unexpected(key.error());
  files_[*key] = File{std::move(object), -1, next_sequence_++};
  return {};
}

Result<long> FdTable::duplicate(const ObjectRef& object) {
  // Another socket pair for the same object would be another file; that is all a duplicate needs.
  return add(object);
}

Result<ObjectRef> FdTable::find(int fd) const {
  auto key = key_of(fd);
  if (!key) return fail(EBADF);
  auto it = files_.find(*key);
  if (it == files_.end()) return fail(EINVAL);
  return it->second.object;
}

std::vector<ObjectRef> FdTable::reap() {
  std::vector<pollfd> polls;
  std::vector<std::map<Key, File>::iterator> where;
  for (auto it = files_.begin(); it != files_.end(); ++it) {
    if (it->second.peer < 0) continue;
    polls.push_back({it->second.peer, 0, 0});
    where.push_back(it);
  }
  if (polls.empty() || ::poll(polls.data(), polls.size(), 0) <= 0) return {};
  std::vector<std::pair<u64, ObjectRef>> gone;
  for (std::size_t i = 0; i < polls.size(); ++i) {
    if (!(polls[i].revents & POLLHUP)) continue;
    gone.emplace_back(where[i]->second.sequence, std::move(where[i]->second.object));
    ::close(where[i]->second.peer);
    files_.erase(where[i]);
  }
  std::sort(gone.begin(), gone.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<ObjectRef> objects;
  for (auto& [sequence, object] : gone) {
    // An object that was opened again by its id has another file.
    const bool open = std::any_of(files_.begin(), files_.end(),
                                  [&](const auto& entry) { return entry.second.object == object; });
    if (!open) objects.push_back(std::move(object));
  }
  return objects;
}

}  // namespace uscx::bpf
