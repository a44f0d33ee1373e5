// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/kfunc.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"
#include "bpf/bpf.h"

namespace uscx::bpf {

void* KfuncCall::checked_object(u32 i, const ObjectType& type) {
  USCX_ASSERT(i < args.size());
  const Extent* extent = bpf.window().find(args[i]);
  if (extent && extent->start == args[i] && extent->type == &type) {
    return reinterpret_cast<void*>(args[i]);
  }
  fault(fmt::format("argument {} ({:#x}) is not a live {}", i + 1, args[i], type.name));
  return nullptr;
}

void* KfuncCall::checked_memory(u32 i, u64 size, bool write) {
  USCX_ASSERT(i < args.size());
  const Extent* extent = bpf.window().find(args[i]);
  const bool fits = extent && extent->contains(args[i], size);
  if (fits && (!write || (size <= ~0U && extent->may_write(args[i], static_cast<u32>(size))))) {
    return reinterpret_cast<void*>(args[i]);
  }
  fault(fmt::format("argument {} ({:#x}) is not {} bytes of {} memory", i + 1, args[i], size,
                    write ? "writable" : "readable"));
  return nullptr;
}

std::string_view KfuncCall::string(u32 i, u32 max) {
  USCX_ASSERT(i < args.size());
  if (const Extent* extent = bpf.window().find(args[i])) {
    const u64 room = extent->size - (args[i] - extent->start);
    const char* text = reinterpret_cast<const char*>(args[i]);
    const std::size_t limit = room < max ? room : max;
    const std::size_t length = strnlen(text, limit);
    if (length < limit) return {text, length};
  }
  fault(
      fmt::format("argument {} ({:#x}) is not a string of at most {} bytes", i + 1, args[i], max));
  return {};
}

void* KfuncCall::arena_memory(u32 i, u32 size) {
  USCX_ASSERT(i < args.size());
  if (void* at = target_ ? target_->arena_memory(args[i], size) : nullptr) return at;
  fault(fmt::format("argument {} ({:#x}) is not {} bytes of the program's arena", i + 1, args[i],
                    size));
  return nullptr;
}

void KfuncCall::throw_exception(u64 cookie) {
  if (target_) {
    target_->throw_exception(cookie);
  } else {
    fault("no program to throw an exception in");
  }
}

void KfuncCall::fault(std::string text) {
  // The first reason is the one that explains the others.
  if (!fault_text_) fault_text_ = std::make_unique<std::string>(std::move(text));
}

u64 KfuncCall::call_back(u64 callback, const std::array<u64, 5>& registers) {
  if (!target_) {
    fault("no program to call back into");
    return 0;
  }
  return target_->call_back(callback, registers);
}

void KfuncRegistry::add(Kfunc kfunc) {
  USCX_ASSERT(!by_name_.contains(kfunc.name));
  kfuncs_.push_back(std::make_unique<Kfunc>(std::move(kfunc)));
  by_name_.emplace(kfuncs_.back()->name, kfuncs_.back().get());
}

const Kfunc* KfuncRegistry::find(std::string_view name) const {
  auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

int KfuncRegistry::allowed(const Program& prog, const Kfunc& kfunc) const {
  for (const KfuncFilter& filter : filters_) {
    if (int refused = filter(prog, kfunc)) return refused;
  }
  return 0;
}

}  // namespace uscx::bpf
