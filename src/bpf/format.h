// SPDX-License-Identifier: GPL-2.0-only
// printk formatting as programs may use it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/types.h"
#include "bpf/window.h"

namespace uscx::bpf {

/// Most bytes of one formatted message, with its NUL. Linux: MAX_BPRINTF_BUF.
inline constexpr std::size_t kMaxFormatted = 1024;
/// Most arguments of a *_bstr or *_vprintk call. Linux: MAX_BPRINTF_VARARGS.
inline constexpr u32 kMaxFormatArgs = 12;

/// Copies the string at window address `address` of at most `max` bytes with its NUL. EFAULT where
/// a byte before its end cannot be read; a longer one is cut. Linux: strncpy_from_kernel_nofault.
Result<std::string> read_kernel_string(const AddressWindow& window, u64 address, std::size_t max);
/// Copies `size` bytes. EFAULT where one of them cannot be read. Linux: copy_from_kernel_nofault.
Result<void> read_kernel(const AddressWindow& window, void* to, u64 address, std::size_t size);

/// Formats `fmt` (without its NUL). %d %i %u %x %X with l and ll, %c, %s, %p (a hash of the
/// address, the same in every run), %px, %pK, %ps, %pS, %pB (the address: we have no symbols),
/// %pks, %pus, %pI4, %pi4, %pI6, %pi6, flags "0+- " and widths. EINVAL for anything else, ENOSPC
/// where strings take over 512 bytes. Not cut to kMaxFormatted. Linux: bpf_bprintf_prepare and
/// bstr_printf.
Result<std::string> format_message(const AddressWindow& window, std::string_view fmt,
                                   std::span<const u64> args);

}  // namespace uscx::bpf
