// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/disasm.h"

#include <fmt/format.h>

#include "bpf/isa.h"

namespace uscx::bpf {

namespace {

using namespace isa;

constexpr const char* kAluText[16] = {"+=",  "-=", "*=", "/=", "|=",   "&=",     "<<=", ">>=",
                                      "neg", "%=", "^=", "=",  "s>>=", "endian", "?",   "?"};
constexpr const char* kJmpText[16] = {"jmp",  "==",   ">", ">=", "&",  "!=",  "s>", "s>=",
                                      "call", "exit", "<", "<=", "s<", "s<=", "?",  "?"};

const char* jmp_text(u8 op) {
  return kJmpText[op >> 4];
}

const char* size_text(const Insn& insn) {
  switch (size_of(insn)) {
    case kW:
      return "u32";
    case kH:
      return "u16";
    case kB:
      return "u8";
    default:
      return "u64";
  }
}

bool is_signed_division(const Insn& insn) {
  return (op_of(insn) == kDiv || op_of(insn) == kMod) && insn.off == 1;
}

std::string alu(const Insn& i) {
  const int dst = i.dst;
  const int src = i.src;
  const char width = class_of(i) == kAlu ? 'w' : 'r';
  if (op_of(i) == kEnd) {
    const char* what = class_of(i) == kAlu64 ? "bswap" : is_x(i) ? "be" : "le";
    return fmt::format("r{} = {}{} r{}", dst, what, i.imm, dst);
  }
  if (op_of(i) == kNeg) return fmt::format("{0}{1} = -{0}{1}", width, dst);
  if (i.code == (kAlu64 | kMov | kX) && i.off == kAddrSpaceCast) {
    const u32 spaces = static_cast<u32>(i.imm);
    return fmt::format("r{} = addr_space_cast(r{}, {}, {})", dst, src, spaces >> 16,
                       spaces & 0xffff);
  }
  const char* op = kAluText[op_of(i) >> 4];
  if (is_signed_division(i)) op = op_of(i) == kDiv ? "s/=" : "s%=";
  if (!is_x(i)) return fmt::format("{}{} {} {}", width, dst, op, i.imm);
  std::string cast;
  if (op_of(i) == kMov && (i.off == 8 || i.off == 16 || i.off == 32)) {
    cast = fmt::format("(s{})", i.off);
  }
  return fmt::format("{0}{1} {2} {3}{0}{4}", width, dst, op, cast, src);
}

std::string atomic(const Insn& i) {
  const int dst = i.dst;
  const int src = i.src;
  const char* wide = size_of(i) == kDw ? "64" : "";
  const std::string place = fmt::format("({} *)(r{} {:+})", size_text(i), dst, i.off);
  switch (i.imm) {
    case kAdd:
    case kAnd:
    case kOr:
    case kXor:
      return fmt::format("lock *{} {} r{}", place, kAluText[i.imm >> 4], src);
    case kAdd | kFetch:
      return fmt::format("r{} = atomic{}_fetch_add({}, r{})", src, wide, place, src);
    case kAnd | kFetch:
      return fmt::format("r{} = atomic{}_fetch_and({}, r{})", src, wide, place, src);
    case kOr | kFetch:
      return fmt::format("r{} = atomic{}_fetch_or({}, r{})", src, wide, place, src);
    case kXor | kFetch:
      return fmt::format("r{} = atomic{}_fetch_xor({}, r{})", src, wide, place, src);
    case kCmpxchg:
      return fmt::format("r0 = atomic{}_cmpxchg({}, r0, r{})", wide, place, src);
    case kXchg:
      return fmt::format("r{} = atomic{}_xchg({}, r{})", src, wide, place, src);
    case kLoadAcquire:
      return fmt::format("r{} = load_acquire(({} *)(r{} {:+}))", dst, size_text(i), src, i.off);
    case kStoreRelease:
      return fmt::format("store_release({}, r{})", place, src);
    default:
      return {};
  }
}

std::string memory(const Insn& i) {
  const int dst = i.dst;
  const int src = i.src;
  switch (class_of(i)) {
    case kStx:
      if (mode_of(i) == kMem) {
        return fmt::format("*({} *)(r{} {:+}) = r{}", size_text(i), dst, i.off, src);
      }
      return mode_of(i) == kAtomic ? atomic(i) : std::string{};
    case kSt:
      if (mode_of(i) != kMem) return {};
      return fmt::format("*({} *)(r{} {:+}) = {}", size_text(i), dst, i.off, i.imm);
    default: {
      const bool sign = mode_of(i) == kMemsx;
      if ((!sign && mode_of(i) != kMem) || (sign && size_of(i) == kDw)) return {};
      return fmt::format("r{} = *({}{} *)(r{} {:+})", dst, sign ? "s" : "u", bytes_of(i) * 8, src,
                         i.off);
    }
  }
}

std::string jump(const Insn& i, const CallNamer& namer) {
  const int dst = i.dst;
  const int src = i.src;
  if (op_of(i) == kCall) {
    if (i.src == kPseudoCall) return fmt::format("call pc{:+}", i.imm);
    std::string name = namer ? namer(i) : std::string{};
    if (name.empty()) name = "unknown";
    return fmt::format("call {}#{}", name, i.imm);
  }
  if (i.code == kGoto) return fmt::format("goto pc{:+}", i.off);
  if (i.code == kGotox) return fmt::format("gotox r{}", dst);
  if (i.code == kMayGoto && i.src == 0) return fmt::format("may_goto pc{:+}", i.off);
  if (i.code == kGotol) return fmt::format("gotol pc{:+}", i.imm);
  if (i.code == kExitOpcode) return "exit";
  const char width = class_of(i) == kJmp32 ? 'w' : 'r';
  if (is_x(i)) {
    return fmt::format("if {0}{1} {2} {0}{3} goto pc{4:+}", width, dst, jmp_text(op_of(i)), src,
                       i.off);
  }
  return fmt::format("if {}{} {} {:#x} goto pc{:+}", width, dst, jmp_text(op_of(i)),
                     static_cast<u32>(i.imm), i.off);
}

std::string load_immediate(std::span<const Insn> insns, u32 index) {
  const Insn& i = insns[index];
  const int dst = i.dst;
  const int src = i.src;
  if (mode_of(i) == kAbs) return fmt::format("r0 = *({} *)skb[{}]", size_text(i), i.imm);
  if (mode_of(i) == kInd) return fmt::format("r0 = *({} *)skb[r{} + {}]", size_text(i), src, i.imm);
  if (i.code != kLdImm64) return {};
  const u64 high = index + 1 < insns.size() ? static_cast<u32>(insns[index + 1].imm) : 0;
  return fmt::format("r{} = {:#x}", dst, high << 32 | static_cast<u32>(i.imm));
}

}  // namespace

std::string disassemble(std::span<const Insn> insns, u32 index, const CallNamer& namer) {
  const Insn& i = insns[index];
  std::string text;
  const char* bug = "BUG_{:02x}";
  switch (class_of(i)) {
    case kAlu:
    case kAlu64:
      text = alu(i);
      break;
    case kStx:
      text = memory(i);
      break;
    case kSt:
      text = memory(i);
      bug = "BUG_st_{:02x}";
      break;
    case kLdx:
      text = memory(i);
      bug = "BUG_ldx_{:02x}";
      break;
    case kLd:
      text = load_immediate(insns, index);
      bug = "BUG_ld_{:02x}";
      break;
    default:
      text = jump(i, namer);
  }
  if (text.empty()) return fmt::format(fmt::runtime(bug), i.code);
  return fmt::format("({:02x}) {}", i.code, text);
}

}  // namespace uscx::bpf
