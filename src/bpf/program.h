// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "bpf/streams.h"

namespace uscx::bpf::verifier {
struct Proof;
}

namespace uscx::bpf {

struct BtfObject;
class Map;
class StructOpsType;
struct DecodedProgram;
struct Kfunc;
namespace verifier {
struct Proof;
}

/// One instruction, as the ISA encodes it (struct bpf_insn).
struct Insn {
  u8 code;
  u8 dst : 4;
  u8 src : 4;
  s16 off;
  s32 imm;
  bool operator==(const Insn&) const = default;
};
static_assert(sizeof(Insn) == 8);

/// A loaded program: checked, relocated, ready for an engine. Immutable after load.
/// Linux: struct bpf_prog and its aux.
class Program {
 public:
  u32 id = 0;
  std::string name;
  u32 type = 0;  // BPF_PROG_TYPE_*
  u32 expected_attach_type = 0;
  bool sleepable = false;
  u32 prog_flags = 0;  // BPF_F_* of the load
  u32 attach_btf_id = 0;
  std::shared_ptr<BtfObject> attach_btf;  // whose id that is: the kernel's or a module's
  u32 attach_func_proto = 0;  // the target's FUNC_PROTO in attach_btf; 0 where there is none
  std::string attach_name;    // the FUNC, tracepoint or struct that attach_btf_id names
  const StructOpsType* struct_ops = nullptr;  // for STRUCT_OPS programs
  u32 member_index = 0;
  std::string member_name;
  u32 nr_args = 5;  // arguments of the callback's prototype, copied into the context
  std::array<u8, 8> tag{};

  std::vector<Insn> insns;  // with map addresses, kfunc indexes and subprogram offsets resolved
  std::vector<u32> subprogram_starts;         // ascending; [0] = 0
  std::vector<std::shared_ptr<Map>> maps;     // used and bound
  std::vector<const Kfunc*> kfuncs;           // by index in a call's imm
  std::vector<std::shared_ptr<void>> claims;  // InsnArrayMap::claim of those among them
  std::shared_ptr<BtfObject> btf;             // the object's; may be null
  u32 btf_id = 0;                             // of the object's BTF
  bool gpl_compatible = false;

  /// The struct_ops map the program belongs to; 0 before one takes it. The scheduler that kfuncs
  /// resolve. Linux: prog->aux->st_ops_assoc.
  mutable u32 struct_ops_map_id = 0;
  mutable bool struct_ops_poisoned = false;

  /// Set by StructOpsType::check_member: each subprogram has a stack of its own, so that only the
  /// single one is limited, not the chain. Linux: prog->aux->priv_stack_requested.
  mutable bool priv_stack_requested = false;

  /// First instruction of the subprogram that gets what bpf_throw throws and gives the program's
  /// result; without one the cookie is it. Linux: prog->aux->exception_cb.
  std::optional<u32> exception_callback;

  /// What the verifier proved of `insns`.
  std::shared_ptr<const verifier::Proof> proof;

  /// The engine's form of `insns`, made at the first run.
  mutable std::shared_ptr<const DecodedProgram> decoded;

  /// What the program, and the kernel of it, has said to its user.
  mutable ProgramStreams streams;

  // Statistics.
  mutable u64 run_count = 0;
  mutable u64 insns_executed = 0;
};

}  // namespace uscx::bpf
