// SPDX-License-Identifier: GPL-2.0-only
// PROG_ARRAY: what tail calls go to.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bpf/maps/map.h"

namespace uscx::bpf {

class Program;

/// Keeps its programs as long as user space has it open. Linux: prog_array_map_ops.
class ProgArrayMap final : public Map {
 public:
  ProgArrayMap(Bpf& bpf, MapSpec spec) : Map(bpf, std::move(spec)), slots_(spec_.max_entries) {}

  /// Null where the slot is empty, or there is none.
  std::shared_ptr<Program> program(u32 index) const {
    return index < slots_.size() ? slots_[index] : nullptr;
  }
  void put(u32 index, std::shared_ptr<Program> program) { slots_[index] = std::move(program); }
  /// May `program` use the map, or be in it? All that do are of one kind, the first one's. Linux:
  /// bpf_prog_map_compatible.
  bool fits(const Program& program);

  Result<void> user_lookup(const std::byte* key, std::byte* value) override;
  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override;
  Result<void> user_erase(const std::byte* key) override;
  Result<void> next_key(const std::byte* key, std::byte* next) override;
  void user_gone() override;

 private:
  /// Linux: struct bpf_map_owner.
  struct Kind {
    u32 type, expected_attach_type;
    bool xdp_has_frags, sleepable;
    const void* attach_btf;
    u32 attach_func_proto;
    u32 storage[2];  // ids of the cgroup storages that the program uses; 0: none
  };
  static Kind kind_of(const Program& program);

  std::optional<Kind> kind_;
  std::vector<std::shared_ptr<Program>> slots_;
};

std::shared_ptr<Map> make_prog_array_map(Bpf& bpf, MapSpec spec);

}  // namespace uscx::bpf
