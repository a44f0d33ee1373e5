// SPDX-License-Identifier: GPL-2.0-only
// jit_bench DIRECTORY: three kernels (DIRECTORY/NAME.text: BPF's instructions) by the JIT, by the
// interpreter, and the same C by clang -O2 for this machine. Prints nanoseconds a turn and ratios.
// All take turns, and a ratio is the median of those to the native run just before: machines are
// shared, and what slows one run down mostly slows down the next one too.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ctime>
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

constexpr int kRepeats = 301;
constexpr int kInterpreted = 3;  // of them
constexpr u64 kArenaStart = (u64{1} << 44);
constexpr u32 kHeapNodes = 255;

struct Kernel {
  const char* name;
  u64 (*native)(void*, u64);
  bool arena;
  u64 turns;  // of a run: less than a millisecond, so that few runs are interrupted
};
constexpr Kernel kKernels[] = {{"hash_loop", native_hash_loop, false, 200'000},
                               {"mask_scan", native_mask_scan, false, 2'000},
                               {"arena_heap", native_arena_heap, true, 10'000}};

std::vector<Insn> read_program(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Insn> insns(bytes.size() / sizeof(Insn));
  std::memcpy(insns.data(), bytes.data(), insns.size() * sizeof(Insn));
  return insns;
}

/// The registers that hold pointers into the arena before each instruction, a bit each.
std::vector<u16> arena_pointers(const std::vector<Insn>& insns) {
  using namespace isa;
  std::vector<u16> at(insns.size() + 1);
  u64 slots = 0;  // of the frame, 8 bytes each, that are such
  for (int turn = 0; turn < 8; turn++) {
    for (std::size_t i = 0; i < insns.size(); i++) {
      const Insn& insn = insns[i];
      const u8 cls = class_of(insn);
      const auto is = [&](u8 r) { return at[i] >> r & 1; };
      const u32 slot = static_cast<u32>(-insn.off / 8) & 63;
      bool pointer = false;
      bool writes = is_alu(insn) || cls == kLdx || cls == kLd;
      if (insn.code == (kAlu64 | kMov | kX)) {
        pointer = insn.off ? insn.imm == 1 : is(insn.src);
      } else if (is_alu(insn)) {
        pointer = is(insn.dst) || (is_x(insn) && is(insn.src));
      } else if (cls == kLdx) {
        pointer = insn.src == kFramePointer && (slots >> slot & 1);
      } else if (cls == kStx && insn.dst == kFramePointer && is(insn.src)) {
        slots |= u64{1} << slot;
      }
      u16 after = at[i];
      if (writes) after = static_cast<u16>((after & ~(1u << insn.dst)) | u32{pointer} << insn.dst);
      const bool jumps = is_jump_class(insn) && !is_exit(insn);
      if (jumps) at[i + 1 + static_cast<std::size_t>(s64{jump_distance(insn)})] |= after;
      if (!is_exit(insn) && !is_goto(insn)) at[i + (cls == kLd ? 2 : 1)] |= after;
    }
  }
  return at;
}

/// What the verifier would prove of such a program if it let loops run as long as they like: every
/// access is good, the arena's are the arena's, pointers into it are added to in 32 bits.
std::shared_ptr<const verifier::Proof> proof_of(const std::vector<Insn>& insns, bool arena) {
  auto proof = std::make_shared<verifier::Proof>();
  const std::vector<u16> pointers = arena_pointers(insns);
  for (std::size_t i = 0; i < insns.size(); i++) {
    const Insn& insn = insns[i];
    const u8 cls = isa::class_of(insn);
    const bool memory = cls == isa::kLdx || cls == isa::kSt || cls == isa::kStx;
    const bool frame = (cls == isa::kLdx ? insn.src : insn.dst) == isa::kFramePointer;
    const auto is = [&](u8 r) { return pointers[i] >> r & 1; };
    proof->insns.push_back({.memory = !memory           ? verifier::Memory::kUnproven
                                      : arena && !frame ? verifier::Memory::kArena
                                                        : verifier::Memory::kInBounds,
                            .reached = true,
                            .arena_alu = arena && cls == isa::kAlu64 &&
                                         isa::op_of(insn) != isa::kMov &&
                                         (is(insn.dst) || (isa::is_x(insn) && is(insn.src)))});
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

/// Of this thread.
double cpu_ns() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Runs of one kernel by one engine: nanoseconds a turn.
struct Series {
  std::vector<double> ns;
  u64 result = 0;

  template <class Fn>
  void run(const Kernel& kernel, u64* memory, u64 seen_at, Fn&& fn) {
    fill(kernel, memory, seen_at);
    const double start = cpu_ns();
    result = fn();
    ns.push_back((cpu_ns() - start) / static_cast<double>(kernel.turns));
  }
  double best() const { return *std::ranges::min_element(ns); }
  double ratio_to(const Series& native) const {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < ns.size(); i++) ratios.push_back(ns[i] / native.ns[i]);
    std::ranges::nth_element(ratios, ratios.begin() + static_cast<std::ptrdiff_t>(ns.size() / 2));
    return ratios[ns.size() / 2];
  }
};

int run(const std::string& directory) {
  auto window = std::move(AddressWindow::create().value());
  test::RecordingHost host;
  HelperTable helpers;
  Bpf bpf(host, *window, btf::kDefaultVersion);
  Engine engine({&bpf, host, *window, helpers, u64{1} << 40}, default_engine());
  if (engine.kind() == EngineKind::kInterpreter) {
    fmt::print("this host has no JIT\n");
    return 0;
  }
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
    Series native, jit, checked, interpreted;
    auto by_engine = [&](Series& series, EngineKind kind) {
      engine.use(kind);
      program.decoded = nullptr;
      program.proof = proof_of(program.insns, kernel.arena);
      engine.prepare(program);
      series.run(kernel, memory, address, [&] {
        return engine.run_callback(program, encode_callback(0), {address, kernel.turns});
      });
    };
    for (int i = 0; i < kRepeats; i++) {
      native.run(kernel, memory, block, [&] { return kernel.native(memory, kernel.turns); });
      by_engine(jit, EngineKind::kJit);
      by_engine(checked, EngineKind::kCheckingJit);
      if (i < kInterpreted) by_engine(interpreted, EngineKind::kInterpreter);
    }
    for (const Series* s : {&jit, &checked, &interpreted})
      same = same && s->result == native.result;
    same = same && host.faults.empty();
    fmt::print("{:12} {:9.2f} {:9.2f} {:7.2f} {:9.2f} {:7.2f} {:12.2f} {:7.1f}\n", kernel.name,
               native.best(), jit.best(), jit.ratio_to(native), checked.best(),
               checked.ratio_to(native), interpreted.best(), interpreted.ratio_to(native));
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
