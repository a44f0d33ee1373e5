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
  /// What a run needs of the window; used again last-in first-out by later runs. It stays there,
  /// which goes away with the kernel.
  struct Memory {
    u64 stack;
    u64 context;
    u64 words;  // of the context: those behind them are 0
  };
  std::vector<Memory> unused = {};
  u64 faults_to_zero = 0;
  u64 program_faults = 0;

  Memory take() {
    if (unused.empty()) [[unlikely]]
      return make_memory();
    const Memory memory = unused.back();
    unused.pop_back();
    return memory;
  }
  [[gnu::cold]] Memory make_memory();
  static void fill_context(Memory& memory, std::span<const u64> args);

  void prepare(const Program& program);
  [[gnu::always_inline]] u64 execute(ExecRun& run, u32 entry, const std::array<u64, 5>& registers);
  [[gnu::always_inline]] u64 run(const Program& program, u32 entry, const Memory& memory,
                                 u64 context, const std::array<u64, 5>& registers);
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

Engine::Impl::Memory Engine::Impl::make_memory() {
  constexpr u64 kContextBytes = kMaxContextWords * sizeof(u64);
  return {.stack = reinterpret_cast<u64>(env.window.allocate(kStackBlock, kProgramMemory)),
          .context = reinterpret_cast<u64>(env.window.allocate(kContextBytes, kReadOnlyMemory)),
          .words = 0};
}

/// The few words of a callback one by one: a call of memcpy() costs more.
inline void Engine::Impl::fill_context(Memory& memory, std::span<const u64> args) {
  const u64 count = args.size();
  USCX_ASSERT(count <= kMaxContextWords);
  auto* words = reinterpret_cast<u64*>(memory.context);
  constexpr u64 kFew = 4;
  for (u64 i = 0; i < kFew; ++i) words[i] = i < count ? args[i] : 0;
  if (memory.words > kFew) [[unlikely]]
    std::memset(words + kFew, 0, (memory.words - kFew) * sizeof(u64));
  if (count > kFew) [[unlikely]]
    std::memcpy(words + kFew, args.data() + kFew, (count - kFew) * sizeof(u64));
  memory.words = count;
}

/// Runs to the end, which may be in what catches an exception.
inline u64 Engine::Impl::execute(ExecRun& run, u32 entry, const std::array<u64, 5>& registers) {
  const Program& program = run.program;
  USCX_ASSERT(entry < run.decoded.ops.size());
  u64 result = run.execute(entry, registers);
  if (run.exception) [[unlikely]] {
    run.stopped = 0;
    result = *run.exception;
    if (program.exception_callback) {
      result = run.execute(*program.exception_callback, {*run.exception});
    }
  }
  run.charge();
  faults_to_zero += run.loads_to_zero;
  if (run.arena_faults || run.may_goto_timeouts) [[unlikely]]
    run.report_faults();
  program.insns_executed += run.insns() - run.tail_called;
  return run.stopped ? 0 : result;
}

inline u64 Engine::Impl::run(const Program& program, u32 entry, const Memory& memory, u64 context,
                             const std::array<u64, 5>& registers) {
  if (!program.decoded) [[unlikely]]
    prepare(program);
  ExecRun run(*this, env, program, *program.decoded, memory.stack, context);
  const u64 result = execute(run, entry, registers);
  unused.push_back(memory);
  program.run_count++;
  if (run.stopped) [[unlikely]] {
    program_faults++;
    env.host.program_fault(program, run.reason);
  }
  return result;
}

u64 Engine::Impl::tail_call(ExecRun& caller, u32 insn, const Program& program, u64 context) {
  if (!program.decoded) prepare(program);
  caller.charge();
  const Memory memory = take();
  ExecRun run(*this, env, program, *program.decoded, memory.stack, context, &caller);
  const u64 result = execute(run, 0, {context});
  unused.push_back(memory);
  caller.left = run.left;
  caller.charged += run.insns();
  caller.tail_called += run.insns();
  if (run.stopped) return caller.abandon(insn, fmt::format("{}: {}", program.name, run.reason));
  return result;
}

u64 Engine::run(const Program& program, std::span<const u64> args) {
  Impl::Memory memory = impl_->take();
  Impl::fill_context(memory, args);
  return impl_->run(program, 0, memory, memory.context, {memory.context});
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
  return decoded.arena ? decoded.arena->at(static_cast<u32>(pointer), size) : nullptr;
}

/// Linux: bpf_prog_report_arena_violation, of 7.0 and later, and of may_goto's violation.
void ExecRun::report_faults() {
  const u64 user_upper = decoded.arena ? decoded.arena->user_vm_start() >> 32 << 32 : 0;
  const u64 count = std::min<u64>(arena_faults, first_arena_faults.size());
  for (u64 i = 0; i < count; i++) {
    const ArenaFault& fault = first_arena_faults[i];
    report_on_stderr(env.host, program,
                     fmt::format("ERROR: Arena {} access at unmapped address {:#x}\n",
                                 fault.write ? "WRITE" : "READ", user_upper + fault.address));
  }
  if (may_goto_timeouts) {
    report_on_stderr(env.host, program, "ERROR: Timeout detected for may_goto instruction\n");
  }
}

u64 ExecRun::abandon(u32 insn, std::string_view why) {
  if (stopped) return 0;  // the first reason explains the others
  stopped = 1;
  auto namer = [this](const Insn& call) -> std::string {
    const u32 number = static_cast<u32>(call.imm);
    if (call.src != 0) {
      return number < program.kfuncs.size() ? std::string(program.kfuncs[number]->name) : "";
    }
    const Helper* helper = env.helpers.find(number);
    return helper ? std::string(helper->name) : "";
  };
  const std::string text = insn < program.insns.size() ? disassemble(program.insns, insn, namer)
                                                       : std::string("past the last instruction");
  reason = fmt::format("insn {}: {}: {}", insn, text, why);
  return 0;
}

bool ExecRun::proven(u32 insn) const {
  return program.proof && verifier::proven(program.proof->insns[insn].memory);
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
  const auto& starts = program.subprogram_starts;
  if (!is_callback(callback) || !std::binary_search(starts.begin(), starts.end(), insn)) {
    return abandon(0, fmt::format("callback {:#x} is no function of the program", callback));
  }
  return execute(insn, registers);
}

u64 ExecRun::call_helper(u32 insn, const Helper& helper, const std::array<u64, 5>& registers) {
  if (helper.might_sleep) charge();
  HelperCall call(*env.bpf, program, registers, this, context);
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
