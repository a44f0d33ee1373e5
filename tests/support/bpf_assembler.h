// SPDX-License-Identifier: GPL-2.0-only
// An assembler for the notation of the public BPF conformance suite, e.g. "stxw [%r10-4], %r1".
// For tests: it reports the first mistake and gives up.
#pragma once

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "bpf/isa.h"

namespace uscx::bpf::test {

class Assembler {
 public:
  /// One instruction or label a line; '#' and ';' begin comments. "exit" as a jump target is the
  /// last exit instruction.
  static OrError<std::vector<Insn>> assemble(std::string_view source) {
    Assembler assembler;
    std::size_t line = 1;
    while (!source.empty() && assembler.error_.empty()) {
      const std::size_t end = source.find('\n');
      assembler.line(source.substr(0, end));
      if (!assembler.error_.empty()) {
        return error(fmt::format("line {}: {}", line, assembler.error_));
      }
      source = end == source.npos ? std::string_view{} : source.substr(end + 1);
      line++;
    }
    assembler.resolve();
    if (!assembler.error_.empty()) return error(assembler.error_);
    return std::move(assembler.insns_);
  }

 private:
  struct Reference {
    std::size_t insn;
    std::string label;
    bool wide;  // in imm, not off
  };

  void line(std::string_view text) {
    text = text.substr(0, text.find_first_of("#;"));
    text = trim(text);
    if (text.empty()) return;
    if (text.back() == ':') {
      labels_[std::string(trim(text.substr(0, text.size() - 1)))] = insns_.size();
      return;
    }
    words_ = split(text);
    statement();
  }

  void statement() {
    const std::string& name = words_[0];
    if (name == "exit") {
      labels_["exit"] = insns_.size();
      return emit(isa::kExitOpcode, 0, 0, 0, 0);
    }
    if (name == "call") return call();
    if (name == "lock") return lock();
    if (name == "lddw") return load_wide();
    if (name.starts_with("ldx")) return load(name.substr(3));
    if (name.starts_with("stx")) return store(name.substr(3), true);
    if (name.starts_with("st")) return store(name.substr(2), false);
    if (name.starts_with("movsx")) return move_signed(name.substr(5));
    if (name == "ja" || name == "ja32" || name == "gotol") return jump_always(name != "ja");
    if (name == "may_goto") {
      refer(word(1), false);
      return emit(isa::kMayGoto, 0, 0, 0, 0);
    }
    if (byte_order(name) || alu(name) || branch(name)) return;
    fail("unknown instruction " + name);
  }

  // -- statements

  void call() {
    if (word(1) == "local") {
      refer(word(2), true);
      return emit(isa::kCallOpcode, 0, isa::kPseudoCall, 0, 0);
    }
    if (is_register(word(1))) return emit(isa::kCallOpcode | isa::kX, reg(1), 0, 0, 0);
    emit(isa::kCallOpcode, 0, 0, 0, static_cast<s32>(number(word(1))));
  }

  void lock() {
    static const std::map<std::string_view, s32> kOps = {
        {"add", isa::kAdd}, {"or", isa::kOr},     {"and", isa::kAnd},
        {"xor", isa::kXor}, {"xchg", isa::kXchg}, {"cmpxchg", isa::kCmpxchg},
    };
    std::size_t at = 1;
    s32 fetch = 0;
    if (word(at) == "fetch") {
      fetch = isa::kFetch;
      at++;
    }
    std::string name = word(at++);
    const bool narrow = name.ends_with("32");
    if (narrow) name.resize(name.size() - 2);
    auto op = kOps.find(name);
    if (op == kOps.end()) return fail("unknown atomic operation " + name);
    const auto [base, offset] = place(at);
    emit(isa::kStx | isa::kAtomic | (narrow ? isa::kW : isa::kDw), base, reg(at + 1), offset,
         op->second | fetch);
  }

  void load_wide() {
    const u64 value = number(word(2));
    emit(isa::kLdImm64, reg(1), 0, 0, static_cast<s32>(value));
    emit(0, 0, 0, 0, static_cast<s32>(value >> 32));
  }

  void load(std::string_view suffix) {
    const bool sign = suffix.starts_with('s');
    if (sign) suffix.remove_prefix(1);
    const auto [base, offset] = place(2);
    emit(isa::kLdx | (sign ? isa::kMemsx : isa::kMem) | size(suffix), reg(1), base, offset, 0);
  }

  void store(std::string_view suffix, bool from_register) {
    const auto [base, offset] = place(1);
    if (from_register) return emit(isa::kStx | isa::kMem | size(suffix), base, reg(2), offset, 0);
    emit(isa::kSt | isa::kMem | size(suffix), base, 0, offset, static_cast<s32>(number(word(2))));
  }

  void move_signed(std::string_view widths) {  // e.g. "1632": 16 bits to 32
    const bool wide = widths.ends_with("64");
    s16 bits = 0;
    std::from_chars(widths.data(), widths.data() + widths.size() - 2, bits);
    emit((wide ? isa::kAlu64 : isa::kAlu) | isa::kMov | isa::kX, reg(1), reg(2), bits, 0);
  }

  void jump_always(bool wide) {
    refer(word(1), wide);
    emit(wide ? isa::kGotol : isa::kGoto, 0, 0, 0, 0);
  }

  bool byte_order(std::string_view name) {
    const std::size_t digits = name.find_first_of("136");
    if (digits == name.npos) return false;
    const std::string_view what = name.substr(0, digits);
    const s32 bits = static_cast<s32>(number(std::string(name.substr(digits))));
    if (bits != 16 && bits != 32 && bits != 64) return false;
    if (what == "le") {
      emit(isa::kAlu | isa::kEnd, reg(1), 0, 0, bits);
    } else if (what == "be") {
      emit(isa::kAlu | isa::kEnd | isa::kX, reg(1), 0, 0, bits);
    } else if (what == "swap" || what == "bswap") {
      emit(isa::kAlu64 | isa::kEnd, reg(1), 0, 0, bits);
    } else {
      return false;
    }
    return true;
  }

  bool alu(std::string name) {
    static const std::map<std::string_view, std::pair<u8, s16>> kOps = {
        {"add", {isa::kAdd, 0}},   {"sub", {isa::kSub, 0}},  {"mul", {isa::kMul, 0}},
        {"div", {isa::kDiv, 0}},   {"sdiv", {isa::kDiv, 1}}, {"mod", {isa::kMod, 0}},
        {"smod", {isa::kMod, 1}},  {"or", {isa::kOr, 0}},    {"and", {isa::kAnd, 0}},
        {"xor", {isa::kXor, 0}},   {"lsh", {isa::kLsh, 0}},  {"rsh", {isa::kRsh, 0}},
        {"arsh", {isa::kArsh, 0}}, {"mov", {isa::kMov, 0}},  {"neg", {isa::kNeg, 0}},
    };
    const bool narrow = strip(name, "32");
    strip(name, "64");
    auto op = kOps.find(name);
    if (op == kOps.end()) return false;
    const auto [code, off] = op->second;
    operation((narrow ? isa::kAlu : isa::kAlu64) | code, off, code != isa::kNeg);
    return true;
  }

  bool branch(std::string name) {
    static const std::map<std::string_view, u8> kOps = {
        {"jeq", isa::kJeq},   {"jne", isa::kJne},   {"jgt", isa::kJgt},   {"jge", isa::kJge},
        {"jlt", isa::kJlt},   {"jle", isa::kJle},   {"jset", isa::kJset}, {"jsgt", isa::kJsgt},
        {"jsge", isa::kJsge}, {"jslt", isa::kJslt}, {"jsle", isa::kJsle},
    };
    const bool narrow = strip(name, "32");
    auto op = kOps.find(name);
    if (op == kOps.end()) return false;
    refer(word(3), false);
    operation((narrow ? isa::kJmp32 : isa::kJmp) | op->second, 0, true);
    return true;
  }

  void operation(int code, s16 off, bool two_operands) {
    if (!two_operands) return emit(code, reg(1), 0, off, 0);
    if (is_register(word(2))) return emit(code | isa::kX, reg(1), reg(2), off, 0);
    emit(code, reg(1), 0, off, static_cast<s32>(number(word(2))));
  }

  // -- operands

  static bool strip(std::string& name, std::string_view suffix) {
    if (!name.ends_with(suffix)) return false;
    name.resize(name.size() - suffix.size());
    return true;
  }

  const std::string& word(std::size_t i) {
    static const std::string kNone;
    if (i < words_.size()) return words_[i];
    fail("an operand is missing");
    return kNone;
  }
  static bool is_register(std::string_view text) { return text.starts_with("%r"); }
  u8 reg(std::size_t i) { return reg_of(word(i)); }
  u8 reg_of(std::string_view text) {
    if (!is_register(text)) {
      fail("not a register: " + std::string(text));
      return 0;
    }
    return static_cast<u8>(number(std::string(text.substr(2))));
  }
  /// "[%r1+2]"
  std::pair<u8, s16> place(std::size_t i) {
    std::string_view text = word(i);
    if (!text.starts_with('[') || !text.ends_with(']')) {
      fail("not a place in memory: " + std::string(text));
      return {};
    }
    text = text.substr(1, text.size() - 2);
    const std::size_t sign = text.find_first_of("+-");
    const u8 base = reg_of(trim(text.substr(0, sign)));
    if (sign == text.npos) return {base, 0};
    return {base, static_cast<s16>(number(std::string(text.substr(sign))))};
  }
  u64 number(std::string text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.erase(0, 1);
    const bool hex = text.starts_with("0x");
    if (hex) text.erase(0, 2);
    u64 value = 0;
    auto [end, failed] =
        std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
    if (failed != std::errc{} || end != text.data() + text.size()) fail("not a number: " + text);
    return negative ? 0 - value : value;
  }
  u8 size(std::string_view suffix) {
    if (suffix == "b") return isa::kB;
    if (suffix == "h") return isa::kH;
    if (suffix == "w") return isa::kW;
    if (suffix != "dw") fail("unknown size " + std::string(suffix));
    return isa::kDw;
  }

  /// The next instruction jumps to `label`.
  void refer(const std::string& label, bool wide) {
    references_.push_back({insns_.size(), label, wide});
  }

  void resolve() {
    for (const Reference& reference : references_) {
      s64 distance = 0;
      auto label = labels_.find(reference.label);
      if (label != labels_.end()) {
        distance = static_cast<s64>(label->second) - static_cast<s64>(reference.insn) - 1;
      } else if (!reference.label.empty() && !std::isalpha(reference.label[0])) {
        distance = static_cast<s64>(number(reference.label));
      } else {
        return fail("unknown label " + reference.label);
      }
      Insn& insn = insns_[reference.insn];
      if (reference.wide) {
        insn.imm = static_cast<s32>(distance);
      } else {
        insn.off = static_cast<s16>(distance);
      }
    }
  }

  // -- text

  static std::string_view trim(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
      text.remove_prefix(1);
    }
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
      text.remove_suffix(1);
    }
    return text;
  }
  static std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> words(1);
    bool bracket = false;
    for (char c : text) {
      bracket = c == '[' || (bracket && c != ']');
      const bool separator = std::isspace(static_cast<unsigned char>(c)) || c == ',';
      if (!separator) {
        words.back() += c;
      } else if (!bracket && !words.back().empty()) {
        words.emplace_back();
      }
    }
    if (words.back().empty()) words.pop_back();
    return words;
  }

  void emit(int code, u8 dst, u8 src, s16 off, s32 imm) {
    Insn insn{};
    insn.code = static_cast<u8>(code);
    insn.dst = dst & 15;
    insn.src = src & 15;
    insn.off = off;
    insn.imm = imm;
    insns_.push_back(insn);
  }
  void fail(std::string why) {
    if (error_.empty()) error_ = std::move(why);
  }

  std::vector<std::string> words_;
  std::vector<Insn> insns_;
  std::map<std::string, std::size_t> labels_;
  std::vector<Reference> references_;
  std::string error_;
};

}  // namespace uscx::bpf::test
