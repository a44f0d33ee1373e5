// SPDX-License-Identifier: GPL-2.0-only
// The two streams of text that each program has for its user. Linux: kernel/bpf/stream.c.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <string_view>

#include "base/types.h"

namespace uscx::bpf {

class Host;
class Program;

/// One of them. Texts go in whole or not at all, and room comes back when one was read to its end.
class Stream {
 public:
  static constexpr u32 kStdout = 1, kStderr = 2;  // BPF_STDOUT, BPF_STDERR
  static constexpr u64 kCapacity = 100'000;       // bytes; BPF_STREAM_MAX_CAPACITY

  /// 0, or ENOSPC where too much has not been read yet.
  int push(std::string_view text);
  /// The first `bytes` of what has not been read, or all of it.
  std::string peek(std::size_t bytes) const;
  /// They have been read.
  void consume(std::size_t bytes);

 private:
  std::deque<std::string> texts_;
  std::size_t read_ = 0;  // bytes of the first
  u64 used_ = 0;
};

/// Linux: bpf_prog_aux.stream.
class ProgramStreams {
 public:
  /// Null where there is no such stream.
  Stream* find(u32 id) {
    return id == Stream::kStdout || id == Stream::kStderr ? &streams_[id - 1] : nullptr;
  }

 private:
  std::array<Stream, 2> streams_;
};

/// Who runs, where, and how it got there. Of the calls that led there nothing is said: Linux names
/// functions of its machine code. Linux: bpf_stream_stage_dump_stack.
std::string stack_text(Host& host);

/// Says `text` (lines) on the program's BPF_STDERR, with a stack_text(). Linux: bpf_stream_stage.
void report_on_stderr(Host& host, const Program& program, std::string_view text);

}  // namespace uscx::bpf
