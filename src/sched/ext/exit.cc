// SPDX-License-Identifier: GPL-2.0-only
// The one exit of a scheduler: who claims it, what it is told, and how the disabling is started.
#include <algorithm>
#include <cstring>

#include "sched/ext/internal.h"
#include "sched/ext/worker.h"
#include "sched/trace_programs.h"

namespace uscx::sched::ext {
namespace {

void set_text(char* to, std::size_t size, std::string_view text) {
  const std::size_t n = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), n);
  to[n] = '\0';
}

}  // namespace

std::string_view exit_reason(s32 kind) {
  switch (kind) {
    case abi::SCX_EXIT_UNREG:
      return "unregistered from user space";
    case abi::SCX_EXIT_UNREG_BPF:
      return "unregistered from BPF";
    case abi::SCX_EXIT_UNREG_KERN:
      return "unregistered from the main kernel";
    case abi::SCX_EXIT_SYSRQ:
      return "disabled by sysrq-S";
    case abi::SCX_EXIT_PARENT:
      return "parent exiting";
    case abi::SCX_EXIT_PARENT_KILL:
      return "killed by parent scheduler";
    case abi::SCX_EXIT_ERROR:
      return "runtime error";
    case abi::SCX_EXIT_ERROR_BPF:
      return "scx_bpf_error";
    case abi::SCX_EXIT_ERROR_STALL:
      return "runnable task stall";
    case abi::SCX_EXIT_ERROR_REENQ:
      return "reenqueue limit";
    case abi::SCX_EXIT_ERROR_RESCUE:
      return "rescue bandwidth overload";
    default:
      return "<UNKNOWN>";
  }
}

bool claim_exit(Sched& sch, s32 kind) {
  USCX_ASSERT(kind != abi::SCX_EXIT_NONE && kind != abi::SCX_EXIT_DONE);
  if (sch.exit_kind != abi::SCX_EXIT_NONE) return false;
  sch.exit_kind = kind;
  // Queues are no longer walked from here on: a scheduler in a live loop must not hold up its end.
  sch.aborting = true;
  trace_programs(sch.kernel, "sched_ext_exit", reinterpret_cast<u64>(sch.abi_pointer()), kind);
  return true;
}

/// Sets kind and reason where programs and the dump see them.
static void set_exit_kind(Sched& sch, s32 kind) {
  sch.exit_info.info->kind = static_cast<abi::scx_exit_kind>(kind);
  set_text(sch.exit_info.reason, kExitReasonLen, exit_reason(kind));
}

/// For the observers, while the task that caused it is still where it was.
static void record_exit(Sched& sch, s32 kind) {
  ExitRecord& record = sch.ext.last_exit;
  record = {.kind = kind,
            .code = sch.exit_info.info->exit_code,
            .reason = std::string(exit_reason(kind)),
            .msg = sch.exit_info.msg,
            .dump = {},
            .sched_name = sch.ops.name,
            .stalled_pid = kind == abi::SCX_EXIT_ERROR_STALL ? sch.exit_info.stalled_pid : 0};
  sch.kernel.trace().scx_exit(sch.kernel.now(), record.kind, record.code, record.reason,
                              record.msg);
}

void finish_exit(Sched& sch, s32 kind, s64 exit_code, CpuId exit_cpu, std::string_view msg) {
  abi::scx_exit_info& info = *sch.exit_info.info;
  info.exit_code = exit_code;
  info.exit_cpu = exit_cpu;
  set_text(sch.exit_info.msg, abi::SCX_EXIT_MSG_LEN, msg);
  set_exit_kind(sch, kind);
  record_exit(sch, kind);
  sch.kernel.machine().queue_irq_work(*sch.disable_irq_work, sch.kernel.cpu());
}

bool vexit(Sched& sch, s32 kind, s64 exit_code, CpuId exit_cpu, std::string_view msg) {
  if (!claim_exit(sch, kind)) return false;
  finish_exit(sch, kind, exit_code, exit_cpu, msg);
  return true;
}

void disable(Sched& sch, s32 kind) {
  if (claim_exit(sch, kind)) {
    record_exit(sch, kind);
    sch.kernel.machine().queue_irq_work(*sch.disable_irq_work, sch.kernel.cpu());
  }
}

void disable_irq_workfn(Sched& sch) {
  if (sch.exit_info.info->kind >= abi::SCX_EXIT_ERROR) dump_state(sch, sch.exit_info, true);
  sch.helper->queue([&sch] { disable_workfn(sch); });
}

void disable_workfn(Sched& sch) {
  const s32 kind = sch.exit_kind;
  USCX_ASSERT(kind != abi::SCX_EXIT_NONE && kind != abi::SCX_EXIT_DONE);
  sch.exit_kind = abi::SCX_EXIT_DONE;
  set_exit_kind(sch, kind);
  root_disable(sch);
  sch.disable_done = true;
  sch.disable_waiters.wake_all(sch.kernel);
}

void flush_disable_work(Sched& sch) {
  while (sch.exit_kind != abi::SCX_EXIT_NONE && !sch.disable_done) {
    sch.disable_waiters.sleep(sch.kernel);
  }
}

bool cpu_valid(Sched& sch, CpuId cpu, std::string_view where) {
  if (cpu >= 0 && static_cast<u32>(cpu) < sch.kernel.nr_cpus()) return true;
  error(sch, "invalid CPU {}{}{}", cpu, where.empty() ? "" : " ", where);
  return false;
}

bool kf_arg_task_ok(Sched& sch, const Task& p) {
  const auto& current = sch.kernel.current().scx;
  if (current.kf_tasks[0] == &p || current.kf_tasks[1] == &p) return true;
  error(sch, "called on a task not being operated on");
  return false;
}

}  // namespace uscx::sched::ext
