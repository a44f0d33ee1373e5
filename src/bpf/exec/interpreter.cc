// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/exec/exec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "bpf/disasm.h"
#include "bpf/exec/run.h"

namespace uscx::bpf {

struct Interpreter::Impl {
  ExecEnvironment env;
  // Blocks of finished runs, to be used again last-in first-out. They stay in the window, which
  // goes away with the kernel.
  std::vector<u64> stacks = {};
  std::vector<u64> contexts = {};
  u64 faults_to_zero = 0;
  u64 program_faults = 0;

  u64 take(std::vector<u64>& pool, std::size_t size, const ObjectType& type) {
    if (pool.empty()) return reinterpret_cast<u64>(env.window.allocate(size, type));
    const u64 block = pool.back();
    pool.pop_back();
    return block;
  }

  u64 run(const Program& program, u32 entry, u64 context, const std::array<u64, 5>& registers);
};

Interpreter::Interpreter(const ExecEnvironment& env) : impl_(new Impl{.env = env}) {}
Interpreter::~Interpreter() = default;

u64 Interpreter::Impl::run(const Program& program, u32 entry, u64 context,
                           const std::array<u64, 5>& registers) {
  if (!program.decoded) program.decoded = decode_program(program, env.helpers);
  USCX_ASSERT(entry < program.decoded->ops.size());
  // Keeps the decoded program alive should the last reference go away while this run sleeps.
  const std::shared_ptr<const DecodedProgram> decoded = program.decoded;
  ExecRun run{.env = env,
              .program = program,
              .decoded = *decoded,
              .stack = take(stacks, kStackBlock, kProgramMemory),
              .context = context};
  u64 result = run.execute(entry, registers);
  stacks.push_back(run.stack);
  run.charge();
  faults_to_zero += run.loads_to_zero;
  program.run_count++;
  program.insns_executed += run.insns;
  if (run.abandoned) {
    result = 0;
    program_faults++;
    env.host.program_fault(program, run.reason);
  }
  return result;
}

u64 Interpreter::run(const Program& program, std::span<const u64> args) {
  USCX_ASSERT(args.size() <= kMaxContextWords);
  constexpr u64 kBytes = kMaxContextWords * sizeof(u64);
  const u64 context = impl_->take(impl_->contexts, kBytes, kReadOnlyMemory);
  auto* words = reinterpret_cast<u64*>(context);
  std::copy(args.begin(), args.end(), words);
  std::fill(words + args.size(), words + kMaxContextWords, 0);
  const u64 result = impl_->run(program, 0, context, {context});
  impl_->contexts.push_back(context);
  return result;
}

u64 Interpreter::run_with_context(const Program& program, u64 context) {
  return impl_->run(program, 0, context, {context});
}

u64 Interpreter::run_callback(const Program& program, u64 callback,
                              const std::array<u64, 5>& registers) {
  USCX_ASSERT(is_callback(callback));
  return impl_->run(program, callback_insn(callback), 0, registers);
}

u64 Interpreter::faults_to_zero() const {
  return impl_->faults_to_zero;
}
u64 Interpreter::program_faults() const {
  return impl_->program_faults;
}

void ExecRun::charge() {
  const u64 fresh = insns - charged;
  charged = insns;
  if (fresh) env.host.charge_instructions(fresh);
}

u64 ExecRun::abandon(u32 insn, std::string_view why) {
  if (abandoned) return 0;  // the first reason explains the others
  abandoned = true;
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

u64 ExecRun::call_back(u64 callback, const std::array<u64, 5>& registers) {
  if (abandoned) return 0;
  const u32 insn = callback_insn(callback);
  const auto& starts = program.subprogram_starts;
  if (!is_callback(callback) || !std::binary_search(starts.begin(), starts.end(), insn)) {
    return abandon(0, fmt::format("callback {:#x} is no function of the program", callback));
  }
  return execute(insn, registers);
}

u64 ExecRun::call_helper(u32 insn, const Helper& helper, const u64* r) {
  if (helper.might_sleep) charge();
  HelperCall call(*env.bpf, program, {r[1], r[2], r[3], r[4], r[5]}, context);
  call.callback_entry = [this](u64 callback, const std::array<u64, 5>& registers) {
    return call_back(callback, registers);
  };
  const u64 result = helper.fn(call);
  if (call.faulted()) return abandon(insn, call.fault_text());
  return result;
}

u64 ExecRun::call_kfunc(u32 insn, const Kfunc& kfunc, const u64* r) {
  if (kfunc.flags & kKfSleepable) charge();
  KfuncCall call(*env.bpf, program, {r[1], r[2], r[3], r[4], r[5]});
  call.callback_entry = [this](u64 callback, const std::array<u64, 5>& registers) {
    return call_back(callback, registers);
  };
  const u64 result = kfunc.fn(call);
  if (call.faulted()) return abandon(insn, call.fault_text());
  return result;
}

}  // namespace uscx::bpf
