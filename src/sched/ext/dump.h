// SPDX-License-Identifier: GPL-2.0-only
// The debug dump of a scheduler. Linux: scx_dump_state() and what scx_bpf_dump() writes to.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "sched/ext/internal.h"
#include "sched/ext/seq_buf.h"

namespace uscx::sched::ext {

/// Where scx_bpf_dump_bstr() writes while ops.dump() and its kin run; under dump_lock.
struct DumpState {
  CpuId cpu = kNoCpu;  // the CPU that dumps; kNoCpu: nobody does
  bool first = false;  // no line of this callback has been written yet
  u32 cursor = 0;      // characters in `line`, at most its size
  SeqBuf* s = nullptr;
  std::string_view prefix;
  std::array<char, abi::SCX_EXIT_MSG_LEN> line{};
};

/// Makes Impl::dump where it is not there yet.
DumpState& dump_of(Ext::Impl& ext);
/// One line into `s` and the tracepoint. Linux: scx_dump_line.
void dump_line(Kernel& kernel, SeqBuf& s, std::string_view text);
/// Appends what a callback printed; whole lines go out.
void ops_dump_append(Ext::Impl& ext, std::string_view text);
/// "f", "00ff,ffffffff": a bitmap as %*pb prints it.
std::string format_bitmap(const unsigned long* bits, u32 nr_bits);

}  // namespace uscx::sched::ext
