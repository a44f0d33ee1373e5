// SPDX-License-Identifier: GPL-2.0-only
// Arbitrary instructions through the verifier and both engines: nothing crashes, nothing outside
// the window is touched, and what has the form of a program runs into no instruction that is none.
// With clang: -fsanitize=fuzzer,address. Otherwise (USCX_FUZZ_MAIN) a fixed series runs as a test.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "../support/bpf_engine.h"
#include "base/hash.h"
#include "bpf/bpf.h"
#include "bpf/exec/exec.h"
#include "bpf/isa.h"
#include "bpf/maps/map.h"
#include "bpf/verifier/resolve_only.h"

namespace {

using namespace uscx;
using namespace uscx::bpf;

constexpr u32 kMaxInsns = 256;
constexpr u64 kRunLimit = 2'000;
constexpr u32 kSocketFilter = 1;

u64 call_back_first(HelperCall& call) {
  return call.call_back(call.args[0], {call.args[1]});
}
u64 write_first(HelperCall& call) {
  u64* word = call.memory<u64>(0, true);
  if (word) *word = call.args[1];
  return 0;
}

/// Everything a program can reach, made once: inputs do not disturb each other's addresses.
struct Kernel {
  std::unique_ptr<AddressWindow> window = std::move(AddressWindow::create().value());
  test::RecordingHost host;
  test::TestEnvironment env;
  Bpf bpf{host, *window, btf::kDefaultVersion};
  Engine engine{{&bpf, host, *window, env.helper_table, kRunLimit}};
  std::shared_ptr<Map> map;
  Program checked;
  Program raw;

  Kernel() {
    env.helper_table.add({.id = 1,
                          .name = "bpf_call_back",
                          .fn = &call_back_first,
                          .args = {ArgKind::kCallback, ArgKind::kAnything}});
    env.helper_table.add({.id = 2,
                          .name = "bpf_write",
                          .fn = &write_first,
                          .args = {ArgKind::kMem, ArgKind::kAnything}});
    env.registry.add({.name = "kfunc", .fn = [](KfuncCall& call) { return call.args[0] + 1; }});
    env.kfunc_refs[1] = {env.registry.find("kfunc"), "kfunc", 1, false};
    MapSpec spec;
    spec.type = 2;  // ARRAY
    spec.key_size = 4;
    spec.value_size = 64;
    spec.max_entries = 1;
    map = make_array_map(bpf, std::move(spec));
    env.maps[1] = {.map = map,
                   .object_address = map->address(),
                   .value_size = 64,
                   .max_entries = 1,
                   .value_address = map->direct_address()};
    env.ksyms[1] = reinterpret_cast<u64>(window->allocate(32, kReadOnlyMemory));
  }
};

/// Most of the bytes of an instruction, made likely to be one.
Insn shape(Insn insn, u32 index, u32 count) {
  static constexpr u8 kMemory[] = {0x79, 0x61, 0x69, 0x71, 0x7b, 0x63, 0x6b, 0x73, 0x7a,
                                   0x62, 0x6a, 0x72, 0x91, 0x89, 0x81, 0xdb, 0xc3};
  insn.dst = insn.dst % 11;
  insn.src = insn.src % 11;
  const u32 kind = insn.code % 8;
  if (kind < 2) {
    insn.code = kMemory[insn.code / 8 % sizeof(kMemory)];
    if (kind == 0 && isa::class_of(insn) == isa::kLdx) insn.src = 10;
    if (kind == 0 && isa::class_of(insn) != isa::kLdx) insn.dst = 10;
    insn.off = static_cast<s16>(insn.off % 64 - 64);
    if (!isa::is_atomic(insn)) {
      if (isa::class_of(insn) != isa::kSt) insn.imm = 0;
      if (isa::class_of(insn) == isa::kSt) insn.src = 0;
    } else {
      static constexpr s32 kOps[] = {0, 1, 0x40, 0x41, 0x51, 0xa1, 0xe1, 0xf1, 0x100, 0x110};
      insn.imm = kOps[static_cast<u32>(insn.imm) % 10];
    }
  } else if (kind == 2) {
    insn = {isa::kCallOpcode, 0, static_cast<u8>(insn.src % 3), 0, insn.imm};
    const u32 size = static_cast<u32>(insn.imm);
    if (insn.src == isa::kPseudoCall) {
      insn.imm = static_cast<s32>(size % count) - static_cast<s32>(index);
    } else {
      insn.imm = static_cast<s32>(1 + size % 2);
    }
  } else if (kind < 5) {
    insn.off = static_cast<s16>(insn.off % 16);
    insn.code = static_cast<u8>((insn.code & 0xf8) | (kind == 3 ? isa::kJmp : isa::kJmp32));
    if (isa::is_x(insn)) {
      insn.imm = 0;
    } else {
      insn.src = 0;
    }
  } else {
    insn.code = static_cast<u8>((insn.code & 0xf8) | (kind == 5 ? isa::kAlu : isa::kAlu64));
    insn.off = 0;
    if (isa::is_x(insn)) {
      insn.imm = 0;
    } else {
      insn.src = 0;
      insn.imm = insn.imm % 32;
    }
  }
  return insn;
}

std::vector<Insn> decode(const uint8_t* data, size_t size) {
  if (size < 1 + sizeof(Insn)) return {};
  const bool as_is = data[0] % 4 == 0;
  std::vector<Insn> insns(std::min<size_t>((size - 1) / sizeof(Insn), kMaxInsns));
  std::memcpy(insns.data(), data + 1, insns.size() * sizeof(Insn));
  if (as_is) return insns;
  // Registers that are set, a pointer or two, and an end make programs that get somewhere.
  std::vector<Insn> program = {{isa::kLdImm64, 6, isa::kPseudoMapValue, 0, 1},
                               {0, 0, 0, 0, 8},
                               {isa::kAlu64 | isa::kMov | isa::kX, 7, 10, 0, 0},
                               {isa::kAlu64 | isa::kMov | isa::kX, 8, 6, 0, 0},
                               {isa::kAlu64 | isa::kMov | isa::kX, 9, 1, 0, 0}};
  for (u8 r = 0; r < 6; r++) {
    if (r != 1) program.push_back({isa::kAlu64 | isa::kMov | isa::kK, r, 0, 0, r});
  }
  const u32 prefix = static_cast<u32>(program.size());
  const u32 count = prefix + static_cast<u32>(insns.size()) + 2;
  for (u32 i = 0; i < insns.size(); i++) program.push_back(shape(insns[i], prefix + i, count));
  program.push_back({isa::kAlu64 | isa::kMov | isa::kK, 0, 0, 0, 0});
  program.push_back({isa::kExitOpcode, 0, 0, 0, 0});
  return program;
}

u32 well_formed = 0, accepted = 0;

void take(Program& program, verifier::CheckedProgram& checked) {
  program.insns = std::move(checked.insns);
  program.subprogram_starts = std::move(checked.subprogram_starts);
  program.kfuncs = std::move(checked.kfuncs);
}

/// With each engine; they must agree. What a run leaves in memory is the next one's to find, so
/// only results, counts and faults are compared here (tests/engines compares everything).
void run(Kernel& kernel, const Program& program) {
  const u64 args[] = {1, 2, 3};
  for (EngineKind kind : {EngineKind::kInterpreter, default_engine()}) {
    kernel.engine.use(kind);
    kernel.host.faults.clear();
    program.decoded = nullptr;
    kernel.engine.run(program, args);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Kernel kernel;
  const std::vector<Insn> insns = decode(data, size);
  if (insns.empty()) return 0;
  // The engines must stand what was never checked.
  kernel.raw.insns = insns;
  kernel.raw.subprogram_starts = {0};
  kernel.raw.kfuncs = {kernel.env.registry.find("kfunc")};
  run(kernel, kernel.raw);

  Program& program = kernel.checked;
  program.type = kSocketFilter;
  program.gpl_compatible = true;
  const verifier::VerifyInput input = {
      .insns = insns, .program = program, .env = kernel.env, .log_level = 1};
  const std::size_t unserved = kernel.env.unserved.size();
  auto verified = verifier::verify(input);
  const bool served = kernel.env.unserved.size() == unserved;  // else it has traps that are reached
  if (verified.errnum < 0 || (verified.errnum && verified.log.empty())) std::abort();
  auto resolved = verifier::resolve_only(input);
  if (resolved.errnum) {
    if (!verified.errnum) std::abort();
    return 0;
  }
  well_formed++;
  take(program, resolved.program);
  run(kernel, program);
  if (verified.errnum) return 0;
  accepted++;
  take(program, verified.program);
  run(kernel, program);
  for (const std::string& fault : kernel.host.faults) {
    if (served && (fault.find("not an instruction") != fault.npos ||
                   fault.find("past the last") != fault.npos)) {
      std::fprintf(stderr, "%s\n", fault.c_str());
      std::abort();
    }
  }
  return 0;
}

#ifdef USCX_FUZZ_MAIN
int main() {
  Random random(20);
  constexpr u32 kPrograms = 50'000;
  for (u32 i = 0; i < kPrograms; i++) {
    std::vector<uint8_t> bytes(1 + sizeof(Insn) * (1 + random.below(24)));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%u programs, %u of them well formed, %u accepted\n", kPrograms, well_formed,
              accepted);
  return well_formed > kPrograms / 100 && accepted ? 0 : 1;
}
#endif
