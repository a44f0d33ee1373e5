// SPDX-License-Identifier: GPL-2.0-only
// Kfuncs on strings, which read memory that need not be there. Linux: kernel/bpf/helpers.c.
#include <algorithm>
#include <cerrno>

#include "bpf/bpf.h"
#include "bpf/generic_kfuncs.h"

namespace uscx::bpf {

namespace {

constexpr u64 kMaxString = 65536;  // XATTR_SIZE_MAX

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// A string at an address that a program made. Linux: __get_kernel_nofault.
class Text {
 public:
  Text(const AddressWindow& window, u64 address) : window_(window), address_(address) {}

  /// Could it be the kernel's at all? Linux: copy_from_kernel_nofault_allowed.
  bool allowed() const {
    constexpr u64 kKernelHalf = 0xffff'8000'0000'0000;
    return AddressWindow::inside(address_) || address_ >= kKernelHalf;
  }
  /// Character `i`; false where nothing is there.
  bool get(u64 i, char& c) const {
    const u64 at = address_ + i;
    if (at < begin_ || at >= end_) {
      const Extent* extent = AddressWindow::inside(at) ? window_.find(at) : nullptr;
      if (!extent || !extent->contains(at, 1)) return false;
      begin_ = extent->start;
      end_ = extent->start + extent->size;
    }
    c = *reinterpret_cast<const char*>(at);
    return true;
  }

 private:
  const AddressWindow& window_;
  u64 address_;
  mutable u64 begin_ = 1, end_ = 0;  // of the extent that was read last
};

s64 compare(const Text& a, const Text& b, bool ignore_case, u64 len) {
  if (!a.allowed() || !b.allowed()) return -ERANGE;
  u64 i = 0;
  for (; i < len && i < kMaxString; ++i) {
    char x, y;
    if (!a.get(i, x) || !b.get(i, y)) return -EFAULT;
    if (ignore_case) {
      x = lower(x);
      y = lower(y);
    }
    if (x != y) return x < y ? -1 : 1;
    if (x == '\0') return 0;
  }
  return i == kMaxString ? -E2BIG : 0;
}

s64 find_char(const Text& text, u64 len, char wanted) {
  if (!text.allowed()) return -ERANGE;
  u64 i = 0;
  for (char c; i < len && i < kMaxString; ++i) {
    if (!text.get(i, c)) return -EFAULT;
    if (c == wanted) return static_cast<s64>(i);
    if (c == '\0') return -ENOENT;
  }
  return i == kMaxString ? -E2BIG : -ENOENT;
}

s64 find_char_or_end(const Text& text, char wanted) {
  if (!text.allowed()) return -ERANGE;
  char c;
  for (u64 i = 0; i < kMaxString; ++i) {
    if (!text.get(i, c)) return -EFAULT;
    if (c == '\0' || c == wanted) return static_cast<s64>(i);
  }
  return -E2BIG;
}

s64 find_last_char(const Text& text, s32 wanted) {
  if (!text.allowed()) return -ERANGE;
  s64 last = -ENOENT;
  char c;
  for (u64 i = 0; i < kMaxString; ++i) {
    if (!text.get(i, c)) return -EFAULT;
    if (c == wanted) last = static_cast<s64>(i);
    if (c == '\0') return last;
  }
  return -E2BIG;
}

s64 length(const Text& text, u64 len) {
  if (!text.allowed()) return -ERANGE;
  u64 i = 0;
  for (char c; i < len && i < kMaxString; ++i) {
    if (!text.get(i, c)) return -EFAULT;
    if (c == '\0') return static_cast<s64>(i);
  }
  return i == kMaxString ? -E2BIG : static_cast<s64>(i);
}

/// How many characters of `text` in a row are (or are not) of `set`.
s64 span_of(const Text& text, const Text& set, bool members) {
  if (!text.allowed() || !set.allowed()) return -ERANGE;
  for (u64 i = 0; i < kMaxString; ++i) {
    char c, member = '\0';
    if (!text.get(i, c)) return -EFAULT;
    if (c == '\0') return static_cast<s64>(i);
    u64 j = 0;
    for (; j < kMaxString; ++j) {
      if (!set.get(j, member)) return -EFAULT;
      if (c == member || member == '\0') break;
    }
    if (j == kMaxString) return -E2BIG;
    if ((member == '\0') == members) return static_cast<s64>(i);
  }
  return -E2BIG;
}

/// `needle` in the first `len` characters of `text`. One character more of the needle may be read,
/// for where it ends with them.
s64 find_text(const Text& text, const Text& needle, u64 len, bool ignore_case) {
  if (!text.allowed() || !needle.allowed()) return -ERANGE;
  for (u64 i = 0; i < kMaxString; ++i) {
    u64 j = 0;
    for (; i + j <= len && j < kMaxString; ++j) {
      char wanted, c;
      if (!needle.get(j, wanted)) return -EFAULT;
      if (wanted == '\0') return static_cast<s64>(i);
      if (i + j == len) break;
      if (!text.get(i + j, c)) return -EFAULT;
      if (ignore_case) {
        c = lower(c);
        wanted = lower(wanted);
      }
      if (c == '\0') return -ENOENT;
      if (c != wanted) break;
    }
    if (j == kMaxString) return -E2BIG;
    if (i + j == len) return -ENOENT;
  }
  return -E2BIG;
}

Text text_arg(const KfuncCall& call, u32 i) {
  return {call.bpf.window(), call.args[i]};
}

}  // namespace

void add_string_kfuncs(Bpf& bpf) {
  auto add = [&](std::string_view name, auto fn) {
    bpf.kfuncs().add({name, 0,
                      [fn](KfuncCall& call) {
                        // They return an int.
                        return static_cast<u64>(static_cast<s64>(static_cast<s32>(fn(call))));
                      },
                      "common_btf_ids"});
  };
  using Call = const KfuncCall&;
  add("bpf_strcmp",
      [](Call c) { return compare(text_arg(c, 0), text_arg(c, 1), false, kMaxString); });
  add("bpf_strcasecmp",
      [](Call c) { return compare(text_arg(c, 0), text_arg(c, 1), true, kMaxString); });
  add("bpf_strncasecmp",
      [](Call c) { return compare(text_arg(c, 0), text_arg(c, 1), true, c.args[2]); });
  add("bpf_strchr",
      [](Call c) { return find_char(text_arg(c, 0), kMaxString, static_cast<char>(c.args[1])); });
  add("bpf_strnchr",
      [](Call c) { return find_char(text_arg(c, 0), c.args[1], static_cast<char>(c.args[2])); });
  add("bpf_strchrnul",
      [](Call c) { return find_char_or_end(text_arg(c, 0), static_cast<char>(c.args[1])); });
  add("bpf_strrchr",
      [](Call c) { return find_last_char(text_arg(c, 0), static_cast<s32>(c.args[1])); });
  add("bpf_strlen", [](Call c) { return length(text_arg(c, 0), kMaxString); });
  add("bpf_strnlen", [](Call c) { return length(text_arg(c, 0), c.args[1]); });
  add("bpf_strspn", [](Call c) { return span_of(text_arg(c, 0), text_arg(c, 1), true); });
  add("bpf_strcspn", [](Call c) { return span_of(text_arg(c, 0), text_arg(c, 1), false); });
  add("bpf_strstr",
      [](Call c) { return find_text(text_arg(c, 0), text_arg(c, 1), kMaxString, false); });
  add("bpf_strcasestr",
      [](Call c) { return find_text(text_arg(c, 0), text_arg(c, 1), kMaxString, true); });
  add("bpf_strnstr",
      [](Call c) { return find_text(text_arg(c, 0), text_arg(c, 1), c.args[2], false); });
  add("bpf_strncasestr",
      [](Call c) { return find_text(text_arg(c, 0), text_arg(c, 1), c.args[2], true); });
}

}  // namespace uscx::bpf
