// SPDX-License-Identifier: GPL-2.0-only
// Split BTF: a module's types, whose ids and string offsets go on where the kernel's end.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/error.h"

namespace uscx::btf {

/// `base` and `split` as one BTF in which every id and string offset of either is what it was.
OrError<std::vector<std::byte>> join(std::span<const std::byte> base,
                                     std::span<const std::byte> split);

}  // namespace uscx::btf
