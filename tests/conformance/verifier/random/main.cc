// SPDX-License-Identifier: GPL-2.0-only
// conformance_random: generated programs, against what a real kernel said of them (compare), or
// run in the checking interpreter where the verifier accepts them (sound).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>

#include "conformance/verifier/random/engines.h"
#include "conformance/verifier/random/machine.h"
#include "conformance/verifier/random/planted_check.h"
#include "conformance/verifier/random/recorded.h"
#include "conformance/verifier/random/sound.h"

namespace uscx::conformance {
namespace {

struct Options : SoundRange {
  std::string data;
  double floor = 0;
  u32 unsafe = 0;
};

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  std::vector<std::byte> out(bytes.size());
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

/// "ERRNO REASON" of each seed.
class Comparer final : public Machine {
 public:
  using Machine::Machine;
  std::string check(u32 chunk) override {
    std::string out;
    host_.run([&] {
      for (u64 seed = first_of(chunk); seed < end_of(chunk); ++seed) {
        const Verdict v = batch_->load(batch_->program(seed));
        out += fmt::format("{} {}{}", v.errnum, v.reason, kBetween);
        if (seed % 16 == 0) host_.kernel().bpf().reap_closed_fds();
      }
    });
    return out;
  }
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, kBetween);) parts.push_back(part);
  return parts;
}

bpf::verifier::PlantedFault fault_named(const std::string& name) {
  using bpf::verifier::PlantedFault;
  for (u32 i = 0; i < static_cast<u32>(PlantedFault::kCount); ++i) {
    if (name == to_string(static_cast<PlantedFault>(i))) return static_cast<PlantedFault>(i);
  }
  throw CLI::ValidationError("--planted", "no fault of this name");
}

u32 chunks(const Options& o) {
  return static_cast<u32>((o.count + kChunk - 1) / kChunk);
}

int compare(Options options) {
  const auto recorded = read_recorded(options.data);
  if (!recorded) {
    fmt::print(stderr, "{}\n", recorded.error().message);
    return 2;
  }
  options.first = std::max(options.first, recorded->first);
  const u64 end = recorded->first + recorded->by_seed.size();
  if (options.first >= end) return 2;
  options.count = std::min<u64>(options.count, end - options.first);
  const auto vmlinux = read_file(options.vmlinux);
  u64 agreed = 0, same_reason = 0, asked = 0, unsafe = 0, lost = 0;
  std::map<std::string, std::pair<u64, u64>> differences;  // -> count, first seed
  WorkerPool pool;
  pool.jobs = options.jobs;
  pool.timeout_s = 120;
  pool.make_worker = [&] { return std::make_unique<Comparer>(options, vmlinux); };
  pool.done = [&](u32 chunk, const std::string& answer, bool is_lost) {
    u64 seed = options.first + u64{chunk} * kChunk;
    if (is_lost) {
      ++lost;
      fmt::print("seeds {} ..: {}\n", seed, answer);
      return;
    }
    for (const std::string& line : split(answer)) {
      const RecordedVerdict& theirs = recorded->of(seed);
      const int errnum = std::stoi(line);
      const std::string reason = line.substr(std::min(line.find(' ') + 1, line.size()));
      ++asked;
      const bool agrees = (errnum == 0) == (theirs.errnum == 0);
      const bool same = errnum == theirs.errnum &&
                        (errnum == 0 || theirs.reason.empty() || reason == theirs.reason);
      agreed += agrees;
      same_reason += same;
      if (!same) {
        auto& [count, first] = differences[fmt::format(
            "Linux {}, here {}", theirs.errnum ? "refuses: " + theirs.reason : "accepts",
            errnum ? "refused: " + reason : "accepted")];
        if (count++ == 0) first = seed;
        if (errnum == 0 && theirs.for_memory_safety()) {
          ++unsafe;
          fmt::print("UNSAFE seed {}: {} {}\n", seed, theirs.category, theirs.reason);
        }
      }
      ++seed;
    }
  };
  pool.run(chunks(options));
  std::vector<std::pair<std::string, std::pair<u64, u64>>> sorted(differences.begin(),
                                                                  differences.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
  for (std::size_t i = 0; i < sorted.size() && i < 30; ++i) {
    fmt::print("{:6} (seed {}) {}\n", sorted[i].second.first, sorted[i].second.second,
               sorted[i].first);
  }
  const double percent =
      asked ? 100.0 * static_cast<double>(agreed) / static_cast<double>(asked) : 0;
  fmt::print(
      "{} programs: {} verdicts agree ({:.2f} %), {} in errno, and in reason where recorded; {} "
      "accepted that "
      "Linux refuses for memory safety; {} chunks lost\n",
      asked, agreed, percent, same_reason, unsafe, lost);
  return percent >= options.floor && unsafe <= options.unsafe && lost == 0 && asked ? 0 : 1;
}

int sound(const Options& options) {
  const auto vmlinux =
      options.vmlinux.empty() ? std::vector<std::byte>() : read_file(options.vmlinux);
  SoundCounts counts;
  u64 faults = 0;
  WorkerPool pool;
  pool.jobs = options.jobs;
  pool.timeout_s = 300;
  pool.make_worker = [&] { return std::make_unique<SoundRunner>(options, vmlinux); };
  pool.done = [&](u32 chunk, const std::string& answer, bool lost) {
    if (lost) {
      ++faults;
      fmt::print("seeds {} ..: {}\n", options.first + u64{chunk} * kChunk, answer);
      return;
    }
    const auto parts = split(answer);
    counts.add(parts[0]);
    for (std::size_t i = 1; i < parts.size(); ++i) {
      ++faults;
      fmt::print("FAULT {}\n", parts[i]);
      std::fflush(stdout);
    }
  };
  pool.run(chunks(options));
  fmt::print(
      "{} programs: {} accepted and run ({} on packets), {} runs; {} known to have no end, "
      "{} ended with a reference in r0; registers of {} programs compared at {} instructions, {} "
      "not (too many states); {} faults\n",
      options.count, counts.accepted, counts.with_packets, counts.runs, counts.endless,
      counts.left_in_r0, counts.claimed, counts.compared, counts.unclaimed, faults);
  return faults == 0 && counts.compared ? 0 : 1;
}

/// Every fault that can be planted in the verifier must show in the runs of what it accepts.
int planted(const Options& options) {
  const auto vmlinux =
      options.vmlinux.empty() ? std::vector<std::byte>() : read_file(options.vmlinux);
  using bpf::verifier::PlantedFault;
  constexpr u32 kFaults = static_cast<u32>(PlantedFault::kCount) - 1;
  u32 missed = 0;
  u64 latest = 0;
  WorkerPool pool;
  pool.jobs = options.jobs;
  pool.timeout_s = 300;
  pool.make_worker = [&] { return std::make_unique<PlantedRunner>(options, vmlinux); };
  pool.done = [&](u32 item, const std::string& answer, bool lost) {
    const std::string_view name = to_string(static_cast<PlantedFault>(item + 1));
    const auto parts = split(answer);
    if (lost || parts.size() < 2) {
      ++missed;
      fmt::print("MISSED {}: {}\n", name, lost ? answer : "no program shows it");
      return;
    }
    latest = std::max<u64>(latest, std::stoull(parts[0]) - options.first);
    fmt::print("{:24} seed {:6}: {}\n", name, parts[0], parts[1]);
  };
  pool.run(kFaults);
  fmt::print("{} planted faults, {} found, at the latest by program {}; {} missed\n", kFaults,
             kFaults - missed, latest, missed);
  return missed ? 1 : 0;
}

/// Programs that are accepted, by every engine.
int engines(const Options& options) {
  const auto vmlinux =
      options.vmlinux.empty() ? std::vector<std::byte>() : read_file(options.vmlinux);
  u64 accepted = 0, differ = 0, unrepeatable = 0;
  WorkerPool pool;
  pool.jobs = options.jobs;
  pool.timeout_s = 300;
  pool.make_worker = [&] { return std::make_unique<EngineComparer>(options, vmlinux); };
  pool.done = [&](u32 chunk, const std::string& answer, bool lost) {
    const auto parts = split(answer);
    if (lost || parts.empty()) {
      ++differ;
      fmt::print("seeds {} ..: {}\n", options.first + u64{chunk} * kChunk, answer);
      return;
    }
    std::size_t end = 0;
    accepted += std::stoull(parts[0], &end);
    unrepeatable += std::stoull(parts[0].substr(end));
    for (std::size_t i = 1; i < parts.size(); ++i) {
      ++differ;
      fmt::print("DIFFERENT {}\n", parts[i]);
    }
  };
  pool.run(chunks(options));
  fmt::print(
      "{} programs, {} accepted and run by three engines, which disagree about {}; {} of them "
      "do not repeat themselves and were not compared\n",
      options.count, accepted, differ, unrepeatable);
  return differ == 0 && accepted ? 0 : 1;
}

}  // namespace
}  // namespace uscx::conformance

int main(int argc, char** argv) {
  using namespace uscx::conformance;
  Options o;
  int status = 2;
  CLI::App app{"Random programs against a real kernel's verdicts, or against the interpreter"};
  app.require_subcommand(1);
  auto* c = app.add_subcommand("compare", "Verdicts against recorded ones");
  c->add_option("data", o.data, "Recorded verdicts")->required();
  c->add_option("--vmlinux", o.vmlinux, "Kernel BTF to verify against")->required();
  c->add_option("--floor", o.floor, "Per cent of verdicts that must agree");
  c->add_option("--unsafe", o.unsafe,
                "Programs that may be accepted though Linux refuses them for "
                "memory safety");
  auto* s = app.add_subcommand("sound", "Run what is accepted in the checking interpreter");
  s->add_option("--vmlinux", o.vmlinux, "Kernel BTF to verify against; the built-in one without");
  auto* e = app.add_subcommand("engines", "Run what is accepted by every engine");
  e->add_option("--vmlinux", o.vmlinux, "Kernel BTF to verify against; the built-in one without");
  std::string endless, fault;
  s->add_option("--endless", endless, "Seeds of programs that have no end on Linux either");
  s->add_option("--planted", fault, "Fault to plant in the verifier");
  auto* p = app.add_subcommand("planted", "Plant faults in the verifier, one after another");
  p->add_option("--vmlinux", o.vmlinux, "Kernel BTF to verify against; the built-in one without");
  for (auto* sub : {c, s, e, p}) {
    sub->add_option("--first", o.first, "First seed");
    sub->add_option("--count", o.count, "How many");
    sub->add_option("-j,--jobs", o.jobs, "Processes");
  }
  c->callback([&] { status = compare(o); });
  s->callback([&] {
    if (!endless.empty()) o.endless = read_endless(endless);
    if (!fault.empty()) o.planted = fault_named(fault);
    status = sound(o);
  });
  p->callback([&] { status = planted(o); });
  e->callback([&] { status = engines(o); });
  CLI11_PARSE(app, argc, argv);
  return status;
}
