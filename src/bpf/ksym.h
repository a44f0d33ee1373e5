// SPDX-License-Identifier: GPL-2.0-only
// Kernel variables that programs refer to by name (ld_imm64 with PSEUDO_BTF_ID).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/types.h"
#include "bpf/window.h"

namespace uscx::bpf {

/// What stands for a per-CPU variable before bpf_per_cpu_ptr() picks one CPU's.
inline constexpr ObjectType kPercpuVariable{"per-CPU variable"};

/// Where the FUNC `btf_id` of the kernel BTF appears to be: in the kernel's text, which programs
/// can compare and print but not read.
constexpr u64 kernel_text_address(u32 btf_id) {
  return 0xffff'ffff'8100'0000 + u64{btf_id} * 16;
}

/// Variables and where they are. The layer that has the object registers it.
class KsymTable {
 public:
  explicit KsymTable(AddressWindow& window) : window_(window) {}
  ~KsymTable();
  KsymTable(const KsymTable&) = delete;
  KsymTable& operator=(const KsymTable&) = delete;

  /// `address_of(cpu)` gives the window address of that CPU's variable, for any possible CPU. An
  /// ordinary variable has one address, given for CPU 0.
  void add(std::string name, u32 size, bool percpu, std::function<u64(u32 cpu)> address_of);
  /// The register value of ld_imm64; 0 where nobody registered the variable.
  u64 value(std::string_view name) const;
  /// The address behind a per-CPU register value (and an offset in it) on `cpu`; 0 where the value
  /// is none.
  u64 resolve(u64 value, u32 cpu) const;

 private:
  struct Variable {
    bool percpu;
    void* token = nullptr;  // per-CPU: the extent whose address programs get
    std::function<u64(u32)> address_of;
  };
  AddressWindow& window_;
  std::map<std::string, Variable, std::less<>> variables_;
  std::unordered_map<u64, const Variable*> by_token_;  // looked up only
};

}  // namespace uscx::bpf
