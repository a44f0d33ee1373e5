// SPDX-License-Identifier: GPL-2.0-only
// Which encodings are instructions at all.
#include "bpf/checker_internal.h"

namespace uscx::bpf::check {

namespace {

using namespace isa;

std::string uses_reserved(const char* what) {
  return fmt::format("{} uses reserved fields", what);
}

bool known_opcode(const Insn& insn) {
  switch (class_of(insn)) {
    case kAlu:
    case kAlu64:
      return op_of(insn) <= kEnd && !(op_of(insn) == kNeg && is_x(insn)) &&
             !(op_of(insn) == kEnd && class_of(insn) == kAlu64 && is_x(insn));
    case kJmp:
      if (op_of(insn) == kCall || op_of(insn) == kExit || op_of(insn) == kJcond) {
        return !is_x(insn);
      }
      return op_of(insn) <= kJcond;
    case kJmp32:
      if (op_of(insn) == kCall || op_of(insn) == kExit) return false;
      return op_of(insn) <= kJsle && insn.code != (kJmp32 | kJa | kX);
    case kLdx:
      return mode_of(insn) == kMem || (mode_of(insn) == kMemsx && size_of(insn) != kDw);
    case kSt:
      return mode_of(insn) == kMem;
    case kStx:
      return mode_of(insn) == kMem || mode_of(insn) == kAtomic;
    default:
      return insn.code == kLdImm64 ||
             ((mode_of(insn) == kAbs || mode_of(insn) == kInd) && size_of(insn) != kDw);
  }
}

std::string alu_error(const Insn& insn) {
  const bool wide = class_of(insn) == kAlu64;
  switch (op_of(insn)) {
    case kNeg:
      return insn.src || insn.off || insn.imm ? uses_reserved("BPF_NEG") : "";
    case kEnd: {
      const bool width = insn.imm == 16 || insn.imm == 32 || insn.imm == 64;
      return insn.src || insn.off || !width ? uses_reserved("BPF_END") : "";
    }
    case kMov:
      if (!is_x(insn)) return insn.src || insn.off ? uses_reserved("BPF_MOV") : "";
      if (wide && insn.off == kAddrSpaceCast) {
        if (insn.imm == 1 || insn.imm == 1 << 16) return "";
        return "addr_space_cast insn can only convert between address space 1 and 0";
      }
      if (insn.off != 0 && insn.off != 8 && insn.off != 16 && !(insn.off == 32 && wide)) {
        return uses_reserved("BPF_MOV");
      }
      return insn.imm ? uses_reserved("BPF_MOV") : "";
    default: {
      const bool division = op_of(insn) == kDiv || op_of(insn) == kMod;
      const bool off = insn.off == 0 || (insn.off == 1 && division);
      const bool operand = is_x(insn) ? insn.imm == 0 : insn.src == 0;
      return off && operand ? "" : uses_reserved("BPF_ALU");
    }
  }
}

std::string jump_error(const Insn& insn) {
  switch (op_of(insn)) {
    case kCall:
      if (insn.dst || insn.src > kPseudoKfuncCall || (insn.src != kPseudoKfuncCall && insn.off)) {
        return uses_reserved("BPF_CALL");
      }
      return "";
    case kJa:
      if (is_x(insn)) return insn.src || insn.imm || insn.off ? uses_reserved("BPF_JA|BPF_X") : "";
      if (insn.src || insn.dst || (class_of(insn) == kJmp ? insn.imm != 0 : insn.off != 0)) {
        return uses_reserved("BPF_JA");
      }
      return "";
    case kExit:
      return insn.imm || insn.src || insn.dst ? uses_reserved("BPF_EXIT") : "";
    case kJcond:
      if (insn.src || insn.dst || insn.imm) return fmt::format("invalid may_goto imm {}", insn.imm);
      return "";
    default:
      return (is_x(insn) ? insn.imm != 0 : insn.src != 0) ? uses_reserved("BPF_JMP/JMP32") : "";
  }
}

std::string atomic_error(const Insn& insn) {
  switch (insn.imm) {
    case kLoadAcquire:
    case kStoreRelease:
      return "";
    case kAdd:
    case kAdd | kFetch:
    case kAnd:
    case kAnd | kFetch:
    case kOr:
    case kOr | kFetch:
    case kXor:
    case kXor | kFetch:
    case kXchg:
    case kCmpxchg:
      return bytes_of(insn) >= 4 ? "" : "invalid atomic operand size";
    default:
      return fmt::format("BPF_ATOMIC uses invalid atomic opcode {:02x}",
                         static_cast<u32>(insn.imm));
  }
}

}  // namespace

std::string field_error(const Insn& insn) {
  if (insn.dst >= kNrRegisters) return fmt::format("R{} is invalid", static_cast<u32>(insn.dst));
  if (insn.src >= kNrRegisters) return fmt::format("R{} is invalid", static_cast<u32>(insn.src));
  if (!known_opcode(insn)) return fmt::format("unknown opcode {:02x}", insn.code);
  switch (class_of(insn)) {
    case kAlu:
    case kAlu64:
      return alu_error(insn);
    case kJmp:
    case kJmp32:
      return jump_error(insn);
    case kLdx:
      return insn.imm ? uses_reserved("BPF_LDX") : "";
    case kSt:
      return insn.src ? uses_reserved("BPF_ST") : "";
    case kStx:
      if (mode_of(insn) == kAtomic) return atomic_error(insn);
      return insn.imm ? uses_reserved("BPF_STX") : "";
    default:
      if (insn.code == kLdImm64) return "";
      if (insn.dst || insn.off || (mode_of(insn) == kAbs && insn.src)) {
        return uses_reserved("BPF_LD_[ABS|IND]");
      }
      return "";
  }
}

}  // namespace uscx::bpf::check
