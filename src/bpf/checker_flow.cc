// SPDX-License-Identifier: GPL-2.0-only
// Data flow over the whole program: which instructions can run, with which registers set.
//
// Each register is uninitialised, a known constant, a place in this frame, or unknown. Where paths
// meet, unequal values become unknown. Branches on constants are followed one way only: that is how
// code for kernels that have another kfunc stays dead. Constants come from immediates, ld_imm64
// (an unresolved weak symbol is 0) and loads from frozen maps, and flow through static subprograms.
//
// Linux explores path by path and so knows more; what we do not know we let the interpreter check.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "bpf/checker_internal.h"
#include "bpf/exec/arith.h"
#include "bpf/exec/exec.h"
#include "bpf/maps/map.h"

namespace uscx::bpf::check {

namespace {

using namespace isa;

struct Value {
  enum Kind : u8 { kUninit, kConst, kAddress, kStack, kUnknown };
  Kind kind = kUninit;
  u64 bits = 0;  // of kConst and kAddress; of kStack the offset from R10

  bool known() const { return kind == kConst || kind == kAddress; }
  bool operator==(const Value&) const = default;
};

constexpr Value kUnknownValue{Value::kUnknown, 0};
Value constant(u64 bits) {
  return {Value::kConst, bits};
}

/// The value where two paths meet. Initialised on one of them only: the interpreter has zero there.
Value join(const Value& a, const Value& b) {
  return a == b ? a : kUnknownValue;
}

using Registers = std::array<Value, kNrRegisters>;

struct BlockState {
  bool reached = false;
  Registers r;
};

/// What is known about a subprogram beyond its text.
struct Summary {
  bool returns = false;
  Value result;
  std::set<u32> callers;  // blocks that wait for `result`
};

template <class T>
std::optional<T> evaluate(u8 op, bool sign, T a, T b) {
  switch (op) {
    case kAdd:
      return do_add(a, b);
    case kSub:
      return do_sub(a, b);
    case kMul:
      return do_mul(a, b);
    case kDiv:
      return sign ? do_sdiv(a, b) : do_div(a, b);
    case kMod:
      return sign ? do_smod(a, b) : do_mod(a, b);
    case kOr:
      return do_or(a, b);
    case kAnd:
      return do_and(a, b);
    case kXor:
      return do_xor(a, b);
    case kLsh:
      return do_lsh(a, b);
    case kRsh:
      return do_rsh(a, b);
    case kArsh:
      return do_arsh(a, b);
    case kMov:
      return b;
    default:
      return std::nullopt;
  }
}

template <class T>
std::optional<bool> compare(u8 op, T a, T b) {
  switch (op) {
    case kJeq:
      return a == b;
    case kJne:
      return a != b;
    case kJgt:
      return a > b;
    case kJge:
      return a >= b;
    case kJlt:
      return a < b;
    case kJle:
      return a <= b;
    case kJset:
      return (a & b) != 0;
    case kJsgt:
      return do_jsgt(a, b);
    case kJsge:
      return do_jsge(a, b);
    case kJslt:
      return do_jslt(a, b);
    case kJsle:
      return do_jsle(a, b);
    default:
      return std::nullopt;
  }
}

class Flow {
 public:
  explicit Flow(Context& context) : c(context), summaries_(context.subprograms.size()) {
    block_of_.resize(c.insns.size(), kNoBlock);
    for (u32 i = 0; i < c.insns.size(); i++) mark_leaders(i);
    for (const Subprogram& sub : c.subprograms) leader(sub.start);
  }

  int run() {
    enter_subprogram(0, {kUnknownValue});
    if (const FunctionInfo* info = c.subprograms[0].info; info && info->nr_args > 1u) {
      for (u32 i = 1; i < std::min(*info->nr_args, 5u); i++) {
        states_[block_of_[0]].r[1 + i] = kUnknownValue;
      }
    }
    while (!open_.empty()) {
      const u32 start = *open_.begin();
      open_.erase(open_.begin());
      if (int errnum = run_block(start)) {
        explain(start);
        return errnum;
      }
    }
    return 0;
  }

 private:
  static constexpr u32 kNoBlock = ~0U;
  enum Next { kFallThrough, kBlockEnds };

  // -- blocks

  void leader(s64 index) {
    u32& block = block_of_[static_cast<u32>(index)];
    if (block != kNoBlock) return;
    block = static_cast<u32>(states_.size());
    states_.emplace_back();
  }

  void mark_leaders(u32 i) {
    const Insn& insn = c.insns[i];
    if (c.second_half[i]) return;
    if (is_goto(insn) || is_conditional(insn)) leader(s64{i} + jump_distance(insn) + 1);
    // What follows a local call waits for the callee's result.
    if ((is_conditional(insn) || (is_call(insn) && insn.src == kPseudoCall)) &&
        i + 1 < c.insns.size()) {
      leader(i + 1);
    }
  }

  void flow_to(u32 index, const Registers& r) {
    BlockState& state = states_[block_of_[index]];
    if (!state.reached) {
      state.reached = true;
      state.r = r;
      open_.insert(index);
      return;
    }
    bool changed = false;
    for (u32 i = 0; i < kNrRegisters; i++) {
      const Value met = join(state.r[i], r[i]);
      changed |= met != state.r[i];
      state.r[i] = met;
    }
    if (changed) open_.insert(index);
  }

  /// Joins `args` into the entry of a subprogram.
  void enter_subprogram(u32 sub, const std::array<Value, 5>& args) {
    Registers r;
    for (u32 i = 0; i < args.size(); i++) {
      r[1 + i] = args[i];
      // The caller's frame is just memory here.
      if (args[i].kind == Value::kStack) r[1 + i] = kUnknownValue;
    }
    r[kFramePointer] = {Value::kStack, 0};
    flow_to(c.subprograms[sub].start, r);
  }

  int run_block(u32 start) {
    r_ = states_[block_of_[start]].r;
    block_ = start;
    sub_ = c.subprogram_of(start);
    for (at_ = start;; at_++) {
      if (at_ != start && block_of_[at_] != kNoBlock) {
        flow_to(at_, r_);
        return 0;
      }
      c.live[at_] = true;
      if (c.insns[at_].code == kLdImm64) c.live[at_ + 1] = true;
      if (++c.processed > c.input.max_insns) {
        return c.refuse(E2BIG, "BPF program is too large. Processed {} insn", c.processed);
      }
      Next next = kFallThrough;
      const u32 here = at_;
      if (int errnum = step(c.insns[here], next)) return errnum;
      if (next == kBlockEnds) return 0;
      if (c.insns[here].code == kLdImm64) at_++;
    }
  }

  /// The instructions that led to the refusal, before its reason, as the kernel's log has them.
  void explain(u32 start) {
    constexpr u32 kMaxLines = 16;
    std::string lines;
    u32 i = at_ - start > kMaxLines ? at_ - kMaxLines : start;
    for (; i <= at_; i++) {
      if (!c.second_half[i]) lines += fmt::format("{}: {}\n", i, c.text(i));
    }
    c.log.insert(reason_at_, lines);
  }

  // -- instructions

  int step(const Insn& insn, Next& next) {
    reason_at_ = c.log.size();
    switch (class_of(insn)) {
      case kAlu:
      case kAlu64:
        return alu(insn);
      case kLd:
        return load_immediate(insn);
      case kLdx:
        return load(insn);
      case kSt:
      case kStx:
        return store(insn);
      default:
        return jump(insn, next);
    }
  }

  int use(u32 reg) {
    if (r_[reg].kind != Value::kUninit) return 0;
    return c.refuse(EACCES, "R{} !read_ok", reg);
  }

  int set(u32 reg, const Value& value) {
    if (reg == kFramePointer) return c.refuse(EACCES, "frame pointer is read only");
    r_[reg] = value;
    if (value.kind == Value::kStack) note_stack(static_cast<s64>(value.bits));
    return 0;
  }

  void note_stack(s64 offset) {
    Subprogram& sub = c.subprograms[sub_];
    if (offset < 0 && offset >= -s64{kStackSize}) {
      sub.stack_depth = std::max(sub.stack_depth, static_cast<u32>(-offset));
    }
  }

  int alu(const Insn& insn) {
    const u8 op = op_of(insn);
    if (op != kMov) {
      if (int errnum = use(insn.dst)) return errnum;
    }
    if (is_x(insn) && op != kEnd) {
      if (int errnum = use(insn.src)) return errnum;
    }
    if (!is_x(insn) && (op == kDiv || op == kMod) && insn.imm == 0) {
      return c.refuse(EINVAL, "div by zero");
    }
    const bool shift = op == kLsh || op == kRsh || op == kArsh;
    const s32 width = class_of(insn) == kAlu64 ? 64 : 32;
    if (!is_x(insn) && shift && (insn.imm < 0 || insn.imm >= width)) {
      return c.refuse(EINVAL, "invalid shift {}", insn.imm);
    }
    if (insn.code == (kAlu64 | kMov | kX) && insn.off == kAddrSpaceCast) {
      auto is_arena = [](const auto& map) { return map->spec().type == uapi::kMapArena; };
      if (std::ranges::any_of(c.result.maps, is_arena)) return set(insn.dst, kUnknownValue);
      return c.refuse(EINVAL,
                      "addr_space_cast insn can only be used in a program that has an associated "
                      "arena");
    }
    return set(insn.dst, alu_result(insn));
  }

  Value alu_result(const Insn& insn) const {
    const u8 op = op_of(insn);
    const bool wide = class_of(insn) == kAlu64;
    const Value a = r_[insn.dst];
    const Value b = is_x(insn) ? r_[insn.src] : constant(sign_extend<s32>(insn.imm));
    if (op == kEnd) return kUnknownValue;
    if (op == kNeg) {
      if (!a.known()) return kUnknownValue;
      return constant(wide ? 0 - a.bits : static_cast<u32>(0 - a.bits));
    }
    if (op == kMov) return move_result(b, wide, insn.off);
    if (wide && a.kind == Value::kStack && b.kind == Value::kConst && (op == kAdd || op == kSub)) {
      return {Value::kStack, op == kAdd ? a.bits + b.bits : a.bits - b.bits};
    }
    if (!a.known() || !b.known()) return kUnknownValue;
    const bool sign = insn.off == 1;
    const u64 bits =
        wide ? *evaluate<u64>(op, sign, a.bits, b.bits)
             : *evaluate<u32>(op, sign, static_cast<u32>(a.bits), static_cast<u32>(b.bits));
    const bool address = a.kind == Value::kAddress || b.kind == Value::kAddress;
    return {address ? Value::kAddress : Value::kConst, bits};
  }

  static Value move_result(const Value& from, bool wide, s16 bits) {
    if (wide && bits == 0) return from;
    if (!from.known()) return kUnknownValue;
    u64 value = from.bits;
    if (bits == 8) value = sign_extend<s8>(value);
    if (bits == 16) value = sign_extend<s16>(value);
    if (bits == 32) value = sign_extend<s32>(value);
    return {from.kind, wide ? value : static_cast<u32>(value)};
  }

  int load_immediate(const Insn& insn) {
    if (insn.code != kLdImm64) {
      return c.refuse(EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type");
    }
    const u64 bits =
        static_cast<u64>(static_cast<u32>(c.insns[at_ + 1].imm)) << 32 | static_cast<u32>(insn.imm);
    if (insn.src == kPseudoFunc) {
      const u32 sub = static_cast<u32>(c.subprogram_at(callback_insn(bits)));
      enter_subprogram(sub,
                       {kUnknownValue, kUnknownValue, kUnknownValue, kUnknownValue, kUnknownValue});
    }
    // An unresolved weak symbol is a plain zero.
    const bool address = c.is_address[at_] && bits != 0;
    return set(insn.dst, {address ? Value::kAddress : Value::kConst, bits});
  }

  /// Refuses what cannot be a place in memory; counts the stack that is used.
  int check_place(u32 reg, s16 off, u32 bytes, const char* what) {
    if (int errnum = use(reg)) return errnum;
    const Value& base = r_[reg];
    if (base.kind == Value::kConst) {
      return c.refuse(EACCES, "R{} invalid mem access 'scalar'", reg);
    }
    if (base.kind != Value::kStack) return 0;
    const s64 offset = static_cast<s64>(base.bits) + off;
    if (offset < -s64{kStackSize} || offset + s64{bytes} > 0) {
      return c.refuse(EACCES, "invalid {} stack R{} off={} size={}", what, reg, offset, bytes);
    }
    note_stack(offset);
    return 0;
  }

  int load(const Insn& insn) {
    const u32 bytes = bytes_of(insn);
    if (int errnum = check_place(insn.src, insn.off, bytes, "read from")) return errnum;
    Value value = kUnknownValue;
    if (const Value& base = r_[insn.src]; base.kind == Value::kAddress) {
      const u64 address = base.bits + sign_extend<s16>(static_cast<u64>(insn.off));
      if (auto bits = read_constant(address, bytes)) {
        value = constant(mode_of(insn) == kMemsx ? extend(*bits, bytes) : *bits);
      }
    }
    return set(insn.dst, value);
  }

  static u64 extend(u64 bits, u32 bytes) {
    if (bytes == 1) return sign_extend<s8>(bits);
    if (bytes == 2) return sign_extend<s16>(bits);
    return sign_extend<s32>(bits);
  }

  const ConstantRegion* constant_at(u64 address, u32 bytes) const {
    for (const ConstantRegion& region : c.constants) {
      const u64 offset = address - region.start;
      if (offset < region.bytes.size() && bytes <= region.bytes.size() - offset) return &region;
    }
    return nullptr;
  }

  std::optional<u64> read_constant(u64 address, u32 bytes) const {
    const ConstantRegion* region = constant_at(address, bytes);
    if (!region) return std::nullopt;
    u64 bits = 0;
    std::memcpy(&bits, region->bytes.data() + (address - region->start), bytes);
    return bits;
  }

  int store(const Insn& insn) {
    const u32 bytes = bytes_of(insn);
    if (is_atomic(insn)) return atomic(insn, bytes);
    if (class_of(insn) == kStx) {
      if (int errnum = use(insn.src)) return errnum;
    }
    return check_store(insn, bytes);
  }

  int check_store(const Insn& insn, u32 bytes) {
    if (int errnum = check_place(insn.dst, insn.off, bytes, "write to")) return errnum;
    const Value& base = r_[insn.dst];
    if (base.kind != Value::kAddress) return 0;
    const u64 address = base.bits + sign_extend<s16>(static_cast<u64>(insn.off));
    if (const ConstantRegion* region = constant_at(address, bytes)) {
      return c.refuse(EACCES, "write into map forbidden, value_size={} off={} size={}",
                      region->bytes.size(), address - region->start, bytes);
    }
    return 0;
  }

  int atomic(const Insn& insn, u32 bytes) {
    if (insn.imm == kLoadAcquire) {
      if (int errnum = check_place(insn.src, insn.off, bytes, "read from")) return errnum;
      return set(insn.dst, kUnknownValue);
    }
    if (int errnum = use(insn.src)) return errnum;
    if (insn.imm == kCmpxchg) {
      if (int errnum = use(0)) return errnum;
    }
    if (int errnum = check_store(insn, bytes)) return errnum;
    if (insn.imm == kStoreRelease || !(insn.imm & kFetch)) return 0;
    return set(insn.imm == kCmpxchg ? 0 : insn.src, kUnknownValue);
  }

  // -- jumps

  int jump(const Insn& insn, Next& next) {
    if (is_call(insn)) return call(insn, next);
    next = kBlockEnds;
    if (is_exit(insn)) return leave();
    if (insn.code == kGotox) {
      c.input.env.count_unserved("instruction gotox");
      return c.refuse(EINVAL, "jump tables (gotox) are not supported");
    }
    const u32 target = at_ + 1 + static_cast<u32>(jump_distance(insn));
    if (is_goto(insn)) {
      if (target == at_) return c.refuse(EINVAL, "infinite loop detected at insn {}", at_);
      flow_to(target, r_);
      return 0;
    }
    if (insn.code == kMayGoto) {
      flow_to(target, r_);
      flow_to(at_ + 1, r_);
      return 0;
    }
    return branch(insn, target);
  }

  int branch(const Insn& insn, u32 target) {
    if (int errnum = use(insn.dst)) return errnum;
    if (is_x(insn)) {
      if (int errnum = use(insn.src)) return errnum;
    }
    const Value a = r_[insn.dst];
    const Value b = is_x(insn) ? r_[insn.src] : constant(sign_extend<s32>(insn.imm));
    const std::optional<bool> taken = outcome(insn, a, b);
    // Equality with a constant tells what the register is.
    const bool learn = class_of(insn) == kJmp && !is_x(insn) && a.kind == Value::kUnknown;
    if (taken != false) {
      Registers r = r_;
      if (learn && op_of(insn) == kJeq) r[insn.dst] = b;
      flow_to(target, r);
    }
    if (taken != true) {
      Registers r = r_;
      if (learn && op_of(insn) == kJne) r[insn.dst] = b;
      flow_to(at_ + 1, r);
    }
    return 0;
  }

  static std::optional<bool> outcome(const Insn& insn, const Value& a, const Value& b) {
    const u8 op = op_of(insn);
    const bool wide = class_of(insn) == kJmp;
    if (a.kind == Value::kStack && b == constant(0) && wide) {
      if (op == kJeq) return false;
      if (op == kJne) return true;
    }
    if (!a.known() || !b.known()) return std::nullopt;
    if (wide) return compare<u64>(op, a.bits, b.bits);
    return compare<u32>(op, static_cast<u32>(a.bits), static_cast<u32>(b.bits));
  }

  int leave() {
    // Struct_ops callbacks may return nothing, and then R0 is anything.
    constexpr u32 kStructOps = 27;  // BPF_PROG_TYPE_STRUCT_OPS
    if (sub_ == 0) return c.input.program.type == kStructOps ? 0 : use(0);
    Summary& summary = summaries_[sub_];
    Value result = r_[0];
    if (result.kind == Value::kStack) result = kUnknownValue;
    if (c.subprograms[sub_].global() && result.known()) result = kUnknownValue;
    const Value met = summary.returns ? join(summary.result, result) : result;
    if (summary.returns && met == summary.result) return 0;
    summary.returns = true;
    summary.result = met;
    open_.insert(summary.callers.begin(), summary.callers.end());
    return 0;
  }

  // -- calls

  int use_arguments(u32 count) {
    for (u32 i = 0; i < std::min(count, 5u); i++) {
      if (int errnum = use(1 + i)) return errnum;
    }
    return 0;
  }

  void clobber(const Value& result) {
    for (u32 i = 1; i <= 5; i++) r_[i] = Value{};
    r_[0] = result;
  }

  int call(const Insn& insn, Next& next) {
    if (insn.src == kPseudoKfuncCall) return call_kfunc(insn);
    if (insn.src == 0) return call_helper(insn);
    next = kBlockEnds;
    const u32 sub = static_cast<u32>(c.subprogram_at(s64{at_} + insn.imm + 1));
    const Subprogram& callee = c.subprograms[sub];
    std::array<Value, 5> args;
    for (u32 i = 0; i < args.size(); i++) args[i] = r_[1 + i];
    if (callee.global()) {
      const u32 count = callee.info->nr_args.value_or(0);
      if (int errnum = use_arguments(count)) return errnum;
      for (u32 i = 0; i < args.size(); i++) args[i] = i < count ? kUnknownValue : Value{};
    }
    enter_subprogram(sub, args);
    Summary& summary = summaries_[sub];
    summary.callers.insert(block_);
    if (!summary.returns) return 0;
    clobber(summary.result);
    flow_to(at_ + 1, r_);
    return 0;
  }

  int call_helper(const Insn& insn) {
    const Helper* helper = c.input.env.helpers().find(static_cast<u32>(insn.imm));
    if (!helper) return c.refuse(EINVAL, "invalid func unknown#{}", insn.imm);
    if (!helper->fn) c.input.env.count_unserved(std::string(helper->name));
    if (!helper->fn || !c.input.env.helper_allowed(c.input.program, *helper)) {
      return c.refuse(EINVAL, "program of this type cannot use helper {}#{}", helper->name,
                      helper->id);
    }
    if (helper->might_sleep && !c.input.program.sleepable) {
      return c.refuse(EINVAL, "sleepable helper {}#{} in non-sleepable prog", helper->name,
                      helper->id);
    }
    if (int errnum = use_arguments(helper->nr_args())) return errnum;
    clobber(kUnknownValue);
    return 0;
  }

  int call_kfunc(const Insn& insn) {
    if (insn.imm == 0) {
      return c.refuse(EINVAL, "invalid kernel function call not eliminated in verifier pass");
    }
    auto it = c.kfuncs.find({insn.imm, insn.off});
    if (it == c.kfuncs.end()) {
      auto found = c.input.env.kfunc(static_cast<u32>(insn.imm), insn.off, c.log);
      if (!found) return found.error().value;
      it = c.kfuncs.emplace(std::pair{insn.imm, insn.off}, std::move(*found)).first;
    }
    const KfuncRef& ref = it->second;
    if (!ref.kfunc || !ref.kfunc->fn) c.input.env.count_unserved("kfunc " + ref.name);
    int refused = EACCES;
    if (ref.kfunc && ref.kfunc->fn) {
      refused = c.input.env.kfuncs().allowed(c.input.program, *ref.kfunc);
    }
    if (refused) {
      return c.refuse(refused, "calling kernel function {} is not allowed", ref.name);
    }
    if ((ref.kfunc->flags & kKfSleepable) && !c.input.program.sleepable) {
      return c.refuse(EACCES, "program must be sleepable to call sleepable kfunc {}", ref.name);
    }
    if (int errnum = use_arguments(ref.nr_args)) return errnum;
    clobber(ref.returns_void ? Value{} : kUnknownValue);
    return 0;
  }

  Context& c;
  std::vector<u32> block_of_;  // by instruction: index in states_ where a block starts
  std::vector<BlockState> states_;
  std::vector<Summary> summaries_;  // by subprogram
  std::set<u32> open_;              // first instructions of blocks to run, lowest first

  // The block being run.
  Registers r_;
  u32 block_ = 0;
  u32 sub_ = 0;
  u32 at_ = 0;
  std::size_t reason_at_ = 0;  // where in the log this instruction's lines begin
};

}  // namespace

int check_flow(Context& c) {
  return Flow(c).run();
}

}  // namespace uscx::bpf::check
