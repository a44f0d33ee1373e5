// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/exec/jit.h"

#if defined(__x86_64__)
#include <algorithm>

#include "base/assert.h"
#include "bpf/exec/jit_translator.h"
#include "bpf/verifier/proof.h"

namespace uscx::bpf {

bool jit_available() {
  return true;
}

namespace jit {

Translator::Translator(const Program& program, const DecodedProgram& decoded, const Stubs& stubs,
                       asmjit::CodeHolder& code, bool trust_proof)
    : program_(program), decoded_(decoded), stubs_(stubs), a_(&code) {
  has_bmi1_ = asmjit::CpuInfo::host().hasFeature(asmjit::CpuFeatures::X86::kBMI);
  has_bmi2_ = asmjit::CpuInfo::host().hasFeature(asmjit::CpuFeatures::X86::kBMI2);
  arena_ = decoded.arena;
  if (trust_proof && program.proof) {
    proof_ = program.proof.get();
    USCX_ASSERT(proof_->insns.size() == program.insns.size());
  }
  leader_.resize(decoded.ops.size());
  labels_.resize(decoded.ops.size());
  find_leaders();
  // What was never verified may run its instructions in ways that nobody follows.
  short_at_.resize(decoded.ops.size());
  if (odd_.empty()) {
    short_at_ = find_short_registers(program, decoded, leader_);
    find_live_registers();
  }
}

/// Where blocks begin. What was never checked may jump between the halves of an ld_imm64; what lies
/// there is then a block of its own, out of line.
void Translator::find_leaders() {
  const auto& ops = decoded_.ops;
  auto lead = [&](u32 index) { leader_[index] = true; };
  second_half_.resize(ops.size());
  for (u32 i = 0; i < ops.size(); i++) {
    if (ops[i].code == OpCode::k_ld_imm64) second_half_[++i] = true;
  }
  auto visit = [&](u32 i) {
    const OpCode code = ops[i].code;
    if (is_jump(code)) lead(i + static_cast<u32>(ops[i].off));
    if (i + 1 < ops.size() && ends_block(code)) lead(i + 1);
  };
  lead(0);
  for (u32 start : program_.subprogram_starts) lead(start);
  for (u32 target : decoded_.jump_targets) lead(target);
  for (u32 i = 0; i < ops.size(); i++) {
    if (!second_half_[i]) visit(i);
  }
  // Each turn adds a leader, or is the last.
  for (bool more = true; more;) {
    more = false;
    for (u32 i = 0; i < ops.size(); i++) {
      if (!second_half_[i] || !leader_[i] || std::ranges::find(odd_, i) != odd_.end()) continue;
      odd_.push_back(i);
      visit(i);
      lead(after(i));
      more = true;
    }
  }
  for (u32 i = 0; i < ops.size(); i++) {
    if (leader_[i]) labels_[i] = a_.newLabel();
  }
}

u32 Translator::after(u32 index) const {
  const u32 next = index + (decoded_.ops[index].code == OpCode::k_ld_imm64 ? 2 : 1);
  return std::min(next, static_cast<u32>(decoded_.ops.size()) - 1);
}

void Translator::start_block(u32 index) {
  a_.bind(labels_[index]);
  forget_known();
  short_ = short_at_[index];
  executed_ = 0;
}

/// At the end of a block, so that who leaves in the middle has the rest to count, and so that the
/// flags say at once whether the run is too long.
void Translator::count_block() {
  if (executed_) a_.sub(kLeft, executed_);
  executed_ = 0;
}

void Translator::translate() {
  const auto& ops = decoded_.ops;
  for (u32 i = 0; i < ops.size();) {
    if (leader_[i]) {
      if (i) count_block();
      start_block(i);
    }
    if (const u32 fused = fuse(i)) {
      i += fused;
      continue;
    }
    instruction(i, ops[i]);
    i += ops[i].code == OpCode::k_ld_imm64 ? 2 : 1;
  }
  for (u32 i : odd_) {
    start_block(i);
    instruction(i, ops[i]);
    count_block();
    a_.jmp(labels_[after(i)]);
  }
  emit_cold_paths();
}

void Translator::emit_cold_paths() {
  while (!cold_.empty()) {
    const auto emit = std::move(cold_.front());
    cold_.pop_front();
    emit();
  }
  emit_jump_table();
}

void Translator::instruction(u32 index, const Op& op) {
  executed_++;
  if (ends_block(op.code)) count_block();
  const u32 number = static_cast<u32>(op.code);
  if (number < kNrFourfold) {
    const auto base = static_cast<OpCode>(number & ~3u);
    if (base >= OpCode::k_jeq64k) return branch(index, base, number & 3, op);
    alu(base, number & 3, op);
    return follow(op);
  }
  switch (op.code) {
    case OpCode::k_ld_imm64:
      load_number(op.dst, op.imm);
      return follow(op);
    case OpCode::k_ldx1:
      load(index, op, 1, false);
      return follow(op);
    case OpCode::k_ldx2:
      load(index, op, 2, false);
      return follow(op);
    case OpCode::k_ldx4:
      load(index, op, 4, false);
      return follow(op);
    case OpCode::k_ldx8:
      load(index, op, 8, false);
      return follow(op);
    case OpCode::k_ldsx1:
      load(index, op, 1, true);
      return follow(op);
    case OpCode::k_ldsx2:
      load(index, op, 2, true);
      return follow(op);
    case OpCode::k_ldsx4:
      load(index, op, 4, true);
      return follow(op);
    case OpCode::k_stx1:
      return store(index, op, 1, true);
    case OpCode::k_stx2:
      return store(index, op, 2, true);
    case OpCode::k_stx4:
      return store(index, op, 4, true);
    case OpCode::k_stx8:
      return store(index, op, 8, true);
    case OpCode::k_st1:
      return store(index, op, 1, false);
    case OpCode::k_st2:
      return store(index, op, 2, false);
    case OpCode::k_st4:
      return store(index, op, 4, false);
    case OpCode::k_st8:
      return store(index, op, 8, false);
    case OpCode::k_atomic4:
    case OpCode::k_atomic8:
      atomic(index, op, op.code == OpCode::k_atomic8 ? 8 : 4);
      if (op.imm & 1) known_[op.imm == 0xf1 ? 0 : op.src] = {};
      short_ = short_after(op, short_);
      return;
    case OpCode::k_cast_user:
      cast_user(op);
      return follow(op);
    case OpCode::k_ja:
      return jump(index, op);
    case OpCode::k_may_goto:
      return may_goto(index, op);
    case OpCode::k_call_helper:
      return call_helper(index, op);
    case OpCode::k_call_kfunc:
      return call_out(index, thunk_of(*reinterpret_cast<const Kfunc*>(op.imm)), op.imm);
    case OpCode::k_call_register:
      return call_register(index, op);
    case OpCode::k_call_local:
      return call_local(index, op);
    case OpCode::k_tail_call:
      return tail_call(index);
    case OpCode::k_ld_packet:
      return load_packet(index, op);
    case OpCode::k_gotox:
      return jump_indirect(index, op);
    case OpCode::k_exit:
      a_.ret();
      return;
    case OpCode::k_trap:
      return abandon_at(index, stubs_.abandon_trap);
    default:
      unary(op);
      follow(op);
  }
}

std::vector<u32> Translator::entries(const asmjit::CodeHolder& code) const {
  std::vector<u32> offsets(leader_.size(), JitCode::kNoEntry);
  auto enter_at = [&](u32 i) {
    if (leader_[i]) offsets[i] = static_cast<u32>(code.labelOffset(labels_[i]));
  };
  enter_at(0);
  for (const u32 start : program_.subprogram_starts) enter_at(start);
  return offsets;
}

std::vector<Fault> Translator::faults(const asmjit::CodeHolder& code) const {
  std::vector<Fault> result;
  for (const FaultLabel& f : faults_) {
    result.push_back(f.fault);
    result.back().resume = static_cast<u32>(code.labelOffset(f.resume));
  }
  std::ranges::sort(result, {}, &Fault::begin);
  return result;
}

namespace {

/// Emitting never fails but for a mistake here.
class Strict final : public asmjit::ErrorHandler {
 public:
  void handleError(asmjit::Error, const char* message, asmjit::BaseEmitter*) override {
    assertion_failed(message, __FILE__, __LINE__, "asmjit");
  }
};

/// The memory, shared by the Jit and all code in it.
struct Memory {
  asmjit::JitRuntime runtime;
  Strict strict;
  Stubs stubs;

  const void* add(asmjit::CodeHolder& code) {
    void* at = nullptr;
    USCX_ASSERT(runtime.add(&at, &code) == asmjit::kErrorOk);
    return at;
  }
  void init(asmjit::CodeHolder& code) {
    USCX_ASSERT(code.init(runtime.environment()) == asmjit::kErrorOk);
    code.setErrorHandler(&strict);
  }
};

class Code final : public JitCode {
 public:
  Code(std::shared_ptr<Memory> memory, const void* at, u64 size, std::vector<u32> entries,
       std::vector<Fault> faults, ArenaMap* arena)
      : JitCode(at, size, std::move(entries), memory->stubs.enter), memory_(std::move(memory)) {
    if (!faults.empty()) faulting_.emplace(at, size, std::move(faults), arena);
  }
  ~Code() override { memory_->runtime.release(const_cast<std::byte*>(at_)); }

 private:
  std::shared_ptr<Memory> memory_;
  std::optional<FaultingCode> faulting_;
};

class X86Jit final : public Jit {
 public:
  X86Jit() {
    asmjit::CodeHolder code;
    memory_->init(code);
    x86::Assembler a(&code);
    memory_->stubs = emit_stubs(a);
    relocate(memory_->stubs, reinterpret_cast<u64>(memory_->add(code)));
  }

  std::shared_ptr<const JitCode> compile(const Program& program, const DecodedProgram& decoded,
                                         bool trust_proof) override {
    asmjit::CodeHolder code;
    memory_->init(code);
    Translator translator(program, decoded, memory_->stubs, code, trust_proof);
    translator.translate();
    const void* at = memory_->add(code);
    return std::make_shared<Code>(memory_, at, code.codeSize(), translator.entries(code),
                                  translator.faults(code), decoded.arena);
  }

 private:
  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();
};

}  // namespace
}  // namespace jit

std::unique_ptr<Jit> Jit::create() {
  return std::make_unique<jit::X86Jit>();
}

}  // namespace uscx::bpf

#else

namespace uscx::bpf {

bool jit_available() {
  return false;
}
std::unique_ptr<Jit> Jit::create() {
  return nullptr;
}

}  // namespace uscx::bpf
#endif
