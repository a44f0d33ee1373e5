// SPDX-License-Identifier: GPL-2.0-only
// The verifier: explores the paths of a program and refuses it unless every one is safe.
// Linux 7.3's rules, limits and messages; docs/verifier.md says how it is built.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bpf/program.h"
#include "bpf/verifier/environment.h"
#include "bpf/verifier/proof.h"

namespace uscx::bpf::verifier {

struct Claims;

/// What the loader may do. All of it unless a test asks otherwise.
struct Capabilities {
  bool bpf = true;      // CAP_BPF: loops, calls, bounded precision
  bool perfmon = true;  // CAP_PERFMON: pointers may be seen as numbers, stack need not be written
};

struct VerifyInput {
  std::span<const Insn> insns;  // as user space gave them
  /// Type, names, attach target, BTF; its instructions are not looked at.
  const Program& program;
  CheckEnvironment& env;
  std::span<const FunctionInfo> functions = {};  // ascending by insn; may be empty
  std::span<const LineInfo> lines = {};          // ascending by insn; may be empty
  u32 log_level = 0;                             // BPF_LOG_LEVEL1 | BPF_LOG_LEVEL2 | BPF_LOG_STATS
  u32 prog_flags = 0;  // BPF_F_STRICT_ALIGNMENT, TEST_STATE_FREQ, ...: uapi::ProgFlags
  Capabilities caps = {};
  Claims* claims = nullptr;  // where set, filled
};

/// What goes into Program: instructions with maps, ksyms, kfuncs and callbacks resolved. In it:
/// ld_imm64 has src 0 and its final value (maps and ksyms: addresses; PSEUDO_FUNC:
/// encode_callback); a helper call has src 0 and imm = id; a bpf-to-bpf call src 1 and imm
/// relative; a kfunc call src 2 and imm = index into `kfuncs`. Dead code is kept in place, as
/// isa::kTrap.
struct CheckedProgram {
  std::vector<Insn> insns;
  std::vector<u32> subprogram_starts;      // ascending; [0] = 0
  std::vector<std::shared_ptr<Map>> maps;  // in order of first use
  std::vector<const Kfunc*> kfuncs;
  std::vector<std::shared_ptr<void>> claims;  // of its INSN_ARRAY maps
  std::optional<u32> exception_callback;      // first instruction of the subprogram
  u32 stack_depth = 0;                        // of the deepest chain
};

/// Linux: what print_verification_stats prints.
struct VerifyStats {
  u32 insns = 0;  // processed, on all paths
  u32 max_states_per_insn = 0;
  u32 total_states = 0;
  u32 peak_states = 0;
  u32 stack_depth = 0;                     // bytes
  std::chrono::nanoseconds duration = {};  // of the host; goes into no event
};

struct VerifyResult {
  int errnum = 0;   // positive; 0: the program is safe
  std::string log;  // as log_level asked
  VerifyStats stats;
  CheckedProgram program;  // where errnum is 0
  std::shared_ptr<const Proof> proof;
};

/// Linux: bpf_check.
VerifyResult verify(const VerifyInput& input);

}  // namespace uscx::bpf::verifier
