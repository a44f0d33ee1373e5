// SPDX-License-Identifier: GPL-2.0-only
// jit_bench DIRECTORY: three kernels (DIRECTORY/NAME.text: BPF's instructions) by the JIT, by the
// interpreter, and the same C by clang -O2 for this machine. Prints nanoseconds a turn and ratios.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>

#include "bpf/bpf.h"
#include "bpf/disasm.h"
#include "bpf/isa.h"
#include "bpf/maps/arena.h"
#include "bpf/verifier/proof.h"
#include "support/bpf_engine.h"

extern "C" {
uscx::u64 native_hash_loop(void*, uscx::u64);
uscx::u64 native_mask_scan(void*, uscx::u64);
uscx::u64 native_arena_heap(void*, uscx::u64);
}

namespace uscx::bpf {
namespace {

constexpr u64 kTurns = 20'000;
constexpr int kRepeats = 25;
constexpr u64 kArenaStart = (u64{1} << 44);
constexpr u32 kHeapNodes = 255;

struct Kernel {
  const char* name;
  u64 (*native)(void*, u64);
  bool arena;
};
constexpr Kernel kKernels[] = {{"hash_loop", native_hash_loop, false},
                               {"mask_scan", native_mask_scan, false},
                               {"arena_heap", native_arena_heap, true}};

std::vector<Insn> read_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Insn> insns(bytes.size() / sizeof(Insn));
  std::memcpy(insns.data(), bytes.data(), insns.size() * sizeof(Insn));
  return insns;
}

/// What the verifier would prove: every access is good, the arena's are the arena's.
std::shared_ptr<const verifier::Proof> proof_of(const std::vector<Insn>& insns, bool arena) {
  auto proof = std::make_shared<verifier::Proof>();
  for (const Insn& insn : insns) {
    const u8 cls = isa::class_of(insn);
    const bool memory = cls == isa::kLdx || cls == isa::kSt || cls == isa::kStx;
    const bool frame = (cls == isa::kLdx ? insn.src : insn.dst) == isa::kFramePointer;
    proof->insns.push_back({.memory = !memory           ? verifier::Memory::kUnproven
                                      : arena && !frame ? verifier::Memory::kArena
                                                        : verifier::Memory::kInBounds,
                            .reached = true});
  }
  return proof;
}

/// The kernel's data: at `to`, with pointers to `seen_at`, the address that the code uses.
void fill(const Kernel& kernel, u64* to, u64 seen_at) {
  for (u64 i = 0; i < 1024; i++) to[i] = i * 0x9e3779b97f4a7c15ULL;
  if (!kernel.arena) {
    for (u64 i = 0; i < 128; i++) to[i] &= to[i] << 3 & to[i] >> 7;
    return;
  }
  to[0] = kHeapNodes;
  for (u64 i = 1; i <= kHeapNodes; i++) {
    const u64 node = 512 + i * 2;
    to[1 + i] = seen_at + node * 8;  // nodes[i]
    to[node] = i;
    to[node + 1] = 1000 + i * 37 % 101;
  }
}

template <class Fn>
double best_ns(const Kernel& kernel, u64* memory, u64 seen_at, u64& result, Fn&& fn) {
  double best = 1e18;
  for (int i = 0; i < kRepeats; i++) {
    fill(kernel, memory, seen_at);
    const auto start = std::chrono::steady_clock::now();
    result = fn();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / kTurns);
  }
  return best;
}

int run(const std::string& directory) {
  auto window = std::move(AddressWindow::create().value());
  test::RecordingHost host;
  HelperTable helpers;
  Bpf bpf(host, *window, btf::kDefaultVersion);
  Engine engine({&bpf, host, *window, helpers, u64{1} << 40, true}, default_engine());
  MapSpec spec;
  spec.type = uapi::kMapArena;
  spec.max_entries = 16;
  spec.flags = uapi::kMmapable;
  spec.extra = kArenaStart;
  auto arena = std::make_shared<ArenaMap>(bpf, std::move(spec));
  arena->alloc_pages(kArenaStart, 16);

  bool same = true;
  fmt::print("{:12} {:>9} {:>9} {:>7} {:>9} {:>7} {:>12} {:>7}\n", "kernel", "native ns", "jit ns",
             "ratio", "checked", "ratio", "interpreter", "ratio");
  for (const Kernel& kernel : kKernels) {
    Program program;
    program.name = kernel.name;
    program.insns = read_program(directory + "/" + kernel.name + ".text");
    program.subprogram_starts = {0};
    if (program.insns.empty()) {
      fmt::print(stderr, "{}/{}.text is not there\n", directory, kernel.name);
      return 1;
    }
    if (kernel.arena) program.maps = {arena};
    const u64 block = kernel.arena
                          ? arena->kern_vm_start() + static_cast<u32>(kArenaStart)
                          : reinterpret_cast<u64>(window->allocate(16 * 4096, kProgramMemory));
    const u64 address = kernel.arena ? kArenaStart : block;
    auto* memory = reinterpret_cast<u64*>(block);
    u64 results[4] = {};
    auto by_engine = [&](EngineKind kind, bool proven, u64& result) {
      engine.use(kind);
      program.decoded = nullptr;
      program.proof = proven ? proof_of(program.insns, kernel.arena) : nullptr;
      return best_ns(kernel, memory, address, result, [&] {
        return engine.run_callback(program, encode_callback(0), {address, kTurns});
      });
    };
    const double native =
        best_ns(kernel, memory, block, results[0], [&] { return kernel.native(memory, kTurns); });
    const double jit = by_engine(default_engine(), true, results[1]);
    const double checked = by_engine(default_engine(), false, results[2]);
    const double interpreted = by_engine(EngineKind::kInterpreter, false, results[3]);
    same = same && std::ranges::count(results, results[0]) == 4 && host.faults.empty();
    fmt::print("{:12} {:9.2f} {:9.2f} {:7.2f} {:9.2f} {:7.2f} {:12.2f} {:7.1f}\n", kernel.name,
               native, jit, jit / native, checked, checked / native, interpreted,
               interpreted / native);
  }
  if (!same) fmt::print("the results differ\n");
  return same ? 0 : 1;
}

}  // namespace
}  // namespace uscx::bpf

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: jit_bench DIRECTORY\n");
    return 2;
  }
  return uscx::bpf::run(argv[1]);
}
