// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs with text: scx_bpf_exit(), scx_bpf_error(), scx_bpf_dump(); and the event counters.
#include <cstring>

#include "sched/ext/dump.h"
#include "sched/ext/events.h"
#include "sched/ext/kfuncs.h"

namespace uscx::sched::ext {

namespace {

constexpr u32 kMaxArgs = 12;         // MAX_BPRINTF_VARARGS
constexpr u32 kMaxFormat = 1 << 16;  // bytes; Linux takes any length

/// Arguments `first` to `first + 2`: a format string, its u64 arguments, their size in bytes.
struct Bstr {
  u32 first;
  u64 data;
  u32 data_size;
  std::string_view format;
};

/// False after a fault: the pointers are what the verifier would have checked.
bool bstr_args(bpf::KfuncCall& call, u32 first, Bstr& b) {
  b = {.first = first,
       .data = call.args[first + 1],
       .data_size = u32_arg(call, first + 2),
       .format = call.string(first, kMaxFormat)};
  return !call.faulted();
}

/// The text, cut to `room - 1` characters by whoever stores it; or a negative errno, which was
/// reported against `sch`. Linux: __bstr_format().
std::expected<std::string, s32> format_bstr(Sched& sch, bpf::KfuncCall& call, const Bstr& b) {
  if (b.data_size % 8 || b.data_size > kMaxArgs * 8 || (b.data_size && !b.data)) {
    error(sch, "invalid data={:016x} and data__sz={}", b.data, b.data_size);
    return std::unexpected(-EINVAL);
  }
  u64 args[kMaxArgs] = {};
  if (b.data_size > 0) {
    const void* data = call.memory(b.first + 1, b.data_size, false);
    if (!data) return std::unexpected(-EFAULT);
    std::memcpy(args, data, b.data_size);
  }
  Result<std::string> text =
      sch.kernel.bpf().format(b.format, std::span<const u64>(args, b.data_size / 8));
  if (!text) {
    error(sch, "format preparation failed ({})", -text.error().value);
    return std::unexpected(-text.error().value);
  }
  return std::move(*text);
}

/// 7.3 claims the exit first, so that a bad format still ends the scheduler and for this reason;
/// in 7.2 a bad format is an error of its own.
void exit_with_text(Sched& sch, bpf::KfuncCall& call, const Bstr& b, s32 kind, s64 code) {
  const CpuId cpu = sch.kernel.cpu();
  if (sch.kernel.config().version < btf::KernelVersion{7, 3}) {
    const auto text = format_bstr(sch, call, b);
    if (text) vexit(sch, kind, code, cpu, *text);
    return;
  }
  if (!claim_exit(sch, kind)) return;
  const auto text = format_bstr(sch, call, b);
  finish_exit(sch, kind, code, cpu,
              text ? *text : fmt::format("exit message formatting failed ({})", text.error()));
}

u64 exit_bstr(Ext::Impl& ext, bpf::KfuncCall& call) {
  Bstr b;
  if (!bstr_args(call, 1, b)) return 0;
  if (Sched* sch = sched_of(ext, call)) {
    exit_with_text(*sch, call, b, abi::SCX_EXIT_UNREG_BPF, static_cast<s64>(call.args[0]));
  }
  return 0;
}

u64 error_bstr(Ext::Impl& ext, bpf::KfuncCall& call) {
  Bstr b;
  if (!bstr_args(call, 0, b)) return 0;
  if (Sched* sch = sched_of(ext, call)) {
    exit_with_text(*sch, call, b, abi::SCX_EXIT_ERROR_BPF, 0);
  }
  return 0;
}

u64 dump_bstr(Ext::Impl& ext, bpf::KfuncCall& call) {
  Bstr b;
  if (!bstr_args(call, 0, b)) return 0;
  Sched* sch = sched_of(ext, call);
  if (!sch) return 0;
  DumpState& dd = dump_of(ext);
  if (dd.cpu != ext.kernel.cpu()) {
    error(*sch, "scx_bpf_dump() must only be called from ops.dump() and friends");
    return 0;
  }
  const auto text = format_bstr(*sch, call, b);
  if (!text) {
    dump_line(ext.kernel, *dd.s,
              fmt::format("{}[!] (\"{}\", {:016x}, {}) failed to format ({})", dd.prefix, b.format,
                          b.data, b.data_size, text.error()));
    return 0;
  }
  ops_dump_append(ext, *text);
  return 0;
}

/// 7.3 counts for the calling scheduler, 7.2 for the root one.
u64 events(Ext::Impl& ext, bpf::KfuncCall& call) {
  const btf::KernelVersion version = ext.kernel.config().version;
  const u64 size = std::min(call.args[1], event_stats_size(version));
  void* out = call.memory(0, size, true);
  if (!out) return 0;
  Sched* sch = version < btf::KernelVersion{7, 3} ? ext.root : sched_of(ext, call);
  store_events(sch ? read_events(*sch) : abi::scx_event_stats{}, version, out, size);
  return 0;
}

constexpr KfuncEntry kEntries[] = {
    {"scx_bpf_exit_bstr", exit_bstr},
    {"scx_bpf_error_bstr", error_bstr},
    {"scx_bpf_dump_bstr", dump_bstr},
    {"scx_bpf_events", events},
};

}  // namespace

std::span<const KfuncEntry> message_kfuncs() {
  return kEntries;
}

}  // namespace uscx::sched::ext
