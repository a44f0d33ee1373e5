// SPDX-License-Identifier: GPL-2.0-only
// Programs attached to the kernel's tracepoints, SEC("tp_btf/..."): called with Linux's arguments
// where Linux traces, with the locks that are held there. `current` is who runs.
#pragma once

#include <string_view>
#include <type_traits>

#include "bpf/bpf.h"
#include "sched/kernel.h"
#include "sched/task.h"

namespace uscx::sched {

/// Integers and tasks.
template <class... Args>
void trace_programs(Kernel& kernel, bpf::HookName hook, const Args&... args) {
  if (!kernel.bpf().may_have_trace_hook(hook)) [[likely]]
    return;
  if (!kernel.bpf().has_trace_hook(hook.name)) return;
  const auto word = [](const auto& arg) {
    if constexpr (std::is_integral_v<std::decay_t<decltype(arg)>>) {
      return static_cast<u64>(arg);
    } else {
      return arg.address();
    }
  };
  const u64 words[] = {word(args)...};
  kernel.bpf().trace_hook(hook.name, words);
}

/// Of a tracepoint whose first argument is a string (sched_ext_dump, sched_ext_event).
void trace_programs_text(Kernel& kernel, std::string_view name, std::string_view text, u64 second);

}  // namespace uscx::sched
