// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/sound.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <sstream>

#include "bpf/impl.h"
#include "conformance/verifier/random/run_check.h"

namespace uscx::conformance {

namespace {

constexpr u32 kRuns = 3;  // of each program, with other memory
constexpr u32 kContextBytes = 8192;  // of a tracepoint: PERF_MAX_TRACE_SIZE
constexpr u32 kFilledBytes = 512;

void update(s32 fd, const void* key, const void* value) {
  bpf_attr attr{};
  attr.map_fd = static_cast<u32>(fd);
  attr.key = reinterpret_cast<u64>(key);
  attr.value = reinterpret_cast<u64>(value);
  syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr));
}

/// Small numbers and large ones: what programs compare with, and what they do not expect.
u64 some_number(Random& random) {
  return random.percent(50) ? random.below(80) : random.next();
}

}  // namespace

std::string SoundCounts::text() const {
  return fmt::format("{} {} {} {} {} {}", accepted, only_loaded, runs, claimed, compared,
                     unclaimed);
}

void SoundCounts::add(const std::string& text) {
  std::istringstream in(text);
  for (u64* count : {&accepted, &only_loaded, &runs, &claimed, &compared, &unclaimed}) {
    u64 n = 0;
    in >> n;
    *count += n;
  }
}

std::string SoundRunner::check(u32 chunk) {
  SoundCounts counts;
  std::string faults;
  host_.run([&] {
    for (u64 seed = first_of(chunk); seed < end_of(chunk); ++seed) {
      const std::string fault = check_program(seed, counts);
      if (!fault.empty()) faults += fmt::format("seed {}: {}{}", seed, fault, kBetween);
      if (seed % 16 == 0) host_.kernel().bpf().reap_closed_fds();
    }
  });
  return fmt::format("{}{}{}", counts.text(), kBetween, faults);
}

std::string SoundRunner::check_program(u64 seed, SoundCounts& counts) {
  const GeneratedProgram program = batch_->program(seed);
  const Verdict verdict = batch_->load(program, true);
  if (verdict.fd < 0) return {};
  if (program.type == kSocketFilter || program.type == kSchedCls) {
    // The kernel converts the context of packets; those programs are only verified.
    ++counts.only_loaded;
    ::close(verdict.fd);
    return {};
  }
  ++counts.accepted;
  Random random(seed);
  std::string fault = run(program, verdict.fd, nullptr, random, counts);
  ::close(verdict.fd);
  if (!fault.empty()) return fault;

  // Once more with what the verifier held to be true. It explores more paths then, now and then
  // too many.
  bpf::verifier::Claims claims;
  bpf::Bpf::Impl& impl = host_.kernel().bpf().impl();
  impl.claims = &claims;
  const Verdict claimed = batch_->load(program, true);
  impl.claims = nullptr;
  if (claimed.fd < 0) return claimed.errnum == E2BIG ? "" : "refused where all numbers count";
  ++counts.claimed;
  fault = run(program, claimed.fd, &claims, random, counts);
  ::close(claimed.fd);
  return fault;
}

void SoundRunner::fill_maps(Random& random) {
  std::array<u64, 6> value;
  for (u32 map = 0; map < 2; ++map) {
    for (u64 key = 0; key < (map ? 9 : kGeneratedMaps[map].max_entries); ++key) {
      for (u64& word : value) word = some_number(random);
      update(batch_->map_fd(map), &key, value.data());
    }
  }
}

/// The consumer has read everything.
void SoundRunner::empty_ringbuf() {
  constexpr std::size_t kPage = 4096;
  const auto map = host_.kernel().bpf().impl().fds.get<bpf::Map>(batch_->map_fd(kGeneratedRingbuf));
  void* pages = ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, (*map)->memfd(), 0);
  if (pages == MAP_FAILED) return;
  auto* words = static_cast<u64*>(pages);
  words[0] = words[kPage / sizeof(u64)];
  ::munmap(pages, 2 * kPage);
}

std::string SoundRunner::run(const GeneratedProgram& program, int fd,
                             const bpf::verifier::Claims* claims, Random& random,
                             SoundCounts& counts) {
  bpf::Bpf& bpf = host_.kernel().bpf();
  bpf::Bpf::Impl& impl = bpf.impl();
  const auto object = impl.fds.get<bpf::Program>(fd);
  if (!object) return "its descriptor is no program";
  for (u32 i = 0; i < kRuns; ++i) {
    ++counts.runs;
    fill_maps(random);
    empty_ringbuf();
    host_.take_kernel_log();
    RunCheck check(claims, program.type == kStructOps ? bpf::kMaxContextWords * 8 : kContextBytes);
    impl.engine->observe(&check);
    if (program.type == kStructOps) {
      const u64 args[] = {reinterpret_cast<u64>(&host_.kernel().current()), some_number(random)};
      bpf.run(**object, args);
    } else {
      auto* context = static_cast<u64*>(bpf.window().allocate(kContextBytes, bpf::kProgramMemory));
      for (u32 word = 0; word < kFilledBytes / 8; ++word) context[word] = some_number(random);
      impl.in_run(
          [&] { return impl.engine->run_with_context(**object, reinterpret_cast<u64>(context)); });
      bpf.window().free(context);
    }
    impl.engine->observe(nullptr);
    counts.compared += check.compared();
    counts.unclaimed += check.unclaimed();
    for (const std::string& line : host_.take_kernel_log()) {
      if (line.find("fault") != line.npos) return line;
    }
    std::string problem = check.finish();
    if (!problem.empty()) return problem + (claims ? " (all numbers count)" : "");
  }
  return {};
}

}  // namespace uscx::conformance
