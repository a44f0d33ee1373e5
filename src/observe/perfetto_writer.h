// SPDX-License-Identifier: GPL-2.0-only
// A stream of Perfetto's trace packets, written while the run goes on. What is kept in memory is
// bounded: one chunk of ftrace events a CPU, and one of packets for the file.
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <protozero/basic_pbf_writer.hpp>
#include <protozero/buffer_fixed.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace uscx::observe {

/// Field numbers of perfetto.protos, of the messages that we write (protos/perfetto/trace).
namespace pb {
enum Trace : u32 { kPacket = 1 };
enum TracePacket : u32 {
  kFtraceEvents = 1,
  kProcessTree = 2,
  kTimestamp = 8,
  kTrustedPacketSequenceId = 10,
  kTrackEvent = 11,
  kInternedData = 12,
  kSequenceFlags = 13,
  kSystemInfo = 45,
  kTrackDescriptor = 60,
};
enum SequenceFlags : u32 { kIncrementalStateCleared = 1, kNeedsIncrementalState = 2 };
enum FtraceEventBundle : u32 { kBundleCpu = 1, kBundleEvent = 2 };
enum FtraceEvent : u32 {
  kEventTimestamp = 1,
  kEventPid = 2,
  kSchedSwitch = 4,
  kSchedWakeup = 17,
  kSchedWaking = 20,
  kSchedWakeupNew = 114,
  kTaskNewtask = 235,
  kSchedProcessExit = 238,
  kSchedProcessFree = 240,
  kSchedMigrateTask = 491,
};
enum SchedSwitch : u32 {
  kPrevComm = 1,
  kPrevPid = 2,
  kPrevPrio = 3,
  kPrevState = 4,
  kNextComm = 5,
  kNextPid = 6,
  kNextPrio = 7,
};
/// Of waking, wakeup and wakeup_new alike.
enum SchedWakeup : u32 { kComm = 1, kPid = 2, kPrio = 3, kSuccess = 4, kTargetCpu = 5 };
enum SchedMigrateTask : u32 { kMigrateOrigCpu = 4, kMigrateDestCpu = 5 };  // 1 to 3 as above
enum SchedProcessExit : u32 { kExitTgid = 3, kExitPrio = 4 };              // 1 and 2 as above
enum TaskNewtask : u32 { kNewtaskPid = 1, kNewtaskComm = 2, kNewtaskCloneFlags = 3 };
enum ProcessTree : u32 { kProcesses = 1, kThreads = 2 };
enum Process : u32 { kProcessPid = 1, kProcessPpid = 2, kProcessCmdline = 3 };
enum Thread : u32 { kThreadTid = 1, kThreadName = 2, kThreadTgid = 3 };
enum TrackDescriptor : u32 {
  kTrackUuid = 1,
  kTrackName = 2,
  kTrackThread = 4,
  kTrackParent = 5,
  kTrackCounter = 8,
};
enum ThreadDescriptor : u32 { kDescriptorPid = 1, kDescriptorTid = 2, kDescriptorThreadName = 5 };
enum TrackEvent : u32 {
  kType = 9,
  kNameIid = 10,
  kEventTrack = 11,
  kName = 23,
  kCounterValue = 30,
};
enum TrackEventType : u32 { kSliceBegin = 1, kSliceEnd = 2, kInstant = 3, kCounter = 4 };
enum InternedData : u32 { kEventNames = 2 };
enum EventName : u32 { kIid = 1, kEventName = 2 };
enum SystemInfo : u32 { kUtsname = 1 };
enum Utsname : u32 { kSysname = 1, kRelease = 3, kMachine = 4 };
}  // namespace pb

/// Of messages of at most kShort bytes, into an array: what there are many of. A std::string takes
/// numbers byte by byte, and looks each time whether it has room. Longer ones throw
/// std::length_error: what is put in is numbers, and names of at most 16 bytes.
using ShortWriter = protozero::basic_pbf_writer<protozero::fixed_size_buffer_adaptor>;

class PerfettoWriter {
 public:
  static constexpr std::size_t kShort = 256;

  static OrError<std::unique_ptr<PerfettoWriter>> create(const std::string& path, u32 nr_cpus);
  ~PerfettoWriter();
  PerfettoWriter(const PerfettoWriter&) = delete;
  PerfettoWriter& operator=(const PerfettoWriter&) = delete;

  /// Adds a packet of time `at`; `fill` gets its protozero::pbf_writer.
  template <class Fill>
  void packet(Nanos at, Fill fill) {
    {
      protozero::pbf_writer trace{packets_};
      write_packet(trace, at, fill);
    }
    if (packets_.size() >= kPacketsChunk) write_out();
  }
  /// The same, of at most kShort bytes; `fill` gets its ShortWriter.
  template <class Fill>
  void short_packet(Nanos at, Fill fill) {
    std::array<char, kShort> bytes;
    protozero::fixed_size_buffer_adaptor buffer(bytes.data(), bytes.size());
    {
      ShortWriter trace{buffer};
      write_packet(trace, at, fill);
    }
    packets_.append(buffer.data(), buffer.size());
    if (packets_.size() >= kPacketsChunk) write_out();
  }
  /// Adds an ftrace event of `cpu`, with `pid` as the task that ran there; `fill` gets the
  /// ShortWriter of the message in field `kind`.
  template <class Fill>
  void ftrace(Nanos at, CpuId cpu, Pid pid, pb::FtraceEvent kind, Fill fill) {
    std::string& events = cpus_[static_cast<u32>(cpu)];
    std::array<char, kShort> bytes;
    protozero::fixed_size_buffer_adaptor buffer(bytes.data(), bytes.size());
    {
      ShortWriter bundle{buffer};
      ShortWriter event{bundle, pb::kBundleEvent};
      event.add_uint64(pb::kEventTimestamp, at.ns);
      event.add_uint32(pb::kEventPid, static_cast<u32>(pid));
      ShortWriter message{event, kind};
      fill(message);
    }
    events.append(buffer.data(), buffer.size());
    if (events.size() >= kFtraceChunk) flush_cpu(static_cast<u32>(cpu));
  }

  /// Declares a track, once: `fill` adds to its descriptor.
  template <class Fill>
  void track(u64 uuid, Fill fill) {
    if (!tracks_.insert(uuid).second) return;
    packet(Nanos{}, [&](protozero::pbf_writer& p) {
      protozero::pbf_writer descriptor{p, pb::kTrackDescriptor};
      descriptor.add_uint64(pb::kTrackUuid, uuid);
      fill(descriptor);
    });
  }
  bool has_track(u64 uuid) const { return tracks_.contains(uuid); }
  void forget_track(u64 uuid) { tracks_.erase(uuid); }
  void instant(Nanos at, u64 track, std::string_view name);
  void counter(Nanos at, u64 track, u64 value);
  /// A slice, or where `name` is empty its end.
  void slice(Nanos at, u64 track, std::string_view name);

  /// Writes what is buffered. False once anything could not be written.
  bool flush();
  /// Bytes so far.
  u64 written() const { return written_; }

 private:
  static constexpr u32 kSequence = 1;
  static constexpr std::size_t kFtraceChunk = 2048, kPacketsChunk = 1 << 16;

  PerfettoWriter(std::FILE* file, u32 nr_cpus) : file_(file), cpus_(nr_cpus) {}
  void begin();
  template <class Writer, class Fill>
  static void write_packet(Writer& trace, Nanos at, Fill& fill) {
    Writer packet{trace, pb::kPacket};
    packet.add_uint64(pb::kTimestamp, at.ns);
    packet.add_uint32(pb::kTrustedPacketSequenceId, kSequence);
    packet.add_uint32(pb::kSequenceFlags, pb::kNeedsIncrementalState);
    fill(packet);
  }
  void flush_cpu(u32 cpu);
  void write_out();

  std::FILE* file_;
  std::vector<std::string> cpus_;  // by CPU: encoded events
  std::string packets_;
  std::unordered_set<u64> tracks_;  // declared; looked up only
  u64 written_ = 0;
  bool failed_ = false;
};

}  // namespace uscx::observe
