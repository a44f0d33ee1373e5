// SPDX-License-Identifier: GPL-2.0-only
// random_programs COUNT [SEED]: valid random programs, of every instruction, run by both engines
// (valid: every register is written before it is read, every jump leads to an instruction).
// They must agree in R0, all registers at the end, all memory, the instructions counted, the loads
// that faulted, and why a run was abandoned. Then once more with a proof of the accesses that were
// seen to be good, whose checks the JIT leaves out.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "base/assert.h"
#include "base/hash.h"
#include "bpf/bpf.h"
#include "bpf/disasm.h"
#include "bpf/exec/exec.h"
#include "bpf/exec/observer.h"
#include "bpf/exec/run.h"
#include "bpf/impl.h"
#include "bpf/isa.h"
#include "bpf/maps/arena.h"
#include "bpf/maps/map.h"
#include "bpf/maps/prog_array.h"
#include "bpf/net/packet.h"
#include "bpf/verifier/proof.h"
#include "engines/program_generator.h"
#include "support/bpf_engine.h"

namespace uscx::bpf::test {
namespace {

constexpr u64 kRunLimit = 3'000;

u64 call_back(HelperCall& call) {
  const u64 first = call.call_back(call.args[0], {call.args[1], call.args[2], 3, 4, 5});
  if (call.stopped()) return 0;
  return first + call.call_back(call.args[0], {first, 2, 3, 4, call.args[3]});
}
u64 mix(HelperCall& call) {
  u64 sum = 0;
  for (u64 arg : call.args) sum = sum * 31 + arg;
  return sum;
}
bool even_words(u64 offset, u32 size) {
  return size == 4 && offset % 8 == 0;
}
constexpr ObjectType kObject{"object", &even_words};

/// Which accesses are good each time: what a verifier would have proven of this very run.
class AccessRecorder final : public StepObserver {
 public:
  explicit AccessRecorder(const Program& program) : proof_(std::make_shared<verifier::Proof>()) {
    proof_->insns.resize(program.insns.size());
  }

  void step(const ExecRun& run, u32 insn, const u64* registers) override {
    const Insn& next = run.program->insns[insn];
    const u8 cls = class_of(next);
    if (cls != kLdx && cls != kSt && cls != kStx) return;
    constexpr u32 kBytes[] = {4, 2, 1, 8};
    const u32 bytes = kBytes[(next.code & 0x18) >> 3];
    const bool load = cls == kLdx || (is_atomic(next) && next.imm == kLoadAcquire);
    const u64 addr = registers[load ? next.src : next.dst] + static_cast<u64>(s64{next.off});
    const Extent* extent = run.env.window.find(addr);
    const bool on_stack = addr - run.stack <= kStackBytes - bytes;
    const bool good =
        on_stack ||
        (extent && (load ? extent->contains(addr, bytes) : extent->may_write(addr, bytes)));
    verifier::InsnProof& proof = proof_->insns[insn];
    if (!proof.reached) proof.memory = verifier::Memory::kInBounds;
    proof.reached = true;
    if (!good) proof.memory = verifier::Memory::kUnproven;
  }
  std::shared_ptr<const verifier::Proof> proof() const { return proof_; }

 private:
  std::shared_ptr<verifier::Proof> proof_;
};

/// The stacks of programs that tail call each other.
class StackRecorder final : public StepObserver {
 public:
  void step(const ExecRun& run, u32, const u64*) override { stacks.insert(run.stack); }
  std::set<u64> stacks;
};

struct Outcome {
  u64 result = 0;
  u64 insns = 0;
  u64 callee_insns = 0;  // of programs that were tail called
  u64 charged = 0;
  u64 zeros = 0;
  std::vector<std::string> faults = {};
  std::vector<std::string> logged = {};
  std::vector<std::byte> memory = {};
  bool operator==(const Outcome&) const = default;
};

class Comparison {
 public:
  Comparison() {
    env_.helper_table.add(
        {.id = kCallBack,
         .name = "bpf_call_back",
         .fn = &call_back,
         .args = {ArgKind::kCallback, ArgKind::kAnything, ArgKind::kAnything, ArgKind::kAnything}});
    add_map_helpers(env_.helper_table);
    add_tail_call_helper(env_.helper_table);
    env_.helper_table.add({.id = kMix,
                           .name = "bpf_mix",
                           .fn = &mix,
                           .args = {ArgKind::kAnything, ArgKind::kAnything, ArgKind::kAnything,
                                    ArgKind::kAnything, ArgKind::kAnything}});
    env_.registry.add({.name = "kfunc", .fn = [](KfuncCall& call) { return ~call.args[0]; }});
    env_.registry.add({.name = "bpf_throw", .fn = [](KfuncCall& call) {
                         call.throw_exception(call.args[0]);
                         return u64{0};
                       }});
    for (const u32 type : {uapi::kMapArray, uapi::kMapHash}) {
      MapSpec map;
      map.type = type;
      map.key_size = 4;
      map.value_size = kValueBytes;
      map.max_entries = kMapEntries;
      maps_.push_back(*make_map(bpf_, std::move(map)));
      const std::array<std::byte, kValueBytes> zero = {};
      for (u32 key = 0; key + 1 < kMapEntries; key++) {
        USCX_ASSERT(maps_.back()->update(reinterpret_cast<const std::byte*>(&key), zero.data(), 0));
      }
      places_.maps.push_back(maps_.back()->address());
    }
    make_callees();
    make_packet();
    for (const ObjectType* type : {&kProgramMemory, &kReadOnlyMemory, &kObject}) {
      places_.blocks.push_back(reinterpret_cast<u64>(window_->allocate(kDataBytes, *type)));
    }
    // An arena with holes.
    MapSpec spec;
    spec.type = uapi::kMapArena;
    spec.max_entries = kArenaPages;
    spec.flags = uapi::kMmapable;
    spec.extra = kArenaStart;
    arena_ = std::make_shared<ArenaMap>(bpf_, std::move(spec));
    for (u32 page : {0, 1, 3, 4}) {
      arena_->alloc_pages(kArenaStart + page * kPage, 1);
      blocks_in_arena_.push_back(arena_->kern_vm_start() + static_cast<u32>(kArenaStart) +
                                 page * kPage);
    }
    // The block that every run's stack will be.
    Program frame;
    frame.insns = {{kAlu64 | kMov | kX, 0, 10, 0, 0}, {kExitOpcode, 0, 0, 0, 0}};
    frame.subprogram_starts = {0};
    stack_ = engine_.run(frame, {}) - kStackBytes;
    StackRecorder recorder;
    engine_.observe(&recorder);
    engine_.run(*callees_[kCallsItself], {});
    engine_.observe(nullptr);
    recorder.stacks.erase(stack_);
    callee_stacks_.assign(recorder.stacks.begin(), recorder.stacks.end());
  }

  /// False where the engines disagree, which is printed.
  bool one(Random& random) {
    Generator generator(random, places_);
    Program program = generator.program();
    program.kfuncs = {env_.registry.find("kfunc"), env_.registry.find("bpf_throw")};
    program.maps = maps_;
    if (auto targets = jump_table(generator.jump_targets())) program.maps.push_back(targets);
    if (random.below(4)) program.maps.push_back(arena_);
    const u64 seed = random.next();
    const Outcome first = run(program, EngineKind::kInterpreter, seed);
    faulted_ += !first.faults.empty();
    if (!same(program, first, run(program, default_engine(), seed))) return false;
    return random.below(4) || proven(program, first, seed);
  }

  /// The same where the good accesses are proven.
  bool proven(Program& program, const Outcome& first, u64 seed) {
    if (!first.faults.empty()) return true;  // loops end, calls are right: else there is no proof
    AccessRecorder recorder(program);
    engine_.observe(&recorder);
    const Outcome seen = run(program, EngineKind::kInterpreter, seed);
    engine_.observe(nullptr);
    program.proof = recorder.proof();
    proven_++;
    return same(program, first, seen) &&
           same(program, first, run(program, EngineKind::kInterpreter, seed)) &&
           same(program, first, run(program, EngineKind::kCheckingJit, seed)) &&
           same(program, first, run(program, EngineKind::kJit, seed));
  }

  u64 faulted() const { return faulted_; }
  u64 proven() const { return proven_; }

 private:
  /// Programs to tail call: each that is made is in the array at its place.
  void make_callees() {
    MapSpec spec;
    spec.type = uapi::kMapProgArray;
    spec.key_size = spec.value_size = 4;
    spec.max_entries = 8;
    prog_array_ = std::make_shared<ProgArrayMap>(bpf_, std::move(spec));
    places_.prog_array = prog_array_->address();
    const u64 map = places_.prog_array;
    const std::vector<Insn> load_map = {{kLdImm64, 2, 0, 0, static_cast<s32>(map)},
                                        {0, 0, 0, 0, static_cast<s32>(map >> 32)}};
    const Insn exit = {kExitOpcode, 0, 0, 0, 0};
    auto add = [&](std::vector<Insn> insns) {
      auto program = std::make_shared<Program>();
      program->name = "callee";
      program->insns = std::move(insns);
      program->subprogram_starts = {0};
      program->kfuncs = {env_.registry.find("kfunc"), env_.registry.find("bpf_throw")};
      const u32 index = static_cast<u32>(callees_.size());
      prog_array_->put(index, program);
      callees_.push_back(std::move(program));
    };
    add({{kAlu64 | kMov | kX, 0, 1, 0, 0}, {kAlu64 | kXor | kK, 0, 0, 0, 0x1234}, exit});
    // Itself, until there were too many.
    add({load_map[0],
         load_map[1],
         {kAlu64 | kMov | kK, 3, 0, 0, kCallsItself},
         {kCallOpcode, 0, 0, 0, kTailCall},
         {kAlu64 | kMov | kK, 0, 0, 0, 7},
         exit});
    add({{kSt | kMem | kDw, 1, 0, 0, 0}, exit});  // a bad store, mostly
    add({{kCallOpcode, 0, kPseudoKfuncCall, 0, kThrow}, exit});
    add({{kGoto, 0, 0, -1, 0}, exit});
  }

  void make_packet() {
    packet_ = std::make_unique<net::Packet>(*window_, 16u, kPacketBytes - 8, 64u);
    packet_->add_fragment(8);
    auto* skb =
        static_cast<net::SkbContext*>(window_->allocate(sizeof(net::SkbContext), net::kSkbContext));
    skb->packet = packet_.get();
    skb->mac_offset = -14;
    skb->network_offset = 2;
    net::update_context(*skb);
    std::memcpy(&skb_, skb, sizeof(skb_));
    places_.skb = reinterpret_cast<u64>(skb);
    for (u32 i = 0; i < kPacketBytes; i++) {
      const u8 byte = static_cast<u8>(i * 7 + 1);
      USCX_ASSERT(packet_->store(i, &byte, 1));
    }
  }

  /// Null where there are none.
  std::shared_ptr<Map> jump_table(const std::vector<u32>& targets) {
    if (targets.empty()) return nullptr;
    MapSpec spec;
    spec.type = uapi::kMapInsnArray;
    spec.key_size = 4;
    spec.value_size = 16;
    spec.max_entries = static_cast<u32>(targets.size());
    auto map = make_map(bpf_, std::move(spec));
    for (u32 i = 0; i < targets.size(); i++) {
      const u32 value[4] = {targets[i], 0, 0, 0};
      USCX_ASSERT((*map)->user_update(reinterpret_cast<const std::byte*>(&i),
                                      reinterpret_cast<const std::byte*>(value), 0));
    }
    return *map;
  }

  static bool same(const Program& program, const Outcome& first, const Outcome& second) {
    if (first != second) report(program, first, second);
    return first == second;
  }
  Outcome run(const Program& program, EngineKind kind, u64 seed) {
    Random bytes(seed);
    fill(stack_, kStackBytes, bytes);
    for (const u64 stack : callee_stacks_) {
      std::memset(reinterpret_cast<void*>(stack), 0, kStackBytes);
    }
    for (u64 block : places_.blocks) fill(block, kDataBytes, bytes);
    if (!program.maps.empty()) {
      for (u64 page : blocks_in_arena_) fill(page, kPage, bytes);
    }
    fill_maps(bytes);
    // Programs write to some of its fields.
    std::memcpy(reinterpret_cast<void*>(places_.skb), &skb_, sizeof(skb_));
    engine_.use(kind);
    program.decoded = nullptr;
    u64 callee_insns = 0;
    for (const auto& callee : callees_) {
      callee->decoded = nullptr;
      callee->insns_executed = 0;
    }
    host_.faults.clear();
    host_.logged.clear();
    const u64 insns = program.insns_executed;
    const u64 charged = host_.charged;
    const u64 zeros = engine_.faults_to_zero();
    Outcome outcome{.result = engine_.run(program, {})};
    for (const auto& callee : callees_) callee_insns += callee->insns_executed;
    outcome.insns = program.insns_executed - insns;
    outcome.callee_insns = callee_insns;
    outcome.charged = host_.charged - charged;
    outcome.zeros = engine_.faults_to_zero() - zeros;
    outcome.faults = host_.faults;
    outcome.logged = host_.logged;
    append(outcome, stack_, kStackBytes);
    for (const auto& map : maps_) append(outcome, values_of(*map), kMapEntries * kValueBytes);
    for (u64 block : places_.blocks) append(outcome, block, kDataBytes);
    if (!program.maps.empty()) {
      for (u64 page : blocks_in_arena_) append(outcome, page, kPage);
    }
    return outcome;
  }
  /// The values, in place: programs see where they are. The hash lacks the last key; but who is a
  /// value's length past one before it reads and writes what would be its value.
  void fill_maps(Random& bytes) {
    for (const auto& map : maps_) fill(values_of(*map), kMapEntries * kValueBytes, bytes);
  }
  /// All lie behind that of the first key.
  static u64 values_of(Map& map) {
    const u32 key = 0;
    return map.lookup(reinterpret_cast<const std::byte*>(&key));
  }
  static void fill(u64 at, u32 size, Random& bytes) {
    for (u32 i = 0; i < size; i += 8) {
      const u64 word = bytes.next();
      std::memcpy(reinterpret_cast<void*>(at + i), &word, 8);
    }
  }
  static void append(Outcome& outcome, u64 at, u32 size) {
    const auto* bytes = reinterpret_cast<const std::byte*>(at);
    outcome.memory.insert(outcome.memory.end(), bytes, bytes + size);
  }
  static void report(const Program& program, const Outcome& a, const Outcome& b) {
    for (u32 i = 0; i < program.insns.size(); i++) {
      fmt::print("{:4}: {}\n", i, disassemble(program.insns, i));
    }
    for (const Outcome* o : {&a, &b}) {
      fmt::print("r0 {:#x}, {} insns, {} of callees, {} charged, {} zeros, {}\n", o->result,
                 o->insns, o->callee_insns, o->charged, o->zeros,
                 o->faults.empty() ? "no fault" : o->faults[0]);
      for (const std::string& line : o->logged) fmt::print("  {}\n", line);
    }
    for (std::size_t i = 0; i + 8 <= a.memory.size(); i += 8) {
      u64 x, y;
      std::memcpy(&x, &a.memory[i], 8);
      std::memcpy(&y, &b.memory[i], 8);
      if (x == y) continue;
      if (i < kStackBytes) {
        fmt::print("r10{:+}: {:#x} and {:#x}\n", static_cast<s64>(i) - s64{kStackBytes}, x, y);
      } else {
        fmt::print("data+{}: {:#x} and {:#x}\n", i - kStackBytes, x, y);
      }
    }
  }

  std::unique_ptr<AddressWindow> window_ = std::move(AddressWindow::create().value());
  RecordingHost host_;
  TestEnvironment env_;
  Bpf bpf_{host_, *window_, btf::kDefaultVersion};
  Engine engine_{{&bpf_, host_, *window_, env_.helper_table, kRunLimit}};
  std::shared_ptr<ArenaMap> arena_;
  std::vector<std::shared_ptr<Map>> maps_;
  std::shared_ptr<ProgArrayMap> prog_array_;
  std::vector<std::shared_ptr<Program>> callees_;
  std::vector<u64> callee_stacks_;
  std::unique_ptr<net::Packet> packet_;
  net::SkbContext skb_{};  // as every run finds it
  Places places_;
  std::vector<u64> blocks_in_arena_;
  u64 stack_ = 0;
  u64 faulted_ = 0;
  u64 proven_ = 0;
};

}  // namespace
}  // namespace uscx::bpf::test

int main(int argc, char** argv) {
  using namespace uscx;
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: random_programs COUNT [SEED]\n");
    return 2;
  }
  if (bpf::default_engine() == bpf::EngineKind::kInterpreter) {
    fmt::print("this host has one engine: nothing was compared\n");
    return 0;
  }
  const u64 count = std::strtoull(argv[1], nullptr, 0);
  Random random(argc == 3 ? std::strtoull(argv[2], nullptr, 0) : 1);
  bpf::test::Comparison comparison;
  for (u64 i = 0; i < count; i++) {
    if (comparison.one(random)) continue;
    fmt::print("program {} of seed {}: the engines disagree\n", i, argc == 3 ? argv[2] : "1");
    return 1;
  }
  fmt::print("{} programs agree, {} of them abandoned; {} run with proofs, too\n", count,
             comparison.faulted(), comparison.proven());
  return 0;
}
