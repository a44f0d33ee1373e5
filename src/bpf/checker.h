// SPDX-License-Identifier: GPL-2.0-only
// The load-time checks: what a program must satisfy before an engine sees it. Not yet the verifier:
// pointers are not tracked; the interpreter checks each access instead.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "bpf/helper.h"
#include "bpf/kfunc.h"
#include "bpf/program.h"
#include "bpf/verifier/environment.h"

namespace uscx::bpf {

struct CheckInput {
  std::span<const Insn> insns;  // as user space gave them
  const Program& program;       // type, name, sleepable, attach names; its insns are not looked at
  CheckEnvironment& env;
  std::span<const FunctionInfo> functions = {};  // ascending by insn; may be empty
  u32 max_insns = 1'000'000;                     // Linux: BPF_COMPLEXITY_LIMIT_INSNS
};

/// What goes into Program: instructions with maps, ksyms, kfuncs and callbacks resolved.
/// In it: ld_imm64 has src 0 and its final value (maps and ksyms: addresses; PSEUDO_FUNC:
/// encode_callback); a helper call has src 0 and imm = id; a bpf-to-bpf call src 1 and imm
/// relative; a kfunc call src 2 and imm = index into `kfuncs`. Dead code is kept in place, its
/// unresolvable calls replaced by an insn that faults.
struct CheckedProgram {
  std::vector<Insn> insns;
  std::vector<u32> subprogram_starts;      // ascending; [0] = 0
  std::vector<std::shared_ptr<Map>> maps;  // in order of first use
  std::vector<const Kfunc*> kfuncs;
  u32 stack_depth = 0;  // of the deepest chain
  std::string log;      // what BPF_LOG_LEVEL1 | STATS of a good load says
};

struct CheckFailure {
  int errnum = 0;   // positive
  std::string log;  // ends with the reason, then "processed N insns ..."
};

/// Checks and resolves one program. Linux: bpf_check.
std::expected<CheckedProgram, CheckFailure> check_program(const CheckInput& input);

}  // namespace uscx::bpf
