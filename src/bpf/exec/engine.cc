// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/exec/exec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "bpf/disasm.h"
#include "bpf/exec/run.h"
#include "bpf/maps/arena.h"
#include "bpf/verifier/proof.h"

namespace uscx::bpf {

EngineKind default_engine() {
  return jit_available() ? EngineKind::kJit : EngineKind::kInterpreter;
}

std::string_view name_of(EngineKind kind) {
  switch (kind) {
    case EngineKind::kInterpreter:
      return "interpreter";
    case EngineKind::kJit:
      return "jit";
    case EngineKind::kCheckingJit:
      return "checking-jit";
  }
  return "";
}

struct Engine::Impl final : TailCaller {
  explicit Impl(const ExecEnvironment& environment) : env(environment) {}

  ExecEnvironment env;
  EngineKind kind = EngineKind::kInterpreter;
  std::unique_ptr<Jit> jit = nullptr;  // made when it is first used
  /// What a run needs; used again by later runs. The memory is the window's and stays there, which
  /// goes away with the kernel.
  struct Slot {
    Slot(Impl& engine, u64 stack, u64 context_)
        : run(engine, engine.env, stack), context(context_), registers{context_} {}
    ExecRun run;
    const u64 context;                   // memory for one
    u64 words = 0;                       // of the context: those behind them are 0
    const std::array<u64, 5> registers;  // of a run with that context

    void fill_context(std::span<const u64> args);
    [[gnu::cold, gnu::noinline]] void fill_any_context(std::span<const u64> args);
  };
  std::vector<std::unique_ptr<Slot>> slots = {};
  std::vector<Slot*> unused = {};
  u64 faults_to_zero = 0;
  u64 program_faults = 0;

  Slot& take() {
    if (unused.empty()) [[unlikely]]
      return make_slot();
    Slot* slot = unused.back();
    unused.pop_back();
    return *slot;
  }
  void give_back(Slot& slot) { unused.push_back(&slot); }
  [[gnu::cold, gnu::noinline]] Slot& make_slot();

  [[gnu::cold, gnu::noinline]] void prepare(const Program& program);
  const DecodedProgram& decoded(const Program& program) {
    if (!program.decoded) [[unlikely]]
      prepare(program);
    return *program.decoded;
  }
  u64 run(const Program& program, u32 entry, Slot& slot, u64 context,
          const std::array<u64, 5>& registers);
  /// After what the program did: R0 that the host gets.
  u64 finish(Slot& slot, u64 result);
  [[gnu::cold, gnu::noinline]] u64 finish_marked(Slot& slot, u64 result);
  u64 conclude(ExecRun& run, u64 result);
  u64 tail_call(ExecRun& caller, u32 insn, const Program& program, u64 context) override;
};

Engine::Engine(const ExecEnvironment& env, EngineKind kind) : impl_(new Impl(env)) {
  use(kind);
}
Engine::~Engine() = default;

EngineKind Engine::kind() const {
  return impl_->kind;
}

void Engine::use(EngineKind kind) {
  impl_->kind = kind;
  if (kind != EngineKind::kInterpreter && !impl_->jit) impl_->jit = Jit::create();
  USCX_ASSERT(kind == EngineKind::kInterpreter || impl_->jit);
}

void Engine::prepare(const Program& program) {
  impl_->prepare(program);
}

void Engine::Impl::prepare(const Program& program) {
  std::shared_ptr<DecodedProgram> decoded = decode_program(program, env.helpers);
  if (kind != EngineKind::kInterpreter) {
    decoded->jit = jit->compile(program, *decoded, kind == EngineKind::kJit);
  }
  program.decoded = std::move(decoded);
}

Engine::Impl::Slot& Engine::Impl::make_slot() {
  constexpr u64 kContextBytes = kMaxContextWords * sizeof(u64);
  const auto stack = reinterpret_cast<u64>(env.window.allocate(kStackBlock, kProgramMemory));
  const auto context = reinterpret_cast<u64>(env.window.allocate(kContextBytes, kReadOnlyMemory));
  return *slots.emplace_back(std::make_unique<Slot>(*this, stack, context));
}

/// A callback's few words are copied as they are: one by one, as they have just been written.
inline void Engine::Impl::Slot::fill_context(std::span<const u64> args) {
  constexpr u64 kFew = 4;
  if (args.size() != kFew || words > kFew) [[unlikely]]
    return fill_any_context(args);
  auto* to = reinterpret_cast<u64*>(context);
  to[0] = args[0];
  to[1] = args[1];
  to[2] = args[2];
  to[3] = args[3];
  words = kFew;
}

void Engine::Impl::Slot::fill_any_context(std::span<const u64> args) {
  USCX_ASSERT(args.size() <= kMaxContextWords);
  auto* to = reinterpret_cast<u64*>(context);
  std::copy(args.begin(), args.end(), to);
  if (words > args.size()) std::fill(to + args.size(), to + words, 0);
  words = args.size();
}

void ExecRun::forget() {
  stopped = leave = 0;
  may_goto_timeouts = loads_to_zero = 0;
  charged = tail_called = arena_faults = 0;
  own_tail_calls = 0;
  tail_calls = &own_tail_calls;
  set_limit(env.max_run_insns);
  exception.reset();
  reason.clear();
}

/// To the very end, which may be in what catches an exception.
u64 Engine::Impl::conclude(ExecRun& run, u64 result) {
  if (run.exception) {
    run.stopped = 0;
    result = *run.exception;
    if (run.program->exception_callback) {
      result = run.execute(*run.program->exception_callback, {*run.exception});
    }
  }
  run.charge();
  faults_to_zero += run.loads_to_zero;
  if (run.arena_faults || run.may_goto_timeouts) run.report_faults();
  run.program->insns_executed += run.insns() - run.tail_called;
  return run.stopped ? 0 : result;
}

u64 Engine::Impl::finish_marked(Slot& slot, u64 result) {
  ExecRun& run = slot.run;
  const Program& program = *run.program;
  result = conclude(run, result);
  program.run_count++;
  const bool stopped = run.stopped;
  const std::string reason = std::move(run.reason);
  run.forget();
  give_back(slot);
  if (stopped) {
    program_faults++;
    env.host.program_fault(program, reason);
  }
  return result;
}

inline u64 Engine::Impl::finish(Slot& slot, u64 result) {
  ExecRun& run = slot.run;
  if (run.marked()) [[unlikely]]
    return finish_marked(slot, result);
  const u64 insns = run.insns();
  run.program->insns_executed += insns;
  run.program->run_count++;
  give_back(slot);
  env.host.charge_instructions(insns);
  return result;
}

u64 Engine::Impl::run(const Program& program, u32 entry, Slot& slot, u64 context,
                      const std::array<u64, 5>& registers) {
  slot.run.begin(program, decoded(program), context);
  USCX_ASSERT(entry < slot.run.decoded->ops.size());
  return finish(slot, slot.run.execute(entry, registers));
}

u64 Engine::Impl::tail_call(ExecRun& caller, u32 insn, const Program& program, u64 context) {
  caller.charge();
  Slot& slot = take();
  ExecRun& run = slot.run;
  run.begin(program, decoded(program), context, caller);
  const u64 result = conclude(run, run.execute(0, {context}));
  const bool stopped = run.stopped;
  const std::string reason = std::move(run.reason);
  caller.left = run.left;
  caller.charged += run.insns();
  caller.tail_called += run.insns();
  run.forget();
  give_back(slot);
  if (stopped) return caller.abandon(insn, fmt::format("{}: {}", program.name, reason));
  return result;
}

u64 Engine::run(const Program& program, std::span<const u64> args) {
  Impl::Slot& slot = impl_->take();
  slot.fill_context(args);
  slot.run.begin(program, impl_->decoded(program), slot.context);
  return impl_->finish(slot, slot.run.execute_first(slot.registers));
}

u64 Engine::run_with_context(const Program& program, u64 context) {
  return impl_->run(program, 0, impl_->take(), context, {context});
}

u64 Engine::run_callback(const Program& program, u64 callback,
                         const std::array<u64, 5>& registers) {
  USCX_ASSERT(is_callback(callback));
  return impl_->run(program, callback_insn(callback), impl_->take(), 0, registers);
}

void Engine::observe(StepObserver* observer) {
  impl_->env.observer = observer;
}

u64 Engine::faults_to_zero() const {
  return impl_->faults_to_zero;
}
u64 Engine::program_faults() const {
  return impl_->program_faults;
}

u64 ExecRun::execute_slowly(u32 entry, const std::array<u64, 5>& registers) {
  if (depth >= kMaxFrames) return abandon_deep(entry);
  if (left < 0) return abandon_long(entry);  // callbacks that loop
  return interpret(entry, registers);
}

void* ExecRun::arena_memory(u64 pointer, u32 size) {
  return decoded->arena ? decoded->arena->at(static_cast<u32>(pointer), size) : nullptr;
}

/// Linux: bpf_prog_report_arena_violation, of 7.0 and later, and of may_goto's violation.
void ExecRun::report_faults() {
  const u64 user_upper = decoded->arena ? decoded->arena->user_vm_start() >> 32 << 32 : 0;
  const u64 count = std::min<u64>(arena_faults, first_arena_faults.size());
  for (u64 i = 0; i < count; i++) {
    const ArenaFault& fault = first_arena_faults[i];
    report_on_stderr(env.host, *program,
                     fmt::format("ERROR: Arena {} access at unmapped address {:#x}\n",
                                 fault.write ? "WRITE" : "READ", user_upper + fault.address));
  }
  if (may_goto_timeouts) {
    report_on_stderr(env.host, *program, "ERROR: Timeout detected for may_goto instruction\n");
  }
}

u64 ExecRun::abandon(u32 insn, std::string_view why) {
  if (stopped) return 0;  // the first reason explains the others
  stopped = 1;
  auto namer = [this](const Insn& call) -> std::string {
    const u32 number = static_cast<u32>(call.imm);
    if (call.src != 0) {
      return number < program->kfuncs.size() ? std::string(program->kfuncs[number]->name) : "";
    }
    const Helper* helper = env.helpers.find(number);
    return helper ? std::string(helper->name) : "";
  };
  const std::string text = insn < program->insns.size() ? disassemble(program->insns, insn, namer)
                                                        : std::string("past the last instruction");
  reason = fmt::format("insn {}: {}: {}", insn, text, why);
  return 0;
}

bool ExecRun::proven(u32 insn) const {
  return program->proof && verifier::proven(program->proof->insns[insn].memory);
}

u64 ExecRun::abandon_load(u32 insn, u64 addr, u32 bytes) {
  return abandon(insn, fmt::format("load of {} bytes at {:#x}, which is no object, though it was "
                                   "proven (a mistake of uscx's verifier)",
                                   bytes, addr));
}

u64 ExecRun::abandon_store(u32 insn, u64 addr, u32 bytes) {
  const Extent* extent = env.window.find(addr);
  if (!extent) {
    return abandon(insn,
                   fmt::format("store of {} bytes at {:#x}, which is no object", bytes, addr));
  }
  return abandon(insn,
                 fmt::format("store of {} bytes at {:#x}, not writable: offset {} of {} ({} "
                             "bytes)",
                             bytes, addr, addr - extent->start, extent->type->name, extent->size));
}

u64 ExecRun::abandon_unserved(u32 insn, const Kfunc& kfunc) {
  return abandon(insn, std::string(kfunc.name) + " is not served");
}

u64 ExecRun::call_back(u64 callback, const std::array<u64, 5>& registers) {
  if (stopped) return 0;
  const u32 insn = callback_insn(callback);
  const auto& starts = program->subprogram_starts;
  if (!is_callback(callback) || !std::binary_search(starts.begin(), starts.end(), insn)) {
    return abandon(0, fmt::format("callback {:#x} is no function of the program", callback));
  }
  return execute(insn, registers);
}

u64 ExecRun::call_helper(u32 insn, const Helper& helper, const std::array<u64, 5>& registers) {
  if (helper.might_sleep) charge();
  HelperCall call(*env.bpf, *program, registers, this, context);
  const u64 result = helper.fn(call);
  if (call.faulted()) return abandon(insn, call.fault_text());
  return result;
}

u64 ExecRun::call_helper_by_number(u32 insn, u64 number, const std::array<u64, 5>& registers) {
  const Helper* helper = number <= ~u32{0} ? env.helpers.find(static_cast<u32>(number)) : nullptr;
  if (!helper || !helper->fn) return abandon(insn, fmt::format("{:#x} is no helper", number));
  return call_helper(insn, *helper, registers);
}

}  // namespace uscx::bpf
