// SPDX-License-Identifier: GPL-2.0-only
// Two kinds of failure: an errno, as the kernel answers programs, and one clear line for a person.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

#include "base/types.h"

namespace uscx {

/// A kernel error number, positive as in <errno.h>. `Errno{0}` does not occur.
struct Errno {
  int value;
  constexpr bool operator==(const Errno&) const = default;
};

template <class T>
using Result = std::expected<T, Errno>;

inline std::unexpected<Errno> fail(int errnum) {
  return std::unexpected(Errno{errnum});
}

/// What a system call returns: the value, or -errno.
inline long to_syscall(const Result<long>& r) {
  return r ? *r : -static_cast<long>(r.error().value);
}

/// A failure a person reads: what, where, what to do; one line without a newline.
struct Error {
  std::string message;
};

template <class T>
using OrError = std::expected<T, Error>;

inline std::unexpected<Error> error(std::string message) {
  return std::unexpected(Error{std::move(message)});
}

}  // namespace uscx
