// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <functional>
#include <string>

#include "sched/tracepoints.h"

namespace uscx::observe {

/// bpf_printk and kernel messages as lines with virtual time, CPU and task:
///   "[    1.234567] [uscx:12] [003] text" for the kernel log (dmesg with caller), and
///   "            comm-12    [003]     1.234567: bpf_trace_printk: text" as trace_pipe has it.
class MessageLog {
 public:
  using Sink = std::function<void(const std::string& line)>;
  /// A null sink: not wanted.
  MessageLog(sched::Tracepoints& trace, Sink printk, Sink dmesg);
  MessageLog(const MessageLog&) = delete;
};

}  // namespace uscx::observe
