// SPDX-License-Identifier: GPL-2.0-only
// The tables of callbacks and kfuncs, for people.
#include <fmt/format.h>

#include "sched/ext/kfunc_table.h"
#include "sched/ext/op_table.h"

namespace uscx::sched::ext {

namespace {

bool exists(const OpRow& row, btf::KernelVersion version) {
  return version >= row.since;
}

/// May callbacks of `op` call the kfunc?
bool op_may_call(Op op, const KfuncRow& kfunc, btf::KernelVersion version) {
  if (!kfunc.exists_in(version)) return false;
  if (kfunc.sets & kFreeSets) return true;
  const MemberRow* member = find_member_row(op_name(op), version);
  return member && (member->sets_in(version) & kfunc.sets) != 0;
}

/// The kfuncs that depend on the callback; every callback may call the rest.
std::string special_kfuncs(Op op, btf::KernelVersion version) {
  std::string out;
  for (const KfuncRow& kfunc : kfunc_table()) {
    if ((kfunc.sets & kFreeSets) || !op_may_call(op, kfunc, version)) continue;
    if (kfunc.name.find("___v") != std::string_view::npos) continue;
    out += fmt::format("{}`{}`", out.empty() ? "" : ", ", kfunc.name);
  }
  return out;
}

std::string flag_names(u32 flags) {
  constexpr std::pair<u32, std::string_view> kNames[] = {{bpf::kKfAcquire, "acquire"},
                                                         {bpf::kKfRelease, "release"},
                                                         {bpf::kKfRetNull, "may be null"},
                                                         {bpf::kKfSleepable, "may sleep"},
                                                         {bpf::kKfRcu, "rcu"},
                                                         {bpf::kKfRcuProtected, "rcu protected"},
                                                         {bpf::kKfIterNew, "iterator"},
                                                         {bpf::kKfIterNext, "iterator"},
                                                         {bpf::kKfIterDestroy, "iterator"}};
  std::string out;
  for (const auto& [flag, name] : kNames) {
    if ((flags & flag) != 0) out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
  }
  return out;
}

}  // namespace

bool op_may_nest(Op outer, Op inner, btf::KernelVersion version) {
  for (const KfuncCallsOp& call : kfunc_calls()) {
    if (call.op != inner || call.other_scheduler) continue;
    const KfuncRow* kfunc = find_kfunc_row(call.kfunc);
    if (kfunc && op_may_call(outer, *kfunc, version)) return true;
  }
  return false;
}

std::string ops_text(btf::KernelVersion version) {
  std::string out = fmt::format("{:<22} {:<6} {}\n", "callback", "sleeps", "locks");
  for (const OpRow& row : op_table()) {
    if (!exists(row, version)) continue;
    out += fmt::format("{:<22} {:<6} {}{}\n", op_name(row.op),
                       op_may_sleep(row.op, version) ? "may" : "no", lock_names(row.locks),
                       row.cid_only ? "   (cid form only)" : "");
  }
  return out;
}

std::string ops_markdown(btf::KernelVersion version) {
  std::string out;
  for (const OpRow& row : op_table()) {
    if (!exists(row, version)) continue;
    out += fmt::format("### {}\n\n`{}`\n\n{}\n\n", op_name(row.op), row.prototype, row.when);
    if (!row.care.empty()) out += fmt::format("{}\n\n", row.care);
    out += fmt::format("* Locks: {}.{}\n", lock_names(row.locks),
                       op_may_sleep(row.op, version) ? " May sleep." : "");
    out += fmt::format("* Without it: {}\n", row.absent);
    if (const std::string kfuncs = special_kfuncs(row.op, version); !kfuncs.empty()) {
      out += fmt::format("* May also call: {}.\n", kfuncs);
    }
    if (row.cid_only) out += "* Cid form only.\n";
    out += "\n";
  }
  return out;
}

std::string kfuncs_text(btf::KernelVersion version) {
  std::string out;
  for (const KfuncRow& row : kfunc_table()) {
    if (!row.exists_in(version)) continue;
    const std::string flags = flag_names(row.flags_in(version));
    out += fmt::format("{}\n  from {}\n", row.name, callable_from(row, version));
    if (!flags.empty()) out += fmt::format("  flags {}\n", flags);
    if (row.since != btf::KernelVersion{}) {
      out += fmt::format("  since {}.{}\n", row.since.major, row.since.minor);
    }
    if (row.until != btf::KernelVersion{}) {
      out += fmt::format("  until {}.{}\n", row.until.major, row.until.minor);
    }
    if (!row.served_in(version)) out += "  of the cid form only, not served\n";
  }
  return out;
}

std::string kfunc_graph(btf::KernelVersion version) {
  std::string out;
  const auto line = [&](std::string_view from, const KfuncCallsOp& call) {
    out += fmt::format("{} -> {} -> {}{}\n", from, call.kfunc, op_name(call.op),
                       call.other_scheduler ? " (of another scheduler)" : "");
  };
  const auto each = [&](bool free, const auto& fn) {
    for (const KfuncCallsOp& call : kfunc_calls()) {
      const KfuncRow* kfunc = find_kfunc_row(call.kfunc);
      if (kfunc && kfunc->exists_in(version) && ((kfunc->sets & kFreeSets) != 0) == free) {
        fn(call, *kfunc);
      }
    }
  };
  for (const OpRow& row : op_table()) {
    if (!exists(row, version)) continue;
    each(false, [&](const KfuncCallsOp& call, const KfuncRow& kfunc) {
      if (op_may_call(row.op, kfunc, version)) line(op_name(row.op), call);
    });
  }
  each(true, [&](const KfuncCallsOp& call, const KfuncRow&) { line("(every callback)", call); });
  return out;
}

}  // namespace uscx::sched::ext
