// SPDX-License-Identifier: GPL-2.0-only
// Maps: what every type of map answers, to programs and to user space. Values live in the window.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/lock.h"
#include "base/types.h"
#include "bpf/maps/fields.h"
#include "bpf/uapi.h"
#include "bpf/window.h"

namespace uscx::bpf {

class Bpf;
struct BtfObject;

/// The address of a map as programs see it: a struct bpf_map of which nothing may be read.
inline constexpr ObjectType kMapObject{"bpf_map"};

inline constexpr int kEnotsupp = 524;  // Linux's ENOTSUPP, which has no name in user space

/// What MAP_CREATE asked for, checked.
struct MapSpec {
  u32 type = 0;
  u32 key_size = 0;
  u32 value_size = 0;
  u32 max_entries = 0;
  u32 flags = 0;
  u64 extra = 0;
  std::string name;
  std::shared_ptr<BtfObject> btf;
  u32 btf_key_type_id = 0;
  u32 btf_value_type_id = 0;
  u32 btf_vmlinux_value_type_id = 0;
  std::shared_ptr<BtfObject> vmlinux_value_btf;  // whose id that is: the kernel's or a module's
  FieldRecord fields;                            // special fields of the value
  std::shared_ptr<const MapSpec> inner;  // ARRAY_OF_MAPS, HASH_OF_MAPS: what inner maps are like
};

constexpr u32 round_up8(u32 n) {
  return (n + 7) & ~7u;
}

/// A map. Keys and values are passed as bytes of key_size and value_size. Operations programs may
/// do never sleep; errors are errnos of the kernel's map_*_elem.
class Map {
 public:
  Map(Bpf& bpf, MapSpec spec);
  virtual ~Map();
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;

  const MapSpec& spec() const { return spec_; }
  /// The register value of a map pointer.
  u64 address() const { return reinterpret_cast<u64>(object_); }
  bool percpu() const {
    return spec_.type == uapi::kMapPercpuArray || spec_.type == uapi::kMapPercpuHash ||
           spec_.type == uapi::kMapLruPercpuHash;
  }
  u32 value_stride() const { return round_up8(spec_.value_size); }
  /// Bytes of one value as user space passes it: per-CPU maps pass a padded one for each CPU.
  u32 user_value_size() const;

  u32 id = 0;
  bool frozen = false;

  // What programs do. A value's address, or 0 where there is none.
  virtual u64 lookup(const std::byte* key);
  virtual u64 lookup_percpu(const std::byte* key, u32 cpu);
  virtual Result<void> update(const std::byte* key, const std::byte* value, u64 flags);
  virtual Result<void> erase(const std::byte* key);
  virtual Result<void> push(const std::byte* value, u64 flags);
  virtual Result<void> pop(std::byte* value);
  virtual Result<void> peek(std::byte* value);
  /// Calls `fn` with the window addresses of each key and value until it returns false; the number
  /// of calls. EINVAL for types without iteration.
  virtual Result<u32> for_each(const std::function<bool(u64 key, u64 value)>& fn);

  // What bpf(2) does.
  /// Copies the value out without its special fields. ENOENT where the key is not there.
  virtual Result<void> user_lookup(const std::byte* key, std::byte* value);
  virtual Result<void> user_update(const std::byte* key, const std::byte* value, u64 flags);
  virtual Result<void> user_erase(const std::byte* key) { return erase(key); }
  virtual Result<void> user_lookup_and_delete(const std::byte* key, std::byte* value, u64 flags);
  /// The key after `key` (null, or not there: the first). ENOENT after the last.
  virtual Result<void> next_key(const std::byte* key, std::byte* next);

  /// The window address of the key whose value is at `value`; an array writes its index to `index`,
  /// which is in the window, and answers its address. Linux: map_key_from_value.
  virtual u64 key_of_value(u64 value, u32* index);

  /// The map whose kind the values of a map of maps are; null for others. Linux: inner_map_meta.
  virtual const Map* inner_map() const { return nullptr; }

  /// Where each value is, for types in which that is known from the key alone.
  struct ArrayLayout {
    u64 base;
    u32 stride;
    u32 max_entries;
  };
  virtual std::optional<ArrayLayout> array_layout() const { return std::nullopt; }
  /// Window address of element 0 for ld_imm64 of a map value; 0 where the type has none.
  virtual u64 direct_address() const { return 0; }
  /// The memfd user space maps, or -1.
  virtual int memfd() const { return -1; }
  /// User space has closed its last descriptor; programs may still use the map. Linux:
  /// ops->map_release_uref.
  virtual void user_gone() {}
  /// Local storage: a task or cgroup ceased to exist.
  virtual void owner_gone(u64) {}
  /// Maps of maps: what each inner map must look like. Linux: inner_map_meta.
  virtual const MapSpec* inner_spec() const { return nullptr; }
  /// The map exists for the verifier; what programs and user space would do with it is not served.
  virtual bool served() const { return true; }

 protected:
  AddressWindow& window() const;
  /// Copies a value but for its special fields, which stay.
  void copy_value(std::byte* to, const std::byte* from) const;
  /// For a fresh element: the value, with special fields zero.
  void init_value(std::byte* to, const std::byte* from) const;
  /// For user space: the value, with special fields zero.
  void copy_to_user(std::byte* to, const std::byte* from) const { init_value(to, from); }
  /// Cancels timers and releases kptrs of a value that goes away.
  void free_fields(u64 value) const;
  /// The lock that Linux would hold for a bucket, a list or a timer of this map.
  RankedLock& lock() const { return lock_; }

  Bpf& bpf_;
  MapSpec spec_;

 private:
  void* object_;
  mutable RankedLock lock_;
};

/// Makes a map of any type; `spec` has passed check_map_spec. ENOMEM where it is too large.
Result<std::shared_ptr<Map>> make_map(Bpf& bpf, MapSpec spec);
/// The checks of map_alloc_check and map_alloc: 0 or a positive errno.
int check_map_spec(const MapSpec& spec, bool has_numa_node);
/// Has a map of this type no BTF for its key and value? Linux: map_check_no_btf.
bool map_has_no_btf(u32 type);
/// May a map like `spec` be an inner map of one that was made for `meta`? Linux: map_meta_equal.
bool map_meta_equal(const MapSpec& meta, const MapSpec& spec);
/// May it be an inner map at all? Linux: ops->map_meta_equal is set.
bool may_be_inner_map(u32 type);
/// "ARRAY" and so on, for every type of 7.3; empty for other numbers.
std::string_view map_type_name(u32 type);

// One maker a type.
std::shared_ptr<Map> make_array_map(Bpf& bpf, MapSpec spec);
std::shared_ptr<Map> make_hash_map(Bpf& bpf, MapSpec spec);
std::shared_ptr<Map> make_queue_map(Bpf& bpf, MapSpec spec);
std::shared_ptr<Map> make_local_storage_map(Bpf& bpf, MapSpec spec);
std::shared_ptr<Map> make_map_of_maps(Bpf& bpf, MapSpec spec);
std::shared_ptr<Map> make_unserved_map(Bpf& bpf, MapSpec spec);

}  // namespace uscx::bpf
