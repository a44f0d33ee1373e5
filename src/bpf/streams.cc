// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "bpf/host.h"
#include "bpf/program.h"

namespace uscx::bpf {

int Stream::push(std::string_view text) {
  if (used_ + text.size() >= kCapacity) return ENOSPC;
  if (text.empty()) return 0;
  used_ += text.size();
  texts_.emplace_back(text);
  return 0;
}

std::string Stream::peek(std::size_t bytes) const {
  std::string out;
  std::size_t from = read_;
  for (const std::string& text : texts_) {
    if (out.size() >= bytes) break;
    out += std::string_view(text).substr(from, bytes - out.size());
    from = 0;
  }
  return out;
}

void Stream::consume(std::size_t bytes) {
  while (bytes) {
    const std::size_t step = std::min(bytes, texts_.front().size() - read_);
    read_ += step;
    bytes -= step;
    if (read_ < texts_.front().size()) continue;
    used_ -= read_;
    read_ = 0;
    texts_.pop_front();
  }
}

std::string stack_text(Host& host) {
  return fmt::format("CPU: {} UID: 0 PID: {} Comm: {}\nCall trace:\n\n", host.this_cpu(),
                     static_cast<u32>(host.current_pid_tgid()), host.current_comm());
}

void report_on_stderr(Host& host, const Program& program, std::string_view text) {
  host.program_stderr(program, text);
  // What does not fit is lost, as in Linux.
  (void)program.streams.find(Stream::kStderr)->push(std::string(text) + stack_text(host));
}

}  // namespace uscx::bpf
