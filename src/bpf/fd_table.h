// SPDX-License-Identifier: GPL-2.0-only
// File descriptors of BPF objects. They are real ones of the caller's process, so that dup3, close,
// fcntl and SCM_RIGHTS work without our help; an object is known by its file's inode.
#pragma once

#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::bpf {

class Map;
class Program;
class Link;
struct BtfObject;

using ObjectRef = std::variant<std::shared_ptr<Map>, std::shared_ptr<Program>,
                               std::shared_ptr<BtfObject>, std::shared_ptr<Link>>;

/// What user space holds open. Not thread-safe.
class FdTable {
 public:
  FdTable() = default;
  ~FdTable();
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /// A new descriptor for `object`, close-on-exec. Its last close is noticed by reap().
  Result<long> add(ObjectRef object);
  /// Makes the memfd `fd` stand for `object`; takes no ownership. Who closes or maps it cannot be
  /// seen from here, so the object stays until the table goes away.
  Result<void> add_memfd(ObjectRef object, int fd);
  /// One more descriptor of an object that has one. ENOENT where it has none.
  Result<long> duplicate(const ObjectRef& object);

  /// The object of a descriptor: EBADF where `fd` is not open, EINVAL where it is no BPF object.
  Result<ObjectRef> find(int fd) const;
  /// The same for one kind of object; EINVAL for another kind.
  template <class T>
  Result<std::shared_ptr<T>> get(int fd) const {
    auto object = find(fd);
    if (!object) return std::unexpected(object.error());
    if (auto* p = std::get_if<std::shared_ptr<T>>(&*object)) return *p;
    return fail(EINVAL);
  }

  /// Takes out the objects whose descriptors are all closed, in the order they were made.
  std::vector<ObjectRef> reap();
  std::size_t size() const { return files_.size(); }
  /// Each object that is open, in no order. `fn` must neither open nor close any.
  template <class Fn>
  void for_each(Fn fn) const {
    for (const auto& [key, file] : files_) fn(file.object);
  }

 private:
  using Key = std::pair<u64, u64>;  // st_dev, st_ino
  struct File {
    ObjectRef object;
    int peer = -1;  // our end of the socket pair; -1 for a memfd
    u64 sequence = 0;
  };
  static Result<Key> key_of(int fd);

  std::map<Key, File> files_;
  u64 next_sequence_ = 0;
};

}  // namespace uscx::bpf
