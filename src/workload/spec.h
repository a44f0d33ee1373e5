// SPDX-License-Identifier: GPL-2.0-only
// A workload as its file says it: rt-app's model of threads that go through phases of events.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/types.h"

namespace uscx::workload {

enum class OpKind : u8 {
  kRun,      // work at capacity 1024
  kRuntime,  // time on the CPU, whatever its capacity
  kSleep,
  kTimer,
  kYield,
  kFork,
  kLock,
  kUnlock,
  kWait,  // on a condition, with a mutex
  kSignal,
  kBroadcast,
  kBarrier,
  kSuspend,
  kResume,
  kPipeWrite,
  kPipeRead,
  kFutexWait,
  kFutexWake,
  kCgroupCreate,
  kCgroupSet,
  kCgroupRemove,
  kCgroupMove,
  kMigrateDisable,  // as kernel code on the task's behalf: it stays on its CPU
  kMigrateEnable,
  // What a task does to another, or to the machine: control.cc.
  kSpin,        // uses the CPU until a flag is set
  kSet,         // a flag
  kAwait,       // sleeps until a flag is set, looking twice in a millisecond
  kAwaitState,  // likewise, until a task is in a state
  kSetAffinity,
  kSetScheduler,
  kSetPriority,
  kKill,
  kWaitPid,
  kExec,
  kHotplug,
  kScheduler,       // attaches or detaches the scheduler under test
  kAwaitScheduler,  // sleeps until sched_ext is in a state
  kSysRq,           // S: the scheduler is ended; D: the debug dump; l: an NMI for each other CPU
};

/// What the control events name.
enum class TaskState : u8 { kSleeping, kStopped, kRunning };

/// A duration: fixed, or uniform between both, drawn anew each time.
struct Duration {
  Nanos min;
  Nanos max;
};

/// Values for a cgroup's cpu.* files; what is not given is left alone.
struct CgroupSettings {
  std::optional<u64> weight;
  std::optional<int> nice;  // cpu.weight.nice
  std::optional<bool> idle;
  std::optional<u64> quota_us;  // cpu.max; ~0: "max"
  std::optional<u64> period_us;
  std::optional<u64> burst_us;
};

/// A SCHED_DEADLINE reservation: rt-app's dl-runtime, dl-period, dl-deadline.
struct Reservation {
  std::optional<Nanos> runtime;
  std::optional<Nanos> period;    // the runtime where not given
  std::optional<Nanos> deadline;  // the period where not given
  bool any() const { return runtime || period || deadline; }
};

/// One event of a phase.
struct Op {
  OpKind kind = OpKind::kRun;
  Duration duration{};  // run, runtime, sleep, timer (its period)
  std::string ref{};    // what it acts on; may hold %g, %i, %l
  std::string mutex{};  // kWait
  std::string task{};   // kCgroupMove: whom; empty: itself
  CgroupSettings cgroup{};
  bool absolute = false;    // kTimer
  u64 count = 0;            // pipe: bytes of a message; futex_wake: how many
  std::vector<u32> cpus{};  // kSetAffinity
  Reservation deadline{};   // kSetScheduler
  int number = 0;    // kSetScheduler: policy; kKill: signal; kHotplug: CPU; kAwaitState: TaskState
  int priority = 0;  // kSetScheduler: realtime priority; kSetPriority: nice
  bool on = false;   // kHotplug: on line
  json::Position at{};
};

struct Attributes {
  std::optional<std::vector<u32>> cpus;
  std::optional<int> policy;
  std::optional<int> priority;        // nice, or the realtime priority
  std::optional<std::string> cgroup;  // path; may hold %g, %i
  Reservation deadline;
};

inline constexpr s64 kForever = -1;

struct Phase {
  std::string name{};
  s64 loop = 1;  // kForever: without end
  Attributes attributes{};
  std::vector<Op> ops{};
};

struct ThreadSpec {
  std::string name{};
  std::string instances = "1";  // expressions over the machine: per group
  std::string groups = "1";
  std::string comm{};    // exactly; empty: the name and a number
  bool inherit = false;  // CPUs and policy are its parent's
  json::Position at{};
  json::Position instances_at;
  json::Position groups_at;
  Nanos delay{};
  s64 loop = kForever;
  Attributes attributes{};
  std::vector<Phase> phases{};
};

/// A cgroup that is there before the first task is.
struct CgroupSpec {
  std::string path;
  CgroupSettings settings;
};

struct WorkloadSpec {
  json::Document source;  // positions in it are for messages
  std::string name{};
  std::string description{};
  std::optional<Nanos> duration;
  std::vector<CgroupSpec> cgroups{};
  std::vector<ThreadSpec> threads;
  bool attaches = false;  // its tasks say when the scheduler is attached
};

/// Linux: PIPE_BUF, up to which a write is atomic; and the default capacity of a pipe.
inline constexpr u64 kPipeMessageMax = 4096;
inline constexpr u64 kPipeCapacity = 65536;

/// Errors: "file:line:column: what is wrong"; what rt-app has and this has not is named.
OrError<WorkloadSpec> parse_workload(json::Document document);

}  // namespace uscx::workload
