// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/verifier.h"

#include "bpf/impl.h"
#include "bpf/verifier/internal.h"
#include "bpf/verifier/resolve_only.h"

namespace uscx::bpf::verifier {

namespace {

bool has_flag(const VerifyInput& input, u32 flag) {
  return input.prog_flags & flag;
}

ProgContext context_of(const Program& program) {
  ProgContext prog;
  prog.type = program.type;
  prog.attach_type = program.expected_attach_type;
  prog.sleepable = program.sleepable;
  prog.attach_name = program.type == kProgStructOps ? program.member_name : program.attach_name;
  if (program.type == kProgStructOps) prog.struct_ops_type = program.attach_name;
  prog.gpl_compatible = program.gpl_compatible;
  prog.xdp_has_frags = program.prog_flags & uapi::kXdpHasFrags;
  return prog;
}

int run_passes(Verifier& v) {
  static constexpr int (*kPasses[])(Verifier&) = {
      &add_subprograms,    &check_subprograms,      &check_function_info,
      &check_line_info,    &resolve_instructions,   &collect_kfuncs,
      &check_cfg,          &compute_postorder,      &check_attach_target,
      &compute_const_regs, &prune_dead_branches,    &sort_subprograms,
      &compute_scc,        &compute_live_registers, &mark_fastcall_patterns,
      &explore_program,    &remove_fastcall_spills, &check_max_stack_depth,
  };
  for (auto pass : kPasses) {
    if (int err = pass(v)) return err;
  }
  return 0;
}

/// With what the kernel's rewriting of may_goto and bpf_loop takes.
s32 final_stack(const Verifier& v, u32 subprog) {
  constexpr s32 kTimedMayGoto = 16;
  constexpr s32 kInlinedLoop = 3 * kSlotSize;
  bool may_goto = false;
  bool loop = false;
  for (u32 i = v.subprogs[subprog].start; i < v.subprogs[subprog + 1].start; ++i) {
    if (!v.aux[i].seen) continue;
    may_goto |= is_may_goto(v.insns[i]);
    loop |= is_helper_call(v.insns[i]) && v.insns[i].imm == kFnLoop && v.aux[i].loop_fits;
  }
  s32 depth = v.subprogs[subprog].stack_depth;
  if (loop) depth = (depth + 7) / 8 * 8 + kInlinedLoop;
  return depth + (may_goto ? kTimedMayGoto : 0);
}

void log_stats(Verifier& v, const VerifyStats& stats) {
  if (v.log.stats()) {
    v.log("verification time {} usec\n",
          std::chrono::duration_cast<std::chrono::microseconds>(stats.duration).count());
    v.log("stack depth max {}\n", v.max_stack_depth);
    for (u32 s = 0; s < v.subprog_cnt; ++s) {
      const Subprogram& sub = v.subprogs[s];
      v.log("subprog {} ({}) {} insns_self {} insns_total {} stack {}\n", s,
            sub.name.empty() ? "<unknown>" : sub.name,
            s == 0           ? "main"
            : v.is_global(s) ? "global"
                             : "static",
            sub.insns_self, sub.insns_total, final_stack(v, s));
    }
  }
  v.log(
      "processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} "
      "mark_read 0\n",
      stats.insns, kInsnLimit, stats.max_states_per_insn, stats.total_states, stats.peak_states);
}

}  // namespace

Verifier::Verifier(const VerifyInput& input)
    : in(input),
      vmlinux(input.env.vmlinux()),
      prog(context_of(input.program)),
      log(input.log_level),
      records(vmlinux),
      allow_ptr_leaks(input.caps.perfmon),
      allow_uninit_stack(input.caps.perfmon),
      bpf_capable(input.caps.bpf),
      strict_alignment(has_flag(input, uapi::kStrictAlignment) &&
                       !has_flag(input, uapi::kAnyAlignment)),
      test_state_freq(bpf_capable && has_flag(input, uapi::kTestStateFreq)),
      test_reg_invariants(has_flag(input, uapi::kTestRegInvariants)),
      insns(input.insns.begin(), input.insns.end()),
      aux(input.insns.size()),
      state(std::make_unique<VerifierState>()) {
  if (input.program.btf) prog_btf = &input.program.btf->btf;
  explored.resize(std::max<std::size_t>(insns.size(), 1));
}

VerifyResult verify(const VerifyInput& input) {
  VerifyResult result;
  if (input.insns.empty()) {
    result.errnum = EINVAL;
    return result;
  }
  auto verifier = std::make_unique<Verifier>(input);
  Verifier& v = *verifier;
  if (v.insns.back().code == isa::kLdImm64) {
    v.log("invalid bpf_ld_imm64 insn\n");
    result.errnum = EINVAL;
    result.log = v.log.take();
    return result;
  }
  const auto start = std::chrono::steady_clock::now();
  int err = run_passes(v);
  if (!err) err = finish_program(v, result);
  VerifyStats& stats = result.stats;
  stats.insns = v.insn_processed;
  stats.max_states_per_insn = v.max_states_per_insn;
  stats.total_states = v.total_states;
  stats.peak_states = v.peak_states;
  stats.stack_depth = v.max_stack_depth;
  stats.duration = std::chrono::steady_clock::now() - start;
  log_stats(v, stats);
  result.errnum = -err;
  result.log = v.log.take();
  return result;
}

VerifyResult resolve_only(const VerifyInput& input) {
  VerifyResult result;
  auto verifier = std::make_unique<Verifier>(input);
  Verifier& v = *verifier;
  int err = 0;
  for (auto pass : {&add_subprograms, &check_subprograms, &resolve_instructions, &collect_kfuncs}) {
    if (!err) err = pass(v);
  }
  for (InsnAux& aux : v.aux) aux.seen = true;
  if (!err) err = finish_program(v, result);
  result.proof = nullptr;
  result.errnum = -err;
  result.log = v.log.take();
  return result;
}

}  // namespace uscx::bpf::verifier
