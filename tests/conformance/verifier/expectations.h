// SPDX-License-Identifier: GPL-2.0-only
// What the kernel's selftests say about their own programs, in BTF declaration tags.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "conformance/verifier/messages.h"

struct btf;

namespace uscx::conformance {

/// The annotations of one program, of its privileged half. Linux: struct test_spec.
struct Expectations {
  std::string program;
  bool privileged = false;    // has a privileged half
  bool unprivileged = false;  // has an unprivileged one too
  bool auxiliary = false;     // no test of its own: loaded with the others
  bool fails = false;
  bool annotated = false;  // says anything at all
  std::vector<Pattern> messages;
  std::vector<Pattern> xlated;
  std::vector<Pattern> stderr_stream;
  std::vector<Pattern> stdout_stream;
  bool has_jited = false;  // expects a disassembly of Linux's JIT
  std::optional<s32> retval;
  u32 log_level = 0;
  u32 prog_flags = 0;
  bool other_architecture = false;  // not for x86-64
  bool only_without_jit = false;
  std::string btf_path;       // __btf_path: types of kfuncs come from this file
  std::string btf_func_path;  // __btf_func_path: so do parameter names
  u32 linear_size = 0;        // of the skb; 0: whole
  std::vector<u8> packet;     // that it is run on; empty: TEST_DATA_LEN zeros

  /// Why the program is no test here, or empty. What can be said of whole groups; single programs
  /// are in the ledger.
  std::string left_out() const;
};

/// POINTER_VALUE of the kernel's bpf_misc.h: any value will do.
inline constexpr s32 kAnyRetval = 0xbadcafe;

/// Reads the tags on FUNC `program`. The problem, where a tag is not understood.
std::string read_expectations(const ::btf* types, const std::string& program, Expectations& out);

/// Adds what the kernel expects of the program in another file (elsewhere.cc).
void expect_from_elsewhere(std::string_view file, Expectations& spec);

}  // namespace uscx::conformance
