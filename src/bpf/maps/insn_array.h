// SPDX-License-Identifier: GPL-2.0-only
// INSN_ARRAY: the targets of a program's indirect jumps.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "bpf/maps/map.h"
#include "bpf/program.h"

namespace uscx::bpf {

/// Programs see a word for each element: the engines' name of the instruction (exec/jump_target.h).
/// Instructions do not move at load, so it is known as soon as user space says which. Linux:
/// insn_array_map_ops.
class InsnArrayMap final : public Map {
 public:
  InsnArrayMap(Bpf& bpf, MapSpec spec);
  ~InsnArrayMap() override;

  /// Makes it the program's of these instructions, which it then is as long as what is returned
  /// lives. EINVAL where it is not frozen or an element is no instruction; EBUSY where it is
  /// another's. Linux: bpf_insn_array_init.
  Result<std::shared_ptr<void>> claim(std::span<const Insn> insns);
  u32 target(u32 index) const;

  u64 direct_address() const override { return reinterpret_cast<u64>(targets_); }
  Result<void> user_lookup(const std::byte* key, std::byte* value) override;
  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override;
  Result<void> user_erase(const std::byte*) override { return fail(EINVAL); }
  Result<void> next_key(const std::byte* key, std::byte* next) override;

 private:
  u64* targets_;
  std::weak_ptr<void> claimed_;
};

std::shared_ptr<Map> make_insn_array_map(Bpf& bpf, MapSpec spec);

}  // namespace uscx::bpf
