// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <memory>

namespace uscx::machine {

/// The stack of a kernel entry that may stop half-way for another CPU's. It may stop on a fiber's
/// stack, which it resumed: where it goes on is wherever it gave way.
class EntryStack {
 public:
  EntryStack();
  ~EntryStack();
  EntryStack(const EntryStack&) = delete;
  EntryStack& operator=(const EntryStack&) = delete;

  /// Sets what the next resume() begins. Only on a finished one.
  void start(std::function<void()> entry);
  /// Runs the entry until it gives way or ends. From the machine's loop.
  void resume();
  /// Inside: back to resume()'s caller, until the next resume().
  void give_way();
  bool finished() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace uscx::machine
