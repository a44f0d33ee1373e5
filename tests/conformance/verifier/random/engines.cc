// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/engines.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "base/hash.h"
#include "bpf/impl.h"
#include "conformance/verifier/random/generator.h"

namespace uscx::conformance {

namespace {

constexpr u32 kContextBytes = 256;
constexpr u32 kFilledMaps = 2;  // the array and the hash
constexpr u32 kKeys = 9;
constexpr u32 kRepeats = 4;
using Value = std::array<u64, 6>;  // the largest

long map_call(int command, s32 fd, const void* key, const void* value) {
  bpf_attr attr{};
  attr.map_fd = static_cast<u32>(fd);
  attr.key = reinterpret_cast<u64>(key);
  attr.value = reinterpret_cast<u64>(value);
  return syscall(SYS_bpf, command, &attr, sizeof(attr));
}

u64 some_number(Random& random) {
  return random.percent(50) ? random.below(80) : random.next();
}

u32 nr_keys(u32 map) {
  return map ? kKeys : kGeneratedMaps[map].max_entries;
}

/// Of the hash.
void delete_other_keys(s32 fd) {
  u64 key = 0;
  const u64* previous = nullptr;
  std::vector<u64> others;
  while (map_call(BPF_MAP_GET_NEXT_KEY, fd, previous, &key) == 0) {
    if (key >= kKeys) others.push_back(key);
    previous = &key;
  }
  for (const u64 other : others) map_call(BPF_MAP_DELETE_ELEM, fd, &other, nullptr);
}

}  // namespace

std::string EngineComparer::check(u32 chunk) {
  u32 accepted = 0;
  std::string problems;
  host_.run([&] {
    for (u64 seed = first_of(chunk); seed < end_of(chunk); ++seed) {
      const GeneratedProgram program = batch_->program(seed);
      // The context of packets is the kernel's to make.
      if (program.type == kSocketFilter || program.type == kSchedCls || program.type == kXdp) {
        continue;
      }
      const Verdict verdict = batch_->load(program, true);
      if (verdict.fd < 0) continue;
      ++accepted;
      const std::string what = differences(seed, program, verdict.fd);
      if (!what.empty()) problems += fmt::format("seed {}: {}{}", seed, what, kBetween);
      ::close(verdict.fd);
      if (seed % 16 == 0) host_.kernel().bpf().reap_closed_fds();
    }
  });
  const u32 unrepeatable = std::exchange(unrepeatable_, 0);
  return fmt::format("{} {}{}{}", accepted, unrepeatable, kBetween, problems);
}

std::string EngineComparer::differences(u64 seed, const GeneratedProgram& program, int fd) {
  using enum bpf::EngineKind;
  const Outcome reference = run(program, fd, kInterpreter, seed);
  // What a run leaves elsewhere (records of the ring buffer, which places in memory are free) may
  // show in the next one's result; such programs say nothing of the engines.
  for (u32 i = 0; i < kRepeats; ++i) {
    if (run(program, fd, kInterpreter, seed) == reference) continue;
    ++unrepeatable_;
    return {};
  }
  std::string out;
  for (const bpf::EngineKind kind : {kCheckingJit, kJit}) {
    const Outcome other = run(program, fd, kind, seed);
    if (other == reference) continue;
    out += fmt::format(
        "{}: result {:#x} and {:#x}, {} and {} instructions, {} and {} loads of "
        "nothing, {} and {} messages{}; ",
        name_of(kind), reference.result, other.result, reference.insns, other.insns,
        reference.loads_to_zero, other.loads_to_zero, reference.logged.size(), other.logged.size(),
        reference.values == other.values ? "" : ", other values in memory");
  }
  return out;
}

/// The same memory for each run, where it is already: programs see where values are.
void EngineComparer::fill(u64 seed) {
  Random random(seed);
  bpf::Bpf::Impl& impl = host_.kernel().bpf().impl();
  for (u32 map = 0; map < kFilledMaps; ++map) {
    const s32 fd = batch_->map_fd(map);
    const auto object = *impl.fds.get<bpf::Map>(fd);
    if (map) delete_other_keys(fd);
    for (u64 key = 0; key < nr_keys(map); ++key) {
      const auto* bytes = reinterpret_cast<const std::byte*>(&key);
      const Value zero{};
      if (!object->lookup(bytes)) map_call(BPF_MAP_UPDATE_ELEM, fd, &key, &zero);
      auto* value = reinterpret_cast<u64*>(object->lookup(bytes));
      for (u32 i = 0; value && i < object->spec().value_size / sizeof(u64); ++i) {
        value[i] = some_number(random);
      }
    }
  }
  sched::Task& task = host_.kernel().current();
  task.scx.slice = some_number(random);
  task.scx.dsq_vtime = some_number(random);
}

EngineComparer::Outcome EngineComparer::run(const GeneratedProgram& program, int fd,
                                            bpf::EngineKind kind, u64 seed) {
  bpf::Bpf& bpf = host_.kernel().bpf();
  bpf::Bpf::Impl& impl = bpf.impl();
  const auto object = impl.fds.get<bpf::Program>(fd);
  if (!object) return {.logged = {"its descriptor is no program"}};
  fill(seed);
  host_.take_kernel_log();
  impl.engine->use(kind);
  (*object)->decoded = nullptr;
  const u64 insns = (*object)->insns_executed;
  const u64 zeros = impl.engine->faults_to_zero();
  Random random(seed + 1);
  Outcome out;
  if (program.type == kStructOps) {
    const u64 args[] = {reinterpret_cast<u64>(&host_.kernel().current()), some_number(random)};
    out.result = bpf.run(**object, args);
  } else {
    auto* context = static_cast<u64*>(bpf.window().allocate(kContextBytes, bpf::kProgramMemory));
    for (u32 word = 0; word < kContextBytes / 8; ++word) context[word] = some_number(random);
    out.result = impl.in_run(
        [&] { return impl.engine->run_with_context(**object, reinterpret_cast<u64>(context)); });
    bpf.window().free(context);
  }
  out.insns = (*object)->insns_executed - insns;
  out.loads_to_zero = impl.engine->faults_to_zero() - zeros;
  for (const std::string& line : host_.take_kernel_log()) out.logged.push_back(line);
  for (u32 map = 0; map < kFilledMaps; ++map) {
    for (u64 key = 0; key < nr_keys(map); ++key) {
      Value value{};
      map_call(BPF_MAP_LOOKUP_ELEM, batch_->map_fd(map), &key, &value);
      out.values.insert(out.values.end(), value.begin(), value.end());
    }
  }
  const sched::Task& task = host_.kernel().current();
  out.values.insert(out.values.end(), {task.scx.slice, task.scx.dsq_vtime});
  return out;
}

}  // namespace uscx::conformance
