// SPDX-License-Identifier: GPL-2.0-only
// Objects of a program's own types: bpf_obj_new() and what becomes of them.
#pragma once

#include <memory>
#include <unordered_map>

#include "base/types.h"
#include "bpf/maps/fields.h"
#include "bpf/window.h"

namespace uscx::bpf {

class Bpf;
struct BtfObject;

/// An object that a program allocated: all of it is the program's to read and write, but for its
/// special fields, which the verifier keeps it from.
inline constexpr ObjectType kAllocatedObject{"bpf_obj_new object", nullptr, true};

/// Every live object by its address. Linux: bpf_global_ma, and struct btf_struct_meta of each type.
class AllocatedObjects {
 public:
  explicit AllocatedObjects(Bpf& bpf) : bpf_(bpf) {}

  /// A zeroed object of struct `type_id`, its special fields made ready; 0 where the type is none.
  /// `percpu`: one for each CPU. Linux: bpf_obj_new, bpf_percpu_obj_new.
  u64 make(const std::shared_ptr<BtfObject>& btf, u32 type_id, bool percpu);
  /// Gives up a reference; without one left the object goes, after what its fields hold. False
  /// where `address` is no object. Linux: __bpf_obj_drop_impl.
  bool drop(u64 address);
  /// Takes a reference. False for what has no reference count, or none left.
  bool acquire(u64 address);
  bool contains(u64 address) const { return objects_.contains(address); }
  /// `cpu`'s part of a per-CPU object; 0 where `address` is none.
  u64 on_cpu(u64 address, u32 cpu) const;
  /// The object that `address` points into; 0 where none does.
  u64 around(u64 address) const;

 private:
  struct Object {
    std::shared_ptr<const FieldRecord> fields;
    u64 percpu_stride = 0;  // 0: not per CPU
  };
  u32* refcount_of(u64 address, const Object& object) const;

  Bpf& bpf_;
  std::unordered_map<u64, Object> objects_;  // looked up, never walked
};

/// Makes the special fields of fresh memory at `value` usable. Linux: bpf_obj_init.
void init_fields(const FieldRecord& fields, u64 value);
/// Lets go of what the special fields of `value` hold: timers, pointers, lists, trees. Linux:
/// bpf_obj_free_fields.
void free_fields(Bpf& bpf, const FieldRecord& fields, u64 value);

}  // namespace uscx::bpf
