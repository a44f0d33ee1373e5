// SPDX-License-Identifier: GPL-2.0-only
// What a comparison says: which way it must go, and what is known after either.
#include <bit>
#include <utility>

#include "base/assert.h"
#include "bpf/isa.h"
#include "bpf/verifier/scalar.h"

namespace uscx::bpf::verifier {

namespace {

/// "No bit of b is in a", for which there is no instruction: what is known where JSET falls
/// through.
constexpr u8 kNotJset = isa::kJset | isa::kX;

/// The operation that holds where `op` does not.
u8 opposite(u8 op) {
  switch (op) {
    case isa::kJeq:
      return isa::kJne;
    case isa::kJne:
      return isa::kJeq;
    case isa::kJset:
      return kNotJset;
    case isa::kJge:
      return isa::kJlt;
    case isa::kJgt:
      return isa::kJle;
    case isa::kJle:
      return isa::kJgt;
    case isa::kJlt:
      return isa::kJge;
    case isa::kJsge:
      return isa::kJslt;
    case isa::kJsgt:
      return isa::kJsle;
    case isa::kJsle:
      return isa::kJsgt;
    case isa::kJslt:
      return isa::kJsge;
    default:
      USCX_ASSERT(!"not a comparison");
  }
}

bool is_greater(u8 op) {
  return op == isa::kJgt || op == isa::kJge || op == isa::kJsgt || op == isa::kJsge;
}

/// One operand as an instruction of one width sees it.
struct View {
  Tnum bits;
  u64 umin, umax;
  s64 smin, smax;

  View(const Scalar& s, bool is32)
      : bits(is32 ? s.var_off.subreg() : s.var_off),
        umin(is32 ? s.u32_min() : s.umin()),
        umax(is32 ? s.u32_max() : s.umax()),
        smin(is32 ? s.s32_min() : s.smin()),
        smax(is32 ? s.s32_max() : s.smax()) {}
};

template <class T>
bool disjoint(T min1, T max1, T min2, T max2) {
  return min1 > max2 || max1 < min2;
}

/// Whether a == b is decided.
std::optional<bool> equality(const Scalar& a, const Scalar& b, bool is32) {
  const View v(a, is32), w(b, is32);
  if (v.bits.is_const() && w.bits.is_const()) return v.bits.value == w.bits.value;
  if (!tnum_overlap(v.bits, w.bits)) return false;
  if (disjoint(v.umin, v.umax, w.umin, w.umax)) return false;
  if (disjoint(v.smin, v.smax, w.smin, w.smax)) return false;
  if (!is32) {
    if (disjoint(a.u32_min(), a.u32_max(), b.u32_min(), b.u32_max())) return false;
    if (disjoint(a.s32_min(), a.s32_max(), b.s32_min(), b.s32_max())) return false;
  }
  return {};
}

/// Whether a < b (or, with `or_equal`, a <= b) is decided by the bounds.
template <class T>
std::optional<bool> order(T min1, T max1, T min2, T max2, bool or_equal) {
  if (or_equal ? max1 <= min2 : max1 < min2) return true;
  if (or_equal ? min1 > max2 : min1 >= max2) return false;
  return {};
}

/// What is decided at a glance, before both branches are tried.
std::optional<bool> glance(u8 op, const Scalar& a, const Scalar& b, bool is32) {
  const View v(a, is32), w(b, is32);
  switch (op) {
    case isa::kJeq:
      return equality(a, b, is32);
    case isa::kJne: {
      const auto equal = equality(a, b, is32);
      return equal ? std::optional(!*equal) : equal;
    }
    case isa::kJset:
      if (v.bits.value & w.bits.value) return true;
      if (!(v.bits.max() & w.bits.max())) return false;
      return {};
    case isa::kJlt:
    case isa::kJle:
      return order(v.umin, v.umax, w.umin, w.umax, op == isa::kJle);
    default:
      return order(v.smin, v.smax, w.smin, w.smax, op == isa::kJsle);
  }
}

/// Both operands are one register.
std::optional<bool> compare_with_itself(u8 op, const Scalar& a, bool is32) {
  switch (op) {
    case isa::kJge:
    case isa::kJle:
    case isa::kJsge:
    case isa::kJsle:
    case isa::kJeq:
      return true;
    case isa::kJset: {
      const View v(a, is32);
      if (v.bits.is_const()) return v.bits.value != 0;
      if (v.smin <= 0 && v.smax >= 0) return {};
      return true;
    }
    default:
      return false;
  }
}

template <class U>
Range<U>& range(Scalar& s) {
  if constexpr (sizeof(U) == 8) {
    return s.r64;
  } else {
    return s.r32;
  }
}

/// Narrows both ranges by a < b or a <= b.
template <class U>
void order_ranges(Range<U>& a, Range<U>& b, bool is_signed, bool or_equal) {
  using R = Range<U>;
  using S = typename R::S;
  const U step = or_equal ? 0 : 1;
  if (is_signed) {
    // Past the type's end: the range is that of a signed wrap, as Linux's arithmetic makes it.
    const S top = static_cast<S>(static_cast<U>(b.smax()) - step);
    a = intersect(a, R::of_signed(R::kSMin, top));
    const S bottom = static_cast<S>(static_cast<U>(a.smin()) + step);
    b = intersect(b, R::of_signed(bottom, R::kSMax));
  } else {
    a = intersect(a, R::of_unsigned(0, static_cast<U>(b.umax() - step)));
    b = intersect(b, R::of_unsigned(static_cast<U>(a.umin() + step), R::kMax));
  }
}

void set_bits(Scalar& s, Tnum bits, bool is32) {
  s.var_off = is32 ? s.var_off.with_subreg(bits) : bits;
}

template <class U>
void learn_equal(Scalar& a, Scalar& b) {
  range<U>(a) = range<U>(b) = intersect(range<U>(a), range<U>(b));
  const Tnum both = tnum_intersect(a.var_off.cast(sizeof(U)), b.var_off.cast(sizeof(U)));
  set_bits(a, both, sizeof(U) == 4);
  set_bits(b, both, sizeof(U) == 4);
}

/// What comparing with the constant `value` for !=, & and !& says about `s`.
void learn_from_constant(u8 op, Scalar& s, u64 value, bool is32) {
  const Tnum bits = is32 ? s.var_off.subreg() : s.var_off;
  if (op == isa::kJne) {
    if (is32) {
      s.r32 = intersect(s.r32, Range32::all_but(static_cast<u32>(value)));
    } else {
      s.r64 = intersect(s.r64, Range64::all_but(value));
    }
  } else if (op == isa::kJset) {
    // Only a single bit that is asked for must be the one that is set.
    if (std::has_single_bit(value)) set_bits(s, tnum_or(bits, Tnum::known(value)), is32);
  } else {
    s.forget_ranges();  // so that a branch that cannot be taken does not break the invariants
    set_bits(s, tnum_and(bits, Tnum::known(~value)), is32);
  }
}

void learn(u8 op, Scalar& a, Scalar& b, bool is32) {
  switch (op) {
    case isa::kJeq:
      return is32 ? learn_equal<u32>(a, b) : learn_equal<u64>(a, b);
    case isa::kJne:
    case isa::kJset:
    case kNotJset:
      if (b.is_const(is32)) {
        learn_from_constant(op, a, b.value(is32), is32);
      } else if (a.is_const(is32)) {
        learn_from_constant(op, b, a.value(is32), is32);
      }
      return;
    case isa::kJlt:
    case isa::kJle:
    case isa::kJslt:
    case isa::kJsle: {
      const bool is_signed = op == isa::kJslt || op == isa::kJsle;
      const bool or_equal = op == isa::kJle || op == isa::kJsle;
      return is32 ? order_ranges(a.r32, b.r32, is_signed, or_equal)
                  : order_ranges(a.r64, b.r64, is_signed, or_equal);
    }
    default:
      return learn(flip_jump(op), b, a, is32);
  }
}

/// Tries both branches: one that leaves nothing possible cannot be taken. Linux:
/// simulate_both_branches_taken.
void try_both(u8 op, Condition& c, bool is32) {
  for (const bool taken : {false, true}) {
    refine(op, c.a[taken], c.b[taken], taken, is32);
    if (c.a[taken].is_dead() || c.b[taken].is_dead()) {
      c.taken = !taken;
      return;
    }
  }
}

}  // namespace

u8 flip_jump(u8 op) {
  switch (op) {
    case isa::kJge:
      return isa::kJle;
    case isa::kJgt:
      return isa::kJlt;
    case isa::kJle:
      return isa::kJge;
    case isa::kJlt:
      return isa::kJgt;
    case isa::kJsge:
      return isa::kJsle;
    case isa::kJsgt:
      return isa::kJslt;
    case isa::kJsle:
      return isa::kJsge;
    case isa::kJslt:
      return isa::kJsgt;
    default:
      return op;
  }
}

void refine(u8 op, Scalar& a, Scalar& b, bool taken, bool is32) {
  learn(taken ? op : opposite(op), a, b, is32);
  a.sync();
  b.sync();
}

Condition evaluate(u8 op, const Scalar& a, const Scalar& b, bool is32, bool same) {
  Condition c;
  c.a[0] = c.a[1] = a;
  c.b[0] = c.b[1] = b;
  if (same) {
    c.taken = compare_with_itself(op, a, is32);
    return c;
  }
  if (op == isa::kJset && !a.is_const(is32) && !b.is_const(is32)) return c;
  c.taken = is_greater(op) ? glance(flip_jump(op), b, a, is32) : glance(op, a, b, is32);
  if (!c.taken) try_both(op, c, is32);
  return c;
}

std::optional<bool> branch_taken(u8 op, const Scalar& a, const Scalar& b, bool is32, bool same) {
  return evaluate(op, a, b, is32, same).taken;
}

}  // namespace uscx::bpf::verifier
