// SPDX-License-Identifier: GPL-2.0-only
// Tristate numbers and circular ranges, against every value of a small width.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "bpf/verifier/range.h"
#include "bpf/verifier/tnum.h"

namespace uscx::bpf::verifier {
namespace {

using Range8 = Range<u8>;

constexpr u32 kBits = 4;

/// All well-formed tristate numbers of kBits bits.
std::vector<Tnum> small_tnums() {
  std::vector<Tnum> all;
  for (u64 mask = 0; mask < 1u << kBits; ++mask) {
    for (u64 value = 0; value < 1u << kBits; ++value) {
      if (!(value & mask)) all.push_back({value, mask});
    }
  }
  return all;
}

void for_members(Tnum t, const std::function<void(u64)>& fn) {
  for (u64 v = 0; v < 1u << kBits; ++v) {
    if (t.contains(v)) fn(v);
  }
}

using Binary = std::function<u64(u64, u64)>;

TEST(Tnum, OperationsHoldEveryResult) {
  struct Case {
    const char* name;
    Tnum (*abstract)(Tnum, Tnum);
    Binary concrete;
  };
  const Case cases[] = {
      {"add", tnum_add, [](u64 a, u64 b) { return a + b; }},
      {"sub", tnum_sub, [](u64 a, u64 b) { return a - b; }},
      {"mul", tnum_mul, [](u64 a, u64 b) { return a * b; }},
      {"and", tnum_and, [](u64 a, u64 b) { return a & b; }},
      {"or", tnum_or, [](u64 a, u64 b) { return a | b; }},
      {"xor", tnum_xor, [](u64 a, u64 b) { return a ^ b; }},
  };
  const auto all = small_tnums();
  for (const Case& c : cases) {
    for (Tnum a : all) {
      for (Tnum b : all) {
        const Tnum result = c.abstract(a, b);
        ASSERT_EQ(result.value & result.mask, 0u) << c.name;
        for_members(a, [&](u64 x) {
          for_members(b, [&](u64 y) {
            ASSERT_TRUE(result.contains(c.concrete(x, y))) << c.name << " " << x << " " << y;
          });
        });
      }
    }
  }
}

TEST(Tnum, SetsOfMembers) {
  const auto all = small_tnums();
  for (Tnum a : all) {
    for (Tnum b : all) {
      bool meet = false, inside = true;
      for_members(b, [&](u64 v) {
        meet |= a.contains(v);
        inside &= a.contains(v);
        EXPECT_TRUE(tnum_union(a, b).contains(v));
        if (a.contains(v)) {
          EXPECT_TRUE(tnum_intersect(a, b).contains(v));
        }
      });
      EXPECT_EQ(tnum_overlap(a, b), meet);
      EXPECT_EQ(a.includes(b), inside);
    }
    for (u64 v = 0; v < 1u << kBits; ++v) {
      u64 next = a.max();
      for (u64 m = 1u << kBits; m-- > v + 1;) {
        if (a.contains(m)) next = m;
      }
      EXPECT_EQ(a.next_member(v), next) << a.text() << " " << v;
    }
  }
}

TEST(Tnum, RangesAndShifts) {
  for (u64 min = 0; min < 32; ++min) {
    for (u64 max = min; max < 32; ++max) {
      for (u64 v = min; v <= max; ++v) EXPECT_TRUE(Tnum::range(min, max).contains(v));
    }
  }
  EXPECT_TRUE(Tnum::range(0, ~0ULL).is_unknown());
  for (Tnum a : small_tnums()) {
    for_members(a, [&](u64 v) {
      for (u32 shift : {0u, 1u, 3u, 31u}) {
        const Tnum high = {a.value << 28, a.mask << 28};
        const u64 w = v << 28;
        EXPECT_TRUE(tnum_lshift(a, shift).contains(v << shift));
        EXPECT_TRUE(tnum_rshift(high, shift).contains(w >> shift));
        EXPECT_TRUE(
            tnum_arshift(high, shift, 32).contains(static_cast<u32>(static_cast<s32>(w) >> shift)));
        const Tnum top = tnum_lshift(high, 32);
        EXPECT_TRUE(tnum_arshift(top, shift, 64)
                        .contains(static_cast<u64>(static_cast<s64>(w << 32) >> shift)));
        EXPECT_TRUE(tnum_bswap(high, 32).contains(__builtin_bswap32(static_cast<u32>(w))));
      }
    });
  }
}

TEST(Tnum, Text) {
  EXPECT_EQ(Tnum::known(65535).text(), "65535");
  EXPECT_EQ(Tnum::known(65536).text(), "0x10000");
  EXPECT_EQ(Tnum::known(~0ULL).text(), "-1");
  EXPECT_EQ((Tnum{0, 0xff}.text()), "(0x0; 0xff)");
}

std::vector<Range8> some_ranges() {
  std::vector<Range8> all;
  for (u32 base = 0; base < 256; base += 5) {
    for (u32 size = 0; size < 256; size += (size % 50 ? 7 : 1)) {
      all.push_back({static_cast<u8>(base), static_cast<u8>(size)});
    }
  }
  all.push_back(Range8::all());
  all.push_back(Range8::none());
  all.push_back({0x7f, 1});
  all.push_back({0xff, 1});
  return all;
}

TEST(Range, BoundsAreThoseOfTheValues) {
  for (Range8 r : some_ranges()) {
    if (r.is_none()) continue;
    u8 umin = 255, umax = 0;
    s8 smin = 127, smax = -128;
    for (u32 v = 0; v < 256; ++v) {
      const u8 distance = static_cast<u8>(v - r.base);
      ASSERT_EQ(r.contains(static_cast<u8>(v)), distance <= r.size);
      if (distance > r.size) continue;
      umin = std::min(umin, static_cast<u8>(v));
      umax = std::max(umax, static_cast<u8>(v));
      smin = std::min(smin, static_cast<s8>(v));
      smax = std::max(smax, static_cast<s8>(v));
    }
    EXPECT_EQ(r.umin(), umin);
    EXPECT_EQ(r.umax(), umax);
    EXPECT_EQ(r.smin(), smin);
    EXPECT_EQ(r.smax(), smax);
  }
  EXPECT_EQ(Range8::of_signed(-1, 0), (Range8{255, 1}));
  EXPECT_EQ(Range8::of_signed(-128, 127), Range8::all());
}

TEST(Range, IntersectionHoldsWhatBothHold) {
  const auto all = some_ranges();
  for (std::size_t i = 0; i < all.size(); i += 5) {
    for (std::size_t j = 0; j < all.size(); j += 11) {
      const Range8 a = all[i], b = all[j], both = intersect(a, b);
      bool any = false, inside = true;
      for (u32 n = 0; n < 256; ++n) {
        const u8 v = static_cast<u8>(n);
        any |= a.contains(v) && b.contains(v);
        inside &= !b.contains(v) || a.contains(v);
        if (a.contains(v) && b.contains(v)) {
          ASSERT_TRUE(both.contains(v));
        }
        if (both.contains(v)) {
          ASSERT_TRUE(a.contains(v) || b.contains(v));
        }
      }
      EXPECT_EQ(both.is_none(), !any);
      EXPECT_EQ(a.includes(b), inside);
    }
  }
}

TEST(Range, SumAndNegation) {
  const auto all = some_ranges();
  for (std::size_t i = 0; i < all.size(); i += 11) {
    for (u32 x = 0; x < 256; ++x) {
      if (all[i].contains(static_cast<u8>(x))) {
        ASSERT_TRUE(negate(all[i]).contains(static_cast<u8>(-static_cast<int>(x))));
      }
    }
    for (std::size_t j = 0; j < all.size(); j += 61) {
      const Range8 sum = add(all[i], all[j]);
      for (u32 x = 0; x < 256; ++x) {
        for (u32 y = 0; y < 256; y += 3) {
          if (all[i].contains(static_cast<u8>(x)) && all[j].contains(static_cast<u8>(y))) {
            ASSERT_TRUE(sum.contains(static_cast<u8>(x + y)));
          }
        }
      }
    }
  }
}

TEST(Range, LowHalf) {
  EXPECT_EQ(low_half({0x1'ffff'ffff, 1}), (Range32{0xffff'ffff, 1}));
  EXPECT_EQ(low_half({5, 1ULL << 40}), Range32::all());
  // [2^32 - 10, 2^33 + 10] with a low half of [100, 200]: the ends move inwards.
  const Range64 wide = Range64::of_unsigned(0xffff'fff6, 0x2'0000'000a);
  EXPECT_EQ(intersect_low_half(wide, Range32::of_unsigned(100, 200)),
            Range64::of_unsigned(0x1'0000'0000 + 100, 0x1'0000'0000 + 200));
  EXPECT_TRUE(intersect_low_half(Range64::of_unsigned(1, 10), Range32::known(11)).is_none());
}

}  // namespace
}  // namespace uscx::bpf::verifier
