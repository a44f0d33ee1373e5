// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/checker.h"

#include <algorithm>

#include "bpf/checker_internal.h"

namespace uscx::bpf {

namespace check {

namespace {

/// Linux: BPF_COMPLEXITY_LIMIT_INSNS.
constexpr u32 kInsnLimit = 1'000'000;

std::string last_line(const Context& c) {
  // States are not counted: nothing is explored path by path.
  return fmt::format(
      "processed {} insns (limit {}) max_states_per_insn 0 total_states 0 peak_states 0 mark_read "
      "0\n",
      c.processed, kInsnLimit);
}

int run_passes(Context& c) {
  if (c.insns.empty() || c.insns.size() > kInsnLimit) return E2BIG;
  constexpr int (*kPasses[])(Context&) = {
      &find_subprograms, &check_jumps, &resolve_insns,     &check_reachable,
      &check_recursion,  &check_flow,  &check_stack_depth,
  };
  for (auto pass : kPasses) {
    if (int errnum = pass(c)) return errnum;
  }
  finish(c);
  return 0;
}

}  // namespace

std::string Context::call_name(const Insn& insn) const {
  if (insn.src == isa::kPseudoKfuncCall) {
    auto it = kfuncs.find({insn.imm, insn.off});
    return it == kfuncs.end() ? "" : it->second.name;
  }
  const Helper* helper = input.env.helpers().find(static_cast<u32>(insn.imm));
  return helper ? std::string(helper->name) : "";
}

int Context::subprogram_at(s64 insn) const {
  auto it = std::ranges::lower_bound(subprograms, insn, {}, &Subprogram::start);
  return it != subprograms.end() && it->start == insn ? static_cast<int>(it - subprograms.begin())
                                                      : -1;
}

u32 Context::subprogram_of(u32 insn) const {
  auto it = std::ranges::upper_bound(subprograms, insn, {}, &Subprogram::start);
  return static_cast<u32>(it - subprograms.begin()) - 1;
}

void finish(Context& c) {
  std::map<const Kfunc*, u32> indexes;
  for (u32 i = 0; i < c.insns.size(); i++) {
    Insn& insn = c.insns[i];
    if (!c.live[i]) {
      insn = isa::kTrap;
    } else if (c.second_half[i]) {
      continue;
    } else if (insn.code == isa::kLdImm64) {
      insn.src = 0;
    } else if (isa::is_call(insn) && insn.src == isa::kPseudoKfuncCall) {
      const Kfunc* kfunc = c.kfuncs.at({insn.imm, insn.off}).kfunc;
      auto [it, fresh] = indexes.emplace(kfunc, static_cast<u32>(c.result.kfuncs.size()));
      if (fresh) c.result.kfuncs.push_back(kfunc);
      insn.imm = static_cast<s32>(it->second);
      insn.off = 0;
    }
  }
  for (const Subprogram& sub : c.subprograms) c.result.subprogram_starts.push_back(sub.start);
  c.result.insns = std::move(c.insns);
  c.result.stack_depth = c.deepest_stack;
}

}  // namespace check

std::expected<CheckedProgram, CheckFailure> check_program(const CheckInput& input) {
  check::Context context(input);
  const int errnum = check::run_passes(context);
  context.log += check::last_line(context);
  if (errnum) return std::unexpected(CheckFailure{errnum, std::move(context.log)});
  context.result.log = std::move(context.log);
  return std::move(context.result);
}

}  // namespace uscx::bpf
