// SPDX-License-Identifier: GPL-2.0-only
// What ALU instructions make of what is known of their operands.
#include <algorithm>

#include "base/assert.h"
#include "bpf/isa.h"
#include "bpf/verifier/scalar.h"

namespace uscx::bpf::verifier {

namespace {

/// The two ranges of a scalar under one name, so that each rule is written once.
template <class U>
Range<U>& range(Scalar& s) {
  if constexpr (sizeof(U) == 8) {
    return s.r64;
  } else {
    return s.r32;
  }
}
template <class U>
const Range<U>& range(const Scalar& s) {
  return range<U>(const_cast<Scalar&>(s));
}

/// Division and its like know nothing of the other width and of bits.
template <class U>
void forget_rest(Scalar& s) {
  if constexpr (sizeof(U) == 8) {
    s.r32 = Range32::all();
  } else {
    s.r64 = Range64::all();
  }
  s.var_off = Tnum::unknown();
}

template <class U>
Range<U> product(Range<U> a, Range<U> b) {
  using S = typename Range<U>::S;
  Range<U> as_unsigned = Range<U>::all();
  U low, high;
  if (!__builtin_mul_overflow(a.umax(), b.umax(), &high) &&
      !__builtin_mul_overflow(a.umin(), b.umin(), &low)) {
    as_unsigned = Range<U>::of_unsigned(low, high);
  }
  Range<U> as_signed = Range<U>::of_signed(Range<U>::kSMin, Range<U>::kSMax);
  S corner[4];
  if (!__builtin_mul_overflow(a.smin(), b.smin(), &corner[0]) &&
      !__builtin_mul_overflow(a.smin(), b.smax(), &corner[1]) &&
      !__builtin_mul_overflow(a.smax(), b.smin(), &corner[2]) &&
      !__builtin_mul_overflow(a.smax(), b.smax(), &corner[3])) {
    const auto [least, greatest] = std::minmax_element(corner, corner + 4);
    as_signed = Range<U>::of_signed(*least, *greatest);
  }
  return intersect(as_unsigned, as_signed);
}

// Division and remainder by a constant that is not 0.

template <class U>
void divide_unsigned(Scalar& s, U divisor) {
  Range<U>& r = range<U>(s);
  r = Range<U>::of_unsigned(r.umin() / divisor, r.umax() / divisor);
  forget_rest<U>(s);
}

template <class U>
void divide_signed(Scalar& s, typename Range<U>::S divisor) {
  using S = typename Range<U>::S;
  Range<U>& r = range<U>(s);
  S min = r.smin(), max = r.smax();
  if (min == Range<U>::kSMin && divisor == -1) {
    // The least number divided by -1 is itself; its neighbours become the greatest.
    if (max != Range<U>::kSMin) max = Range<U>::kSMax;
  } else {
    const S first = static_cast<S>(min / divisor), second = static_cast<S>(max / divisor);
    min = std::min(first, second);
    max = std::max(first, second);
  }
  r = Range<U>::of_signed(min, max);
  forget_rest<U>(s);
}

template <class U>
void remainder_unsigned(Scalar& s, U divisor) {
  Range<U>& r = range<U>(s);
  const U limit = divisor - 1;
  if (r.umax() <= limit) return;  // nothing changes
  r = Range<U>::of_unsigned(0, std::min(r.umax(), limit));
  forget_rest<U>(s);
}

template <class U>
void remainder_signed(Scalar& s, typename Range<U>::S divisor) {
  using S = typename Range<U>::S;
  Range<U>& r = range<U>(s);
  const U magnitude =
      divisor > 0 ? static_cast<U>(divisor) : static_cast<U>(U{0} - static_cast<U>(divisor));
  const S limit = static_cast<S>(magnitude - 1);
  const S least = static_cast<S>(-limit);
  if (r.smin() >= least && r.smax() <= limit) return;  // nothing changes
  if (r.smin() >= 0) {
    r = Range<U>::of_signed(0, std::min(r.smax(), limit));
  } else if (r.smax() <= 0) {
    r = Range<U>::of_signed(std::max(r.smin(), least), 0);
  } else {
    r = Range<U>::of_signed(least, limit);
  }
  forget_rest<U>(s);
}

template <class U>
void divide(Scalar& dst, const Scalar& src, bool is_signed, bool remainder) {
  using S = typename Range<U>::S;
  const U divisor = range<U>(src).umin();
  if (divisor == 0) {
    if (!remainder) dst = Scalar::known(0);
  } else if (is_signed) {
    remainder ? remainder_signed<U>(dst, static_cast<S>(divisor))
              : divide_signed<U>(dst, static_cast<S>(divisor));
  } else {
    remainder ? remainder_unsigned<U>(dst, divisor) : divide_unsigned<U>(dst, divisor);
  }
}

// Bitwise operations: dst.var_off is the result already.

template <class U>
Tnum bits(const Scalar& s) {
  return s.var_off.cast(sizeof(U));
}

/// Both operands were constants, so the result is.
template <class U>
bool settle_constant(Scalar& dst, const Scalar& src) {
  if (!bits<U>(src).is_const() || !bits<U>(dst).is_const()) return false;
  if constexpr (sizeof(U) == 8) {
    dst = Scalar::known(dst.var_off.value);
  } else {
    dst.r32 = Range32::known(static_cast<u32>(dst.var_off.value));
  }
  return true;
}

template <class U>
void bound_bitwise(Scalar& dst, const Scalar& src, u8 op) {
  if (settle_constant<U>(dst, src)) return;
  Range<U>& r = range<U>(dst);
  const Tnum result = bits<U>(dst);
  U min = static_cast<U>(result.value), max = static_cast<U>(result.max());
  if (op == isa::kAnd) max = std::min(r.umax(), range<U>(src).umax());
  if (op == isa::kOr) min = std::max(r.umin(), range<U>(src).umin());
  r = Range<U>::of_unsigned(min, max);
  if (sizeof(U) == 8 && op != isa::kXor) dst.narrow_by_bits();
}

void bitwise(Scalar& dst, const Scalar& src, u8 op) {
  dst.var_off = op == isa::kAnd  ? tnum_and(dst.var_off, src.var_off)
                : op == isa::kOr ? tnum_or(dst.var_off, src.var_off)
                                 : tnum_xor(dst.var_off, src.var_off);
  bound_bitwise<u32>(dst, src, op);
  bound_bitwise<u64>(dst, src, op);
}

// Shifts by a constant below the width.

Range32 shifted_left(Range32 r, u32 shift) {
  // Nothing is known once the top bit may be shifted out.
  if (shift > 31 || r.umax() > 1ULL << (31 - shift)) return Range32::all();
  return Range32::of_unsigned(r.umin() << shift, r.umax() << shift);
}

void shift_left64(Scalar& dst, u32 shift) {
  Range64 as_signed = Range64::all(), as_unsigned = Range64::all();
  // Compilers sign-extend a word by << 32 and s>> 32.
  if (shift == 32) {
    auto moved = [](s32 v) {
      return static_cast<s64>(static_cast<u64>(static_cast<s64>(v)) << 32);
    };
    as_signed = Range64::of_signed(moved(dst.s32_min()), moved(dst.s32_max()));
  }
  if (dst.umax() <= 1ULL << (63 - shift)) {
    as_unsigned = Range64::of_unsigned(dst.umin() << shift, dst.umax() << shift);
  }
  dst.r64 = intersect(as_unsigned, as_signed);
  dst.r32 = shifted_left(dst.r32, shift);
  dst.var_off = tnum_lshift(dst.var_off, shift);
  dst.narrow_by_bits();
}

void shift64(Scalar& dst, u32 shift, u8 op) {
  if (op == isa::kLsh) return shift_left64(dst, shift);
  if (op == isa::kRsh) {
    dst.var_off = tnum_rshift(dst.var_off, shift);
    dst.r64 = Range64::of_unsigned(dst.umin() >> shift, dst.umax() >> shift);
  } else {
    dst.r64 = Range64::of_signed(dst.smin() >> shift, dst.smax() >> shift);
    dst.var_off = tnum_arshift(dst.var_off, shift, 64);
  }
  dst.r32 = Range32::all();  // bits come in from above
  dst.narrow_by_bits();
}

void shift32(Scalar& dst, u32 shift, u8 op) {
  const Tnum low = dst.var_off.subreg();
  if (op == isa::kLsh) {
    dst.r32 = shifted_left(dst.r32, shift);
    dst.var_off = tnum_lshift(low, shift).subreg();
  } else if (op == isa::kRsh) {
    dst.var_off = tnum_rshift(low, shift);
    dst.r32 = Range32::of_unsigned(dst.u32_min() >> shift, dst.u32_max() >> shift);
  } else {
    dst.r32 = Range32::of_signed(dst.s32_min() >> shift, dst.s32_max() >> shift);
    dst.var_off = tnum_arshift(low, shift, 32);
  }
  dst.r64 = Range64::all();  // zero extension makes it anew
  dst.narrow32_by_bits();
}

void swap_bytes(const Insn& insn, Scalar& dst) {
  const u32 width = static_cast<u32>(insn.imm);
  // to_le of a little-endian machine swaps nothing, it only truncates.
  if (isa::class_of(insn) == isa::kAlu64 || isa::is_x(insn)) {
    dst.var_off = tnum_bswap(dst.var_off, width);
    dst.forget_ranges();
  }
  if (width != 64) dst.truncate(width / 8);
}

/// May the result be bounded? Division and shifts only by a constant, shifts only by one below the
/// width. Linux: is_safe_to_compute_dst_reg_range.
bool is_computable(u8 op, const Scalar& src, bool is32) {
  const u32 width = is32 ? 32 : 64;
  const bool known = src.is_const(is32) && (is32 ? src.r32.is_const() : src.r64.is_const());
  switch (op) {
    case isa::kDiv:
    case isa::kMod:
      return known;
    case isa::kLsh:
    case isa::kRsh:
    case isa::kArsh:
      return known && src.umax() < width;
    default:
      return true;
  }
}

}  // namespace

bool apply_alu(const Insn& insn, Scalar& dst, Scalar src) {
  const u8 op = isa::op_of(insn);
  const bool is32 = isa::class_of(insn) == isa::kAlu;
  if (op != isa::kNeg && op != isa::kEnd && !is_computable(op, src, is32)) {
    dst = Scalar::unknown();
    return false;
  }
  switch (op) {
    case isa::kAdd:
      dst = {tnum_add(dst.var_off, src.var_off), add(dst.r64, src.r64), add(dst.r32, src.r32)};
      break;
    case isa::kNeg:
      src = dst;
      dst = Scalar::known(0);
      [[fallthrough]];
    case isa::kSub:
      dst = {tnum_sub(dst.var_off, src.var_off), add(dst.r64, negate(src.r64)),
             add(dst.r32, negate(src.r32))};
      break;
    case isa::kMul:
      dst = {tnum_mul(dst.var_off, src.var_off), product(dst.r64, src.r64),
             product(dst.r32, src.r32)};
      break;
    case isa::kDiv:
    case isa::kMod: {
      const bool is_signed = insn.off == 1, remainder = op == isa::kMod;
      is32 ? divide<u32>(dst, src, is_signed, remainder)
           : divide<u64>(dst, src, is_signed, remainder);
      break;
    }
    case isa::kAnd:
    case isa::kOr:
    case isa::kXor:
      bitwise(dst, src, op);
      break;
    case isa::kLsh:
    case isa::kRsh:
    case isa::kArsh: {
      const u32 shift = is32 ? src.u32_min() : static_cast<u32>(src.umin());
      is32 ? shift32(dst, shift, op) : shift64(dst, shift, op);
      break;
    }
    case isa::kEnd:
      swap_bytes(insn, dst);
      break;
    default:
      USCX_ASSERT(!"not an ALU operation");
  }
  if (is32 && op != isa::kEnd) {
    dst.zero_extend32();
  } else {
    dst.sync();
  }
  return true;
}

Fork alu_fork(const Insn& insn, const Scalar& dst, const Scalar& src) {
  const u8 op = isa::op_of(insn);
  if ((op != isa::kAnd && op != isa::kOr) || !src.is_const()) return Fork::kNone;
  if (dst.smin() == -1 && dst.smax() == 0) return Fork::k64;
  if (dst.s32_min() == -1 && dst.s32_max() == 0) return Fork::k32;
  return Fork::kNone;
}

void set_forked(Scalar& dst, Fork fork, u64 value) {
  if (fork == Fork::k64) {
    dst = Scalar::known(value);
  } else if (fork == Fork::k32) {
    dst.var_off = dst.var_off.with_subreg(Tnum::known(value));
    dst.r32 = Range32::known(static_cast<u32>(value));
  }
}

bool end_changes_value(const Insn& insn) {
  return isa::class_of(insn) == isa::kAlu64 || isa::is_x(insn) || insn.imm != 64;
}

Scalar add_delta(Scalar a, s64 delta, bool is32) {
  const Scalar b = Scalar::known(static_cast<u64>(delta));
  a = {tnum_add(a.var_off, b.var_off), add(a.r64, b.r64), add(a.r32, b.r32)};
  if (is32) {
    a.zero_extend32();
  } else {
    a.sync();
  }
  return a;
}

}  // namespace uscx::bpf::verifier
