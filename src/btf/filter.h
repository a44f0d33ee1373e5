// SPDX-License-Identifier: GPL-2.0-only
// From the BTF of abi/kernel_types.h, which holds every version's declarations, to the BTF of one.
#pragma once

#include <vector>

#include "btf/btf.h"
#include "btf/profile.h"

namespace uscx::btf {

/// What abi/kernel/version.h describes: declarations `version` lacks are dropped (offsets of what
/// stays don't move), NAME___until_X_Y takes the place of NAME where it applies, helpers of the
/// header itself (uscx_*) go, and per-CPU variables get their place in .data..percpu.
OrError<std::vector<std::byte>> filter(const Btf& all, KernelVersion version);

}  // namespace uscx::btf
