// SPDX-License-Identifier: GPL-2.0-only
// Scalars: whatever a machine computes from values that are in the operands is in the result.
#include "bpf/verifier/scalar.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "bpf/isa.h"

namespace uscx::bpf::verifier {
namespace {

using Random = std::mt19937_64;

/// Numbers near the places where widths, signs and bytes turn over.
u64 odd_number(Random& random) {
  static constexpr u64 kEdges[] = {0,          1,           0x7f,       0x80,       0xff,
                                   0x7fff,     0x8000,      0xffff,     0x7fffffff, 0x80000000,
                                   0xffffffff, 0x100000000, 1ULL << 62, 1ULL << 63, ~0ULL};
  u64 v = kEdges[random() % std::size(kEdges)];
  if (random() % 2) v += random() % 17 - 8;
  if (random() % 4 == 0) v = random() >> (random() % 64);
  return random() % 4 ? v : ~v;
}

/// A scalar and a value in it, reached as programs reach them: a range, known bits, a 32-bit range.
struct Sample {
  Scalar scalar;
  u64 value;
};

Sample sample(Random& random) {
  Sample s{Scalar::unknown(), odd_number(random)};
  if (random() % 4 == 0) return {Scalar::known(s.value), s.value};
  const u64 low = random() >> (random() % 64), high = random() >> (random() % 64);
  if (random() % 2) {
    s.scalar.r64 = {s.value - low, 0};
    s.scalar.r64.size = low > ~high ? ~0ULL : low + high;
    if (s.scalar.r64.is_none()) s.scalar.r64 = Range64::all();
  }
  if (random() % 2) {
    const u32 low32 = static_cast<u32>(low), high32 = static_cast<u32>(high);
    s.scalar.r32 = {static_cast<u32>(s.value) - low32, low32 > ~high32 ? ~0u : low32 + high32};
    if (s.scalar.r32.is_none()) s.scalar.r32 = Range32::all();
  }
  if (random() % 2) {
    const u64 mask = random() & random();
    s.scalar.var_off = {s.value & ~mask, mask};
  }
  s.scalar.sync();
  return s;
}

u64 swapped(u64 v, s32 bits) {
  if (bits == 16) return __builtin_bswap16(static_cast<u16>(v));
  if (bits == 32) return __builtin_bswap32(static_cast<u32>(v));
  return __builtin_bswap64(v);
}

/// The machine: RFC 9669's arithmetic on U.
template <class U>
U machine(u8 op, U a, U b, bool is_signed) {
  using S = std::make_signed_t<U>;
  const U least = U{1} << (sizeof(U) * 8 - 1);
  const bool overflows = is_signed && a == least && b == static_cast<U>(-1);
  switch (op) {
    case isa::kAdd:
      return a + b;
    case isa::kSub:
      return a - b;
    case isa::kMul:
      return a * b;
    case isa::kDiv:
      if (!b) return 0;
      if (overflows) return a;
      return is_signed ? static_cast<U>(static_cast<S>(a) / static_cast<S>(b)) : a / b;
    case isa::kMod:
      if (!b) return a;
      if (overflows) return 0;
      return is_signed ? static_cast<U>(static_cast<S>(a) % static_cast<S>(b)) : a % b;
    case isa::kAnd:
      return a & b;
    case isa::kOr:
      return a | b;
    case isa::kXor:
      return a ^ b;
    case isa::kLsh:
      return a << (b & (sizeof(U) * 8 - 1));
    case isa::kRsh:
      return a >> (b & (sizeof(U) * 8 - 1));
    case isa::kArsh:
      return static_cast<U>(static_cast<S>(a) >> (b & (sizeof(U) * 8 - 1)));
    default:
      return static_cast<U>(U{0} - a);
  }
}

std::string show(const Scalar& s) {
  return "scalar(" + bounds_text(s) + ")";
}

TEST(Scalar, ArithmeticHoldsWhatTheMachineComputes) {
  static constexpr u8 kOps[] = {isa::kAdd, isa::kSub, isa::kMul, isa::kDiv, isa::kMod,  isa::kAnd,
                                isa::kOr,  isa::kXor, isa::kLsh, isa::kRsh, isa::kArsh, isa::kNeg};
  Random random(1);
  for (u8 op : kOps) {
    for (const bool is32 : {false, true}) {
      for (u32 n = 0; n < 20'000; ++n) {
        const Sample a = sample(random);
        Sample b = sample(random);
        const bool shift = op == isa::kLsh || op == isa::kRsh || op == isa::kArsh;
        if (shift && random() % 8) b.value %= is32 ? 32 : 64, b.scalar = Scalar::known(b.value);
        const bool divides = op == isa::kDiv || op == isa::kMod;
        if (divides && random() % 4) b.scalar = Scalar::known(b.value);
        const s16 is_signed = divides && random() % 2;
        const Insn insn{static_cast<u8>((is32 ? isa::kAlu : isa::kAlu64) | op | isa::kX), 1, 2,
                        is_signed, 0};
        Scalar result = a.scalar;
        apply_alu(insn, result, b.scalar);
        const u64 value =
            is32 ? machine<u32>(op, static_cast<u32>(a.value), static_cast<u32>(b.value), is_signed)
                 : machine<u64>(op, a.value, b.value, is_signed);
        ASSERT_TRUE(result.contains(value))
            << std::hex << int(insn.code) << " off " << is_signed << ": " << show(a.scalar) << " "
            << show(b.scalar) << " = " << show(result) << ", not " << value;
        ASSERT_EQ(result.invariant_violation(), nullptr) << result.violation_text();
      }
    }
  }
}

TEST(Scalar, Conversions) {
  Random random(2);
  for (u32 n = 0; n < 50'000; ++n) {
    const Sample a = sample(random);
    for (u32 bytes : {1u, 2u, 4u}) {
      const u64 kept = a.value & ((1ULL << (bytes * 8)) - 1);
      const u32 shift = 64 - bytes * 8;
      const s64 extended = static_cast<s64>(a.value << shift) >> shift;
      Scalar s = a.scalar;
      s.truncate(bytes);
      ASSERT_TRUE(s.contains(kept)) << show(a.scalar);
      s = a.scalar;
      s.sign_extend(bytes);
      ASSERT_TRUE(s.contains(static_cast<u64>(extended))) << show(a.scalar) << show(s) << extended;
      if (bytes == 4) continue;
      s = a.scalar;
      s.sign_extend32(bytes);
      ASSERT_TRUE(s.contains(static_cast<u32>(extended))) << show(a.scalar) << show(s);
    }
    for (s32 bits : {16, 32, 64}) {
      Scalar s = a.scalar;
      apply_alu({isa::kAlu64 | isa::kEnd, 1, 0, 0, bits}, s, s);
      ASSERT_TRUE(s.contains(swapped(a.value, bits)));
      s = a.scalar;
      apply_alu({isa::kAlu | isa::kEnd | isa::kX, 1, 0, 0, bits}, s, s);
      ASSERT_TRUE(s.contains(swapped(a.value, bits)));
      s = a.scalar;
      apply_alu({isa::kAlu | isa::kEnd, 1, 0, 0, bits}, s, s);
      ASSERT_TRUE(s.contains(bits == 64 ? a.value : a.value & ((1ULL << bits) - 1)));
    }
  }
}

bool compare(u8 op, u64 a, u64 b, bool is32) {
  if (is32) a = static_cast<u32>(a), b = static_cast<u32>(b);
  const s64 x = is32 ? static_cast<s32>(a) : static_cast<s64>(a);
  const s64 y = is32 ? static_cast<s32>(b) : static_cast<s64>(b);
  switch (op) {
    case isa::kJeq:
      return a == b;
    case isa::kJne:
      return a != b;
    case isa::kJset:
      return a & b;
    case isa::kJgt:
      return a > b;
    case isa::kJge:
      return a >= b;
    case isa::kJlt:
      return a < b;
    case isa::kJle:
      return a <= b;
    case isa::kJsgt:
      return x > y;
    case isa::kJsge:
      return x >= y;
    case isa::kJslt:
      return x < y;
    default:
      return x <= y;
  }
}

constexpr u8 kJumps[] = {isa::kJeq, isa::kJne,  isa::kJset, isa::kJgt,  isa::kJge, isa::kJlt,
                         isa::kJle, isa::kJsgt, isa::kJsge, isa::kJslt, isa::kJsle};

TEST(Scalar, ComparisonsNeverLoseAValue) {
  Random random(3);
  u32 decided = 0;
  for (u8 op : kJumps) {
    for (const bool is32 : {false, true}) {
      for (u32 n = 0; n < 20'000; ++n) {
        const Sample a = sample(random), b = sample(random);
        const bool is = compare(op, a.value, b.value, is32);
        const Condition c = evaluate(op, a.scalar, b.scalar, is32);
        if (c.taken) {
          decided++;
          ASSERT_EQ(*c.taken, is) << int(op) << show(a.scalar) << show(b.scalar);
          continue;
        }
        ASSERT_TRUE(c.a[is].contains(a.value))
            << int(op) << is32 << show(a.scalar) << show(b.scalar) << show(c.a[is]);
        ASSERT_TRUE(c.b[is].contains(b.value))
            << int(op) << is32 << show(a.scalar) << show(b.scalar) << show(c.b[is]);
        const Condition self = evaluate(op, a.scalar, a.scalar, is32, true);
        if (self.taken) {
          ASSERT_EQ(*self.taken, compare(op, a.value, a.value, is32));
        }
      }
    }
  }
  EXPECT_GT(decided, 50'000u);  // the samples are not all hopeless
}

TEST(Scalar, InclusionHolds) {
  Random random(4);
  for (u32 n = 0; n < 100'000; ++n) {
    const Sample a = sample(random), b = sample(random);
    ASSERT_TRUE(a.scalar.includes(a.scalar));
    ASSERT_TRUE(Scalar::unknown().includes(a.scalar));
    if (a.scalar.includes(b.scalar)) {
      ASSERT_TRUE(a.scalar.contains(b.value));
    }
  }
}

TEST(Scalar, Delta) {
  Random random(5);
  for (u32 n = 0; n < 50'000; ++n) {
    const Sample a = sample(random);
    const s32 delta = static_cast<s32>(random());
    ASSERT_TRUE(add_delta(a.scalar, delta, false).contains(a.value + static_cast<u64>(s64{delta})));
  }
}

Insn alu(u8 op, s32 imm, bool is32 = false) {
  return {static_cast<u8>((is32 ? isa::kAlu : isa::kAlu64) | op), 1, 0, 0, imm};
}

void apply_k(Scalar& s, u8 op, s32 imm, bool is32 = false) {
  apply_alu(alu(op, imm, is32), s, Scalar::known(static_cast<u64>(s64{imm})));
}

// Expectations from the kernel's own tests (tools/testing/selftests/bpf of 7.3).

// progs/verifier_align.c, verifier "packet alignment" texts: a byte, shifted and added to.
TEST(ScalarText, AlignmentSelftests) {
  Scalar byte = Scalar::unknown();
  byte.truncate(1);
  EXPECT_EQ(show(byte), "scalar(smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff))");
  Scalar s = byte;
  apply_k(s, isa::kLsh, 2);
  EXPECT_EQ(show(s), "scalar(smin=smin32=0,smax=umax=smax32=umax32=1020,var_off=(0x0; 0x3fc))");
  apply_k(s, isa::kAdd, 14);
  EXPECT_EQ(show(s),
            "scalar(smin=umin=smin32=umin32=14,smax=umax=smax32=umax32=1034,var_off=(0x2; 0x7fc))");
  s = byte;
  apply_k(s, isa::kMul, 4);
  EXPECT_EQ(show(s), "scalar(smin=smin32=0,smax=umax=smax32=umax32=1020,var_off=(0x0; 0x3fc))");
}

TEST(ScalarText, Constants) {
  EXPECT_EQ(signed_text(-32768), "-32768");
  EXPECT_EQ(signed_text(-32769), "0xffffffffffff7fff");
  EXPECT_EQ(unsigned_text(65536), "0x10000");
  EXPECT_EQ(bounds_text(Scalar::unknown()), "");
}

TEST(Scalar, ForkedAndMasked) {
  // r &= const on [-1, 0] is explored twice.
  const Scalar sign = Scalar::of_signed(-1, 0);
  EXPECT_EQ(alu_fork(alu(isa::kAnd, 7), sign, Scalar::known(7)), Fork::k64);
  EXPECT_EQ(alu_fork(alu(isa::kAdd, 7), sign, Scalar::known(7)), Fork::kNone);
  EXPECT_EQ(alu_fork(alu(isa::kOr, 7), Scalar::unknown(), Scalar::known(7)), Fork::kNone);
  Scalar s = sign;
  set_forked(s, Fork::k64, ~0ULL);
  EXPECT_TRUE(s.var_off.equals(~0ULL));
}

}  // namespace
}  // namespace uscx::bpf::verifier
