// SPDX-License-Identifier: GPL-2.0-only
// What a program says it attaches to, checked when it is loaded: functions, tracepoints, LSM hooks
// and iterators by BTF id. Linux: bpf_check_attach_target and check_attach_btf_id.
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

namespace uscx::btf {
class Btf;
}

namespace uscx::bpf {

class Program;

/// The checked target.
struct AttachTarget {
  int errnum = 0;       // positive where it is refused
  std::string log;      // why, in the kernel's words
  std::string name;     // of the function; of the tracepoint without "btf_trace_"
  u32 func_proto = 0;   // the FUNC_PROTO whose parameters are the context
  u32 hidden_args = 0;  // leading parameters that programs do not see (a tracepoint's __data)
};

/// Checks `program` (its type, attach type, attach_btf_id, whether it may sleep) against the types
/// of `btf`, the kernel's or a module's. For TRACING and LSM programs.
AttachTarget check_attach_target(const Program& program, const btf::Btf& btf);

/// May a sleepable program, or one that changes the return value, attach to that function? Linux:
/// the error injection list, of which only system calls and a few can be known from their names.
bool function_allows_error_injection(std::string_view function);

}  // namespace uscx::bpf
