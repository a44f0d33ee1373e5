// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/cgroup_storage.h"

#include "bpf/bpf.h"

namespace uscx::bpf {

u64 CgroupStorageMap::storage() {
  if (!value_) value_ = window().allocate(value_stride(), kProgramMemory);
  return reinterpret_cast<u64>(value_);
}

void CgroupStorageMap::run_ended() {
  if (value_) window().free(value_);
  value_ = nullptr;
}

std::shared_ptr<Map> make_cgroup_storage_map(Bpf& bpf, MapSpec spec) {
  return std::make_shared<CgroupStorageMap>(bpf, std::move(spec));
}

}  // namespace uscx::bpf
