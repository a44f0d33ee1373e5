// SPDX-License-Identifier: GPL-2.0-only
// The kernel's bpf_testmod module, as far as programs see it: its types, kfuncs and struct_ops.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "bpf/bpf.h"

namespace uscx::conformance {

struct Testmod {
  std::vector<std::byte> btf;  // split from vmlinux's
  struct KfuncLine {
    std::string name, flags, set;
  };
  std::vector<KfuncLine> kfuncs;

  /// Does the kfunc take arguments that the verifier adds?
  bool implicit(std::string_view name) const;
};

/// Reads what tools/kernel-testmod.py made: `directory`/bpf_testmod.o and bpf_testmod.tsv.
OrError<Testmod> load_testmod(const std::string& directory, std::span<const std::byte> vmlinux);

/// Registers vmlinux's struct_ops types that only have to be verified here.
void register_kernel_struct_ops(bpf::Bpf& bpf);

/// Makes the module known to a kernel.
OrError<void> register_testmod(bpf::Bpf& bpf, const Testmod& module);

}  // namespace uscx::conformance
