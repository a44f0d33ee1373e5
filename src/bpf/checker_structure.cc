// SPDX-License-Identifier: GPL-2.0-only
// Subprograms, jumps, and what 16-byte loads refer to: everything that needs no data flow.
#include <algorithm>

#include "bpf/checker_internal.h"
#include "bpf/exec/exec.h"

namespace uscx::bpf::check {

namespace {

using namespace isa;

constexpr u32 kMaxSubprograms = 256;  // Linux: BPF_MAX_SUBPROGS

bool refers_to_function(const Insn& insn) {
  return (is_call(insn) && insn.src == kPseudoCall) ||
         (insn.code == kLdImm64 && insn.src == kPseudoFunc);
}

/// Where a local call or the load of a callback leads.
s64 callee_of(u32 index, const Insn& insn) {
  return s64{index} + insn.imm + 1;
}

void set_immediate(Context& c, u32 index, u64 value) {
  c.insns[index].imm = static_cast<s32>(value);
  c.insns[index + 1].imm = static_cast<s32>(value >> 32);
}

int resolve_map(Context& c, u32 index) {
  const Insn& insn = c.input.insns[index];
  const u32 offset = static_cast<u32>(c.input.insns[index + 1].imm);
  const bool by_fd = insn.src == kPseudoMapFd || insn.src == kPseudoMapValue;
  const bool value = insn.src == kPseudoMapValue || insn.src == kPseudoMapIdxValue;
  if (!value && offset != 0) return c.refuse(EINVAL, "unrecognized bpf_ld_imm64 insn");
  auto found = by_fd ? c.input.env.map_by_fd(insn.imm, c.log)
                     : c.input.env.map_by_index(static_cast<u32>(insn.imm), c.log);
  if (!found) return found.error().value;
  u64 address = found->object_address;
  if (value) {
    if (!found->value_address) {
      return c.refuse(EINVAL, "no direct value access support for this map type");
    }
    if (offset >= found->value_size) {
      return c.refuse(EINVAL, "invalid access to map value pointer, value_size={} off={}",
                      found->value_size, offset);
    }
    address = found->value_address + offset;
    if (!found->constant.empty()) {
      c.constants.push_back({found->value_address, found->constant});
    }
  }
  auto& maps = c.result.maps;
  if (found->map && std::ranges::find(maps, found->map) == maps.end()) maps.push_back(found->map);
  c.is_address[index] = true;
  set_immediate(c, index, address);
  return 0;
}

int resolve_load(Context& c, u32 index) {
  const Insn& insn = c.input.insns[index];
  if (index + 1 >= c.insns.size()) return c.refuse(EINVAL, "invalid bpf_ld_imm64 insn");
  const Insn& half = c.input.insns[index + 1];
  if (half.code || half.dst || half.src || half.off) {
    return c.refuse(EINVAL, "invalid bpf_ld_imm64 insn");
  }
  if (insn.off) return c.refuse(EINVAL, "BPF_LD_IMM64 uses reserved fields");
  switch (insn.src) {
    case 0:
      return 0;
    case kPseudoBtfId: {
      auto symbol = c.input.env.ksym(static_cast<u32>(insn.imm), half.imm, c.log);
      if (!symbol) return symbol.error().value;
      c.is_address[index] = true;
      set_immediate(c, index, symbol->value);
      return 0;
    }
    case kPseudoFunc:
      c.is_address[index] = true;
      set_immediate(c, index, encode_callback(static_cast<u32>(callee_of(index, insn))));
      return 0;
    case kPseudoMapFd:
    case kPseudoMapValue:
    case kPseudoMapIdx:
    case kPseudoMapIdxValue:
      return resolve_map(c, index);
    default:
      return c.refuse(EINVAL, "unrecognized bpf_ld_imm64 insn");
  }
}

/// Depth-first over the static call graph. Callbacks may refer back to what is running.
int visit_callees(Context& c, u32 sub, std::vector<u8>& colour) {
  enum : u8 { kNew, kOpen, kDone };
  colour[sub] = kOpen;
  for (u32 i = c.subprograms[sub].start; i < c.subprograms[sub].end; i++) {
    const Insn& insn = c.input.insns[i];
    if (c.second_half[i] || !refers_to_function(insn)) continue;
    const u32 callee = static_cast<u32>(c.subprogram_at(callee_of(i, insn)));
    if (colour[callee] == kOpen && is_call(insn)) {
      return c.refuse(EINVAL, "recursive call from {}() to {}()", c.subprogram_name(sub),
                      c.subprogram_name(callee));
    }
    if (colour[callee] != kNew) continue;
    if (int errnum = visit_callees(c, callee, colour)) return errnum;
  }
  colour[sub] = kDone;
  return 0;
}

}  // namespace

int find_subprograms(Context& c) {
  std::set<u32> starts = {0};
  const u32 count = static_cast<u32>(c.insns.size());
  for (u32 i = 0; i < count; i++) {
    const Insn& insn = c.insns[i];
    if (refers_to_function(insn)) {
      const s64 target = callee_of(i, insn);
      if (target < 0 || target >= count) return c.refuse(EINVAL, "call to invalid destination");
      starts.insert(static_cast<u32>(target));
    }
    if (insn.code == kLdImm64 && i + 1 < count) c.second_half[++i] = true;
  }
  if (starts.size() >= kMaxSubprograms) return c.refuse(E2BIG, "too many subprograms");
  for (u32 start : starts) {
    if (!c.subprograms.empty()) c.subprograms.back().end = start;
    auto info = std::ranges::find(c.input.functions, start, &FunctionInfo::insn);
    c.subprograms.push_back(
        {.start = start, .end = count, .info = info == c.input.functions.end() ? nullptr : &*info});
  }
  return 0;
}

int check_jumps(Context& c) {
  for (const Subprogram& sub : c.subprograms) {
    for (u32 i = sub.start; i < sub.end; i++) {
      const Insn& insn = c.insns[i];
      if (c.second_half[i] || !is_jump_class(insn) || op_of(insn) == kCall ||
          op_of(insn) == kExit || insn.code == kGotox) {
        continue;
      }
      const s64 target = s64{i} + jump_distance(insn) + 1;
      if (target < sub.start || target >= sub.end) {
        return c.refuse(EINVAL, "jump out of range from insn {} to {}", i, target);
      }
    }
    const u8 last = c.insns[sub.end - 1].code;
    if (c.second_half[sub.end - 1] ||
        (last != kExitOpcode && last != kGoto && last != kGotol && last != kGotox)) {
      return c.refuse(EINVAL, "last insn is not an exit or jmp");
    }
  }
  return 0;
}

int resolve_insns(Context& c) {
  for (u32 i = 0; i < c.insns.size(); i++) {
    if (std::string why = field_error(c.insns[i]); !why.empty()) return c.refuse(EINVAL, "{}", why);
    if (c.insns[i].code != kLdImm64) continue;
    if (int errnum = resolve_load(c, i)) return errnum;
    i++;
  }
  return 0;
}

int check_reachable(Context& c) {
  std::vector<bool> reached(c.insns.size());
  std::vector<u32> open;
  auto reach = [&](s64 target) {
    const u32 index = static_cast<u32>(target);
    if (!reached[index]) open.push_back(index);
    reached[index] = true;
  };
  reach(0);
  while (!open.empty()) {
    const u32 i = open.back();
    open.pop_back();
    const Insn& insn = c.input.insns[i];
    if (c.second_half[i]) {
      return c.refuse(EINVAL, "jump into the middle of ldimm64 insn {}", i - 1);
    }
    if (refers_to_function(insn)) reach(callee_of(i, insn));
    if (is_goto(insn) || is_conditional(insn)) reach(s64{i} + jump_distance(insn) + 1);
    if (is_exit(insn) || is_goto(insn) || insn.code == kGotox) continue;
    // check_jumps has seen that no subprogram ends in anything that falls through.
    reach(s64{i} + (insn.code == kLdImm64 ? 2 : 1));
  }
  for (u32 i = 0; i < reached.size(); i++) {
    if (!reached[i] && !c.second_half[i]) return c.refuse(EINVAL, "unreachable insn {}", i);
  }
  return 0;
}

int check_recursion(Context& c) {
  std::vector<u8> colour(c.subprograms.size());
  return visit_callees(c, 0, colour);
}

namespace {

struct Chain {
  Context& c;
  std::vector<u32> subs = {};
  std::map<std::pair<u32, u32>, u32> walked = {};  // by subprogram and frames: bytes above, plus 1

  /// Walks the calls below `sub`, which is `depth` bytes deep with `frames` frames in use.
  int walk(u32 sub, u32 depth, u32 frames) {
    u32& before = walked[{sub, frames}];
    if (before > depth) return 0;
    before = depth + 1;
    subs.push_back(sub);
    const Subprogram& self = c.subprograms[sub];
    const u32 own = (self.stack_depth + 15) / 16 * 16;
    if (c.input.program.priv_stack_requested) {
      c.deepest_stack = std::max(c.deepest_stack, own);
      if (own > kStackSize) {
        return c.refuse(EACCES, "stack size of subprog {} is {}. Too large", sub, own);
      }
    } else {
      depth += own;
      c.deepest_stack = std::max(c.deepest_stack, depth);
      if (depth > kStackSize) {
        return c.refuse(EACCES, "combined stack size of {} calls is {}. Too large", subs.size(),
                        depth);
      }
    }
    if (int errnum = walk_callees(self, depth, frames)) return errnum;
    subs.pop_back();
    return 0;
  }

  int walk_callees(const Subprogram& self, u32 depth, u32 frames) {
    std::set<u32> seen;
    for (u32 i = self.start; i < self.end; i++) {
      const Insn& insn = c.input.insns[i];
      if (c.second_half[i] || !refers_to_function(insn)) continue;
      const u32 callee = static_cast<u32>(c.subprogram_at(callee_of(i, insn)));
      if (std::ranges::find(subs, callee) != subs.end() || !seen.insert(callee).second) continue;
      const u32 below = c.subprograms[callee].global() ? 0 : frames + 1;
      if (below >= kMaxFrames) {
        return c.refuse(E2BIG, "the call stack of {} frames is too deep !", below);
      }
      if (int errnum = walk(callee, depth, below)) return errnum;
    }
    return 0;
  }
};

}  // namespace

int check_stack_depth(Context& c) {
  return Chain{.c = c}.walk(0, 0, 0);
}

}  // namespace uscx::bpf::check
