// SPDX-License-Identifier: GPL-2.0-only
#include "observe/perfetto.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sched/kernel.h"

namespace uscx::observe {

using protozero::pbf_writer;
using sched::Task;

namespace {

// Track numbers: ours (perfetto.h), CPUs' callbacks, threads, then queues.
constexpr u64 kCallbackTracks = 1ULL << 16;
constexpr u64 kQueueTracks = 1ULL << 48;
constexpr u64 kTaskReportStates = 0x7f;  // TASK_REPORT: what sched_switch shows of a state

std::string_view comm(const Task& p) {
  return {p.comm, strnlen(p.comm, sizeof p.comm)};
}

template <class Writer>
void add(Writer& message, u32 field, std::string_view text) {
  message.add_string(field, text.data(), text.size());
}

/// A state as ftrace's sched_switch has it.
u64 reported_state(u32 state) {
  if (state == sched::TASK_DEAD) return sched::EXIT_DEAD;
  return state & kTaskReportStates;
}

/// Local and bypass queues are a CPU's, the global ones a node's. The ids of these are small
/// numbers below a flag, which tell the kinds apart. Any other number may be the id of a program's
/// queue.
u64 queue_track(u64 dsq_id, u32 cpu, u32 node) {
  switch (dsq_id) {
    case abi::SCX_DSQ_LOCAL:
    case abi::SCX_DSQ_BYPASS:
      return kQueueTracks | (dsq_id & 0xff) << 32 | cpu;
    case abi::SCX_DSQ_GLOBAL:
      return kQueueTracks | (dsq_id & 0xff) << 32 | node;
    default: {
      StreamHash hash;
      hash.add(dsq_id);
      return hash.value() | 1ULL << 63;
    }
  }
}

std::string queue_name(u64 dsq_id, u32 cpu, u32 node) {
  switch (dsq_id) {
    case abi::SCX_DSQ_LOCAL:
      return fmt::format("local DSQ of CPU {}", cpu);
    case abi::SCX_DSQ_BYPASS:
      return fmt::format("bypass DSQ of CPU {}", cpu);
    case abi::SCX_DSQ_GLOBAL:
      return fmt::format("global DSQ of node {}", node);
    default:
      return fmt::format("DSQ {:#x}", dsq_id);
  }
}

}  // namespace

OrError<std::unique_ptr<PerfettoTrace>> PerfettoTrace::create(sched::Kernel& kernel,
                                                              Options options) {
  auto writer = PerfettoWriter::create(options.path, kernel.nr_cpus());
  if (!writer) return std::unexpected(writer.error());
  return std::unique_ptr<PerfettoTrace>(
      new PerfettoTrace(kernel, std::move(options), std::move(*writer)));
}

PerfettoTrace::PerfettoTrace(sched::Kernel& kernel, Options options,
                             std::unique_ptr<PerfettoWriter> writer)
    : kernel_(kernel),
      options_(std::move(options)),
      writer_(std::move(writer)),
      callback_end_ns_(kernel.nr_cpus()) {
  begin();
  subscribe_tasks();
  subscribe_sched_ext();
}

/// What the trace is about: the kernel, its tracks, and the tasks there are.
void PerfettoTrace::begin() {
  writer_->packet(kernel_.now(), [this](pbf_writer& p) {
    pbf_writer info{p, pb::kSystemInfo};
    pbf_writer uts{info, pb::kUtsname};
    add(uts, pb::kSysname, "Linux");
    add(uts, pb::kRelease, kernel_.config().version.to_string() + ".0-uscx");
    add(uts, pb::kMachine, "x86_64");
  });
  for (const auto& [track, name] : {std::pair{kRunTrack, "run"},
                                    {kSchedExtTrack, "sched_ext"},
                                    {kPrintkTrack, "bpf_printk"},
                                    {kLogTrack, "kernel log"}}) {
    writer_->track(track, [name](pbf_writer& d) { add(d, pb::kTrackName, name); });
  }
  if (options_.callbacks) {
    for (u32 cpu = 0; cpu < kernel_.nr_cpus(); ++cpu) {
      writer_->track(kCallbackTracks + cpu, [cpu](pbf_writer& d) {
        add(d, pb::kTrackName, fmt::format("callbacks on CPU {}", cpu));
      });
    }
  }
  auto& tasks = kernel_.tasks();
  for (const Task* p = tasks.front(); p; p = tasks.next(*p)) new_task(kernel_.now(), *p);
}

void PerfettoTrace::subscribe_tasks() {
  sched::Tracepoints& t = kernel_.trace();
  t.sched_switch.subscribe([this](Nanos now, CpuId cpu, const Task& prev, u32 state,
                                  const Task& next) { on_switch(now, cpu, prev, state, next); });
  t.sched_waking.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    on_wakeup(now, cpu, p, target, pb::kSchedWaking);
  });
  t.sched_wakeup.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    on_wakeup(now, cpu, p, target, pb::kSchedWakeup);
    TaskState& task = state_of(p);
    if (task.asleep) task = {.asleep = false, .woken = true};
  });
  t.sched_wakeup_new.subscribe([this](Nanos now, CpuId cpu, const Task& p, CpuId target) {
    on_wakeup(now, cpu, p, target, pb::kSchedWakeupNew);
    state_of(p) = {.asleep = false, .woken = false};
  });
  t.task_executes.subscribe([this](Nanos now, CpuId, const Task& p) { on_executes(now, p); });
  t.sched_migrate_task.subscribe([this](Nanos now, const Task& p, CpuId from, CpuId to) {
    const CpuId here = kernel_.cpu();
    writer_->ftrace(now, here, running_on(here), pb::kSchedMigrateTask, [&](ShortWriter& m) {
      add(m, pb::kComm, comm(p));
      m.add_int32(pb::kPid, p.pid);
      m.add_int32(pb::kPrio, p.prio);
      m.add_int32(pb::kMigrateOrigCpu, from);
      m.add_int32(pb::kMigrateDestCpu, to);
    });
  });
  t.sched_process_fork.subscribe([this](Nanos now, const Task&, const Task& child) {
    const CpuId here = kernel_.cpu();
    writer_->ftrace(now, here, running_on(here), pb::kTaskNewtask, [&](ShortWriter& m) {
      m.add_int32(pb::kNewtaskPid, child.pid);
      add(m, pb::kNewtaskComm, comm(child));
      m.add_uint64(pb::kNewtaskCloneFlags, 0);  // a process, not a thread
    });
    new_task(now, child);
  });
  t.sched_process_exit.subscribe([this](Nanos now, const Task& p) {
    const CpuId here = kernel_.cpu();
    writer_->ftrace(now, here, p.pid, pb::kSchedProcessExit, [&](ShortWriter& m) {
      add(m, pb::kComm, comm(p));
      m.add_int32(pb::kPid, p.pid);
      m.add_int32(pb::kExitTgid, p.tgid);
      m.add_int32(pb::kExitPrio, p.prio);
    });
  });
  t.sched_process_free.subscribe([this](const Task& p) { task_gone(p); });
}

void PerfettoTrace::subscribe_sched_ext() {
  sched::Tracepoints& t = kernel_.trace();
  t.scx_dsq.subscribe(
      [this](Nanos now, const Task& p, u64 dsq_id, bool, u32 nr) { on_dsq(now, p, dsq_id, nr); });
  t.scx_state.subscribe(
      [this](Nanos now, std::string_view state) { writer_->instant(now, kSchedExtTrack, state); });
  t.scx_exit.subscribe(
      [this](Nanos now, s32 kind, s64 code, std::string_view reason, std::string_view msg) {
        writer_->instant(now, kSchedExtTrack,
                         fmt::format("exit: {} (kind {}, code {:#x}): {}", reason, kind,
                                     static_cast<u64>(code), msg));
      });
  t.trace_printk.subscribe([this](Nanos now, CpuId cpu, const Task* p, std::string_view text) {
    writer_->instant(now, kPrintkTrack, fmt::format("[{:03}] {}: {}", cpu, p ? p->pid : -1, text));
  });
  t.kernel_log.subscribe([this](Nanos now, CpuId, const Task*, std::string_view text) {
    writer_->instant(now, kLogTrack, text);
  });
  if (!options_.callbacks) return;
  t.scx_callback_cost.subscribe([this](Nanos now, CpuId cpu, std::string_view op, u64 cost_ns) {
    on_callback(now, cpu, op, cost_ns);
  });
}

void PerfettoTrace::mark(Nanos now, std::string_view text) {
  writer_->instant(now, kRunTrack, text);
}

OrError<void> PerfettoTrace::finish() {
  if (writer_->flush()) return {};
  return error(fmt::format("{}: the trace could not be written to its end", options_.path));
}

PerfettoTrace::TaskState& PerfettoTrace::state_of(const Task& p) {
  if (p.slot >= tasks_.size()) tasks_.resize(std::max<std::size_t>(p.slot + 1, tasks_.size() * 2));
  return tasks_[p.slot];
}

Pid PerfettoTrace::running_on(CpuId cpu) {
  return kernel_.rq(cpu).current()->pid;
}

void PerfettoTrace::on_switch(Nanos now, CpuId cpu, const Task& prev, u32 prev_state,
                              const Task& next) {
  state_of(prev).asleep = prev_state != sched::TASK_RUNNING;
  state_of(next).asleep = false;
  writer_->ftrace(now, cpu, prev.pid, pb::kSchedSwitch, [&](ShortWriter& m) {
    add(m, pb::kPrevComm, comm(prev));
    m.add_int32(pb::kPrevPid, prev.pid);
    m.add_int32(pb::kPrevPrio, prev.prio);
    m.add_int64(pb::kPrevState, static_cast<s64>(reported_state(prev_state)));
    add(m, pb::kNextComm, comm(next));
    m.add_int32(pb::kNextPid, next.pid);
    m.add_int32(pb::kNextPrio, next.prio);
  });
}

void PerfettoTrace::on_wakeup(Nanos now, CpuId cpu, const Task& p, CpuId target,
                              pb::FtraceEvent kind) {
  writer_->ftrace(now, cpu, running_on(cpu), kind, [&](ShortWriter& m) {
    add(m, pb::kComm, comm(p));
    m.add_int32(pb::kPid, p.pid);
    m.add_int32(pb::kPrio, p.prio);
    m.add_int32(pb::kSuccess, 1);
    m.add_int32(pb::kTargetCpu, target);
  });
}

void PerfettoTrace::on_executes(Nanos now, const Task& p) {
  TaskState& task = state_of(p);
  if (!task.woken) return;
  task.woken = false;
  writer_->instant(now, thread_track(p.pid), kExecutes);
}

void PerfettoTrace::on_dsq(Nanos now, const Task& p, u64 dsq_id, u32 nr) {
  const auto cpu = static_cast<u32>(p.cpu);
  const auto node = static_cast<u32>(kernel_.topology().cpus[cpu].node);
  const u64 track = queue_track(dsq_id, cpu, node);
  if (!writer_->has_track(track)) {
    writer_->track(track, [&](pbf_writer& d) {
      add(d, pb::kTrackName, queue_name(dsq_id, cpu, node));
      pbf_writer counter{d, pb::kTrackCounter};
    });
  }
  writer_->counter(now, track, nr);
}

/// Callbacks take no time where they happen: what they cost delays what comes after them. They are
/// drawn one after the other, each as long as it costs.
void PerfettoTrace::on_callback(Nanos now, CpuId cpu, std::string_view op, u64 cost_ns) {
  const u64 track = kCallbackTracks + static_cast<u32>(cpu);
  u64& end_ns = callback_end_ns_[static_cast<u32>(cpu)];
  const u64 begin_ns = std::max(end_ns, now.ns);
  end_ns = begin_ns + cost_ns;
  writer_->slice(Nanos{begin_ns}, track, op);
  writer_->slice(Nanos{end_ns}, track, {});
}

void PerfettoTrace::new_task(Nanos now, const Task& p) {
  writer_->packet(now, [&](pbf_writer& packet) {
    pbf_writer tree{packet, pb::kProcessTree};
    {
      pbf_writer process{tree, pb::kProcesses};
      process.add_int32(pb::kProcessPid, p.tgid);
      process.add_int32(pb::kProcessPpid, p.real_parent ? p.real_parent->tgid : 0);
      add(process, pb::kProcessCmdline, comm(p));
    }
    pbf_writer thread{tree, pb::kThreads};
    thread.add_int32(pb::kThreadTid, p.pid);
    add(thread, pb::kThreadName, comm(p));
    thread.add_int32(pb::kThreadTgid, p.tgid);
  });
  writer_->track(thread_track(p.pid), [&](pbf_writer& d) {
    pbf_writer thread{d, pb::kTrackThread};
    thread.add_int32(pb::kDescriptorPid, p.tgid);
    thread.add_int32(pb::kDescriptorTid, p.pid);
    add(thread, pb::kDescriptorThreadName, comm(p));
  });
}

void PerfettoTrace::task_gone(const Task& p) {
  state_of(p) = {};
  writer_->forget_track(thread_track(p.pid));
  const CpuId here = kernel_.cpu();
  writer_->ftrace(kernel_.now(), here, running_on(here), pb::kSchedProcessFree,
                  [&](ShortWriter& m) {
                    add(m, pb::kComm, comm(p));
                    m.add_int32(pb::kPid, p.pid);
                    m.add_int32(pb::kPrio, p.prio);
                  });
}

}  // namespace uscx::observe
