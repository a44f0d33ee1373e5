// SPDX-License-Identifier: GPL-2.0-only
// One run of an engine: what is shared by the frames of a program and its callbacks.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/types.h"
#include "bpf/exec/decode.h"
#include "bpf/exec/exec.h"
#include "bpf/exec/jit.h"
#include "bpf/kfunc.h"

namespace uscx::bpf {

inline constexpr u32 kStackBlock = kStackSize * kMaxFrames;

/// The part of a run that generated code reads and writes, by offset.
struct RunState {
  u64 stack = 0;                // lowest address of the run's stack block
  s64 left = 0;                 // instructions that may be executed yet; negative: too many were.
                                // Generated code keeps it in a register between calls
  s64 half_left = 0;            // below which may_goto falls out
  u64 arena_base = 0;           // ArenaMap::kern_vm_start() of the program's, or 0
  u64 unwind_sp = 0;            // host stack of the innermost entry into generated code
  u64 may_goto_timeouts = 0;    // times that a may_goto fell out
  u64 loads_to_zero = 0;        // loads from outside every extent, which answered 0
  const void* spans = nullptr;  // the window's table of spans
  u64 callee = 0;               // of a call out: the Helper or Kfunc; of one by register its number
  u32 depth = 0;                // frames in use
  u32 call_insn = 0;            // the instruction that called out, for messages
  u32 stopped = 0;              // the run is over: abandoned
  u32 leave = 0;                // what was called out to ends the function that it was called from
};

struct ExecRun;

/// What makes one run out of several programs.
struct TailCaller {
  virtual ~TailCaller() = default;
  /// Runs `program`, which `caller` tail calls at instruction `insn`, within what is left of the
  /// caller's run; R0. It is no run of its own: neither counted nor reported as one.
  virtual u64 tail_call(ExecRun& caller, u32 insn, const Program& program, u64 context) = 0;
};

/// Made once and used for one run after another, which begin() and conclude() part: what a run
/// only marks when something rare happens is left alone in between.
struct ExecRun : RunState, CallbackTarget {
  ExecRun(TailCaller& engine_, const ExecEnvironment& env_, u64 stack_)
      : engine(engine_), env(env_) {
    stack = stack_;
    spans = env.window.span_table();
    set_limit(env.max_run_insns);
  }

  /// Nothing of an earlier run is left.
  void begin(const Program& program_, const DecodedProgram& decoded_, u64 context_) {
    program = &program_;
    decoded = &decoded_;
    context = context_;
    left = static_cast<s64>(limit);
    arena_base = decoded_.arena_base;
  }
  /// The same for what a tail call of `caller` runs. forget() ends that.
  void begin(const Program& program_, const DecodedProgram& decoded_, u64 context_,
             const ExecRun& caller) {
    set_limit(static_cast<u64>(caller.left));
    tail_calls = caller.tail_calls;
    begin(program_, decoded_, context_);
  }
  /// Did anything happen that conclude() has to look at?
  bool marked() const {
    return (stopped | leave | charged | own_tail_calls | arena_faults | may_goto_timeouts |
            loads_to_zero) != 0;
  }
  /// Takes all marks away.
  [[gnu::cold]] void forget();

  TailCaller& engine;
  const ExecEnvironment& env;
  const Program* program = nullptr;
  const DecodedProgram* decoded = nullptr;
  u64 limit = 0;        // instructions that may be executed
  u64 context = 0;      // window address, or 0
  u64 charged = 0;      // instructions told to the host
  u64 tail_called = 0;  // of them, those of programs that this one tail called
  u32 own_tail_calls = 0;
  u32* tail_calls = &own_tail_calls;  // made by all programs since the one that was run first.
                                      // Linux: tail_call_cnt_ptr
  u64 arena_faults = 0;               // accesses to pages of the arena that were not there
  struct ArenaFault {
    u64 address;  // less the upper half of the user's
    bool write;
  };
  /// The first of them, for the program's stream.
  std::array<ArenaFault, 8> first_arena_faults;  // as many as there were
  std::optional<u64> exception = {};             // thrown (and stopped): with which cookie
  std::string reason = {};  // why the run was abandoned, for Host::program_fault

  /// Instructions executed so far.
  u64 insns() const { return limit - static_cast<u64>(left); }
  void set_insns(u64 n) { left = static_cast<s64>(limit - n); }

  /// Runs from instruction `entry` in a new frame until it exits; R0, or 0 once abandoned.
  u64 execute(u32 entry, const std::array<u64, 5>& registers) {
    const void* code = decoded->jit ? decoded->jit->entry(entry) : nullptr;
    if (!code || env.observer || depth >= kMaxFrames || left < 0) [[unlikely]] {
      return execute_slowly(entry, registers);
    }
    const u32 bottom = depth++;
    const u64 saved_unwind_sp = unwind_sp;
    const u64 frame_pointer = stack + kStackBlock - u64{bottom} * kStackSize;
    const u64 result = decoded->jit->enter(*this, registers, frame_pointer, code);
    depth = bottom;
    unwind_sp = saved_unwind_sp;
    return result;
  }
  /// The same from the first instruction of a run that began just now.
  u64 execute_first(const std::array<u64, 5>& registers) {
    const void* code = decoded->jit ? decoded->jit->first() : nullptr;
    if (!code || env.observer) [[unlikely]]
      return execute_slowly(0, registers);
    depth = 1;
    const u64 result = decoded->jit->enter(*this, registers, stack + kStackBlock, code);
    depth = 0;
    return result;
  }
  /// execute() for a PSEUDO_FUNC value.
  u64 call_back(u64 callback, const std::array<u64, 5>& registers) override;
  bool run_stopped() const override { return stopped; }
  void throw_exception(u64 cookie) override {
    if (stopped) return;
    stopped = 1;
    exception = cookie;
  }
  void* arena_memory(u64 pointer, u32 size) override;
  /// Tells the host about the instructions executed since the last time.
  void charge() {
    const u64 fresh = insns() - charged;
    charged += fresh;
    if (fresh) env.host.charge_instructions(fresh);
  }

  /// Did the verifier prove the access of instruction `insn`?
  bool proven(u32 insn) const;
  /// Abandons the run at instruction `insn`; returns 0, the run's result.
  [[gnu::cold]] u64 abandon(u32 insn, std::string_view why);
  u64 abandon_store(u32 insn, u64 addr, u32 bytes);
  /// A load that proven() promised to be good and that is not.
  u64 abandon_load(u32 insn, u64 addr, u32 bytes);
  u64 abandon_long(u32 insn) { return abandon(insn, "the program ran too long"); }
  u64 abandon_deep(u32 insn) { return abandon(insn, "more than 16 nested calls"); }
  u64 abandon_jump(u32 insn) { return abandon(insn, "the register is no target of a jump"); }
  u64 abandon_trap(u32 insn) { return abandon(insn, "not reachable, or not an instruction"); }

  /// Counts an access at `linear` that loads 0, or stores nothing. Safe in a signal handler.
  void arena_fault(u64 linear, bool write) {
    if (arena_faults < first_arena_faults.size())
      first_arena_faults[arena_faults] = {linear, write};
    arena_faults++;
  }
  /// Tells the program's user what it did wrong, once the run is over.
  [[gnu::cold]] void report_faults();

  u64 abandon_unserved(u32 insn, const Kfunc& kfunc);

  u64 call_helper(u32 insn, const Helper& helper, const std::array<u64, 5>& registers);
  /// A call by register (RFC 9669's callx): `number` is the helper's.
  u64 call_helper_by_number(u32 insn, u64 number, const std::array<u64, 5>& registers);
  /// Leaves with the result of the program that `map` has at `index`; goes on where there is none,
  /// or after MAX_TAIL_CALL_CNT of them. Linux: bpf_tail_call.
  u64 tail_call(u32 insn, u64 program_context, u64 map, u64 index);
  /// LD_ABS and LD_IND: `bytes` at `off` of the packet whose context is at `skb`. Leaves with 0
  /// where it has none there.
  u64 load_packet(u32 insn, u64 skb, u64 off, u32 bytes);
  /// Where an indirect jump to `target` goes; kNoInsn where that is no target of the program.
  u32 jump_target(u64 target) const;
  static constexpr u32 kNoInsn = ~0u;
  /// `proven`: the program's proof is to be trusted about the arguments.
  u64 call_kfunc(u32 insn, const Kfunc& kfunc, const std::array<u64, 5>& registers, bool proven) {
    if (!kfunc.fn) [[unlikely]]
      return abandon_unserved(insn, kfunc);
    if (kfunc.flags & kKfSleepable) charge();
    return call_plain_kfunc(insn, kfunc, registers, proven);
  }
  /// The same for Kfunc::plain() ones.
  u64 call_plain_kfunc(u32 insn, const Kfunc& kfunc, const std::array<u64, 5>& registers,
                       bool proven) {
    KfuncCall call(*env.bpf, *program, registers, this, proven);
    const u64 result = kfunc.fn(call);
    if (call.faulted()) [[unlikely]]
      return abandon(insn, call.fault_text());
    return result;
  }

 private:
  void set_limit(u64 limit_) {
    limit = limit_;
    half_left = static_cast<s64>(limit - limit / 2);
  }
  /// Interpreted, or not at all.
  [[gnu::cold, gnu::noinline]] u64 execute_slowly(u32 entry, const std::array<u64, 5>& registers);
  u64 interpret(u32 entry, const std::array<u64, 5>& registers);
  template <bool observed>
  u64 loop(u32 entry, const std::array<u64, 5>& registers);
};

}  // namespace uscx::bpf
