// SPDX-License-Identifier: GPL-2.0-only
// Helpers that print, format and compare text.
#include <algorithm>
#include <cstring>
#include <vector>

#include "bpf/bpf.h"
#include "bpf/format.h"
#include "bpf/impl.h"

namespace uscx::bpf {

namespace {

using A = ArgKind;
constexpr u64 error_value(int errnum) {
  return static_cast<u64>(-s64{errnum});
}
constexpr u32 kMaxFormat = 1u << 16;

/// The text at argument `i` of `size` bytes, up to its NUL; an errno-like negative where it has
/// none.
Result<std::string_view> format_arg(HelperCall& call, u32 i, u32 size) {
  const auto* text = static_cast<const char*>(call.memory(i, size, false));
  if (!text) return fail(EFAULT);
  const std::size_t length = ::strnlen(text, size);
  if (length == size) return fail(EINVAL);
  return std::string_view(text, length);
}

u64 print(HelperCall& call, std::string_view fmt, std::span<const u64> args) {
  auto text = call.bpf.format(fmt, args);
  if (!text) return error_value(text.error().value);
  const std::size_t whole = text->size();
  if (text->size() > kMaxFormatted - 1) text->resize(kMaxFormatted - 1);
  if (!text->empty() && text->back() == '\n') text->pop_back();
  call.bpf.host().trace_printk(*text);
  return whole;
}

/// u64 arguments of a *_vprintk, *_snprintf or *_bstr call.
Result<std::vector<u64>> data_args(HelperCall& call, u32 i, u32 bytes) {
  if (bytes % 8 || bytes > kMaxFormatArgs * 8 || (bytes && !call.args[i])) return fail(EINVAL);
  std::vector<u64> values(bytes / 8);
  if (bytes) {
    const void* from = call.memory(i, bytes, false);
    if (!from) return fail(EFAULT);
    std::memcpy(values.data(), from, bytes);
  }
  return values;
}

u64 trace_printk(HelperCall& call) {
  const auto fmt = format_arg(call, 0, static_cast<u32>(call.args[1]));
  if (!fmt) return error_value(fmt.error().value);
  return print(call, *fmt, {&call.args[2], 3});
}

u64 trace_vprintk(HelperCall& call) {
  const auto fmt = format_arg(call, 0, static_cast<u32>(call.args[1]));
  if (!fmt) return error_value(fmt.error().value);
  const auto args = data_args(call, 2, static_cast<u32>(call.args[3]));
  if (!args) return error_value(args.error().value);
  return print(call, *fmt, *args);
}

u64 snprintf_helper(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  const auto args = data_args(call, 3, static_cast<u32>(call.args[4]));
  if (!args) return error_value(args.error().value);
  char* to = nullptr;
  if (size) {
    to = static_cast<char*>(call.memory(0, size, true));
    if (!to) return 0;
  }
  const std::string_view fmt = call.string(2, kMaxFormat);
  if (call.faulted()) return 0;
  const auto text = call.bpf.format(fmt, *args);
  if (!text) return error_value(text.error().value);
  if (to) {
    const std::size_t n = std::min<std::size_t>(text->size(), size - 1);
    std::memcpy(to, text->data(), n);
    to[n] = '\0';
  }
  return text->size() + 1;
}

u64 strncmp_helper(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  const auto* a = static_cast<const char*>(call.memory(0, size, false));
  if (!a) return 0;
  const std::string_view b = call.string(2, kMaxFormat);
  if (call.faulted()) return 0;
  for (u32 i = 0; i < size; ++i) {
    const auto x = static_cast<u8>(a[i]);
    const auto y = static_cast<u8>(i < b.size() ? b[i] : '\0');
    if (x != y) return x < y ? ~0ULL : 1;
    if (x == 0) break;
  }
  return 0;
}

/// What strtol and strtoul share. Linux: __bpf_strtoull.
struct Number {
  bool negative = false;
  u64 value = 0;
  u32 consumed = 0;
};

Result<Number> parse_number(std::string_view text, u64 flags) {
  u64 base = flags & 31;
  if ((base != 0 && base != 8 && base != 10 && base != 16) || (flags & ~u64{31})) {
    return fail(EINVAL);
  }
  Number number;
  std::size_t at = 0;
  auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (at < text.size() && is_space(text[at])) ++at;
  if (at < text.size() && text[at] == '-') {
    number.negative = true;
    ++at;
  }
  if (at == text.size()) return fail(EINVAL);
  auto hex = [&](std::size_t i) {
    const char c = i < text.size() ? text[i] | 0x20 : '\0';
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  };
  const bool prefix = text.size() - at >= 2 && text[at] == '0' && (text[at + 1] | 0x20) == 'x';
  if (base == 0) {
    base = text[at] != '0' ? 10 : prefix && hex(at + 2) ? 16 : 8;
  }
  if (base == 16 && prefix) at += 2;
  const std::size_t digits = at;
  for (; at < text.size() && hex(at); ++at) {
    const char c = static_cast<char>(text[at] | 0x20);
    const u64 digit = static_cast<u64>(c <= '9' ? text[at] - '0' : c - 'a' + 10);
    if (digit >= base) break;
    if (__builtin_mul_overflow(number.value, base, &number.value) ||
        __builtin_add_overflow(number.value, digit, &number.value)) {
      return fail(ERANGE);
    }
  }
  if (at == digits) return fail(EINVAL);
  number.consumed = static_cast<u32>(at);
  return number;
}

Result<Number> number_arg(HelperCall& call) {
  const auto size = static_cast<u32>(call.args[1]);
  const auto* text = static_cast<const char*>(call.memory(0, size, false));
  if (!text || size == 0) return fail(EINVAL);
  return parse_number({text, ::strnlen(text, size)}, call.args[2]);
}

u64 strtol_helper(HelperCall& call) {
  const auto number = number_arg(call);
  if (!number) return error_value(number.error().value);
  auto* to = call.memory<s64>(3, true);
  if (!to) return 0;
  constexpr u64 kMin = 1ULL << 63;
  if (number->value > (number->negative ? kMin : kMin - 1)) return error_value(ERANGE);
  *to = static_cast<s64>(number->negative ? 0 - number->value : number->value);
  return number->consumed;
}

u64 strtoul_helper(HelperCall& call) {
  const auto number = number_arg(call);
  if (!number) return error_value(number.error().value);
  if (number->negative) return error_value(EINVAL);
  auto* to = call.memory<u64>(3, true);
  if (!to) return 0;
  *to = number->value;
  return number->consumed;
}

}  // namespace

void add_text_helpers(HelperTable& table) {
  // trace_printk's three values may be left out, so registers that hold nothing are no mistake.
  table.add({6, "bpf_trace_printk", trace_printk, {A::kMem, A::kSize}});
  table.add(
      {177, "bpf_trace_vprintk", trace_vprintk, {A::kMem, A::kSize, A::kMem, A::kSizeOrZero}});
  table.add({165,
             "bpf_snprintf",
             snprintf_helper,
             {A::kMemUninit, A::kSizeOrZero, A::kMem, A::kMem, A::kSizeOrZero}});
  table.add({182, "bpf_strncmp", strncmp_helper, {A::kMem, A::kSize, A::kMem}});
  table.add({105, "bpf_strtol", strtol_helper, {A::kMem, A::kSize, A::kAnything, A::kLong}});
  table.add({106, "bpf_strtoul", strtoul_helper, {A::kMem, A::kSize, A::kAnything, A::kLong}});
}

}  // namespace uscx::bpf
