// SPDX-License-Identifier: GPL-2.0-only
// Counts that depend on the machine: "2*cpus", "max(1, cpus/8)".
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/types.h"
#include "sched/topology.h"

namespace uscx::workload {

/// Whole numbers, + - * / (rounding down), parentheses, min(a, b), max(a, b), and the names cpus,
/// cores, llcs and nodes. Errors: what is wrong with it, without place.
std::expected<u64, std::string> evaluate(std::string_view expression, const sched::Topology& on);

}  // namespace uscx::workload
