// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/arg_track.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

using namespace isa;

namespace {

/// a + delta, where it fits.
std::optional<s16> add_offset(s16 off, s64 delta) {
  const s64 sum = off + delta;
  if (delta != static_cast<s16>(delta) || sum != static_cast<s16>(sum)) return std::nullopt;
  return static_cast<s16>(sum);
}

s32 slot_of_offset(s32 off) {
  if (off >= 0 || off < -static_cast<s32>(kTrackedSlots * 8) || off % 8) return -1;
  return -off / 8 - 1;
}

s32 stack_arg_slot(s16 off) {
  const s32 distance = off < 0 ? -off : off;
  return distance / 8 > static_cast<s32>(kMaxStackArgs) ? -1 : distance / 8 - 1;
}

ArgTrack join_imprecise(const ArgTrack& a, const ArgTrack& b) {
  u32 mask = 0;
  for (const ArgTrack* at : {&a, &b}) {
    if (at->frame >= 0) mask |= 1u << at->frame;
    if (at->frame == ArgTrack::kImprecise) mask |= at->mask;
  }
  return ArgTrack::imprecise(mask);
}

ArgTrack merge_offsets(const ArgTrack& a, const ArgTrack& b) {
  std::array<s16, 2 * ArgTrack::kMaxOffsets> all;
  auto end = std::set_union(a.off.begin(), a.off.begin() + a.off_cnt, b.off.begin(),
                            b.off.begin() + b.off_cnt, all.begin());
  ArgTrack out;
  out.frame = a.frame;
  const auto n = static_cast<u32>(end - all.begin());
  if (n > ArgTrack::kMaxOffsets) return out;
  std::copy(all.begin(), end, out.off.begin());
  out.off_cnt = static_cast<u8>(n);
  return out;
}

/// What one instruction does to the tracks.
class Step {
 public:
  Step(Verifier& v, u32 depth, ArgTracks& out, SlotTracks& stack,
       const std::array<ArgTrack, kMaxStackArgs>& incoming,
       const std::array<u32, kMaxFrames>& callsites, const StacksAtCalls& stacks)
      : v_(v),
        depth_(static_cast<s32>(depth)),
        out_(out),
        stack_(stack),
        incoming_(incoming),
        callsites_(callsites),
        stacks_(stacks) {}

  void run(u32 idx) {
    const Insn& insn = v_.insns[idx];
    if (is_stack_arg_store(insn) || is_stack_arg_store_imm(insn)) {
      if (const s32 slot = stack_arg_slot(insn.off); slot >= 0) {
        out_[kNrRegs + slot] = is_stack_arg_store(insn) ? out_[insn.src] : ArgTrack::none();
      }
      return;
    }
    if (is_stack_arg_load(insn)) {
      const s32 slot = stack_arg_slot(insn.off);
      out_[insn.dst] = slot >= 0 ? incoming_[slot] : ArgTrack::none();
      return;
    }
    switch (class_of(insn)) {
      case kAlu64:
        return alu(insn);
      case kAlu:
        out_[insn.dst] = ArgTrack::none();
        return;
      case kJmp:
        if (op_of(insn) == kCall) {
          for (u32 r = 0; r <= 5; ++r) out_[r] = ArgTrack::none();
        }
        return;
      case kLdx:
        return load(insn);
      case kLd:
        if (mode_of(insn) == kImm) out_[insn.dst] = ArgTrack::none();
        return;
      case kStx:
        return store(insn);
      case kSt:
        if (mode_of(insn) == kMem && may_be_local(insn.dst)) clear_slots(insn, insn.dst);
        return;
      default:
        return;
    }
  }

 private:
  bool may_be_local(u32 reg) const {
    const ArgTrack& at = out_[reg];
    return reg == kFp || at.frame == depth_ ||
           (at.frame == ArgTrack::kImprecise && (at.mask >> depth_ & 1));
  }

  void alu(const Insn& insn) {
    ArgTrack& dst = out_[insn.dst];
    const u8 op = op_of(insn);
    if (!is_x(insn)) {
      if (op == kMov) {
        dst = ArgTrack::none();
      } else if (dst.frame >= 0) {
        if (op == kAdd)
          dst.shift_all(insn.imm);
        else if (op == kSub)
          dst.shift_all(-s64{insn.imm});
        else
          dst.off_cnt = 0;
      }
      return;
    }
    const ArgTrack src = out_[insn.src];
    if (op == kMov) {
      dst = insn.off == 0 ? src : ArgTrack::none();
      return;
    }
    if (dst.frame >= 0 && (src.frame == ArgTrack::kNoPointer || src.frame == dst.frame)) {
      dst.off_cnt = 0;
    } else if (src.frame >= 0 && dst.frame == ArgTrack::kNoPointer) {
      dst.off_cnt = 0;
      dst.frame = src.frame;
    } else if (dst.frame != ArgTrack::kNoPointer || src.frame != ArgTrack::kNoPointer) {
      dst = join_imprecise(dst, src);
    }
  }

  ArgTrack fill(const Insn& insn, u32 reg, const SlotTracks& stack, s32 depth) const {
    const ArgTrack anything = ArgTrack::imprecise((1u << (depth + 1)) - 1);
    if (reg == kFp) {
      const s32 slot = slot_of_offset(insn.off);
      return slot >= 0 ? stack[slot] : anything;
    }
    const ArgTrack& ptr = out_[reg];
    if (ptr.off_cnt == 0) return anything;
    ArgTrack result = ArgTrack::none();
    for (u32 i = 0; i < ptr.off_cnt; ++i) {
      const auto off = add_offset(ptr.off[i], insn.off);
      const s32 slot = off ? slot_of_offset(*off) : -1;
      if (slot < 0) return anything;
      result = join(result, stack[slot]);
    }
    return result;
  }

  void load(const Insn& insn) {
    const ArgTrack src = out_[insn.src];
    ArgTrack& dst = out_[insn.dst];
    const bool whole = mode_of(insn) == kMem && size_of(insn) == kDw;
    if (!whole) {
      dst = ArgTrack::none();
    } else if (may_be_local(insn.src)) {
      dst = fill(insn, insn.src, stack_, depth_);
    } else if (src.frame >= 0 && src.frame < depth_) {
      auto it = stacks_.find(callsites_[src.frame]);
      dst = it == stacks_.end() ? ArgTrack::imprecise((1u << (src.frame + 1)) - 1)
                                : fill(insn, insn.src, it->second, src.frame);
    } else if (src.frame == ArgTrack::kImprecise && src.mask) {
      dst = src;
    } else {
      dst = ArgTrack::none();
    }
  }

  void spill(const Insn& insn, u32 reg, const ArgTrack& value) {
    if (reg == kFp) {
      if (const s32 slot = slot_of_offset(insn.off); slot >= 0) stack_[slot] = value;
      return;
    }
    const ArgTrack ptr = out_[reg];
    if (ptr.off_cnt == 0) {
      for (ArgTrack& slot : stack_) slot = join(slot, value);
      return;
    }
    for (u32 i = 0; i < ptr.off_cnt; ++i) {
      const auto off = add_offset(ptr.off[i], insn.off);
      const s32 slot = off ? slot_of_offset(*off) : -1;
      if (slot < 0) continue;
      stack_[slot] = ptr.off_cnt == 1 ? value : join(stack_[slot], value);
    }
  }

  void clear_overlapping(s32 off, s32 size, u32 cnt) {
    for (u32 i = 0; i < kTrackedSlots; ++i) {
      const s32 start = -static_cast<s32>(i + 1) * 8;
      if (cnt == 0) {
        stack_[i] = join(stack_[i], ArgTrack::none());
      } else if (start < off + size && start + 8 > off) {
        stack_[i] = cnt == 1 ? ArgTrack::none() : join(stack_[i], ArgTrack::none());
      }
    }
  }

  void clear_slots(const Insn& insn, u32 reg) {
    const auto size = static_cast<s32>(bytes_of(insn));
    if (reg == kFp) return clear_overlapping(insn.off, size, 1);
    const ArgTrack ptr = out_[reg];
    if (ptr.off_cnt == 0) return clear_overlapping(0, size, 0);
    for (u32 i = 0; i < ptr.off_cnt; ++i) {
      const auto off = add_offset(ptr.off[i], insn.off);
      if (!off) {
        clear_overlapping(0, size, 0);
        break;
      }
      clear_overlapping(*off, size, ptr.off_cnt);
    }
  }

  void store(const Insn& insn) {
    const bool local = may_be_local(insn.dst);
    if (local && mode_of(insn) == kMem) {
      spill(insn, insn.dst, size_of(insn) == kDw ? out_[insn.src] : ArgTrack::none());
    }
    if (mode_of(insn) == kAtomic) {
      if (local && insn.imm != kLoadAcquire) clear_slots(insn, insn.dst);
      if (const s32 r = atomic_load_reg(insn); r >= 0) out_[r] = ArgTrack::none();
    }
  }

  Verifier& v_;
  s32 depth_;
  ArgTracks& out_;
  SlotTracks& stack_;
  const std::array<ArgTrack, kMaxStackArgs>& incoming_;
  const std::array<u32, kMaxFrames>& callsites_;
  const StacksAtCalls& stacks_;
};

void log_step(Verifier& v, u32 idx, const ArgTracks& in, const ArgTracks& out,
              const SlotTracks& stack_in, const SlotTracks& stack_out) {
  if (!v.log.all_paths()) return;
  std::string line;
  auto note = [&](std::string name, const ArgTrack& a, const ArgTrack& b) {
    if (a == b) return;
    if (line.empty()) line = fmt::format("{:3}: {}", idx, v.disassemble_at(idx));
    line += fmt::format("\t{}: {} -> {}", name, a.text(), b.text());
  };
  for (u32 r = 0; r < kNrRegs; ++r) note(fmt::format("r{}", r), in[r], out[r]);
  for (u32 r = kNrRegs; r < in.size(); ++r) note(fmt::format("sa{}", r - kNrRegs), in[r], out[r]);
  for (u32 i = 0; i < kTrackedSlots; ++i) {
    note(fmt::format("fp{:+}", -static_cast<s32>(i + 1) * 8), stack_in[i], stack_out[i]);
  }
  if (!line.empty()) v.log("{}\n", line);
}

template <std::size_t n>
bool identical(const std::array<ArgTrack, n>& a, const std::array<ArgTrack, n>& b) {
  static_assert(std::has_unique_object_representations_v<ArgTrack>);
  return std::memcmp(a.data(), b.data(), sizeof(a)) == 0;
}

bool join_into(Verifier& v, u32 idx, u32 target, std::string_view name, ArgTrack& in,
               const ArgTrack& out) {
  const ArgTrack old = in;
  const ArgTrack now = join(old, out);
  if (now == old) return false;
  in = now;
  if (v.log.all_paths() && old.visited()) {
    v.log("arg JOIN insn {} -> {} {}: {} + {} => {}\n", idx, target, name, old.text(), out.text(),
          now.text());
  }
  return true;
}

std::string track_name(const Verifier& v, u32 r) {
  if (!v.log.all_paths()) return {};
  return r < kNrRegs ? fmt::format("r{}", r) : fmt::format("sa{}", r - kNrRegs);
}
std::string slot_name(const Verifier& v, u32 i) {
  return v.log.all_paths() ? fmt::format("fp{:+}", -static_cast<s32>(i + 1) * 8) : std::string{};
}

void print_function(Verifier& v, u32 subprog, const TrackInfo& info,
                    const std::vector<SlotTracks>& stack_in) {
  if (!v.log.all_paths()) return;
  const u32 start = v.subprogs[subprog].start;
  const std::string_view name = v.subprogs[subprog].name;
  v.log("subprog#{}{}{}:\n", subprog, name.empty() ? "" : " ", name);
  for (u32 i = 0; i < info.at_in.size(); ++i) {
    const Insn& insn = v.insns[start + i];
    v.log("{:3}: {}", start + i, v.disassemble_at(start + i));
    const u8 c = class_of(insn);
    std::string extra;
    if (c == kLdx || c == kStx || is_call(insn)) {
      const ArgTracks& at = info.at_in[i];
      if (at[0].visited()) {
        for (u32 r = 0; r < at.size(); ++r) {
          if (r != kFp && at[r].is_fp()) {
            extra += fmt::format(" {}={}", track_name(v, r), at[r].text());
          }
        }
      }
      for (u32 s = 0; s < kTrackedSlots; ++s) {
        if (stack_in[i][s].is_fp()) {
          extra += fmt::format(" {}={}", slot_name(v, s), stack_in[i][s].text());
        }
      }
    }
    v.log("{}{}\n", extra.empty() ? "" : " //", extra);
    if (is_ld_imm64(insn)) ++i;
  }
}

}  // namespace

bool ArgTrack::operator==(const ArgTrack& o) const {
  if (frame != o.frame) return false;
  if (frame == kImprecise) return mask == o.mask;
  if (frame < 0) return true;
  return off_cnt == o.off_cnt && std::equal(off.begin(), off.begin() + off_cnt, o.off.begin());
}

void ArgTrack::shift_all(s64 delta) {
  for (u32 i = 0; i < off_cnt; ++i) {
    const auto sum = add_offset(off[i], delta);
    if (!sum) {
      off_cnt = 0;
      return;
    }
    off[i] = *sum;
  }
}

std::string ArgTrack::text() const {
  if (frame == kNoPointer) return "_";
  if (frame == kUnvisited) return "?";
  if (frame == kImprecise) return fmt::format("IMP{:x}", mask);
  if (off_cnt == 0) return fmt::format("fp{} ?", +frame);
  std::string out;
  for (u32 i = 0; i < off_cnt; ++i) {
    out += fmt::format("{}fp{}{:+}", i ? "|" : "", +frame, off[i]);
  }
  return out;
}

ArgTrack join(const ArgTrack& a, const ArgTrack& b) {
  if (!b.visited()) return a;
  if (!a.visited()) return b;
  if (a.frame == b.frame && a.frame >= 0) {
    if (a.off_cnt && b.off_cnt) return merge_offsets(a, b);
    ArgTrack anywhere;
    anywhere.frame = a.frame;
    return anywhere;
  }
  if (a.frame == ArgTrack::kNoPointer && b.frame == ArgTrack::kNoPointer) return a;
  // A pointer or none: as if the latter were the frame's start, so that writes are no longer sure.
  if (a.frame >= 0 && b.frame == ArgTrack::kNoPointer) {
    return a.off_cnt == 1 ? merge_offsets(a, ArgTrack::single(static_cast<u32>(a.frame), 0)) : a;
  }
  if (b.frame >= 0 && a.frame == ArgTrack::kNoPointer) {
    return b.off_cnt == 1 ? merge_offsets(b, ArgTrack::single(static_cast<u32>(b.frame), 0)) : b;
  }
  return join_imprecise(a, b);
}

void track_arguments(Verifier& v, u32 subprog, u32 depth, const ArgTracks* entry,
                     const std::array<u32, kMaxFrames>& callsites, StacksAtCalls& stacks,
                     TrackInfo& info) {
  const u32 start = v.subprogs[subprog].start;
  const u32 end = v.subprogs[subprog + 1].start;
  const u32 first = v.subprogs[subprog].postorder_start;
  const u32 last = v.subprogs[subprog + 1].postorder_start;
  ArgTrack unvisited;
  unvisited.frame = ArgTrack::kUnvisited;
  ArgTracks nothing;
  nothing.fill(unvisited);
  SlotTracks no_slots;
  no_slots.fill(unvisited);
  info.done = true;
  info.at_in.assign(end - start, nothing);
  std::vector<SlotTracks> stack_in(end - start, no_slots);
  std::array<ArgTrack, kMaxStackArgs> incoming = {};

  info.at_in[0].fill(ArgTrack::none());
  stack_in[0].fill(ArgTrack::none());
  info.at_in[0][kFp] = ArgTrack::single(depth, 0);
  if (entry) {
    for (u32 r = 1; r <= 5; ++r) info.at_in[0][r] = (*entry)[r];
    for (u32 r = 0; r < kMaxStackArgs; ++r) incoming[r] = (*entry)[kNrRegs + r];
  }
  if (v.log.all_paths()) v.log("subprog#{}: analyzing (depth {})...\n", subprog, depth);
  // Which have changed since their step was made. The log shows all steps of each pass.
  std::vector<bool> stale(end - start);
  stale[0] = true;
  for (bool changed = true; changed;) {
    changed = false;
    for (u32 p = last; p-- > first;) {
      const u32 idx = v.postorder[p];
      const u32 i = idx - start;
      if (!info.at_in[i][0].visited() && !info.at_in[i][1].visited()) continue;
      if (!stale[i] && !v.log.all_paths()) continue;
      stale[i] = false;
      ArgTracks out = info.at_in[i];
      SlotTracks stack_out = stack_in[i];
      Step(v, depth, out, stack_out, incoming, callsites, stacks).run(idx);
      log_step(v, idx, info.at_in[i], out, stack_in[i], stack_out);
      for (u32 target : v.successors(idx)) {
        if (target < start || target >= end) continue;
        const u32 t = target - start;
        bool news = false;
        for (u32 r = 0; r < out.size(); ++r) {
          news |= join_into(v, idx, target, track_name(v, r), info.at_in[t][r], out[r]);
        }
        const u32 slots = identical(stack_in[t], stack_out) ? 0 : kTrackedSlots;
        for (u32 s = 0; s < slots; ++s) {
          news |= join_into(v, idx, target, slot_name(v, s), stack_in[t][s], stack_out[s]);
        }
        if (news) changed = stale[t] = true;
      }
    }
  }
  for (u32 p = last; p-- > first;) {
    const u32 idx = v.postorder[p];
    if (is_pseudo_call(v.insns[idx]) || v.aux[idx].calls_callback) {
      stacks[idx] = stack_in[idx - start];
    }
  }
  print_function(v, subprog, info, stack_in);
}

}  // namespace uscx::bpf::verifier
