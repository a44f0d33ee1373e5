// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "bpf/maps/map.h"

namespace uscx::bpf {

/// CGROUP_STORAGE and PERCPU_CGROUP_STORAGE. Programs are attached to no cgroup here, so there is
/// no value but the one that a test run makes for itself, on the CPU it runs on. Linux:
/// kernel/bpf/local_storage.c, bpf_cgroup_storage_alloc in bpf_test_run.
class CgroupStorageMap final : public Map {
 public:
  CgroupStorageMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)) {}
  ~CgroupStorageMap() override { run_ended(); }

  /// The value of the run in progress.
  u64 storage();
  void run_ended();

  // No cgroup has one.
  Result<void> user_update(const std::byte*, const std::byte*, u64) override {
    return fail(ENOENT);
  }
  Result<void> user_erase(const std::byte*) override { return fail(EINVAL); }
  Result<void> next_key(const std::byte*, std::byte*) override { return fail(ENOENT); }

 private:
  void* value_ = nullptr;
};

std::shared_ptr<Map> make_cgroup_storage_map(Bpf& bpf, MapSpec spec);

}  // namespace uscx::bpf
