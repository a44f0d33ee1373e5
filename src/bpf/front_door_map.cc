// SPDX-License-Identifier: GPL-2.0-only
// bpf(2): maps.
#include <fmt/format.h>

#include <cstring>

#include "bpf/bpf.h"
#include "bpf/front_door.h"
#include "bpf/impl.h"
#include "bpf/maps/object.h"

namespace uscx::bpf {

namespace {

constexpr std::size_t kLookupLast = 32;   // flags
constexpr std::size_t kDeleteLast = 16;   // key
constexpr std::size_t kNextKeyLast = 24;  // next_key
constexpr std::size_t kFreezeLast = 4;    // map_fd

}  // namespace

/// Every check that needs no object but the attributes. Linux: map_create_alloc.
Result<MapSpec> FrontDoor::map_spec(UserLog& log) {
  const uapi::MapCreateAttr& a = attr_.map_create;
  auto refuse = [&](std::string_view text) {
    log.add(text);
    return fail(EINVAL);
  };
  if (!only_first(uapi::MapCreateAttr::kLast)) return refuse("Invalid attr.\n");
  if (a.btf_vmlinux_value_type_id) {
    if (a.map_type != uapi::kMapStructOps) {
      return refuse("btf_vmlinux_value_type_id can only be used with struct_ops maps.\n");
    }
    if (a.btf_key_type_id || a.btf_value_type_id) {
      return refuse(
          "btf_vmlinux_value_type_id is mutually exclusive with btf_key_type_id and "
          "btf_value_type_id.\n");
    }
  } else if (a.btf_key_type_id && !a.btf_value_type_id) {
    return refuse("Invalid btf_value_type_id.\n");
  }
  if (a.map_type != uapi::kMapBloomFilter && a.map_type != uapi::kMapArena &&
      a.map_type != uapi::kMapRhash && a.map_extra) {
    return refuse("Invalid map_extra.\n");
  }
  if (a.map_type == 0 || map_type_name(a.map_type).empty()) return refuse("Invalid map_type.\n");

  MapSpec spec;
  spec.type = a.map_type;
  spec.key_size = a.key_size;
  spec.value_size = a.value_size;
  spec.max_entries = a.max_entries;
  spec.flags = a.map_flags & ~uapi::kMapTokenFd;
  spec.extra = a.map_extra;
  spec.btf_key_type_id = a.btf_key_type_id;
  spec.btf_value_type_id = a.btf_value_type_id;
  spec.btf_vmlinux_value_type_id = a.btf_vmlinux_value_type_id;
  spec.vmlinux_value_btf = bpf_.impl().vmlinux;
  if (a.map_flags & uapi::kVtypeBtfObjFd) {
    auto btf = bpf_.impl().fds.get<BtfObject>(a.value_type_btf_obj_fd);
    if (!btf) return std::unexpected(btf.error());
    if (!(*btf)->kernel) return fail(EINVAL);
    spec.vmlinux_value_btf = std::move(*btf);
  }
  return spec;
}

/// The map's BTF and the special fields of its value. Linux: map_check_btf.
Result<void> FrontDoor::map_btf(MapSpec& spec) {
  if (!spec.btf_key_type_id && !spec.btf_value_type_id) return {};
  auto btf = bpf_.impl().fds.get<BtfObject>(static_cast<int>(attr_.map_create.btf_fd));
  if (!btf) return std::unexpected(btf.error());
  if ((*btf)->kernel) return fail(EACCES);
  const btf::Btf& types = (*btf)->btf;
  auto size_is = [&](u32 id, u32 size) {
    return id < types.type_count() && types.size_of(id).value_or(0) == size;
  };
  if (spec.btf_key_type_id) {
    if (!size_is(spec.btf_key_type_id, spec.key_size)) return fail(EINVAL);
  } else if (spec.type != uapi::kMapArray || spec.max_entries != 1 ||
             spec.btf_value_type_id >= types.type_count() ||
             types.kind(spec.btf_value_type_id) != btf::Kind::kDatasec) {
    return fail(EINVAL);  // only a data section goes without a key
  }
  if (!size_is(spec.btf_value_type_id, spec.value_size)) return fail(EINVAL);
  // Maps that Linux calls map_check_no_btf for.
  if (spec.type == uapi::kMapQueue || spec.type == uapi::kMapStack) return fail(kEnotsupp);
  if (map_has_no_btf(spec.type)) return fail(kEnotsupp);
  auto fields = parse_fields(types, spec.btf_value_type_id, spec.value_size);
  // Fields that are wrong are as none: a program that uses one is refused. Linux: map->record.
  if (fields) {
    if (int err = check_fields(*fields, spec.type, spec.flags)) return fail(err);
    spec.fields = std::move(*fields);
  }
  spec.btf = *btf;
  return {};
}

/// What inner maps must be like. Linux: bpf_map_meta_alloc.
Result<void> FrontDoor::map_inner(MapSpec& spec) {
  if (spec.type != uapi::kMapArrayOfMaps && spec.type != uapi::kMapHashOfMaps) return {};
  auto inner = bpf_.impl().fds.get<Map>(static_cast<int>(attr_.map_create.inner_map_fd));
  if (!inner) return std::unexpected(inner.error());
  if ((*inner)->inner_spec()) return fail(EINVAL);
  if (!may_be_inner_map((*inner)->spec().type)) return fail(kEnotsupp);
  spec.inner = std::make_shared<MapSpec>((*inner)->spec());
  return {};
}

Result<long> FrontDoor::publish(std::shared_ptr<Map> map) {
  map->id = bpf_.impl().maps.add(map);
  fill_map_object(bpf_.vmlinux(), *map);
  if (map->memfd() < 0) return bpf_.impl().fds.add(map);
  if (auto r = bpf_.impl().fds.add_memfd(map, map->memfd()); !r) return std::unexpected(r.error());
  return map->memfd();
}

Result<long> FrontDoor::map_create() {
  auto log = make_log(0, 0, 0, 0);
  if (!log) return std::unexpected(log.error());
  auto create = [&]() -> Result<long> {
    auto spec = map_spec(*log);
    if (!spec) return std::unexpected(spec.error());
    const uapi::MapCreateAttr& a = attr_.map_create;
    const bool numa = spec->flags & uapi::kNumaNode;
    if (numa && a.numa_node != 0) bpf_.count_unserved("MAP_CREATE with a numa_node");
    if (a.map_flags & uapi::kMapTokenFd) return fail(EBADF);
    const bool struct_ops = spec->type == uapi::kMapStructOps;
    const int err = struct_ops ? check_struct_ops_spec(*spec) : check_map_spec(*spec, numa);
    if (err) return fail(err);
    if (auto r = map_inner(*spec); !r) return std::unexpected(r.error());
    if (a.map_ifindex || a.excl_prog_hash) {
      return unserved("MAP_CREATE with ifindex or excl_prog_hash", EINVAL);
    }
    auto name = object_name(a.map_name);
    if (!name) return std::unexpected(name.error());
    spec->name = std::move(*name);
    if ((spec->flags & uapi::kRdonly) && (spec->flags & uapi::kWronly)) return fail(EINVAL);
    if (struct_ops) {
      auto map = make_struct_ops_map(bpf_, std::move(*spec));
      if (!map) return std::unexpected(map.error());
      return publish(std::shared_ptr<Map>(std::move(*map)));
    }
    if (auto r = map_btf(*spec); !r) return std::unexpected(r.error());
    auto map = make_map(bpf_, std::move(*spec));
    if (!map) return std::unexpected(map.error());
    return publish(std::move(*map));
  };
  const Result<long> result = create();
  u32 true_size = 0;
  if (auto r = log->finish(memory_, true_size); !r && !result) return std::unexpected(r.error());
  if (log->true_size_address) {
    (void)memory_.write(log->true_size_address, &true_size, sizeof(true_size));
  }
  return result;
}

/// The map of `fd`; EPERM where it was made with one of `flags_without`.
Result<std::shared_ptr<Map>> FrontDoor::map_of(u32 fd, u32 flags_without) {
  auto map = bpf_.impl().fds.get<Map>(static_cast<int>(fd));
  if (map && ((*map)->spec().flags & flags_without)) return fail(EPERM);
  return map;
}

Result<std::vector<std::byte>> FrontDoor::copy_key(const Map& map) {
  const u64 from = attr_.elem.key;
  if (map.spec().key_size == 0) {
    if (from) return fail(EINVAL);
    return std::vector<std::byte>{};
  }
  std::vector<std::byte> key(map.spec().key_size);
  if (auto r = memory_.read(key.data(), from, key.size()); !r) return std::unexpected(r.error());
  return key;
}

Result<long> FrontDoor::map_lookup() {
  if (!only_first(kLookupLast) || (attr_.elem.flags & ~u64{uapi::kLock})) return fail(EINVAL);
  auto map = map_of(attr_.elem.map_fd, uapi::kWronly);
  if (!map) return std::unexpected(map.error());
  if ((attr_.elem.flags & uapi::kLock) && !(*map)->spec().fields.has(FieldKind::kSpinLock)) {
    return fail(EINVAL);
  }
  auto key = copy_key(**map);
  if (!key) return std::unexpected(key.error());
  std::vector<std::byte> value((*map)->user_value_size());
  if (auto r = (*map)->user_lookup(key->data(), value.data()); !r) {
    return std::unexpected(r.error());
  }
  if (auto r = memory_.write(attr_.elem.value, value.data(), value.size()); !r) {
    return std::unexpected(r.error());
  }
  return 0;
}

Result<long> FrontDoor::map_update() {
  if (!only_first(kLookupLast)) return fail(EINVAL);
  auto map = map_of(attr_.elem.map_fd, uapi::kRdonly);
  if (!map) return std::unexpected(map.error());
  if ((*map)->frozen) return fail(EPERM);
  if ((attr_.elem.flags & uapi::kLock) && !(*map)->spec().fields.has(FieldKind::kSpinLock)) {
    return fail(EINVAL);
  }
  auto key = copy_key(**map);
  if (!key) return std::unexpected(key.error());
  std::vector<std::byte> value((*map)->user_value_size());
  if (auto r = memory_.read(value.data(), attr_.elem.value, value.size()); !r) {
    return std::unexpected(r.error());
  }
  if (auto r = (*map)->user_update(key->data(), value.data(), attr_.elem.flags); !r) {
    return std::unexpected(r.error());
  }
  return 0;
}

Result<long> FrontDoor::map_delete() {
  if (!only_first(kDeleteLast)) return fail(EINVAL);
  auto map = map_of(attr_.elem.map_fd, uapi::kRdonly);
  if (!map) return std::unexpected(map.error());
  if ((*map)->frozen) return fail(EPERM);
  auto key = copy_key(**map);
  if (!key) return std::unexpected(key.error());
  if (auto r = (*map)->user_erase(key->data()); !r) return std::unexpected(r.error());
  return 0;
}

Result<long> FrontDoor::map_next_key() {
  if (!only_first(kNextKeyLast)) return fail(EINVAL);
  auto map = map_of(attr_.elem.map_fd, uapi::kWronly);
  if (!map) return std::unexpected(map.error());
  std::vector<std::byte> key;
  if (attr_.elem.key) {
    auto copied = copy_key(**map);
    if (!copied) return std::unexpected(copied.error());
    key = std::move(*copied);
  }
  std::vector<std::byte> next((*map)->spec().key_size);
  if (auto r = (*map)->next_key(attr_.elem.key ? key.data() : nullptr, next.data()); !r) {
    return std::unexpected(r.error());
  }
  if (auto r = memory_.write(attr_.elem.value, next.data(), next.size()); !r) {
    return std::unexpected(r.error());
  }
  return 0;
}

Result<long> FrontDoor::map_lookup_and_delete() {
  if (!only_first(kLookupLast) || (attr_.elem.flags & ~u64{uapi::kLock})) return fail(EINVAL);
  auto map = map_of(attr_.elem.map_fd, uapi::kRdonly | uapi::kWronly);
  if (!map) return std::unexpected(map.error());
  if ((*map)->frozen) return fail(EPERM);
  const u32 type = (*map)->spec().type;
  if (attr_.elem.flags && (type == uapi::kMapQueue || type == uapi::kMapStack)) {
    return fail(EINVAL);
  }
  auto key = copy_key(**map);
  if (!key) return std::unexpected(key.error());
  std::vector<std::byte> value((*map)->user_value_size());
  if (auto r = (*map)->user_lookup_and_delete(key->data(), value.data(), attr_.elem.flags); !r) {
    // Linux's ENOTSUPP for maps without the operation.
    return fail(r.error().value == EOPNOTSUPP ? kEnotsupp : r.error().value);
  }
  if (auto r = memory_.write(attr_.elem.value, value.data(), value.size()); !r) {
    return std::unexpected(r.error());
  }
  return 0;
}

Result<long> FrontDoor::map_freeze() {
  if (!only_first(kFreezeLast)) return fail(EINVAL);
  auto map = map_of(attr_.elem.map_fd, uapi::kRdonly);
  if (!map) return std::unexpected(map.error());
  if ((*map)->spec().type == uapi::kMapStructOps || !(*map)->spec().fields.fields.empty()) {
    return fail(kEnotsupp);
  }
  if ((*map)->frozen) return fail(EPERM);
  (*map)->frozen = true;
  return 0;
}

}  // namespace uscx::bpf
