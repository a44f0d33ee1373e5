// SPDX-License-Identifier: GPL-2.0-only
// The checker's passes over one program. Each returns 0 or a positive errno with the reason in log.
#pragma once

#include <fmt/format.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bpf/checker.h"
#include "bpf/disasm.h"
#include "bpf/isa.h"

namespace uscx::bpf::check {

/// Why an instruction's fields are not as the instruction set has them; empty where they are.
std::string field_error(const Insn& insn);

/// A range of memory whose bytes are known and never change.
struct ConstantRegion {
  u64 start;
  std::span<const std::byte> bytes;
};

struct Subprogram {
  u32 start = 0;
  u32 end = 0;
  const FunctionInfo* info = nullptr;
  u32 stack_depth = 0;  // bytes, as far as live code uses them
  bool global() const { return info && info->global; }
};

/// What the passes share.
struct Context {
  const CheckInput& input;
  std::vector<Insn> insns;  // resolved as the passes go
  std::string log = {};
  CheckedProgram result = {};

  std::vector<Subprogram> subprograms = {};
  std::vector<bool> second_half = {};  // of a 16-byte instruction
  std::vector<bool> is_address = {};   // ld_imm64 that loads an address, not a number
  std::vector<bool> live = {};
  std::vector<ConstantRegion> constants = {};
  std::map<std::pair<s32, s16>, KfuncRef> kfuncs = {};  // by imm and off of the call
  u64 processed = 0;
  u32 deepest_stack = 0;

  explicit Context(const CheckInput& in) : input(in), insns(in.insns.begin(), in.insns.end()) {
    second_half.resize(insns.size());
    is_address.resize(insns.size());
    live.resize(insns.size());
  }

  template <class... Args>
  int refuse(int errnum, fmt::format_string<Args...> text, Args&&... args) {
    log += fmt::format(text, static_cast<Args&&>(args)...);
    log += '\n';
    return errnum;
  }

  std::string call_name(const Insn& insn) const;
  std::string text(u32 index) const {
    return disassemble(input.insns, index, [this](const Insn& i) { return call_name(i); });
  }
  std::string subprogram_name(u32 index) const {
    const FunctionInfo* info = subprograms[index].info;
    return info ? info->name : fmt::format("func#{}", index);
  }
  /// Index of the subprogram that starts at `insn`; -1 where none does.
  int subprogram_at(s64 insn) const;
  /// Index of the subprogram that `insn` belongs to.
  u32 subprogram_of(u32 insn) const;
};

int find_subprograms(Context& c);
int check_jumps(Context& c);
int resolve_insns(Context& c);
int check_reachable(Context& c);
int check_recursion(Context& c);
int check_flow(Context& c);
int check_stack_depth(Context& c);
void finish(Context& c);

}  // namespace uscx::bpf::check
