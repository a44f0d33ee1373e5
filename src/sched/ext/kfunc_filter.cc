// SPDX-License-Identifier: GPL-2.0-only
// Which program may call which kfunc of sched_ext, decided when it is loaded.
#include <cerrno>

#include "bpf/struct_ops.h"
#include "bpf/uapi.h"
#include "sched/ext/kfunc_table.h"

namespace uscx::sched::ext {

namespace {

/// Program types that kfuncs registered for tracing are open to.
bool is_tracing(u32 type) {
  switch (type) {
    case bpf::uapi::kProgTracing:
    case bpf::uapi::kProgTracepoint:
    case bpf::uapi::kProgRawTracepoint:
    case bpf::uapi::kProgPerfEvent:
    case bpf::uapi::kProgLsm:
      return true;
    default:
      return false;
  }
}

int filter_struct_ops(const bpf::Program& prog, const KfuncRow& row, btf::KernelVersion version) {
  // Calls in dead code are collected before the table is known; the check runs again with it.
  if (!prog.struct_ops) return 0;
  const bool cpu_form = prog.struct_ops->name() == "sched_ext_ops";
  const bool cid_form = prog.struct_ops->name() == "sched_ext_ops_cid";
  if (!cpu_form && !cid_form) return EACCES;
  // CPU and cid numbers are both small integers and easily confused.
  if (cid_form && (row.sets & kSetCpuOnly)) return EACCES;
  if (row.sets & kFreeSets) return 0;

  const MemberRow* member = find_member_row(prog.member_name, version);
  return member && (member->sets_in(version) & row.sets) ? 0 : EACCES;
}

}  // namespace

int filter_kfunc(const bpf::Program& prog, std::string_view name, btf::KernelVersion version) {
  const KfuncRow* row = find_kfunc_row(name);
  if (!row) return 0;
  if (prog.type == bpf::uapi::kProgStructOps) return filter_struct_ops(prog, *row, version);
  if (prog.type == bpf::uapi::kProgSyscall) {
    return row->sets & (kFreeSets | kSetUnlocked | kSetSelectCpu) ? 0 : EACCES;
  }
  if (is_tracing(prog.type)) return row->sets & kFreeSets ? 0 : EACCES;
  return EACCES;  // the sets are registered for no other type
}

}  // namespace uscx::sched::ext
