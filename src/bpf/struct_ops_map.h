// SPDX-License-Identifier: GPL-2.0-only
// Maps of type STRUCT_OPS: one table of callbacks each, on its way from bytes to a registered
// scheduler.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bpf/maps/map.h"
#include "bpf/struct_ops.h"

namespace uscx::bpf {

/// A registered type as BTF describes it.
struct StructOpsDesc {
  StructOpsType* type = nullptr;
  std::shared_ptr<BtfObject> btf;  // the kernel's or a module's
  u32 type_id = 0;                 // struct <name>
  u32 value_id = 0;                // struct bpf_struct_ops_<name>
  u32 value_size = 0;
  u32 data_offset = 0;  // of the table within the value
  u32 data_size = 0;
  u32 state_offset = 0;
  u32 refcnt_offset = 0;
};

/// The type whose struct, or whose value struct, has that id in the BTF of the kernel or a module.
std::optional<StructOpsDesc> find_struct_ops(Bpf& bpf, const std::shared_ptr<BtfObject>& btf,
                                             u32 type_id);
std::optional<StructOpsDesc> find_struct_ops_value(Bpf& bpf, const std::shared_ptr<BtfObject>& btf,
                                                   u32 value_id);

class StructOpsMap final : public Map {
 public:
  StructOpsMap(Bpf& bpf, MapSpec spec, const StructOpsDesc& desc);
  ~StructOpsMap() override;

  StructOpsType& type() const { return *desc_.type; }
  const std::shared_ptr<StructOpsTable>& table() const { return table_; }
  /// A map made for links whose table is complete. Linux: bpf_struct_ops_valid_to_reg.
  bool ready_to_register() const;

  /// Fills the table; registers it too, where the map is not made for links. May sleep then.
  Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags) override;
  Result<void> user_lookup(const std::byte* key, std::byte* value) override;
  /// Unregisters a table that the update registered. May sleep.
  Result<void> user_erase(const std::byte* key) override;
  Result<void> next_key(const std::byte* key, std::byte* next) override;

 private:
  /// Linux: enum bpf_struct_ops_state. kBusy is ours: an update that is asleep in reg.
  enum class State : u32 { kInit, kInUse, kToBeFree, kReady, kBusy };
  Result<void> fill(const std::byte* value);
  Result<void> take_program(u32 index, const std::byte* slot);
  void reset();

  StructOpsDesc desc_;
  State state_ = State::kInit;
  std::vector<std::byte> value_;  // as user space reads it back: program ids in the slots
  std::shared_ptr<StructOpsTable> table_;
};

/// Linux: bpf_struct_ops_map_alloc_check. 0 or a positive errno.
int check_struct_ops_spec(const MapSpec& spec);
/// ENOTSUPP for a value type nobody registered, EINVAL for a wrong size.
Result<std::shared_ptr<StructOpsMap>> make_struct_ops_map(Bpf& bpf, MapSpec spec);

}  // namespace uscx::bpf
