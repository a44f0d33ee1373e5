// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>

#include "base/hash.h"
#include "observe/steps.h"
#include "sched/ext/ops.h"
#include "sched/task.h"
#include "sched/tracepoints.h"

namespace uscx::observe {

/// A 64-bit hash of a run's event stream: every switch, wakeup, migration, fork, exit, callback,
/// exit of a scheduler and message, with its time and CPU. Two runs with the same value did the
/// same. Must outlive the kernel's use of its tracepoints.
class Fingerprint {
 public:
  explicit Fingerprint(sched::Tracepoints& trace, Steps steps = Steps::kSubscribed);
  Fingerprint(const Fingerprint&) = delete;
  u64 value() const { return hash_.value(); }

  // See steps.h.
  void on_switch(Nanos now, CpuId cpu, const sched::Task& prev, u32 state,
                 const sched::Task& next) {
    add(Kind::kSwitch, cpu, now, pid_of(&prev) << 32 | state, pid_of(&next));
  }
  void on_wakeup(Nanos now, CpuId cpu, const sched::Task& p, CpuId to) {
    add(Kind::kWakeup, cpu, now, pid_of(&p), static_cast<u32>(to));
  }
  void on_migrate(Nanos now, const sched::Task& p, CpuId from, CpuId to) {
    add(Kind::kMigrate, to, now, pid_of(&p), static_cast<u32>(from));
  }
  void on_callback(Nanos now, CpuId cpu, sched::ext::Op op, const sched::Task* p, u64 result) {
    EventHash hash = hash_;
    add(hash, Kind::kCallback, cpu, now, pid_of(p), result);
    hash.add(op_words_[static_cast<std::size_t>(op)]);
    hash_ = hash;
  }

 private:
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
  void on_waking(Nanos now, CpuId cpu, const sched::Task& p, CpuId to) {
    add(Kind::kWaking, cpu, now, pid_of(&p), static_cast<u32>(to));
  }
  static u64 pid_of(const sched::Task* p) { return p ? static_cast<u32>(p->pid) : ~0ULL; }
  static void add(EventHash& hash, Kind kind, CpuId cpu, Nanos now, u64 a, u64 b) {
    hash.add((static_cast<u64>(kind) << 32) | static_cast<u32>(cpu));
    hash.add(now.ns);
    hash.add(a);
    hash.add(b);
  }
  void add(Kind kind, CpuId cpu, Nanos now, u64 a, u64 b) {
    EventHash hash = hash_;  // in a register
    add(hash, kind, cpu, now, a, b);
    hash_ = hash;
  }

  EventHash hash_;
  std::array<u64, sched::ext::kNrOps> op_words_;  // an op's name in one word
};

}  // namespace uscx::observe
