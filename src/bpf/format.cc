// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"

namespace uscx::bpf {

Result<std::string> read_kernel_string(const AddressWindow& window, u64 address, std::size_t max) {
  const Extent* extent = window.find(address);
  if (!extent || !extent->contains(address, 1) || max == 0) return fail(EFAULT);
  const auto* text = reinterpret_cast<const char*>(address);
  const std::size_t left = extent->start + extent->size - address;
  const std::size_t length = ::strnlen(text, std::min(left, max));
  if (length == max) return std::string(text, max - 1);
  if (length == left) return fail(EFAULT);
  return std::string(text, length);
}

Result<void> read_kernel(const AddressWindow& window, void* to, u64 address, std::size_t size) {
  const Extent* extent = window.find(address);
  if (!extent || !extent->contains(address, size)) return fail(EFAULT);
  std::memcpy(to, reinterpret_cast<const void*>(address), size);
  return {};
}

namespace {

constexpr std::size_t kBinArgs = 512;  // MAX_BPRINTF_BIN_ARGS
constexpr u32 kMaxWidth = 1u << 16;

// The C locale's classes, whatever the process's locale is.
bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}
bool is_print(char c) {
  return c >= 0x20 && c < 0x7f;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_punct(char c) {
  return is_print(c) && c != ' ' && !is_digit(c) && !(c >= 'a' && c <= 'z') &&
         !(c >= 'A' && c <= 'Z');
}

class Formatter {
 public:
  Formatter(const AddressWindow& window, std::string_view fmt, std::span<const u64> args)
      : window_(window), fmt_(fmt), args_(args) {}

  Result<std::string> run() {
    while (at_ < fmt_.size()) {
      const char c = fmt_[at_];
      if (is_ascii(c) && !is_print(c) && !is_space(c)) return fail(EINVAL);
      if (c != '%') {
        out_ += c;
        ++at_;
      } else if (peek(1) == '%') {
        out_ += '%';
        at_ += 2;
      } else if (int err = conversion()) {
        return fail(err);
      }
    }
    return std::move(out_);
  }

 private:
  char peek(std::size_t ahead) const {
    return at_ + ahead < fmt_.size() ? fmt_[at_ + ahead] : '\0';
  }

  /// One %..., at_ on the percent sign. 0 or an errno.
  int conversion() {
    if (next_arg_ >= args_.size()) return EINVAL;
    ++at_;
    flags_.clear();
    width_ = 0;
    while (peek(0) && std::strchr("0+- ", peek(0))) flags_ += fmt_[at_++];
    while (is_digit(peek(0))) {
      width_ = std::min(width_ * 10 + static_cast<u32>(peek(0) - '0'), kMaxWidth);
      ++at_;
    }
    const u64 arg = args_[next_arg_++];
    switch (peek(0)) {
      case 'p':
        return pointer(arg);
      case 's':
        return string(arg);
      case 'c':
        ++at_;
        if (used_ == kBinArgs) return ENOSPC;
        ++used_;
        pad(std::string(1, static_cast<char>(arg)));
        return 0;
      default:
        return integer(arg);
    }
  }

  int integer(u64 arg) {
    bool wide = false;
    for (int i = 0; i < 2 && peek(0) == 'l'; ++i, ++at_) wide = true;
    const char conversion = peek(0);
    if (!conversion || !std::strchr("iduxX", conversion)) return EINVAL;
    ++at_;
    if (int err = reserve_word(wide ? 8 : 4)) return err;
    if (!wide) {
      const bool is_signed = conversion == 'd' || conversion == 'i';
      arg = is_signed ? static_cast<u64>(s64{static_cast<s32>(arg)}) : u64{static_cast<u32>(arg)};
    }
    const std::string spec =
        "%" + flags_ + (width_ ? std::to_string(width_) : "") + "ll" + conversion;
    print(spec, arg);
    return 0;
  }

  int pointer(u64 arg) {
    const char kind = peek(1);
    if (kind == '\0' || is_space(kind) || is_punct(kind)) {
      at_ += 1;
      return plain_pointer(arg, true);
    }
    if ((kind == 'k' || kind == 'u') && peek(2) == 's') {
      at_ += 2;
      return string(arg);
    }
    if (kind == 'K' || kind == 'x') {
      at_ += 2;
      return plain_pointer(arg, kind == 'K');
    }
    if (kind == 's' || kind == 'S' || kind == 'B') {
      at_ += 2;
      pad(fmt::format("0x{:x}", arg));
      return reserve_word(8);
    }
    if ((kind == 'i' || kind == 'I') && (peek(2) == '4' || peek(2) == '6')) {
      return ip_address(arg, kind == 'i', peek(2) == '6');
    }
    return EINVAL;
  }

  int plain_pointer(u64 arg, bool hashed) {
    if (int err = reserve_word(8)) return err;
    // Linux shows null and error pointers as they are, everything else as a keyed 32-bit hash.
    if (hashed && arg != 0 && arg < ~0ULL - 4095) {
      StreamHash hash;
      hash.add(arg);
      arg = static_cast<u32>(hash.value());
    }
    pad(fmt::format("{:016x}", arg));
    return 0;
  }

  int ip_address(u64 arg, bool leading_zeros, bool v6) {
    at_ += 3;
    u8 bytes[16] = {};
    const std::size_t size = v6 ? 16 : 4;
    if (!read_kernel(window_, bytes, arg, size)) std::memset(bytes, 0, sizeof(bytes));
    std::string text;
    for (std::size_t i = 0; i < size; i += v6 ? 2 : 1) {
      if (i) text += leading_zeros && v6 ? "" : v6 ? ":" : ".";
      if (v6) {
        text += fmt::format("{:02x}{:02x}", bytes[i], bytes[i + 1]);
      } else {
        text += leading_zeros ? fmt::format("{:03}", bytes[i]) : fmt::format("{}", bytes[i]);
      }
    }
    if (used_ + text.size() + 1 > kBinArgs) return ENOSPC;
    used_ += text.size() + 1;
    pad(text);
    return 0;
  }

  /// at_ on the 's'.
  int string(u64 arg) {
    const char after = peek(1);
    if (after && !is_space(after) && !is_punct(after)) return EINVAL;
    ++at_;
    if (used_ == kBinArgs) return ENOSPC;
    const auto text = read_kernel_string(window_, arg, kBinArgs - used_);
    used_ += text ? text->size() + 1 : 1;
    pad(text.value_or(""));
    return 0;
  }

  /// Accounts for a word of the kernel's argument buffer, whose size programs can notice.
  int reserve_word(std::size_t bytes) {
    used_ = (used_ + 3) & ~std::size_t{3};
    if (used_ + bytes > kBinArgs) return ENOSPC;
    used_ += bytes;
    return 0;
  }

  void pad(const std::string& text) {
    const std::size_t spaces = width_ > text.size() ? width_ - text.size() : 0;
    const bool left = flags_.find('-') != std::string::npos;
    if (!left) out_.append(spaces, ' ');
    out_ += text;
    if (left) out_.append(spaces, ' ');
  }

  void print(const std::string& spec, u64 arg) {
    std::string text(width_ + 32, '\0');
    // `spec` holds exactly one long long conversion, built above.
    const int n = std::snprintf(text.data(), text.size(), spec.c_str(), arg);
    out_.append(text, 0, static_cast<std::size_t>(n));
  }

  const AddressWindow& window_;
  std::string_view fmt_;
  std::span<const u64> args_;
  std::size_t at_ = 0;
  std::size_t next_arg_ = 0;
  std::size_t used_ = 0;  // bytes of the kernel's argument buffer
  std::string flags_;
  u32 width_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> format_message(const AddressWindow& window, std::string_view fmt,
                                   std::span<const u64> args) {
  return Formatter(window, fmt, args).run();
}

}  // namespace uscx::bpf
