// SPDX-License-Identifier: GPL-2.0-only
#pragma once

namespace uscx::sched::ext {

struct Sched;

/// Tasks are rescued from sub-schedulers only, of which there are none yet: of the rescue
/// parameters, what remains is what the kernel log says where they do not fit together. From 7.3.
/// Linux: scx_rescue_set_knobs.
void warn_of_rescue_parameters(Sched& sch);

}  // namespace uscx::sched::ext
