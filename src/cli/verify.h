// SPDX-License-Identifier: GPL-2.0-only
// Asking the verifier about every program of an object, one at a time: what `uscx verify` does.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "btf/profile.h"
#include "cli/variables.h"

namespace uscx::cli {

struct VerifyPlan {
  btf::KernelVersion kernel = btf::kDefaultVersion;
  u32 log_level = 0;    // BPF_LOG_*: 1 each instruction once, 2 every state, 4 statistics
  std::string program;  // only this one; empty: all
  std::vector<VariableSetting> settings;
  std::vector<std::byte> vmlinux;  // types to verify against; empty: the kernel's built-in ones
};

/// What became of one program.
struct ProgramVerdict {
  std::string file;
  std::string program;
  bool accepted = false;
  int errnum = 0;   // positive
  std::string log;  // the verifier's; libbpf's where it did not come to that
  bool has_statistics = false;
  u64 duration_us = 0;  // these five as the verifier's log has them
  u64 insns = 0;        // processed
  u64 states = 0;
  u64 peak_states = 0;
  u32 size = 0;  // instructions of the program as it is in the file
};

/// Loads each program of the object at `path` by itself into a kernel of its own. An error: the
/// file is no BPF object, or a setting does not fit it.
OrError<std::vector<ProgramVerdict>> verify_object(const std::string& path, const VerifyPlan& plan);

/// The line of a log that tells why: the last one before the diagnosis and the statistics.
std::string_view reason_in(std::string_view log);

}  // namespace uscx::cli
