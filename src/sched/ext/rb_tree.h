// SPDX-License-Identifier: GPL-2.0-only
// The red-black tree of DSQs is the one that programs' trees use.
#pragma once

#include "bpf/rb_tree.h"

namespace uscx::sched::ext {
namespace rb = bpf::rb;
}
