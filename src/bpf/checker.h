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

namespace uscx::bpf {

class Map;

/// A map as an instruction refers to it.
struct MapRef {
  std::shared_ptr<Map> map;
  u64 object_address = 0;  // the register value of a map pointer
  u32 value_size = 0;
  u32 max_entries = 0;
  u64 value_address = 0;  // window address of element 0 where direct access is served, else 0
  /// The bytes at value_address where no one can change them any more (frozen and RDONLY_PROG):
  /// loads from them are constants to the checker. Empty otherwise.
  std::span<const std::byte> constant = {};
};

/// A kernel or module symbol as ld_imm64 with PSEUDO_BTF_ID refers to it.
struct KsymRef {
  u64 value =
      0;  // the register value: the window address of the variable, or any number for a FUNC
};

/// A kfunc as a call refers to it.
struct KfuncRef {
  const Kfunc* kfunc = nullptr;  // null: in BTF but not registered; refused in live code
  std::string name;              // as the BTF FUNC is called
  u32 nr_args = 0;               // parameters of the public prototype
  bool returns_void = false;
};

/// A function of the program, from func_info and the program's BTF. Optional.
struct FunctionInfo {
  u32 insn = 0;  // index of the first instruction
  std::string name;
  bool global = false;
  std::optional<u32> nr_args = {};
};

/// What the checker asks the front door while it checks one program. Errors are positive errnos;
/// ask functions may append a line to `log` that says why.
class CheckEnvironment {
 public:
  virtual ~CheckEnvironment() = default;

  virtual Result<MapRef> map_by_fd(s32 fd, std::string& log) = 0;
  virtual Result<MapRef> map_by_index(u32 index, std::string& log) = 0;  // in attr.fd_array
  virtual Result<KsymRef> ksym(u32 btf_id, s32 btf_fd, std::string& log) = 0;
  virtual Result<KfuncRef> kfunc(u32 btf_id, s16 fd_index, std::string& log) = 0;
  virtual const HelperTable& helpers() = 0;
  /// May a program of this type (attach type, struct_ops member) call `helper`? Linux:
  /// get_func_proto of the program type.
  virtual bool helper_allowed(const Program& program, const Helper& helper) = 0;
  virtual const KfuncRegistry& kfuncs() = 0;
  /// Something live that we know and do not serve, by name.
  virtual void count_unserved(std::string name) = 0;
};

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
