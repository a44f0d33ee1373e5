// SPDX-License-Identifier: GPL-2.0-only
// Every kfunc of sched_ext: which sets it is in, in which kernels, and which callback of a
// scheduler may call it. The load-time check, the registration and a printed table all read this.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/types.h"
#include "bpf/kfunc.h"
#include "bpf/program.h"
#include "btf/profile.h"

namespace uscx::sched::ext {

/// Sets of kfuncs; a kfunc may be in several. Linux: scx_kfunc_ids_*.
enum KfuncSet : u32 {
  kSetEnqueueDispatch = 1 << 0,
  kSetDispatch = 1 << 1,
  kSetCpuRelease = 1 << 2,
  kSetUnlocked = 1 << 3,
  kSetInitCids = 1 << 4,  // "init" in 7.2
  kSetSelectCpu = 1 << 5,
  kSetIdle = 1 << 6,
  kSetAny = 1 << 7,
  kSetCid = 1 << 8,
  kSetCpuOnly = 1 << 9,  // refused to schedulers of the cid form
};

/// Sets that every callback may call. (7.2 does not filter the cid set, which comes to the same.)
inline constexpr u32 kFreeSets = kSetAny | kSetIdle | kSetCid;

struct KfuncRow {
  std::string_view name;
  u32 sets = 0;
  u32 flags = 0;                      // bpf::KfuncFlags
  btf::KernelVersion since{};         // {}: the oldest profile
  btf::KernelVersion until{};         // {}: still there
  u32 flags_until_7_3 = ~0U;          // where 7.2's flags differ
  btf::KernelVersion served_until{};  // from then on only the cid form reaches it; {}: never

  bool exists_in(btf::KernelVersion version) const {
    return version >= since && (until == btf::KernelVersion{} || version < until);
  }
  /// False: a program with a live call of it is refused at load, by name.
  bool served_in(btf::KernelVersion version) const {
    return served_until == btf::KernelVersion{} || version < served_until;
  }
  u32 flags_in(btf::KernelVersion version) const {
    return flags_until_7_3 != ~0U && version < btf::KernelVersion{7, 3} ? flags_until_7_3 : flags;
  }
};

/// A callback and the context-sensitive sets it may call, beside any, idle and cid.
struct MemberRow {
  std::string_view member;    // of sched_ext_ops
  std::string_view cid_name;  // the same slot in sched_ext_ops_cid; empty: the same name
  u32 sets = 0;
  btf::KernelVersion since{};
  u32 sets_until_7_3 = ~0U;

  u32 sets_in(btf::KernelVersion version) const {
    return sets_until_7_3 != ~0U && version < btf::KernelVersion{7, 3} ? sets_until_7_3 : sets;
  }
};

/// All kfuncs, in the order of the kernel's sets.
std::span<const KfuncRow> kfunc_table();
/// The callbacks with an entry; the others may call any, idle and cid only.
std::span<const MemberRow> member_table();
const KfuncRow* find_kfunc_row(std::string_view name);
/// By the callback's name in either form of the table; null: no entry.
const MemberRow* find_member_row(std::string_view member, btf::KernelVersion version);
/// "scx_kfunc_ids_dispatch" of the set that a kfunc is shown under.
std::string_view set_name(u32 sets, btf::KernelVersion version);
/// Who may call it, for people: "dispatch, sub_ecaps_updated, SYSCALL".
std::string callable_from(const KfuncRow& row, btf::KernelVersion version);

/// May `prog` call the kfunc `name`? 0 or EACCES; 0 for names that are none of sched_ext's.
/// Linux: scx_kfunc_context_filter(), and the program types the sets are registered for.
int filter_kfunc(const bpf::Program& prog, std::string_view name, btf::KernelVersion version);

}  // namespace uscx::sched::ext
