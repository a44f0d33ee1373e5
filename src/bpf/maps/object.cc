// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/maps/object.h"

#include <algorithm>
#include <cstring>

#include "bpf/maps/arena.h"
#include "bpf/maps/map.h"
#include "btf/btf.h"

namespace uscx::bpf {

namespace {

constexpr u32 kLeast = 64;

std::optional<u32> struct_of(const btf::Btf& vmlinux, u32 map_type) {
  if (map_type == uapi::kMapArena) {
    if (auto arena = vmlinux.find("bpf_arena", btf::Kind::kStruct)) return arena;
  }
  return vmlinux.find("bpf_map", btf::Kind::kStruct);
}

/// Writes members by name.
class Filler {
 public:
  Filler(const btf::Btf& btf, u32 type, u64 object) : btf_(btf), type_(type), object_(object) {}

  void put(std::string_view member, u64 value) {
    if (std::byte* at = find(member)) std::memcpy(at, &value, std::min<u32>(size_, sizeof(value)));
  }
  void put(std::string_view member, std::string_view text) {
    if (std::byte* at = find(member))
      std::memcpy(at, text.data(), std::min<u64>(size_, text.size()));
  }

 private:
  std::byte* find(std::string_view member) {
    const auto field = btf_.find_member_path(type_, member);
    if (!field) return nullptr;
    size_ = field->size;
    return reinterpret_cast<std::byte*>(object_) + field->byte_offset();
  }
  const btf::Btf& btf_;
  u32 type_;
  u64 object_;
  u32 size_ = 0;
};

}  // namespace

u32 map_object_size(const btf::Btf& vmlinux, u32 map_type) {
  const auto type = struct_of(vmlinux, map_type);
  return std::max(kLeast, type ? vmlinux.size_of(*type).value_or(0) : 0);
}

void fill_map_object(const btf::Btf& vmlinux, const Map& map) {
  const MapSpec& spec = map.spec();
  const auto type = struct_of(vmlinux, spec.type);
  if (!type) return;
  Filler object(vmlinux, *type, map.address());
  const bool inside = vmlinux.name(*type) != "bpf_map";
  auto put = [&](std::string_view member, auto value) {
    object.put(inside ? "map." + std::string(member) : std::string(member), value);
  };
  put("map_type", u64{spec.type});
  put("key_size", u64{spec.key_size});
  put("value_size", u64{spec.value_size});
  put("max_entries", u64{spec.max_entries});
  put("map_extra", spec.extra);
  put("map_flags", u64{spec.flags});
  put("id", u64{map.id});
  put("name", std::string_view(spec.name));
  if (spec.type != uapi::kMapArena || !inside) return;
  const auto& arena = static_cast<const ArenaMap&>(map);
  object.put("user_vm_start", arena.user_vm_start());
  object.put("user_vm_end", arena.user_vm_end());
}

}  // namespace uscx::bpf
