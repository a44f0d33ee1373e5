// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/verifier/stack_liveness.h"

#include <algorithm>

#include "bpf/verifier/arg_track.h"
#include "bpf/verifier/internal.h"

namespace uscx::bpf::verifier {

namespace {

using isa::bytes_of;
using isa::class_of;
using isa::mode_of;

constexpr s32 kHalf = 4;
constexpr u32 kMaxAnalyses = 10000;

/// The analysis of a program, function by function, into its callees.
class Analysis {
 public:
  explicit Analysis(Verifier& v) : v_(v), infos_(v.subprog_cnt) {}

  int run() {
    for (std::size_t k = v_.topo_order.size(); k-- > 0;) {
      const u32 sub = v_.topo_order[k];
      if (infos_[sub].done && !v_.is_global(sub)) continue;
      FuncInstance& instance = instance_of(nullptr, 0, sub);
      if (int err = analyze(instance, nullptr)) return err;
    }
    if (v_.log.all_paths()) print_instances();
    return 0;
  }

 private:
  FuncInstance& instance_of(const FuncInstance* caller, u32 callsite, u32 subprog) {
    const u32 depth = caller ? caller->depth + 1 : 0;
    const u32 start = v_.subprogs[subprog].start;
    const u32 key = depth ? callsite : start;
    auto& slot = v_.liveness.instances[{key, depth}];
    if (!slot) {
      slot = std::make_unique<FuncInstance>();
      slot->callsite = key;
      slot->depth = depth;
      slot->subprog = subprog;
      slot->start = start;
      slot->insn_cnt = v_.subprogs[subprog + 1].start - start;
    }
    return *slot;
  }

  static void read(FuncInstance& f, u32 frame, u32 insn, HalfSlots mask) {
    FrameMasks& m = f.make_masks(frame, insn);
    m.may_read = m.may_read | mask;
  }
  static void write(FuncInstance& f, u32 frame, u32 insn, HalfSlots mask) {
    FrameMasks& m = f.make_masks(frame, insn);
    m.must_write = m.must_write | mask;
  }

  /// `bytes` > 0 are read, < 0 are written at `off`; kStackAll: from there up, perhaps.
  static void access_at(FuncInstance& f, s64 off, s64 bytes, u32 frame, u32 insn) {
    if (off >= 0) return;
    HalfSlots mask;
    if (bytes == kStackAll) {
      mask.add_range(0, static_cast<u32>((-off - 1) / kHalf));
      read(f, frame, insn, mask);
    } else if (bytes > 0) {
      const auto high = static_cast<s32>((-off - 1) / kHalf);
      const auto low = std::max(static_cast<s32>((-off - bytes) / kHalf), 0);
      mask.add_range(static_cast<u32>(low), static_cast<u32>(high));
      read(f, frame, insn, mask);
    } else if (bytes < 0) {
      // Only half slots that are written as a whole are.
      bytes = -bytes;
      const auto high = static_cast<s32>(-off / kHalf) - 1;
      const auto low = std::max(static_cast<s32>((-off - bytes + kHalf - 1) / kHalf), 0);
      if (low > high) return;
      mask.add_range(static_cast<u32>(low), static_cast<u32>(high));
      write(f, frame, insn, mask);
    }
  }

  static void access(FuncInstance& f, const ArgTrack& arg, s64 bytes, u32 frame, u32 insn) {
    if (bytes == 0) return;
    if (arg.off_cnt == 0) {
      if (bytes > 0 || bytes == kStackAll) read(f, frame, insn, HalfSlots::all());
      return;
    }
    if (bytes != kStackAll && bytes < 0 && arg.off_cnt != 1) return;
    for (u32 i = 0; i < arg.off_cnt; ++i) access_at(f, arg.off[i], bytes, frame, insn);
  }

  static void access_imprecise(FuncInstance& f, u32 mask, u32 insn) {
    for (u32 frame = 0; mask; ++frame, mask >>= 1) {
      if ((mask & 1) && frame <= f.depth) read(f, frame, insn, HalfSlots::all());
    }
  }

  void note_load_store(FuncInstance& f, const ArgTracks& at, u32 idx) {
    const Insn& insn = v_.insns[idx];
    if (is_stack_arg_store(insn) || is_stack_arg_store_imm(insn) || is_stack_arg_load(insn)) {
      return;
    }
    s64 size = bytes_of(insn);
    u32 base;
    switch (class_of(insn)) {
      case isa::kLdx:
        base = insn.src;
        break;
      case isa::kStx:
        base = insn.dst;
        if (mode_of(insn) == isa::kAtomic) {
          if (insn.imm == isa::kStoreRelease) size = -size;
          if (insn.imm == isa::kLoadAcquire) base = insn.src;
        } else {
          size = -size;
        }
        break;
      case isa::kSt:
        base = insn.dst;
        size = -size;
        break;
      default:
        return;
    }
    ArgTrack ptr = at[base];
    if (ptr.frame >= 0 && ptr.off_cnt > 0) ptr.shift_all(insn.off);
    if (ptr.frame >= 0 && ptr.frame <= static_cast<s32>(f.depth)) {
      access(f, ptr, size, static_cast<u32>(ptr.frame), idx);
    } else if (ptr.frame == ArgTrack::kImprecise) {
      access_imprecise(f, ptr.mask, idx);
    }
  }

  void note_argument(FuncInstance& f, const Insn& insn, const ArgTrack& at, u32 arg, u32 idx) {
    if (!at.is_fp()) return;
    s64 bytes;
    if (is_helper_call(insn)) {
      bytes = helper_stack_bytes(v_, insn, arg, idx);
    } else if (is_kfunc_call(insn)) {
      bytes = kfunc_stack_bytes(v_, insn, arg, idx);
    } else {
      for (u32 frame = 0; frame <= f.depth; ++frame) read(f, frame, idx, HalfSlots::all());
      return;
    }
    if (bytes == 0) return;
    if (at.frame >= 0 && at.frame <= static_cast<s32>(f.depth)) {
      access(f, at, bytes, static_cast<u32>(at.frame), idx);
    } else if (at.frame == ArgTrack::kImprecise) {
      access_imprecise(f, at.mask, idx);
    }
  }

  void note_call(FuncInstance& f, const ArgTracks& at, u32 idx) {
    const Insn& insn = v_.insns[idx];
    if (is_pseudo_call(insn)) return;
    const auto summary = call_summary(v_, insn);
    const u32 params = summary ? summary->num_params : kMaxRegArgs;
    for (u32 a = 0; a < std::min(params, kMaxRegArgs); ++a) {
      note_argument(f, insn, at[a + 1], a, idx);
    }
    for (u32 a = kMaxRegArgs; a < params && a < kMaxFuncArgs; ++a) {
      note_argument(f, insn, at[kNrRegs + a - kMaxRegArgs], a, idx);
    }
  }

  /// The callback of a helper that runs it at once, and which of its registers gets which of the
  /// caller's: -1 none; -2 not known.
  s32 find_callback(const Insn& insn, u32 idx, u32& caller_reg, u32& callee_reg) const {
    if (!is_helper_call(insn)) return -1;
    u32 cb_reg = 2;
    caller_reg = 3;
    callee_reg = 2;
    switch (insn.imm) {
      case kFnLoop:
      case kFnUserRingbufDrain:
        break;
      case kFnForEachMapElem:
        callee_reg = 4;
        break;
      case kFnFindVma:
        cb_reg = 3;
        caller_reg = 4;
        callee_reg = 3;
        break;
      default:
        return -1;
    }
    const InsnAux& aux = v_.aux[idx];
    if (!(aux.const_reg_subprog_mask >> cb_reg & 1)) return -2;
    return static_cast<s32>(aux.const_reg_vals[cb_reg]);
  }

  int into_callees(FuncInstance& f) {
    const u32 sub = f.subprog;
    for (u32 p = v_.subprogs[sub].postorder_start; p < v_.subprogs[sub + 1].postorder_start; ++p) {
      const u32 idx = v_.postorder[p];
      const Insn& insn = v_.insns[idx];
      ArgTracks args;
      args.fill(ArgTrack::none());
      const ArgTracks& in = infos_[sub].at_in[idx - f.start];
      s32 callee;
      if (is_pseudo_call(insn)) {
        callee = v_.find_subprog(s64{idx} + insn.imm + 1);
        if (callee < 0) continue;
        for (u32 r = 1; r <= 5; ++r) args[r] = in[r];
        for (u32 r = kNrRegs; r < args.size(); ++r) args[r] = in[r];
      } else if (v_.aux[idx].calls_callback) {
        u32 caller_reg = 0, callee_reg = 0;
        callee = find_callback(insn, idx, caller_reg, callee_reg);
        if (callee == -2) {
          if (in[caller_reg].frame == ArgTrack::kNoPointer) continue;
          for (u32 frame = 0; frame <= f.depth; ++frame) read(f, frame, idx, HalfSlots::all());
          continue;
        }
        if (callee < 0) continue;
        args[callee_reg] = in[caller_reg];
      } else {
        continue;
      }
      const bool passes_pointer =
          std::any_of(args.begin() + 1, args.begin() + 6, [](auto& a) { return a.is_fp(); }) ||
          std::any_of(args.begin() + kNrRegs, args.end(), [](auto& a) { return a.is_fp(); });
      if (!passes_pointer) continue;
      if (f.depth == kMaxFrames - 1) return -EINVAL;
      FuncInstance& called = instance_of(&f, idx, static_cast<u32>(callee));
      callsites_[f.depth] = idx;
      if (int err = analyze(called, &args)) return err;
      for (u32 frame = 0; frame < called.depth; ++frame) {
        if (FrameMasks* entry = called.masks(frame, called.start)) {
          read(f, frame, idx, entry->live_before);
        }
      }
    }
    return 0;
  }

  static void merge(FuncInstance& dst, FuncInstance& src) {
    for (u32 frame = 0; frame <= dst.depth; ++frame) {
      auto& d = dst.frames[frame];
      auto& s = src.frames[frame];
      if (s.empty() || d.empty()) {
        if (d.empty()) d = std::move(s);
        for (FrameMasks& m : d) m.must_write = {};
        continue;
      }
      for (u32 i = 0; i < dst.insn_cnt; ++i) {
        d[i].may_read = d[i].may_read | s[i].may_read;
        d[i].must_write = d[i].must_write & s[i].must_write;
      }
    }
  }

  void propagate(FuncInstance& f) {
    f.analyzed = true;
    const u32 first = v_.subprogs[f.subprog].postorder_start;
    const u32 last = v_.subprogs[f.subprog + 1].postorder_start;
    for (bool changed = true; changed;) {
      changed = false;
      for (u32 frame = 0; frame <= f.depth; ++frame) {
        if (f.frames[frame].empty()) continue;
        for (u32 p = first; p < last; ++p) {
          const u32 idx = v_.postorder[p];
          const auto succ = v_.successors(idx);
          if (succ.empty()) continue;
          HalfSlots after;
          for (u32 s : succ) {
            if (s - f.start < f.insn_cnt) after = after | f.masks(frame, s)->live_before;
          }
          FrameMasks& m = *f.masks(frame, idx);
          const HalfSlots before = after.without(m.must_write) | m.may_read;
          changed |= !(before == m.live_before);
          m.live_before = before;
        }
      }
    }
  }

  int analyze(FuncInstance& instance, const ArgTracks* entry) {
    if (++v_.liveness.subprog_calls > kMaxAnalyses) {
      return v_.refuse(E2BIG, "liveness analysis exceeded complexity limit ({} calls)\n",
                       v_.liveness.subprog_calls);
    }
    // Seen before, with other arguments perhaps: what holds for both.
    FuncInstance fresh;
    FuncInstance* f = &instance;
    if (instance.analyzed) {
      fresh.callsite = instance.callsite;
      fresh.depth = instance.depth;
      fresh.subprog = instance.subprog;
      fresh.start = instance.start;
      fresh.insn_cnt = instance.insn_cnt;
      f = &fresh;
    }
    TrackInfo& info = infos_[f->subprog];
    track_arguments(v_, f->subprog, f->depth, entry, callsites_, stacks_at_calls_, info);
    const u32 first = v_.subprogs[f->subprog].postorder_start;
    const u32 last = v_.subprogs[f->subprog + 1].postorder_start;
    for (u32 p = last; p-- > first;) {
      const u32 idx = v_.postorder[p];
      const ArgTracks& at = info.at_in[idx - f->start];
      note_load_store(*f, at, idx);
      if (isa::is_call(v_.insns[idx])) note_call(*f, at, idx);
    }
    if (int err = into_callees(*f)) return err;
    if (f == &fresh) merge(instance, fresh);
    propagate(instance);
    return 0;
  }

  std::string slots_text(u32 frame, bool first, HalfSlots s) const {
    std::string out;
    auto full = [&](u32 spi) { return s.has(spi * 2) && s.has(spi * 2 + 1); };
    auto off = [](u32 spi) { return -static_cast<s32>(spi + 1) * 8; };
    for (u32 spi = 0; spi < 64; ++spi) {
      const bool low = s.has(spi * 2);
      const bool high = s.has(spi * 2 + 1);
      if (!low && !high) continue;
      const char* space = first ? "" : " ";
      first = false;
      if (!low || !high) {
        out += fmt::format("{}fp{}{}h", space, frame, off(spi) + (low ? kHalf : 0));
      } else if (spi + 2 < 64 && full(spi + 1) && full(spi + 2)) {
        const u32 start = spi;
        while (spi + 1 < 64 && full(spi + 1)) ++spi;
        out += fmt::format("{}fp{}{}..{}", space, frame, off(start), off(spi));
      } else {
        out += fmt::format("{}fp{}{}", space, frame, off(spi));
      }
    }
    return out;
  }

  void print_instances() {
    for (auto& [key, f] : v_.liveness.instances) print_instance(*f);
  }

  void print_instance(FuncInstance& f) {
    const std::string_view name = v_.subprogs[f.subprog].name;
    v_.log("stack use/def subprog#{}{}{} (d{},cs{}):\n", f.subprog, name.empty() ? "" : " ", name,
           f.depth, f.callsite);
    for (u32 i = 0; i < f.insn_cnt; ++i) {
      const u32 idx = f.start + i;
      std::string line = fmt::format("{:3}: {}", idx, v_.disassemble_at(idx));
      std::string use, def;
      for (u32 frame = f.depth + 1; frame-- > 0;) {
        const FrameMasks* m = f.masks(frame, idx);
        if (!m) continue;
        if (!m->may_read.empty()) use += slots_text(frame, use.empty(), m->may_read);
        if (!m->must_write.empty()) def += slots_text(frame, def.empty(), m->must_write);
      }
      if (!use.empty() || !def.empty()) {
        line += fmt::format("{:>{}};", ' ', log_alignment(static_cast<u32>(line.size())));
        if (!use.empty()) line += " use: " + use;
        if (!def.empty()) line += " def: " + def;
      }
      v_.log("{}\n", line);
      if (is_ld_imm64(v_.insns[idx])) ++i;
    }
  }

  Verifier& v_;
  std::vector<TrackInfo> infos_;
  std::array<u32, kMaxFrames> callsites_ = {};
  StacksAtCalls stacks_at_calls_;
};

}  // namespace

int compute_stack_accesses(Verifier& v) {
  return Analysis(v).run();
}

void StackLiveness::query(const Verifier& v, const VerifierState& state) {
  query_curframe_ = state.curframe;
  query_insn_ = state.insn_idx;
  for (u32 frame = 0; frame <= state.curframe; ++frame) {
    const FuncState& f = *state.frame[frame];
    const u32 start = v.subprogs[f.subprogno].start;
    const u32 callsite = frame ? static_cast<u32>(f.callsite) : start;
    FuncInstance* found = nullptr;
    for (u32 depth = frame;; --depth) {
      found = find(depth ? callsite : start, depth);
      if (found || depth == 0) break;
    }
    query_instances_[frame] = found;
    if (frame < state.curframe) {
      query_callsites_[frame] = static_cast<u32>(state.frame[frame + 1]->callsite);
    }
  }
}

HalfSlots StackLiveness::live(const Verifier& v, u32 frameno) const {
  HalfSlots slots;
  auto add = [&](FuncInstance* f, u32 insn, u32 frame) {
    const FrameMasks* m = f->masks(frame, insn);
    if (m) slots = slots | m->live_before;
  };
  FuncInstance* current = query_instances_[query_curframe_];
  if (!current) return HalfSlots::all();
  const s32 shift = static_cast<s32>(current->depth) - static_cast<s32>(query_curframe_);
  const s64 at = s64{frameno} + shift;
  if (at >= 0 && at <= current->depth) add(current, query_insn_, static_cast<u32>(at));
  for (u32 i = frameno; i < query_curframe_; ++i) {
    FuncInstance* f = query_instances_[i];
    if (!f) return HalfSlots::all();
    const s64 rel = s64{frameno} + static_cast<s32>(f->depth) - static_cast<s32>(i);
    if (rel < 0 || rel > f->depth) return HalfSlots::all();
    const u32 callsite = query_callsites_[i];
    const u32 insn = v.aux[callsite].calls_callback ? callsite : callsite + 1;
    add(f, insn, static_cast<u32>(rel));
  }
  return slots;
}

}  // namespace uscx::bpf::verifier
