// SPDX-License-Identifier: GPL-2.0-only
// Programs attached to the kernel's tracepoints, SEC("tp_btf/..."): called with Linux's arguments
// where Linux traces, with the locks that are held there. `current` is who runs.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "bpf/bpf.h"
#include "sched/kernel.h"
#include "sched/task.h"

namespace uscx::sched {

/// What trace_programs() does where a program may be attached. The name comes in two words, and
/// arguments by value, so that nothing is put into memory for it where there is none.
template <std::same_as<u64>... Words>
[[gnu::cold, gnu::noinline]] void trace_attached_programs(Kernel& kernel, const char* name,
                                                          std::size_t size, Words... args) {
  const std::string_view hook(name, size);
  if (!kernel.bpf().has_trace_hook(hook)) return;
  const u64 words[] = {args...};
  kernel.bpf().trace_hook(hook, words);
}

/// Integers and tasks.
template <class... Args>
void trace_programs(Kernel& kernel, bpf::HookName hook, const Args&... args) {
  const auto word = [](const auto& arg) {
    if constexpr (std::is_integral_v<std::decay_t<decltype(arg)>>) {
      return static_cast<u64>(arg);
    } else {
      return arg.address();
    }
  };
  if (kernel.bpf().may_have_trace_hook(hook)) [[unlikely]]
    trace_attached_programs(kernel, hook.name.data(), hook.name.size(), word(args)...);
}

/// Of a tracepoint whose first argument is a string (sched_ext_dump, sched_ext_event).
void trace_programs_text(Kernel& kernel, std::string_view name, std::string_view text, u64 second);

}  // namespace uscx::sched
