// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "bpf/window.h"

namespace uscx::bpf {

/// A struct bpf_cpumask that a program made; changed by its kfuncs only.
inline constexpr ObjectType kBpfCpumaskObject{"bpf_cpumask"};

}  // namespace uscx::bpf
