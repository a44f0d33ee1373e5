// SPDX-License-Identifier: GPL-2.0-only
// The one thing needed from an ELF file here: the bytes of a section.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/error.h"

namespace uscx::btf {

/// The contents of the first section of that name of a little-endian ELF64 file; part of `file`.
OrError<std::span<const std::byte>> elf_section(std::span<const std::byte> file,
                                                std::string_view name);

}  // namespace uscx::btf
