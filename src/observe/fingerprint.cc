// SPDX-License-Identifier: GPL-2.0-only
#include "observe/fingerprint.h"

#include "sched/task.h"

namespace uscx::observe {

using sched::Task;

namespace {

/// One word each, so that events of different kinds never look alike.
enum class Kind : u64 {
  kSwitch = 1,
  kWaking,
  kWakeup,
  kWakeupNew,
  kMigrate,
  kFork,
  kExit,
  kCallback,
  kState,
  kScxExit,
  kPrintk,
  kCgroup
};

u64 head(Kind kind, CpuId cpu) {
  return (static_cast<u64>(kind) << 32) | static_cast<u32>(cpu);
}
u64 pid_of(const Task* p) {
  return p ? static_cast<u32>(p->pid) : ~0ULL;
}

}  // namespace

Fingerprint::Fingerprint(sched::Tracepoints& trace) {
  for (std::size_t i = 0; i < op_words_.size(); ++i) {
    const std::string_view name = sched::ext::op_name(static_cast<sched::ext::Op>(i));
    StreamHash hash;
    hash.add_bytes(name.data(), name.size());
    op_words_[i] = hash.value();
  }
  auto add = [this](Kind kind, CpuId cpu, Nanos now, u64 a, u64 b) {
    EventHash hash = hash_;
    hash.add(head(kind, cpu));
    hash.add(now.ns);
    hash.add(a);
    hash.add(b);
    hash_ = hash;
  };
  trace.sched_switch.subscribe(
      [add](Nanos now, CpuId cpu, const Task& prev, u32 state, const Task& next) {
        add(Kind::kSwitch, cpu, now, pid_of(&prev) << 32 | state, pid_of(&next));
      });
  trace.sched_waking.subscribe([add](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    add(Kind::kWaking, cpu, now, pid_of(&p), static_cast<u32>(target));
  });
  trace.sched_wakeup.subscribe([add](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    add(Kind::kWakeup, cpu, now, pid_of(&p), static_cast<u32>(target));
  });
  trace.sched_wakeup_new.subscribe([add](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    add(Kind::kWakeupNew, cpu, now, pid_of(&p), static_cast<u32>(target));
  });
  trace.sched_migrate_task.subscribe([add](Nanos now, const Task& p, CpuId from, CpuId to) {
    add(Kind::kMigrate, to, now, pid_of(&p), static_cast<u32>(from));
  });
  trace.sched_process_fork.subscribe([add](Nanos now, const Task& parent, const Task& child) {
    add(Kind::kFork, 0, now, pid_of(&parent), pid_of(&child));
  });
  trace.sched_process_exit.subscribe(
      [add](Nanos now, const Task& p) { add(Kind::kExit, 0, now, pid_of(&p), 0); });
  trace.scx_callback.subscribe(
      [this, add](Nanos now, CpuId cpu, sched::ext::Op op, const Task* p, u64 result) {
        add(Kind::kCallback, cpu, now, pid_of(p), result);
        hash_.add(op_words_[static_cast<std::size_t>(op)]);
      });
  trace.scx_state.subscribe([this, add](Nanos now, std::string_view state) {
    add(Kind::kState, 0, now, 0, 0);
    hash_.add_bytes(state.data(), state.size());
  });
  trace.scx_exit.subscribe(
      [this, add](Nanos now, s32 kind, s64 code, std::string_view reason, std::string_view msg) {
        add(Kind::kScxExit, 0, now, static_cast<u32>(kind), static_cast<u64>(code));
        hash_.add_bytes(reason.data(), reason.size());
        hash_.add_bytes(msg.data(), msg.size());
      });
  const auto cgroup = [this, add](Nanos now, std::string_view path, u64 id) {
    add(Kind::kCgroup, 0, now, 0, id);
    hash_.add_bytes(path.data(), path.size());
  };
  trace.cgroup_mkdir.subscribe(cgroup);
  trace.cgroup_rmdir.subscribe(cgroup);
  trace.cgroup_attach_task.subscribe(
      [this, add](Nanos now, const Task& p, std::string_view, std::string_view to) {
        add(Kind::kCgroup, 0, now, pid_of(&p), 0);
        hash_.add_bytes(to.data(), to.size());
      });
  trace.trace_printk.subscribe(
      [this, add](Nanos now, CpuId cpu, const Task* p, std::string_view text) {
        add(Kind::kPrintk, cpu, now, pid_of(p), 0);
        hash_.add_bytes(text.data(), text.size());
      });
}

}  // namespace uscx::observe
