// SPDX-License-Identifier: GPL-2.0-only
#include "observe/message_log.h"

#include <fmt/format.h>

#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

namespace {

std::string comm_of(const Task* p) {
  return p ? std::string(p->comm) : std::string("<none>");
}
Pid pid_of(const Task* p) {
  return p ? p->pid : -1;
}

}  // namespace

MessageLog::MessageLog(sched::Tracepoints& trace, Sink printk, Sink dmesg) {
  if (printk) {
    trace.trace_printk.subscribe(
        [printk](Nanos now, CpuId cpu, const Task* p, std::string_view text) {
          printk(fmt::format("{:>16}-{:<7} [{:03}] {:>5}.{:06}: bpf_trace_printk: {}", comm_of(p),
                             pid_of(p), cpu, now.ns / 1'000'000'000, now.ns % 1'000'000'000 / 1000,
                             text));
        });
  }
  if (printk) {
    trace.scx_dump.subscribe([printk](Nanos now, std::string_view line) {
      printk(fmt::format("{:>5}.{:06}: sched_ext_dump: {}", now.ns / 1'000'000'000,
                         now.ns % 1'000'000'000 / 1000, line));
    });
  }
  if (dmesg) {
    trace.kernel_log.subscribe([dmesg](Nanos now, CpuId cpu, const Task* p, std::string_view text) {
      dmesg(fmt::format("[{:>5}.{:06}] [{}:{}] [{:03}] {}", now.ns / 1'000'000'000,
                        now.ns % 1'000'000'000 / 1000, comm_of(p), pid_of(p), cpu, text));
    });
  }
}

}  // namespace uscx::observe
