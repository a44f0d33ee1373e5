// SPDX-License-Identifier: GPL-2.0-only
// The user half: libbpf runs in this process, and what it asks of "the kernel" is answered by one
// of ours. The process has one `syscall`, so one kernel at a time has a user half.
#pragma once

#include <string>
#include <vector>

#include "sched/kernel.h"

namespace uscx::cli {

/// While it is the active one, bpf(2) of this process goes to `kernel`'s front door, and the files
/// that libbpf reads (/sys/kernel/btf/vmlinux, the kernel's config, the list of CPUs) and uname(2)
/// tell of that kernel and its machine. Made active by its constructor; of several, whoever runs
/// activates its own first.
class UserHalf {
 public:
  explicit UserHalf(sched::Kernel& kernel);
  void activate();
  ~UserHalf();
  UserHalf(const UserHalf&) = delete;
  UserHalf& operator=(const UserHalf&) = delete;

  sched::Kernel& kernel() { return kernel_; }
  /// The descriptor of a file that stands for `path`, opened anew; -1 where there is none of ours.
  int open_file(const char* path);
  bool has_file(const char* path) const;
  const std::string& release() const { return release_; }

 private:
  struct File {
    std::string path;
    std::string content;
  };
  const File* find(const char* path) const;

  sched::Kernel& kernel_;
  std::string release_;
  std::vector<File> files_;
};

}  // namespace uscx::cli
