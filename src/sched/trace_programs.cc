// SPDX-License-Identifier: GPL-2.0-only
#include "sched/trace_programs.h"

#include <cstring>

namespace uscx::sched {

void trace_programs_text(Kernel& kernel, std::string_view name, std::string_view text, u64 second) {
  if (!kernel.bpf().has_trace_hook(name)) return;
  bpf::AddressWindow& window = kernel.window();
  auto* copy = static_cast<char*>(window.allocate(text.size() + 1, bpf::kReadOnlyMemory));
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  const u64 words[] = {reinterpret_cast<u64>(copy), second};
  kernel.bpf().trace_hook(name, words);
  window.free(copy);
}

}  // namespace uscx::sched
