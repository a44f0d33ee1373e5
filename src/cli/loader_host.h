// SPDX-License-Identifier: GPL-2.0-only
// A kernel to load programs into, without a workload, with libbpf of this process as its user.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/user_half.h"
#include "machine/simulated/simulated_machine.h"
#include "sched/kernel.h"

namespace uscx::cli {

/// A machine with a kernel on it that nothing runs on but one loader task.
class LoaderHost {
 public:
  /// `vmlinux`: the BTF to be verified against; empty for the built-in one of `version`.
  LoaderHost(btf::KernelVersion version, std::span<const std::byte> vmlinux);

  sched::Kernel& kernel() { return kernel_; }
  /// Runs `main` as the loader task: it may make system calls that sleep.
  void run(std::function<void()> main);
  /// What programs did wrong at run time since the last call, as the kernel's log tells.
  std::vector<std::string> take_kernel_log();

 private:
  machine::SimulatedMachine machine_;
  sched::Kernel kernel_;
  UserHalf user_half_;
  std::vector<std::string> log_;
};

}  // namespace uscx::cli
