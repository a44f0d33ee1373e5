// SPDX-License-Identifier: GPL-2.0-only
#include "conformance/verifier/random/sound.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/assert.h"
#include "bpf/impl.h"
#include "bpf/net/contexts.h"
#include "bpf/net/packet.h"

namespace uscx::conformance {

namespace {

using bpf::verifier::Claims;
using bpf::verifier::PlantedFault;

constexpr u32 kRuns = 3;             // of each program, with other memory
constexpr u32 kContextBytes = 8192;  // of a tracepoint: PERF_MAX_TRACE_SIZE
constexpr u32 kFilledBytes = 512;
constexpr std::size_t kPage = 4096;
constexpr u32 kMaxPacket = 128;
constexpr u64 kManyTurns = 500;  // more than any generated loop has

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

bool has_packet(const GeneratedProgram& program) {
  return program.type == kSocketFilter || program.type == kSchedCls || program.type == kXdp;
}

/// What a run of the program is held against.
RunCheck check_of(const GeneratedProgram& program, const Claims* claims) {
  using Context = RunCheck::Context;
  if (program.type == kXdp) return {claims, Context::kXdp, sizeof(bpf::net::XdpContext)};
  if (has_packet(program)) return {claims, Context::kSkb, sizeof(bpf::net::SkbContext)};
  if (program.type == kStructOps) return {claims, Context::kStructOps, bpf::kMaxContextWords * 8};
  return {claims, Context::kPlain, kContextBytes};
}

/// How long a packet may be: of any length, but mostly about as long as the program asks for.
u32 packet_size(const GeneratedProgram& program, Random& random) {
  if (random.percent(25)) return bpf::net::kEthHeader + random.below(50);
  std::vector<u32> asked;
  for (const bpf::Insn& insn : program.insns) {
    const bool adds = insn.code == (kAlu64 | kAdd | kImm);
    if (adds && insn.imm > 0 && insn.imm < 64) asked.push_back(static_cast<u32>(insn.imm));
  }
  const u32 size = asked.empty() ? 0 : asked[random.below(static_cast<u32>(asked.size()))];
  return std::max(bpf::net::kEthHeader, size + random.below(2));
}

}  // namespace

std::set<u64> read_endless(const std::string& path) {
  std::set<u64> seeds;
  std::ifstream file(path);
  USCX_ASSERT(file.good());
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) seeds.insert(std::stoull(line));
  }
  return seeds;
}

std::string SoundCounts::text() const {
  return fmt::format("{} {} {} {} {} {} {} {}", accepted, with_packets, endless, left_in_r0, runs,
                     claimed, compared, unclaimed);
}

void SoundCounts::add(const std::string& text) {
  std::istringstream in(text);
  for (u64* count :
       {&accepted, &with_packets, &endless, &left_in_r0, &runs, &claimed, &compared, &unclaimed}) {
    u64 n = 0;
    in >> n;
    *count += n;
  }
}

SoundRunner::SoundRunner(const SoundRange& range, std::span<const std::byte> vmlinux)
    : Machine(range, vmlinux), sound_range_(range) {
  bpf::Bpf::Impl& impl = host_.kernel().bpf().impl();
  impl.engine->use(bpf::EngineKind::kInterpreter);
  const auto map = impl.fds.get<bpf::Map>(batch_->map_fd(kGeneratedRingbuf));
  USCX_ASSERT(map);
  void* pages = ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, (*map)->memfd(), 0);
  USCX_ASSERT(pages != MAP_FAILED);
  ringbuf_ = static_cast<u64*>(pages);
}

SoundRunner::~SoundRunner() {
  ::munmap(ringbuf_, 2 * kPage);
}

std::string SoundRunner::check(u32 chunk) {
  SoundCounts counts;
  std::string faults;
  host_.run([&] {
    for (u64 seed = first_of(chunk); seed < end_of(chunk); ++seed) {
      const std::string fault = check_program(seed, sound_range_.planted, counts);
      if (!fault.empty()) faults += fmt::format("seed {}: {}{}", seed, fault, kBetween);
      if (seed % 16 == 0) host_.kernel().bpf().reap_closed_fds();
    }
  });
  return fmt::format("{}{}{}", counts.text(), kBetween, faults);
}

Verdict SoundRunner::load(const GeneratedProgram& program, Claims* claims) {
  bpf::Bpf::Impl& impl = host_.kernel().bpf().impl();
  impl.claims = claims;
  Verdict verdict = batch_->load(program, true);
  impl.claims = nullptr;
  return verdict;
}

std::string SoundRunner::check_program(u64 seed, PlantedFault fault, SoundCounts& counts) {
  const GeneratedProgram program = batch_->program(seed);
  Claims only_fault;
  only_fault.record = false;
  only_fault.planted = fault;
  const Verdict verdict = load(program, &only_fault);
  if (verdict.fd < 0) return {};
  ++counts.accepted;
  counts.with_packets += has_packet(program);
  Random random(seed);
  const u64 endless = counts.endless;
  std::string problem = runs(seed, program, verdict.fd, nullptr, random, counts);
  ::close(verdict.fd);
  if (!problem.empty() || counts.endless != endless) return problem;

  // Once more with what the verifier held to be true. It explores more paths then, now and then
  // too many.
  Claims claims;
  claims.planted = fault;
  const Verdict claimed = load(program, &claims);
  if (claimed.fd < 0) return claimed.errnum == E2BIG ? "" : "refused where all numbers count";
  ++counts.claimed;
  problem = runs(seed, program, claimed.fd, &claims, random, counts);
  ::close(claimed.fd);
  return problem.empty() ? problem : problem + " (all numbers count)";
}

void SoundRunner::fill_maps(Random& random) {
  bpf::Bpf::Impl& impl = host_.kernel().bpf().impl();
  for (u32 map = 0; map < 2; ++map) {
    const auto object = *impl.fds.get<bpf::Map>(batch_->map_fd(map));
    const u32 words = object->spec().value_size / sizeof(u64);
    for (u64 key = 0; key < (map ? 9 : kGeneratedMaps[map].max_entries); ++key) {
      std::array<u64, 6> value;
      for (u32 i = 0; i < words; ++i) value[i] = some_number(random);
      const u64 at = object->lookup(reinterpret_cast<const std::byte*>(&key));
      if (at) {
        std::memcpy(reinterpret_cast<void*>(at), value.data(), words * sizeof(u64));
      } else {
        update(batch_->map_fd(map), &key, value.data());
      }
    }
  }
}

/// The consumer has read everything.
void SoundRunner::empty_ringbuf() {
  ringbuf_[0] = ringbuf_[kPage / sizeof(u64)];
}

void SoundRunner::run_plain(const GeneratedProgram& program, const bpf::Program& object,
                            Random& random) {
  bpf::Bpf& bpf = host_.kernel().bpf();
  bpf::Bpf::Impl& impl = bpf.impl();
  if (program.type == kStructOps) {
    const u64 args[] = {reinterpret_cast<u64>(&host_.kernel().current()), some_number(random)};
    bpf.run(object, args);
    return;
  }
  auto* context = static_cast<u64*>(bpf.window().allocate(kContextBytes, bpf::kProgramMemory));
  for (u32 word = 0; word < kFilledBytes / 8; ++word) context[word] = some_number(random);
  impl.in_run(
      [&] { return impl.engine->run_with_context(object, reinterpret_cast<u64>(context)); });
  bpf.window().free(context);
}

/// By PROG_TEST_RUN, which makes the packet.
std::string SoundRunner::run_on_packet(const GeneratedProgram& program, int fd, Random& random) {
  std::array<u64, kMaxPacket / sizeof(u64)> bytes;
  for (u64& word : bytes) word = random.next();
  // Of no protocol: of an IP packet PROG_TEST_RUN wants the whole header.
  constexpr u8 kExperimental[] = {0x88, 0xb5};
  std::memcpy(reinterpret_cast<u8*>(bytes.data()) + 12, kExperimental, sizeof(kExperimental));
  __sk_buff skb{};
  skb.mark = static_cast<u32>(some_number(random));
  skb.priority = static_cast<u32>(some_number(random));
  for (u32& word : skb.cb) word = static_cast<u32>(some_number(random));
  bpf_attr attr{};
  attr.test.prog_fd = static_cast<u32>(fd);
  attr.test.data_in = reinterpret_cast<u64>(bytes.data());
  attr.test.data_size_in = packet_size(program, random);
  if (program.type != kXdp) {
    attr.test.ctx_in = reinterpret_cast<u64>(&skb);
    attr.test.ctx_size_in = sizeof(skb);
  }
  attr.test.repeat = 1;
  if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) == 0 || errno == EFAULT) return {};
  return fmt::format("test run: {}", std::strerror(errno));
}

std::string SoundRunner::run(const GeneratedProgram& program, int fd, RunCheck& check,
                             Random& random) {
  bpf::Bpf::Impl& impl = host_.kernel().bpf().impl();
  const auto object = impl.fds.get<bpf::Program>(fd);
  if (!object) return "its descriptor is no program";
  fill_maps(random);
  empty_ringbuf();
  host_.take_kernel_log();
  std::string problem;
  impl.engine->observe(&check);
  if (has_packet(program)) {
    problem = run_on_packet(program, fd, random);
  } else {
    run_plain(program, **object, random);
  }
  impl.engine->observe(nullptr);
  for (const std::string& line : host_.take_kernel_log()) {
    if (line.find("fault") != line.npos) return line;
  }
  return problem;
}

std::string SoundRunner::runs(u64 seed, const GeneratedProgram& program, int fd,
                              const Claims* claims, Random& random, SoundCounts& counts) {
  for (u32 i = 0; i < kRuns; ++i) {
    ++counts.runs;
    RunCheck check = check_of(program, claims);
    std::string problem = run(program, fd, check, random);
    counts.compared += check.compared();
    counts.unclaimed += check.unclaimed();
    if (problem.find("ran too long") != problem.npos) {
      return why_endless(seed, problem, check, counts);
    }
    if (problem.empty()) problem = check.finish();
    counts.left_in_r0 += check.left_in_r0();
    if (!problem.empty()) return problem;
  }
  return {};
}

/// A loop around an iterator need not end, in Linux neither; which those are is known, since Linux
/// was asked. Whatever else goes on for so long is a fault.
std::string SoundRunner::why_endless(u64 seed, const std::string& line, const RunCheck& check,
                                     SoundCounts& counts) {
  const RunCheck::Turns turns = check.most_iterators();
  if (turns.count <= kManyTurns) return line;
  if (sound_range_.endless.contains(seed)) {
    ++counts.endless;
    return {};
  }
  return fmt::format(
      "{}: {} turns of a loop around the iterator of insn {}, each in its range; is "
      "it accepted by Linux? (docs/verifier.md)",
      line, turns.count, turns.insn);
}

}  // namespace uscx::conformance
