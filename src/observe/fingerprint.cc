// SPDX-License-Identifier: GPL-2.0-only
#include "observe/fingerprint.h"

#include <string_view>

namespace uscx::observe {

using sched::Task;

Fingerprint::Fingerprint(sched::Tracepoints& trace, Steps steps) {
  for (std::size_t i = 0; i < op_words_.size(); ++i) {
    const std::string_view name = sched::ext::op_name(static_cast<sched::ext::Op>(i));
    StreamHash hash;
    hash.add_bytes(name.data(), name.size());
    op_words_[i] = hash.value();
  }
  if (steps == Steps::kSubscribed) subscribe_steps(trace, *this);
  trace.sched_waking.subscribe<&Fingerprint::on_waking>(*this);
  trace.sched_wakeup_new.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    add(Kind::kWakeupNew, cpu, now, pid_of(&p), static_cast<u32>(target));
  });
  trace.sched_process_fork.subscribe([this](Nanos now, const Task& parent, const Task& child) {
    add(Kind::kFork, 0, now, pid_of(&parent), pid_of(&child));
  });
  trace.sched_process_exit.subscribe(
      [this](Nanos now, const Task& p) { add(Kind::kExit, 0, now, pid_of(&p), 0); });
  trace.scx_state.subscribe([this](Nanos now, std::string_view state) {
    add(Kind::kState, 0, now, 0, 0);
    hash_.add_bytes(state.data(), state.size());
  });
  trace.scx_exit.subscribe(
      [this](Nanos now, s32 kind, s64 code, std::string_view reason, std::string_view msg) {
        add(Kind::kScxExit, 0, now, static_cast<u32>(kind), static_cast<u64>(code));
        hash_.add_bytes(reason.data(), reason.size());
        hash_.add_bytes(msg.data(), msg.size());
      });
  const auto cgroup = [this](Nanos now, std::string_view path, u64 id) {
    add(Kind::kCgroup, 0, now, 0, id);
    hash_.add_bytes(path.data(), path.size());
  };
  trace.cgroup_mkdir.subscribe(cgroup);
  trace.cgroup_rmdir.subscribe(cgroup);
  trace.cgroup_attach_task.subscribe(
      [this](Nanos now, const Task& p, std::string_view, std::string_view to) {
        add(Kind::kCgroup, 0, now, pid_of(&p), 0);
        hash_.add_bytes(to.data(), to.size());
      });
  trace.trace_printk.subscribe([this](Nanos now, CpuId cpu, const Task* p, std::string_view text) {
    add(Kind::kPrintk, cpu, now, pid_of(p), 0);
    hash_.add_bytes(text.data(), text.size());
  });
}

}  // namespace uscx::observe
