// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/ksym.h"

#include "base/assert.h"

namespace uscx::bpf {

KsymTable::~KsymTable() {
  for (auto& [name, variable] : variables_) {
    if (variable.token) window_.free(variable.token);
  }
}

void KsymTable::add(std::string name, u32 size, bool percpu,
                    std::function<u64(u32 cpu)> address_of) {
  USCX_ASSERT(!variables_.contains(name) && size > 0);
  Variable& variable = variables_[std::move(name)];
  variable.percpu = percpu;
  variable.address_of = std::move(address_of);
  if (percpu) {
    variable.token = window_.allocate(size, kPercpuVariable);
    by_token_[reinterpret_cast<u64>(variable.token)] = &variable;
  }
}

u64 KsymTable::value(std::string_view name) const {
  auto it = variables_.find(name);
  if (it == variables_.end()) return 0;
  return it->second.percpu ? reinterpret_cast<u64>(it->second.token) : it->second.address_of(0);
}

u64 KsymTable::resolve(u64 value, u32 cpu) const {
  const Extent* extent = window_.find(value);
  if (!extent || extent->type != &kPercpuVariable) return 0;
  auto it = by_token_.find(extent->start);
  if (it == by_token_.end()) return 0;
  const u64 address = it->second->address_of(cpu);
  return address ? address + (value - extent->start) : 0;
}

}  // namespace uscx::bpf
