// SPDX-License-Identifier: GPL-2.0-only
// States, instructions and source lines in the log, as Linux writes them.
#include <algorithm>

#include "bpf/disasm.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

constexpr std::string_view kSlotChars = "?rm0difp";  // by SlotType

std::string_view trim_left(std::string_view text) {
  const std::size_t at = text.find_first_not_of(" \t\n\v\f\r");
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

void print_slots(Verifier& v, const FuncState& frame, bool all) {
  for (u32 i = 0; i < frame.stack.size(); ++i) {
    if (!all && !(v.scratched_slots >> i & 1)) continue;
    const StackSlot* slot = &frame.stack[i];
    char text[kSlotSize];
    bool valid = false;
    for (u32 j = 0; j < kSlotSize; ++j) {
      if (slot->type[j] != kSlotInvalid && slot->type[j] != kSlotPoison) valid = true;
      text[j] = kSlotChars[slot->type[j]];
    }
    if (!valid) continue;
    const auto offset = [&] { return (-static_cast<s32>(i) - 1) * static_cast<s32>(kSlotSize); };
    switch (slot->type[kSlotSize - 1]) {
      case kSlotSpill: {
        const auto first = std::find(slot->type.begin(), slot->type.end(), kSlotSpill);
        const auto count = static_cast<std::size_t>(first - slot->type.begin());
        v.log(" fp{}={}{}", offset(), std::string_view(text, count),
              reg_text(frame, slot->spilled));
        break;
      }
      case kSlotDynptr: {
        // Both slots at once; the lower one is the second.
        i++;
        const RegState& reg = frame.stack[i].spilled;
        v.log(" fp{}=dynptr_{}(", offset(), dynptr_type_text(reg.dynptr_type()));
        if (reg.id) v.log("id={}", reg.id);
        if (reg.parent_id) v.log("{}parent_id={}", reg.id ? "," : "", reg.parent_id);
        v.log(")");
        break;
      }
      case kSlotIter: {
        const RegState& reg = slot->spilled;
        if (!reg.id) continue;
        v.log(" fp{}=iter_{}(id={},state={},depth={})", offset(),
              iter_type_text(reg.btf(), reg.btf_id()), reg.id, iter_state_text(reg.iter_state()),
              reg.iter_depth());
        break;
      }
      default:
        v.log(" fp{}={}", offset(), std::string_view(text, kSlotSize));
    }
  }
}

}  // namespace

void Verifier::print_state(const VerifierState& vstate, u32 frameno, bool all) {
  if (!log.enabled()) return;
  const FuncState& frame = *vstate.frame[frameno];
  if (frame.frameno) log(" frame{}:", frame.frameno);
  for (u32 i = 0; i < kNrRegs; ++i) {
    const RegState& reg = frame.regs[i];
    if (reg.type == kNotInit || (!all && !(scratched_regs >> i & 1))) continue;
    log(" R{}={}", i, reg_text(frame, reg));
  }
  print_slots(*this, frame, all);
  if (!vstate.refs.empty() && vstate.refs[0].id) {
    log(" refs={}", vstate.refs[0].id);
    for (std::size_t i = 1; i < vstate.refs.size(); ++i) {
      if (vstate.refs[i].id) log(",{}", vstate.refs[i].id);
    }
  }
  if (frame.in_callback_fn) log(" cb");
  if (frame.in_async_callback_fn) log(" async_cb");
  log("\n");
  if (!all) scratched_regs = 0, scratched_slots = 0;
}

void Verifier::print_insn_state(const VerifierState& vstate, u32 frameno) {
  if (prev_log_pos && prev_log_pos == log.end_pos()) {
    // On the line of the instruction before.
    log.reset(prev_log_pos - 1);
    log("{:>{}};", ' ', log_alignment(static_cast<u32>(prev_insn_print_pos)));
  } else {
    log("{}:", insn_idx);
  }
  print_state(vstate, frameno, false);
}

void Verifier::log_line(u32 insn, std::string_view prefix) {
  if (!log.enabled() || in.lines.empty() || !prog_btf) return;
  const auto after = std::upper_bound(in.lines.begin(), in.lines.end(), insn,
                                      [](u32 idx, const LineInfo& l) { return idx < l.insn; });
  if (after == in.lines.begin()) return;
  const LineInfo* line = &*(after - 1);
  constexpr u32 kNumberShift = 10;  // BPF_LINE_INFO_LINE_NUM
  const u32 number = line->line_col >> kNumberShift;
  if (line == prev_line) return;
  if (prev_line && line->file_name_off == prev_line->file_name_off &&
      number == prev_line->line_col >> kNumberShift) {
    return;
  }
  std::string_view file = prog_btf->string_at(line->file_name_off).value_or("");
  if (const std::size_t slash = file.rfind('/'); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  log.add(prefix);
  log.add(trim_left(prog_btf->string_at(line->line_off).value_or("")));
  log(" @ {}:{}\n", file, number);
  prev_line = line;
}

std::string Verifier::disassemble_at(u32 index) const {
  return disassemble(insns, index, [this](const Insn& call) -> std::string {
    if (is_kfunc_call(call)) {
      const KfuncDesc* kfunc = find_kfunc(call);
      return kfunc ? kfunc->name : std::string();
    }
    return std::string(helper_name(static_cast<u32>(call.imm)));
  });
}

}  // namespace uscx::bpf::verifier
