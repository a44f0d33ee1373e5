// SPDX-License-Identifier: GPL-2.0-only
// Scalars as the verifier's log prints them.
#include <fmt/format.h>

#include <limits>

#include "bpf/verifier/scalar.h"

namespace uscx::bpf::verifier {

namespace {

bool is_decimal(s64 v) {
  return v >= std::numeric_limits<s16>::min() && v <= std::numeric_limits<s16>::max();
}

/// One of the eight bounds. A 32-bit signed bound is sign-extended only where it prints as decimal.
struct Bound {
  std::string_view name;
  u64 value;
  bool omit;  // it says nothing, or was printed with an equal one

  bool is_signed() const { return name[0] == 's'; }
  bool is_negative() const { return is_signed() && static_cast<s64>(value) < 0; }
};

Bound bound_s32(std::string_view name, s32 v, s32 limit) {
  const u64 shown = is_decimal(v) ? static_cast<u64>(s64{v}) : static_cast<u32>(v);
  return {name, shown, v == limit};
}

}  // namespace

std::string signed_text(s64 v) {
  return is_decimal(v) ? fmt::format("{}", v) : fmt::format("{:#x}", static_cast<u64>(v));
}

std::string unsigned_text(u64 v) {
  return v <= std::numeric_limits<u16>::max() ? fmt::format("{}", v) : fmt::format("{:#x}", v);
}

std::string bounds_text(const Scalar& s) {
  Bound bounds[] = {
      {"smin", static_cast<u64>(s.smin()), s.smin() == Range64::kSMin},
      {"smax", static_cast<u64>(s.smax()), s.smax() == Range64::kSMax},
      {"umin", s.umin(), s.umin() == 0},
      {"umax", s.umax(), s.umax() == Range64::kMax},
      bound_s32("smin32", s.s32_min(), Range32::kSMin),
      bound_s32("smax32", s.s32_max(), Range32::kSMax),
      {"umin32", s.u32_min(), s.u32_min() == 0},
      {"umax32", s.u32_max(), s.u32_max() == Range32::kMax},
  };
  constexpr std::size_t kCount = std::size(bounds);
  std::string text;
  for (std::size_t i = 0; i < kCount; ++i) {
    const Bound& bound = bounds[i];
    if (bound.omit) continue;
    if (!text.empty()) text += ',';
    text += fmt::format("{}=", bound.name);
    // Lower bounds with lower bounds, upper with upper: every second one.
    for (std::size_t j = i + 2; j < kCount; j += 2) {
      Bound& other = bounds[j];
      if (other.omit || other.value != bound.value) continue;
      if (other.is_negative() != bound.is_negative()) continue;
      other.omit = true;
      text += fmt::format("{}=", other.name);
    }
    text +=
        bound.is_signed() ? signed_text(static_cast<s64>(bound.value)) : unsigned_text(bound.value);
  }
  if (!s.var_off.is_unknown()) {
    if (!text.empty()) text += ',';
    text += "var_off=" + s.var_off.text();
  }
  return text;
}

}  // namespace uscx::bpf::verifier
