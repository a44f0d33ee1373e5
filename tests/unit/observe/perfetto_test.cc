// SPDX-License-Identifier: GPL-2.0-only
// What a trace says, read back by the numbers of Perfetto's public schema, against the metrics.
#include "observe/perfetto.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <protozero/pbf_reader.hpp>

#include "observe/metrics.h"
#include "unit/sched/core_harness.h"

namespace uscx::observe {
namespace {

using protozero::pbf_reader;
using sched::Kernel;
using sched::Step;
using sched::Task;

/// One thing that the trace says happened. `number` is its field in FtraceEvent, or 0: an instant.
struct Event {
  u64 at_ns = 0;
  u32 number = 0;
  u32 cpu = 0;
  std::map<u32, u64> numbers = {};  // the message's fields
  std::map<u32, std::string> texts = {};
};

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void read_fields(pbf_reader message, Event& event) {
  while (message.next()) {
    if (message.wire_type() == protozero::pbf_wire_type::varint) {
      event.numbers[message.tag()] = message.get_uint64();
    } else {
      event.texts[message.tag()] = message.get_string();
    }
  }
}

Event read_ftrace_event(pbf_reader message, u32 cpu) {
  Event event{.cpu = cpu};
  while (message.next()) {
    if (message.tag() == 1) {
      event.at_ns = message.get_uint64();
    } else if (message.tag() == 2) {
      message.skip();
    } else {
      event.number = message.tag();
      read_fields(message.get_message(), event);
    }
  }
  return event;
}

struct Trace {
  std::vector<Event> ftrace;             // in order of time
  std::vector<Event> track;              // track events, likewise
  std::map<s32, std::string> processes;  // of process trees
  std::map<u64, std::string> tracks;     // names of declared tracks
  std::map<u64, s32> threads;            // tracks of threads
  std::string release;
};

void read_descriptor(pbf_reader descriptor, Trace& out) {
  u64 uuid = 0;
  std::string name;
  s32 tid = 0;
  while (descriptor.next()) {
    if (descriptor.tag() == 1) {
      uuid = descriptor.get_uint64();
    } else if (descriptor.tag() == 2) {
      name = descriptor.get_string();
    } else if (descriptor.tag() == 4) {
      for (pbf_reader thread = descriptor.get_message(); thread.next();) {
        if (thread.tag() == 2) {
          tid = thread.get_int32();
        } else {
          thread.skip();
        }
      }
    } else {
      descriptor.skip();
    }
  }
  out.tracks[uuid] = name;
  if (tid != 0) out.threads[uuid] = tid;
}

void read_processes(pbf_reader tree, Trace& out) {
  while (tree.next()) {
    if (tree.tag() != 1) {
      tree.skip();
      continue;
    }
    Event fields;
    read_fields(tree.get_message(), fields);
    out.processes[static_cast<s32>(fields.numbers[1])] = fields.texts[3];
  }
}

void read_bundle(pbf_reader bundle, Trace& out) {
  u32 cpu = 0;
  while (bundle.next()) {
    if (bundle.tag() == 1) {
      cpu = bundle.get_uint32();
    } else {
      EXPECT_EQ(bundle.tag(), 2u);
      out.ftrace.push_back(read_ftrace_event(bundle.get_message(), cpu));
    }
  }
}

void read_packet(pbf_reader packet, Trace& out) {
  u64 at_ns = 0;
  while (packet.next()) {
    switch (packet.tag()) {
      case 8:
        at_ns = packet.get_uint64();
        break;
      case 1:
        read_bundle(packet.get_message(), out);
        break;
      case 2:
        read_processes(packet.get_message(), out);
        break;
      case 11: {
        Event event{.at_ns = at_ns};
        read_fields(packet.get_message(), event);
        out.track.push_back(event);
        break;
      }
      case 45:
        for (pbf_reader info = packet.get_message(); info.next();) {
          Event uts;
          read_fields(info.get_message(), uts);
          out.release = uts.texts[3];
        }
        break;
      case 60:
        read_descriptor(packet.get_message(), out);
        break;
      case 10:
        EXPECT_EQ(packet.get_uint32(), 1u);  // one sequence
        break;
      default:
        packet.skip();
    }
  }
}

Trace read_trace(const std::string& path) {
  const std::string bytes = read_file(path);
  Trace out;
  for (pbf_reader trace{bytes}; trace.next();) {
    EXPECT_EQ(trace.tag(), 1u);
    read_packet(trace.get_message(), out);
  }
  const auto by_time = [](const Event& a, const Event& b) { return a.at_ns < b.at_ns; };
  std::ranges::stable_sort(out.ftrace, by_time);
  std::ranges::stable_sort(out.track, by_time);
  return out;
}

/// CPU time of each pid from begin to end.
std::map<u64, u64> running_ns(const Trace& trace, u64 begin_ns, u64 end_ns) {
  std::map<u64, u64> ran;
  std::map<u32, std::pair<u64, u64>> on;  // by CPU: pid and since when
  const auto clip = [&](u64 at) { return std::clamp(at, begin_ns, end_ns); };
  for (const Event& e : trace.ftrace) {
    if (e.number != 4) continue;
    if (on.contains(e.cpu)) {
      const auto [pid, since] = on[e.cpu];
      EXPECT_EQ(pid, e.numbers.at(2)) << "prev is what was switched to before";
      ran[pid] += clip(e.at_ns) - clip(since);
    }
    on[e.cpu] = {e.numbers.at(6), e.at_ns};
  }
  for (const auto& [cpu, task] : on) ran[task.first] += end_ns - clip(task.second);
  return ran;
}

/// From the wakeup that ended a sleep to where the task's own code goes on.
Histogram wakeup_latency(const Trace& trace) {
  Histogram out;
  std::map<u64, std::vector<u64>> wakeups;  // by pid
  for (const Event& e : trace.ftrace) {
    if (e.number == 17) wakeups[e.numbers.at(2)].push_back(e.at_ns);
  }
  for (const Event& e : trace.track) {
    const auto name = e.texts.find(23);
    if (name == e.texts.end() || name->second != PerfettoTrace::kExecutes) continue;
    const auto thread = trace.threads.find(e.numbers.at(11));
    EXPECT_NE(thread, trace.threads.end());
    const auto& times = wakeups[static_cast<u64>(thread->second)];
    const auto after = std::ranges::upper_bound(times, e.at_ns);
    EXPECT_NE(after, times.begin());
    out.add(e.at_ns - *std::prev(after));
  }
  return out;
}

class PerfettoTest : public sched::testing::CoreTest {
 protected:
  void SetUp() override {
    path_ = fmt::format("{}uscx-perfetto-{}.pftrace", ::testing::TempDir(), getpid());
  }
  void TearDown() override { std::remove(path_.c_str()); }
  void start(const std::string& machine) {
    boot(machine);
    metrics_ = std::make_unique<Metrics>(k().trace(), k().nr_cpus());
    auto trace = PerfettoTrace::create(k(), {.path = path_});
    ASSERT_TRUE(trace) << trace.error().message;
    trace_ = std::move(*trace);
  }
  /// Runs for `run`, sleeps for `sleep`, over and over.
  Task& sleeper(const std::string& comm, Nanos run, Nanos sleep) {
    return spawn(comm, sched::testing::scripted([run, sleep, n = 0](Kernel& kernel, Task&) mutable {
                   if (n++ % 2 == 0) return Step::compute(run);
                   return Step::system_call([&kernel, sleep](Task&) { kernel.sleep_ns(sleep); });
                 }));
  }

  std::string path_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<PerfettoTrace> trace_;
};

TEST_F(PerfettoTest, RunningTimesAndLatenciesAreTheReports) {
  start("1n1l4c1t");
  std::map<u64, const Task*> tasks;
  const auto add = [&](const Task& p) { tasks[static_cast<u64>(p.pid)] = &p; };
  for (int i = 0; i < 3; ++i) add(spawn(fmt::format("spin{}", i), sched::testing::spinner()));
  for (u64 i = 0; i < 6; ++i) {
    add(sleeper(fmt::format("sleep{}", i), Nanos::from_us(300 + 70 * i),
                Nanos::from_us(900 + 130 * i)));
  }
  run_for(Nanos::from_s(2));
  metrics_->end(now());
  ASSERT_TRUE(trace_->finish());

  const Trace trace = read_trace(path_);
  const auto ran = running_ns(trace, 0, now().ns);
  for (const auto& [pid, p] : tasks) {
    const auto groups = metrics_->groups();
    ASSERT_TRUE(ran.contains(pid));
    EXPECT_EQ(ran.at(pid), groups.at(p->comm).cpu_ns) << p->comm;
    EXPECT_EQ(trace.processes.at(p->pid), p->comm);
  }
  const Histogram latency = wakeup_latency(trace);
  const Histogram& expected = metrics_->wakeup_latency();
  EXPECT_GT(expected.count(), 1000u);
  EXPECT_EQ(latency.count(), expected.count());
  EXPECT_EQ(latency.min(), expected.min());
  EXPECT_EQ(latency.max(), expected.max());
  for (const u32 percentile : {5000u, 9000u, 9900u}) {
    EXPECT_EQ(latency.percentile(percentile), expected.percentile(percentile));
  }
  EXPECT_EQ(trace.release, "7.3.0-uscx");
}

TEST_F(PerfettoTest, CountsWhatTheMetricsCount) {
  start("1n2l2c2t");
  for (u64 i = 0; i < 12; ++i) {
    sleeper(fmt::format("s{}", i), Nanos::from_us(200 + 50 * i), Nanos::from_us(400));
  }
  spawn("ends", sched::testing::steps({Step::compute(Nanos::from_ms(3))}));
  run_for(Nanos::from_ms(500));
  metrics_->end(now());
  ASSERT_TRUE(trace_->finish());
  std::map<u32, u64> count;
  for (const Event& e : read_trace(path_).ftrace) ++count[e.number];
  EXPECT_EQ(count[4], metrics_->switches());
  EXPECT_EQ(count[17], metrics_->wakeups());
  EXPECT_EQ(count[491], metrics_->migrations());
  EXPECT_EQ(count[235], metrics_->forks());
  EXPECT_EQ(count[238], 1u);
  EXPECT_GT(metrics_->migrations(), 0u);
}

TEST_F(PerfettoTest, MessagesAndMarksAreInstants) {
  start("1n1l1c1t");
  trace_->mark(now(), "here");
  k().kernel_log("it said so");
  k().trace_printk("a program says");
  ASSERT_TRUE(trace_->finish());
  const Trace trace = read_trace(path_);
  const auto text_on = [&](u64 track) -> std::string {
    for (const Event& e : trace.track) {
      if (e.numbers.at(11) == track) return e.texts.at(23);
    }
    return {};
  };
  EXPECT_EQ(text_on(PerfettoTrace::kRunTrack), "here");
  EXPECT_EQ(text_on(PerfettoTrace::kLogTrack), "it said so");
  EXPECT_EQ(text_on(PerfettoTrace::kPrintkTrack), "[000] 0: a program says");
  EXPECT_EQ(trace.tracks.at(PerfettoTrace::kRunTrack), "run");
}

/// The file grows, the buffers do not: what was written early is in the file long before the end.
TEST_F(PerfettoTest, StreamsWhileItRuns) {
  start("1n1l4c1t");
  for (int i = 0; i < 8; ++i) sleeper("s", Nanos::from_us(100), Nanos::from_us(100));
  const auto size = [&] { return read_file(path_).size(); };
  run_for(Nanos::from_ms(300));
  const std::size_t early = size();
  run_for(Nanos::from_ms(300));
  EXPECT_GT(early, 100'000u);
  EXPECT_GT(size(), early + 100'000u);
}

TEST_F(PerfettoTest, AFileThatCannotBeWrittenIsAnError) {
  boot();
  const auto trace = PerfettoTrace::create(k(), {.path = "/nonexistent/x.pftrace"});
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().message,
            "/nonexistent/x.pftrace: cannot be written: No such file or directory");
}

TEST_F(PerfettoTest, AFullDiskIsAnErrorAtTheEnd) {
  boot();
  auto trace = PerfettoTrace::create(k(), {.path = "/dev/full"});
  ASSERT_TRUE(trace);
  sleeper("s", Nanos::from_us(100), Nanos::from_us(100));
  run_for(Nanos::from_ms(10));
  const auto finished = (*trace)->finish();
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().message, "/dev/full: the trace could not be written to its end");
}

}  // namespace
}  // namespace uscx::observe
