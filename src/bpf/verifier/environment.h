// SPDX-License-Identifier: GPL-2.0-only
// What the verifier asks the front door about the world while it verifies one program.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/types.h"
#include "bpf/helper.h"
#include "bpf/kfunc.h"
#include "bpf/program.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::bpf::verifier {
struct KfuncProto;
}

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
  /// loads from them are constants to the verifier. Empty otherwise.
  std::span<const std::byte> constant = {};
};

/// A kernel or module symbol as ld_imm64 with PSEUDO_BTF_ID refers to it.
struct KsymRef {
  /// The register value: the window address of the variable, or any number for a FUNC.
  u64 value = 0;
};

/// A kfunc as a call refers to it.
struct KfuncRef {
  const Kfunc* kfunc = nullptr;  // null: in BTF but not registered; refused in live code
  std::string name;              // as the BTF FUNC is called
  u32 nr_args = 0;               // parameters of the public prototype
  bool returns_void = false;
  const btf::Btf* btf = nullptr;                // the kernel's or a module's
  const verifier::KfuncProto* proto = nullptr;  // null: no kfunc of that name is registered
};

/// A function of the program, from func_info and the program's BTF. Optional.
struct FunctionInfo {
  u32 insn = 0;  // index of the first instruction
  std::string name;
  bool global = false;
  std::optional<u32> nr_args = {};
  u32 type_id = 0;  // the FUNC in the program's BTF
};

/// A line of source, from line_info. Linux: struct bpf_line_info.
struct LineInfo {
  u32 insn = 0;
  u32 file_name_off = 0;  // in the strings of the program's BTF
  u32 line_off = 0;
  u32 line_col = 0;
};

/// Errors are positive errnos; ask functions may append a line to `log` that says why.
class CheckEnvironment {
 public:
  virtual ~CheckEnvironment() = default;

  /// The kernel's BTF.
  virtual const btf::Btf& vmlinux() = 0;
  virtual Result<MapRef> map_by_fd(s32 fd, std::string& log) = 0;
  virtual Result<MapRef> map_by_index(u32 index, std::string& log) = 0;  // in attr.fd_array
  virtual Result<KsymRef> ksym(u32 btf_id, s32 btf_fd, std::string& log) = 0;
  virtual Result<KfuncRef> kfunc(u32 btf_id, s16 fd_index, std::string& log) = 0;
  virtual const HelperTable& helpers() = 0;
  /// May a program of this type (attach type, struct_ops member) call `helper`? Linux:
  /// get_func_proto of the program type.
  virtual bool helper_allowed(const Program& program, const Helper& helper) = 0;
  virtual const KfuncRegistry& kfuncs() = 0;
  /// CPUs that can be: the range of bpf_get_smp_processor_id. Linux: nr_cpu_ids.
  virtual u32 nr_cpu_ids() = 0;
  /// Does the kernel's BTF describe the objects that are there? It may be another kernel's, for
  /// programs that are only verified.
  virtual bool has_own_types() { return true; }
  /// Is that module of the kernel there?
  virtual bool has_module(std::string_view) { return false; }
  /// Something live that we know and do not serve, by name.
  virtual void count_unserved(std::string name) = 0;
};

}  // namespace uscx::bpf
