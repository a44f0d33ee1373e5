// SPDX-License-Identifier: GPL-2.0-only
// Every kfunc that vmlinux of Linux 7.3 registers: its KF_* flags, and to which programs. What it
// takes and returns is in the kernel's BTF; whether it runs here, in bpf::KfuncRegistry.
#pragma once

#include <span>
#include <string_view>

#include "base/types.h"
#include "bpf/verifier/prog_type.h"
#include "bpf/verifier/types.h"

namespace uscx::bpf::verifier {

/// The sets a kfunc can be registered for. Linux: enum btf_kfunc_hook.
enum class KfuncHook : u8 {
  kCommon,  // all programs
  kXdp,
  kTc,
  kStructOps,
  kTracing,
  kSyscall,
  kFmodret,
  kCgroup,
  kSchedAct,
  kSkSkb,
  kSocketFilter,
  kLwt,
  kNetfilter,
  kKprobe,
  kNone,  // of types that get no set of their own
};

/// Conditions beyond the hook, by the set they stand for; sched_ext's are in bpf::KfuncRegistry.
enum class KfuncFilterKind : u8 {
  kNone,
  kSession,   // session programs: kprobe, uprobe, fsession
  kIterator,  // BPF_TRACE_ITER
  kKsock,     // SYSCALL, and LSM but for the hook that sending passes through
  kLsm,       // LSM programs among the tracing ones
};

struct KfuncProto {
  std::string_view name;
  u32 flags = 0;  // KfFlag
  u32 hooks = 0;  // 1 << KfuncHook
  KfuncFilterKind filter = KfuncFilterKind::kNone;

  bool has(KfFlag flag) const { return flags & flag; }
  bool in(KfuncHook hook) const { return hooks & (1u << static_cast<u32>(hook)); }
};

/// By name; null where vmlinux has no such kfunc.
const KfuncProto* kfunc_proto(std::string_view name);
/// All, ascending by name.
std::span<const KfuncProto> all_kfuncs();
/// The hook of a type of program. Linux: bpf_prog_type_to_kfunc_hook.
KfuncHook kfunc_hook(u32 prog_type);
/// May the program call it, as far as the tables know? sched_ext's filters come on top. False:
/// "calling kernel function %s is not allowed". Linux: btf_kfunc_is_allowed.
bool kfunc_allowed(const KfuncProto& kfunc, const ProgContext& prog);

}  // namespace uscx::bpf::verifier
