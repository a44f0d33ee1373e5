// SPDX-License-Identifier: GPL-2.0-only
// The engine: runs programs. The interpreter is the reference and checks every access; machine code
// does the same, several times as fast, or leaves out the checks of what the verifier proved. What
// was not verified has no proof, and is checked by every engine.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "base/types.h"
#include "bpf/exec/engine_kind.h"
#include "bpf/helper.h"
#include "bpf/host.h"
#include "bpf/program.h"
#include "bpf/window.h"

namespace uscx::bpf {

class Bpf;
class StepObserver;

/// Most instructions one run may execute, callbacks included. The real kernel has no such limit
/// (the verifier bounds programs); ours ends what the verifier would not have let in.
inline constexpr u64 kMaxRunInsns = 64'000'000;
/// Iterations of one may_goto site per frame before it falls through. Linux: BPF_MAX_LOOPS.
inline constexpr u64 kMaxMayGoto = u64{8} * 1024 * 1024;
/// Bytes of stack per frame, and frames per run. Linux: MAX_BPF_STACK, MAX_CALL_FRAMES.
inline constexpr u32 kStackSize = 512;
inline constexpr u32 kMaxFrames = 16;
/// Most u64 words of arguments that run() copies into a context. Linux: MAX_BPF_FUNC_ARGS.
inline constexpr u32 kMaxContextWords = 16;

/// PSEUDO_FUNC register values: a number that is no address of the window (nor of anything else)
/// and that only callback arguments accept. `insn` is the index of the subprogram's first insn.
inline constexpr u64 kCallbackTag = 0xffff'bfc0'0000'0000;
constexpr u64 encode_callback(u32 insn) {
  return kCallbackTag | insn;
}
constexpr bool is_callback(u64 value) {
  return (value & 0xffff'ffff'0000'0000) == kCallbackTag;
}
constexpr u32 callback_insn(u64 value) {
  return static_cast<u32>(value);
}

/// What an engine needs around it. `bpf` is what KfuncCall hands to kfuncs and helpers.
struct ExecEnvironment {
  Bpf* bpf = nullptr;
  Host& host;
  AddressWindow& window;
  const HelperTable& helpers;
  u64 max_run_insns = kMaxRunInsns;
  /// Sees every instruction; programs are interpreted then, whatever the engine's kind.
  StepObserver* observer = nullptr;
};

/// Runs programs that verify() accepted. Reentrant: runs nest (kfuncs run programs) and
/// interleave (sleepable programs block on their fibers). Not thread-safe. All kinds give the same
/// results, counts of instructions and reasons of abandoned runs.
class Engine {
 public:
  explicit Engine(const ExecEnvironment& env, EngineKind kind = EngineKind::kInterpreter);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  EngineKind kind() const;
  /// From now on; a program that ran already keeps its form until Program::decoded is reset.
  void use(EngineKind kind);
  /// Shows every instruction to `observer` from now on; null: to nobody.
  void observe(StepObserver* observer);
  /// Makes the engine's form of `program` now rather than at its first run.
  void prepare(const Program& program);

  /// Runs `program` with `args` as the u64 words of a read-only context of at least nr_args words;
  /// R1 is its address. Returns R0; 0 where the run was abandoned after Host::program_fault.
  u64 run(const Program& program, std::span<const u64> args);
  /// The same with R1 as given: 0 or the window address of a context that the caller owns.
  u64 run_with_context(const Program& program, u64 context);
  /// Runs the subprogram that `callback` (a PSEUDO_FUNC value, kept by a timer for example) names,
  /// as a run of its own. Inside a running program use KfuncCall::call_back instead.
  u64 run_callback(const Program& program, u64 callback, const std::array<u64, 5>& registers);

  /// Loads from outside every extent that answered 0.
  u64 faults_to_zero() const;
  /// Runs that were abandoned.
  u64 program_faults() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace uscx::bpf
